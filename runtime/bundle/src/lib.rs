//! The one-file bundle: manifest, programs, assets, digests.
//!
//! A bundle, `NAME.limbic`, is an uncompressed zip archive whose contents start at multiples of 64 bytes, so that it
//! is mapped and used in place; `unzip -l` lists it. Its first entry, `manifest.json`, says what the model takes in,
//! how that becomes tensors, which programs run, what their outputs mean, and lists every other entry with its
//! digest. The SHA-256 of the manifest is the bundle's identity: an entry marked optional may be left out of a thin
//! bundle without changing it.
//!
//! [`Bundle`] reads a bundle and believes nothing in it: each header is compared with the one the writer would have
//! written, sizes are bounded before anything is allocated, and the manifest must fit together in names, step order,
//! parameters and shapes. [`Source`] reads a model folder (`model.toml`) into the same [`Manifest`].
//!
//! ```
//! use limbic_bundle::{Bundle, ErrorKind};
//!
//! let error = Bundle::from_bytes(b"not a bundle").unwrap_err();
//! assert_eq!(error.kind(), ErrorKind::NotABundle);
//! ```
#![deny(unsafe_code)]
#![deny(missing_docs)]

mod archive;
mod bundle;
mod bytes;
mod check;
mod error;
mod limits;
mod manifest;
mod package;
#[cfg(feature = "source")]
mod source;
#[cfg(feature = "write")]
mod write;

pub use bundle::{Bundle, EntryInfo};
pub use bytes::Bytes;
pub use error::{Error, ErrorKind, Result};
pub use manifest::{
    Asset, AssetKind, Dim, Dtype, Entry, Gate, Golden, GraphFormat, HeadCalibration, HeadKind, HeadSpec,
    Input, LabelSpace, Layout, MANIFEST_ENTRY, Manifest, Modality, NoAnswerReason, Pooling, Precision,
    ProgramSpec, Quantization, Role, Signature, SignatureSpec, Stage, Step, Symbol, TensorSpec, Variant,
    VariantEntry, element_count,
};
pub use package::Package;
#[cfg(feature = "source")]
pub use source::Source;
#[cfg(feature = "write")]
pub use write::BundleWriter;
