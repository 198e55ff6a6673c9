//! From a checkpoint to a graph that is bound, simplified and compared, and on to a bundle.

pub mod bind;
pub mod golden;
pub mod labels;
pub mod manifest;
pub mod program;
pub mod source;
