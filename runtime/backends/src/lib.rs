//! Backend, Program and Session: one trait over every inference engine.
//!
//! A [`Backend`] reads a file into a [`Program`], which holds the weights and may be shared between threads. Each user
//! opens a [`Session`], which holds the state tensors, and runs one of the program's signatures into buffers of its
//! own. Which engines are there is decided when compiling: feature `engine` runs compiled plans, feature `tract` ONNX
//! graphs, both with no native library. Feature `ort` runs ONNX graphs in ONNX Runtime and feature `tflite` flatbuffers
//! in TensorFlow Lite; their libraries are named while running, in `ORT_DYLIB_PATH` and `TFLITE_DYLIB_PATH` or by
//! `use_onnx_runtime` and `use_tensorflow_lite`.
//! A session runs on the caller's thread, and on threads of its own where [`with_threads`] asks for them.
//!
//! ```no_run
//! use limbic_backends::{ProgramFile, ProgramSource, TensorView, TensorViewMut, by_name};
//! use limbic_bundle::Bundle;
//!
//! let bundle = Bundle::open("face-small.limbic".as_ref())?;
//! let (spec, variant) = (&bundle.manifest().programs[0], &bundle.manifest().variants[0]);
//! let (format, files) = ProgramFile::of(&bundle, variant, &spec.name)?.ok_or("no such program")?;
//! let program = by_name(&variant.backend)?.load(&ProgramSource {
//!     name: &spec.name,
//!     format,
//!     files: &files,
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
#![deny(unsafe_code, missing_docs)]

mod backend;
#[cfg(any(feature = "engine", feature = "ort", feature = "tflite"))]
mod bytes;
mod choice;
#[cfg(feature = "engine")]
mod engine;
mod error;
#[cfg(any(feature = "ort", feature = "tflite"))]
mod held;
#[cfg(any(feature = "ort", feature = "tflite"))]
mod library;
#[cfg_attr(
    not(any(feature = "engine", feature = "tract", feature = "ort", feature = "tflite")),
    allow(dead_code, reason = "only backends use it")
)]
mod matching;
#[cfg(feature = "ort")]
mod ort;
#[cfg(feature = "tflite")]
mod tflite;
#[cfg(feature = "tract")]
mod tract;
mod view;

#[cfg(feature = "ort")]
pub use backend::use_onnx_runtime;
#[cfg(feature = "tflite")]
pub use backend::use_tensorflow_lite;
pub use backend::{
    Backend, Placement, Program, ProgramFile, ProgramReport, ProgramSource, Session, SessionState,
    WeightPack, by_name, compiled, with_threads,
};
pub use choice::choose_variant;
pub use error::{Error, ErrorKind, Result};
pub use view::{Elements, ElementsMut, Memory, TensorView, TensorViewMut};
