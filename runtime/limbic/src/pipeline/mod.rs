//! Preprocessing as a manifest lists it: from raw input to the tensors of the model.
//!
//! The recognizer, `limbic preprocess` and, through it, the training recipes all run these pipelines.

mod audio;
mod image;
mod text;

pub use audio::{AudioEnd, AudioPipeline, AudioStream, AudioWindow};
pub use image::ImagePipeline;
pub use text::{TextItem, TextPipeline};

use limbic_bundle::{Input, Modality, Package};

use crate::error::{Error, ErrorKind, Result};

/// The pipeline of one input of a bundle.
#[derive(Debug)]
pub enum Pipeline {
    /// Pictures.
    Image(ImagePipeline),
    /// Sound.
    Audio(AudioPipeline),
    /// Text.
    Text(TextPipeline),
}

impl Pipeline {
    /// Builds the pipeline of the package's only input.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] for a package with no or several inputs, [`ErrorKind::Preprocess`] for parameters
    /// that a step refuses, [`ErrorKind::Bundle`] when an asset cannot be read.
    pub fn of(package: &dyn Package) -> Result<Self> {
        let manifest = package.manifest();
        let [input] = manifest.inputs.as_slice() else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "bundle {}: {} inputs; a recognizer takes bundles of one input",
                    manifest.name,
                    manifest.inputs.len()
                ),
            ));
        };
        Ok(match input.modality {
            Modality::Image => Self::Image(ImagePipeline::new(input)?),
            Modality::Audio => Self::Audio(AudioPipeline::new(input)?),
            Modality::Text => Self::Text(TextPipeline::new(input, package)?),
        })
    }
}

/// A tensor of floats.
#[derive(Debug, Clone, PartialEq)]
pub struct FloatTensor {
    /// Extent of each axis.
    pub dims: Vec<usize>,
    /// Values, row-major.
    pub values: Vec<f32>,
}

/// The error for a step that stands where it cannot; the manifest's own check refuses most of these earlier.
fn misplaced(input: &Input, step: &limbic_bundle::Step) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "input {}: step {} cannot stand where it does",
            input.name,
            step.id()
        ),
    )
}
