//! Executes compiled plans.
//!
//! A [`Plan`] is a flat binary made on the host; its weights are separate packs. [`Plan::check`] reads both in place
//! and proves that every step stays inside its buffers; [`Plan::run`] executes the steps in memory that the caller
//! lends, with the instructions that the caller's [`Cpu`] allows. Nothing is allocated, copied at load, read from the
//! environment or started, and the crate needs no standard library; feature `detect` links it to look at the
//! processor.

#![no_std]
#![deny(missing_docs)]

#[cfg(target_endian = "big")]
compile_error!("plans and weight packs are read in place and are little-endian");

#[cfg(any(test, feature = "detect"))]
extern crate std;

mod cpu;
mod error;
mod kernels;
pub mod plan;
mod record;
mod run;
mod span;
pub mod step;
mod workers;

pub use cpu::{Cpu, Tier};
pub use error::{Error, ErrorKind, Result};
pub use plan::{Plan, Port, Role};
pub use record::{Record, Words};
pub use span::{Blob, Extent, Grid, Halo, Span};
pub use workers::{Alone, Workers};
