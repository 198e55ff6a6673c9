//! Parameters of the audio steps, as a manifest holds them.

use limbic_json::{choices, deserialize, fields};
use serde::Serialize;

/// How several channels become one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MixParams {
    /// The rule of the mix.
    pub mix: MixRule,
}

/// Rule that turns several channels into one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MixRule {
    /// Arithmetic mean of all channels.
    Mean,
}

/// Windowed-sinc resampling to a fixed rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResampleParams {
    /// Rate after resampling, in Hz.
    pub rate_hz: u32,
    /// Zero crossings of the sinc on each side of its centre (`lowpass_filter_width` of `torchaudio`).
    pub zero_crossings: u32,
    /// Cut-off as a share of the lower Nyquist frequency, in `(0, 1]`.
    pub rolloff: f64,
    /// Window over the sinc.
    pub window: ResampleWindow,
}

/// Window over the resampler's sinc.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResampleWindow {
    /// Hann window, as `sinc_interp_hann` of `torchaudio.functional.resample`.
    Hann,
}

/// Decision whether a stretch of sound holds speech.
///
/// A frame is voiced when it is loud enough, periodic enough and not one or two tones; a stretch is speech when enough of
/// it is voiced and its spectrum and level move as speech does.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SpeechGateParams {
    /// Rate of the samples the gate expects, in Hz.
    pub sample_rate_hz: u32,
    /// Length of a frame, in milliseconds.
    pub frame_ms: u32,
    /// Distance between the starts of two frames, in milliseconds.
    pub hop_ms: u32,
    /// Level under which a frame is silence, in dBFS (RMS of full-scale 1.0 is 0 dBFS).
    pub min_level_dbfs: f32,
    /// Lowest voice pitch looked for, in Hz.
    pub min_pitch_hz: f32,
    /// Highest voice pitch looked for, in Hz.
    pub max_pitch_hz: f32,
    /// Least peak of the whitened autocorrelation between the pitch bounds for a voiced frame, in `0..=1`.
    pub min_periodicity: f32,
    /// Largest share of the voice band's power in its two strongest tones for a voiced frame, in `0..=1`: a voice has
    /// many harmonics.
    pub max_tone_share: f32,
    /// Least time of voiced frames for a stretch to be speech, in milliseconds.
    pub min_speech_ms: u32,
    /// Least median change of the spectrum's shape between voiced frames 48 ms apart, in dB: speech articulates, hum
    /// and held notes do not.
    pub min_spectral_change_db: f32,
    /// Least spread (standard deviation) of the frame level over a stretch, in dB: speech rises and falls.
    pub min_level_spread_db: f32,
}

/// Cutting a stream into windows of equal length.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WindowParams {
    /// Length of a window, in milliseconds.
    pub length_ms: u32,
    /// Distance between the starts of two windows, in milliseconds.
    pub hop_ms: u32,
    /// What happens to input shorter than a window.
    pub short: ShortRule,
    /// Least length of input (and of new input in a last, partial window), in milliseconds.
    pub min_ms: u32,
}

/// Rule for a partial window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortRule {
    /// Zeros are appended up to the window's length.
    PadZero,
}

/// Gain that brings a window's RMS level to a target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RmsNormaliseParams {
    /// RMS level after the gain, in dBFS.
    pub target_dbfs: f32,
    /// Largest gain, in dB.
    pub max_gain_db: f32,
}

/// Log-mel spectrogram.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LogMelParams {
    /// Rate of the samples, in Hz.
    pub sample_rate_hz: u32,
    /// Length of the analysis window, in samples; at most `fft_size`, centred in it.
    pub window_samples: u32,
    /// Shape of the analysis window.
    pub window: WindowFunction,
    /// Distance between two frames, in samples.
    pub hop_samples: u32,
    /// FFT size, in samples.
    pub fft_size: u32,
    /// Whether frames are centred on their time by padding `fft_size / 2` samples on each side.
    pub centre: bool,
    /// How the padding of `centre` is filled.
    pub pad: PadMode,
    /// Exponent of the magnitude: 1.0 magnitude, 2.0 power.
    pub power: f32,
    /// Number of mel bands.
    pub mels: u32,
    /// Formula of the mel scale.
    pub mel_scale: MelScale,
    /// Normalisation of the mel filters.
    pub mel_norm: MelNorm,
    /// Lower edge of the lowest band, in Hz.
    pub low_hz: f32,
    /// Upper edge of the highest band, in Hz.
    pub high_hz: f32,
    /// Compression of the mel energies.
    pub log: LogCompression,
    /// Energies below this are raised to it before the logarithm.
    pub floor: f32,
}

/// Shape of an analysis window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WindowFunction {
    /// Periodic Hann window (`torch.hann_window(n)`, `scipy.signal.get_window("hann", n)`).
    HannPeriodic,
}

/// How padding is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PadMode {
    /// Mirror without repeating the edge sample.
    Reflect,
    /// Zeros.
    Zero,
    /// No padding; only with `centre = false`.
    None,
}

/// Formula of the mel scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MelScale {
    /// `2595 log10(1 + f / 700)`, as `mel_scale="htk"` of `torchaudio`.
    Htk,
    /// Linear below 1 kHz, logarithmic above, as `librosa` and `mel_scale="slaney"` of `torchaudio`.
    Slaney,
}

/// Normalisation of the mel filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MelNorm {
    /// Triangles of height one.
    None,
    /// Triangles of unit area, as `norm="slaney"`.
    Slaney,
}

/// Compression of mel energies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LogCompression {
    /// Natural logarithm.
    Natural,
    /// `10 log10`, in dB.
    Log10Db,
}

/// Fixed scaling: `(x * factor - mean) / std`; one value for all channels, or one a channel (or mel band).
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScaleParams {
    /// Factor applied first.
    pub factor: f64,
    /// Means subtracted after the factor.
    pub mean: Vec<f64>,
    /// Standard deviations divided by; none may be zero.
    pub std: Vec<f64>,
}

/// Scaling by the item's own statistics: `(x - mean) / max(std, min_std)`, population standard deviation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StandardiseParams {
    /// Least standard deviation divided by.
    pub min_std: f32,
}

fields!(MixParams { mix });
choices!(MixRule { Mean = "mean" });
fields!(ResampleParams {
    rate_hz,
    zero_crossings,
    rolloff,
    window
});
choices!(ResampleWindow { Hann = "hann" });
fields!(SpeechGateParams {
    sample_rate_hz,
    frame_ms,
    hop_ms,
    min_level_dbfs,
    min_pitch_hz,
    max_pitch_hz,
    min_periodicity,
    max_tone_share,
    min_speech_ms,
    min_spectral_change_db,
    min_level_spread_db,
});
fields!(WindowParams {
    length_ms,
    hop_ms,
    short,
    min_ms
});
choices!(ShortRule { PadZero = "pad_zero" });
fields!(RmsNormaliseParams {
    target_dbfs,
    max_gain_db
});
fields!(LogMelParams {
    sample_rate_hz,
    window_samples,
    window,
    hop_samples,
    fft_size,
    centre,
    pad,
    power,
    mels,
    mel_scale,
    mel_norm,
    low_hz,
    high_hz,
    log,
    floor,
});
choices!(WindowFunction { HannPeriodic = "hann_periodic" });
choices!(PadMode { Reflect = "reflect", Zero = "zero", None = "none" });
choices!(MelScale { Htk = "htk", Slaney = "slaney" });
choices!(MelNorm { None = "none", Slaney = "slaney" });
choices!(LogCompression { Natural = "natural", Log10Db = "log10_db" });
fields!(ScaleParams { factor, mean, std });
fields!(StandardiseParams { min_std });
deserialize!(
    MixParams,
    ResampleParams,
    SpeechGateParams,
    WindowParams,
    RmsNormaliseParams,
    LogMelParams,
    ScaleParams,
    StandardiseParams
);
