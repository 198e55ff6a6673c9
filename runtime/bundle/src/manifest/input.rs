//! Inputs and their preprocessing steps.

use limbic_json::{Faults, Fields, Read, Record, Value, choices, fields};
use limbic_signal::audio::{
    LogMelParams, MixParams, ResampleParams, RmsNormaliseParams, ScaleParams, SpeechGateParams,
    StandardiseParams, WindowParams,
};
use limbic_signal::image::{CropParams, GreyParams, LayoutParams, ResizeParams};
use limbic_signal::text::{NormaliseTextParams, TokenWindowParams, WordPieceParams};
use serde::Serialize;

/// One thing the model takes in, and how it becomes tensors.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Input {
    /// Name, for stages to refer to.
    pub name: String,
    /// What kind of raw data it is.
    pub modality: Modality,
    /// Names of the tensors that the steps give: one for pictures and sound; ids, then mask, for text.
    pub tensors: Vec<String>,
    /// The steps from raw data to tensors, in order.
    pub steps: Vec<Step>,
}

/// Kind of raw data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Modality {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// Text.
    Text,
}

impl Modality {
    /// The name as the manifest writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Text => "text",
        }
    }
}

/// Declares the steps once: variant, identifier, parameters.
macro_rules! steps {
    ($($(#[$doc:meta])* $variant:ident($params:ty) = $id:literal,)*) => {
        /// One preprocessing step: a name with a version, and every parameter.
        #[derive(Debug, Clone, PartialEq, Serialize)]
        #[serde(tag = "step")]
        pub enum Step {
            $($(#[$doc])* #[serde(rename = $id)] $variant($params),)*
        }

        /// Identifiers of all steps this release knows.
        pub(crate) const STEP_IDS: &[&str] = &[$($id),*];

        impl Read for Step {
            fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
                let readers: &[fn(&mut Fields<'_, '_>) -> Self] =
                    &[$(|fields| Self::$variant(<$params>::from_fields(fields))),*];
                let names: &[&[&str]] = &[$(<$params>::NAMES),*];
                let at = value.tag("step", STEP_IDS, faults);
                // All the lists have the same length.
                let (read, names) = (readers.get(at).unwrap_or(&readers[0]), names.get(at).unwrap_or(&names[0]));
                read(&mut value.fields(names, Some("step"), faults))
            }
        }

        impl Step {
            /// Identifier with version, as `grey@1`.
            pub fn id(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $id,)*
                }
            }
        }
    };
}

steps! {
    /// Colour to grey.
    Grey(GreyParams) = "grey@1",
    /// Cut of the observed region.
    Crop(CropParams) = "crop@1",
    /// Resize to a fixed size.
    Resize(ResizeParams) = "resize@1",
    /// Fixed scaling.
    Scale(ScaleParams) = "scale@1",
    /// Scaling by the item's own statistics.
    Standardise(StandardiseParams) = "standardise@1",
    /// Order of a picture's axes.
    Layout(LayoutParams) = "layout@1",
    /// Several channels to one.
    Mono(MixParams) = "mono@1",
    /// Resampling to a fixed rate.
    Resample(ResampleParams) = "resample@1",
    /// Decision whether a window holds speech; without it there is no answer (`no_speech`).
    SpeechGate(SpeechGateParams) = "speech_gate@1",
    /// Cutting sound into windows.
    Window(WindowParams) = "window@1",
    /// Gain to a target level.
    RmsNormalise(RmsNormaliseParams) = "rms_normalise@1",
    /// Log-mel spectrogram.
    LogMel(LogMelParams) = "log_mel@1",
    /// Scaling of each mel band by its own statistics.
    StandardiseBands(StandardiseParams) = "standardise_bands@1",
    /// Text normalisation.
    NormaliseText(NormaliseTextParams) = "normalise_text@1",
    /// WordPiece tokens.
    WordPiece(WordPieceParams) = "wordpiece@1",
    /// Cutting tokens into windows.
    TokenWindow(TokenWindowParams) = "token_window@1",
}

fields!(Input {
    name,
    modality,
    tensors,
    steps
});
choices!(Modality { Image = "image", Audio = "audio", Text = "text" });
