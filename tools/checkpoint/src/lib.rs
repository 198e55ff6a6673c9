//! Readers of trained checkpoints, on the host.
//!
//! [`Checkpoint::open`] finds the format by the file's content and lists what is inside; tensors are read one at a
//! time. Nothing in a file is ever executed: a pickle is parsed by a machine that knows the few names which build
//! tensors and containers, and everything else in it is skipped and reported.
//!
//! Files come from strangers. Every count and offset is checked against the bytes that are there before memory is
//! reserved for it, so a damaged or hostile file is an error that names the place.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod bytes;
mod checkpoint;
mod detect;
mod elements;
mod entry;
mod hdf5;
mod keras;
mod llama2c;
mod numpy;
mod pickle;
mod safetensors;
mod source;
mod tensorbundle;
mod torch;
mod zip;

pub use checkpoint::Checkpoint;
pub use detect::Format;
pub use entry::{Entry, KerasLayer, Skipped, without_wrappers};
pub use limbic_graph::{Error, ErrorKind, Result};
