//! Backend, Program and Session: one trait over every inference engine.
//!
//! A [`Backend`] reads a file into a [`Program`], which holds the weights and may be shared between threads. Each user
//! opens a [`Session`], which holds the state tensors, and runs one of the program's signatures into buffers of its
//! own. Which engines are there is decided when compiling: feature `tract` runs ONNX graphs with no native library.
//! No backend starts a thread.
//!
//! ```no_run
//! use limbic_backends::{ProgramSource, TensorView, TensorViewMut, by_name};
//! use limbic_bundle::{Bundle, GraphFormat};
//!
//! let bundle = Bundle::open("face-small.limbic".as_ref())?;
//! let spec = &bundle.manifest().programs[0];
//! let program = by_name("tract")?.load(&ProgramSource {
//!     name: &spec.name,
//!     format: GraphFormat::Onnx,
//!     bytes: bundle.entry("graph.onnx")?,
//!     signatures: &spec.concrete(),
//! })?;
//! let mut session = program.session()?;
//! let (pixels, mut logits) = ([0.0; 48 * 48], [0.0; 8]);
//! session.run(
//!     "main",
//!     &[TensorView::f32("pixels", &[1, 1, 48, 48], &pixels)],
//!     &mut [TensorViewMut::f32("emotion_logits", &[1, 8], &mut logits)],
//! )?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod backend;
mod error;
#[cfg_attr(not(feature = "tract"), allow(dead_code, reason = "only backends use it"))]
mod matching;
#[cfg(feature = "tract")]
mod tract;
mod view;

pub use backend::{
    Backend, Placement, Program, ProgramReport, ProgramSource, Session, SessionState, by_name, compiled,
};
pub use error::{Error, ErrorKind, Result};
pub use view::{Elements, ElementsMut, Memory, TensorView, TensorViewMut};
