//! The graph of a trained model, on the host.
//!
//! A [`Graph`] holds typed values, constants and nodes; an [`Op`] says what a node computes. Files of other systems
//! are read into it ([`onnx`], [`tflite`], [`keras`]) and written from it; [`infer`] finds the extents of its values,
//! [`passes`] make it smaller without changing its answers, and [`interpret`] runs it slowly and clearly, as the
//! oracle of everything faster.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod conformance;
mod contents;
mod dtype;
mod error;
mod graph;
pub mod infer;
pub mod interpret;
pub mod keras;
pub mod onnx;
pub mod op;
pub mod passes;
mod quantization;
mod resample;
mod spatial;
mod tensor;
pub mod tflite;
mod types;
mod windows;

pub use contents::{Contents, ListedOperator, ListedTensor};
pub use dtype::Dtype;
pub use error::{Error, ErrorKind, Result};
pub use graph::{Graph, Node, NodeId, Rounding, Value, ValueId};
pub use op::Op;
pub use quantization::{dequantize, quantize};
pub use tensor::{Element, MAX_ELEMENTS, Storage, Tensor, element_count};
pub use types::{Dim, Quantization, Symbol, TensorType};
pub use windows::Windows;
