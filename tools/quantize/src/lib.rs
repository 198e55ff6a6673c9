//! Quantization of a float graph, its answers watched.
//!
//! Two steps stay apart: a float [`limbic_graph::Graph`] and a stream of inputs give a calibration [`calibrate::Table`];
//! graph, table and a scheme give a graph whose types are quantized.

#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod agreement;
pub mod calibrate;
pub mod control;
mod error;
mod fold;
pub mod heads;
mod lower;
mod macs;
pub mod recipe;
mod remedy;
pub mod report;
mod rounding;
pub mod scheme;
mod search;
pub mod sensitivity;
pub mod split;
pub mod verdict;

pub use error::{Error, ErrorKind, Result};
pub use fold::fold;
pub use lower::lower;
pub use macs::{is_integer, macs, totals};
pub use rounding::Rounded;
pub use search::search;
