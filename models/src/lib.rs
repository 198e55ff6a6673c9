//! Architectures of trained models: parameter names and shapes in, a graph out.
//!
//! A state dict holds tensors by name and not what is done with them. Each [`Architecture`] knows the names of one
//! family of networks and builds the [`limbic_graph::Graph`] that computes with them; [`recognise`] finds the one that
//! fits a checkpoint, and says of the others which names are missing and which are not theirs. [`declared`] reads an
//! architecture from a file, so that a small network of one's own needs no code.
//!
//! A new architecture is one module with a `build` function and a line in [`ARCHITECTURES`].

#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod bert;
mod bit;
mod checkpoints;
pub mod declared;
mod face_small;
mod llama;
mod network;
mod recognise;
mod resnet;
mod resnet_cifar;
mod settings;
mod silero_vad;
mod speech_small;
mod text_small;
mod ultra_light_rfb;
mod weights;

pub use checkpoints::Checkpoints;
pub use network::Network;
pub use recognise::{Match, build, by_name, recognise, recognise_as};
pub use settings::{Pooling, Settings};
pub use weights::{Under, Weights};

use limbic_graph::Result;

/// A family of networks whose parameters have the same names.
#[derive(Debug, Clone, Copy)]
pub struct Architecture {
    /// Name, as `--arch` takes it.
    pub name: &'static str,
    /// What it is, in a sentence.
    pub description: &'static str,
    /// Names of which every checkpoint of the family has one: where it stands tells what prefix the names have.
    pub anchors: &'static [&'static str],
    /// Adds its inputs, nodes and outputs to a network, asking it for each parameter by name.
    pub build: fn(&mut Network<'_>, &Settings) -> Result<()>,
}

/// Something that builds a network out of parameters of known names: an [`Architecture`] or a
/// [`declared::Declared`] one.
pub trait Family {
    /// Its name.
    fn name(&self) -> &str;

    /// Names of which every checkpoint of the family has one: where it stands tells what prefix the names have.
    fn anchors(&self) -> Vec<String>;

    /// Adds its inputs, nodes and outputs to a network, asking it for each parameter by name.
    ///
    /// # Errors
    /// What reading a parameter gives, or [`limbic_graph::ErrorKind::Value`] for a setting that is missing.
    fn build(&self, network: &mut Network<'_>, settings: &Settings) -> Result<()>;
}

impl Family for Architecture {
    fn name(&self) -> &str {
        self.name
    }

    fn anchors(&self) -> Vec<String> {
        self.anchors.iter().map(|anchor| (*anchor).to_owned()).collect()
    }

    fn build(&self, network: &mut Network<'_>, settings: &Settings) -> Result<()> {
        (self.build)(network, settings)
    }
}

/// All architectures that are known by name.
pub const ARCHITECTURES: &[Architecture] = &[
    bert::ARCHITECTURE,
    bit::ARCHITECTURE,
    face_small::ARCHITECTURE,
    llama::ARCHITECTURE,
    resnet::ARCHITECTURE,
    resnet_cifar::ARCHITECTURE,
    silero_vad::ARCHITECTURE,
    speech_small::ARCHITECTURE,
    text_small::ARCHITECTURE,
    ultra_light_rfb::ARCHITECTURE,
];
