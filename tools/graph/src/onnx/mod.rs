//! ONNX files: reading (opsets 7 to 28) and writing (opset 17).
//!
//! The reader brings every operator to its latest meaning, so that the rest of the crate knows one version of each:
//! attributes that became inputs turn into constants, operators that were replaced become their successors, functions
//! of the model are written out in place. What it does not know it refuses, all of it in one error.

mod contents;
mod export;
mod import;
mod proto;
mod tensor;
mod uses;
mod versions;
mod wire;

pub use contents::contents;
pub use export::{WRITTEN_OPSET, write};
pub use import::{MAX_EXTENT, read, read_bound};
pub use tensor::read_tensor;
pub use uses::{Input, Interface, interface, with_defaults};

#[cfg(test)]
mod tests;
