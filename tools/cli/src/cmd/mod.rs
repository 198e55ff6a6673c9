//! One file a subcommand.

pub mod bench;
pub mod boards;
pub mod compare;
pub mod compile;
pub mod completions;
pub mod conformance;
pub mod convert;
pub mod demo;
pub mod eval;
pub mod infer;
pub mod inspect;
pub mod pack;
pub mod preprocess;
pub mod profile;
pub mod quantize;
pub mod warm;
