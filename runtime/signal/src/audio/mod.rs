//! Sound: mixing, resampling, levels, the speech decision, windows and log-mel features.
//!
//! Samples are `f32` with full scale at 1.0, one channel unless said otherwise. Every step refuses samples that are not
//! finite, with the index of the first, before it changes anything.

mod fourier;
mod gate;
mod level;
mod log_mel;
mod mel;
mod mix;
mod params;
mod resample;
mod samples;
mod scale;
mod voicing;
mod window;

pub use gate::{GateReason, SpeechDecision, SpeechGate};
pub use level::{SILENCE_DBFS, rms_dbfs, rms_normalise};
pub use log_mel::LogMel;
pub use mix::mix;
pub use params::{
    LogCompression, LogMelParams, MelNorm, MelScale, MixParams, MixRule, PadMode, ResampleParams,
    ResampleWindow, RmsNormaliseParams, ScaleParams, ShortRule, SpeechGateParams, StandardiseParams,
    WindowFunction, WindowParams,
};
pub use resample::Resampler;
pub use samples::{MAX_MAGNITUDE, check_samples};
pub use scale::{scale, standardise, standardise_bands};
pub use window::{Tail, Window, Windower};
