//! TensorFlow Lite files (schema version 3).
//!
//! TFLite's tensors are channels-last. Reading puts a `Transpose` around each spatial operation and permutes weights;
//! [`crate::passes`] cancels what meets its inverse.

mod contents;
mod flatbuffer;
mod model;
mod read;
mod schema;
mod write;

pub use contents::contents;
pub use read::read;
pub use write::write;
