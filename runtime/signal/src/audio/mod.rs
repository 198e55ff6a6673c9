//! Sound: mixing, resampling, levels, the speech decision, windows and log-mel features.

mod params;

pub use params::{
    LogCompression, LogMelParams, MelNorm, MelScale, MixParams, MixRule, PadMode, ResampleParams, ResampleWindow,
    RmsNormaliseParams, ScaleParams, ShortRule, SpeechGateParams, StandardiseParams, WindowFunction, WindowParams,
};
