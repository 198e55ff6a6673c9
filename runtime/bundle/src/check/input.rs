//! Preprocessing: which step fits which modality and place, and what tensors the steps give.

use limbic_signal::audio::{LogMel, Resampler, ScaleParams, SpeechGate, Windower};
use limbic_signal::image::PixelOrder;

use crate::check::{at_most, shorten, within};
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::manifest::{Dtype, Input, Layout, Modality, Step};

/// Largest width or height of a resized picture, in pixels.
const MAX_SIDE: f64 = 8192.0;
/// Most tokens of a window, and most windows of a text.
const MAX_TOKENS: u32 = 65_536;

/// A tensor that preprocessing gives.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Produced {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Shape,
    pub(super) layout: Option<Layout>,
}

/// Shape of a value before any program has seen it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// These sizes.
    Exact(Vec<usize>),
    /// These sizes after any number of ones.
    Trailing(Vec<usize>),
    /// One row of at most that many tokens.
    Tokens(usize),
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let list = |dims: &[usize]| dims.iter().map(usize::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Exact(dims) => write!(f, "[{}]", list(dims)),
            Self::Trailing(dims) => write!(f, "[1.., {}]", list(dims)),
            Self::Tokens(length) => write!(f, "[1, up to {length}]"),
        }
    }
}

/// Place of each step in its modality's order; steps of one rank exclude each other.
fn rank(modality: Modality, step: &Step) -> Option<u8> {
    Some(match (modality, step) {
        (Modality::Image, Step::Crop(_)) => 0,
        (Modality::Image, Step::Grey(_)) => 1,
        (Modality::Image, Step::Resize(_)) => 2,
        (Modality::Image, Step::Scale(_)) => 3,
        (Modality::Image, Step::Standardise(_)) => 4,
        (Modality::Image, Step::Layout(_)) => 5,
        (Modality::Audio, Step::Mono(_)) => 0,
        (Modality::Audio, Step::Resample(_)) => 1,
        (Modality::Audio, Step::SpeechGate(_)) => 2,
        (Modality::Audio, Step::Window(_)) => 3,
        (Modality::Audio, Step::RmsNormalise(_)) => 4,
        (Modality::Audio, Step::LogMel(_)) => 5,
        (Modality::Audio, Step::Scale(_)) => 6,
        (Modality::Audio, Step::Standardise(_) | Step::StandardiseBands(_)) => 7,
        (Modality::Text, Step::NormaliseText(_)) => 0,
        (Modality::Text, Step::WordPiece(_)) => 1,
        (Modality::Text, Step::TokenWindow(_)) => 2,
        _ => return None,
    })
}

/// Steps in the order they must stand in; `?` marks those that may be left out.
fn order(modality: Modality) -> &'static str {
    match modality {
        Modality::Image => "crop@1?, grey@1?, resize@1, scale@1?, standardise@1?, layout@1",
        Modality::Audio => {
            "mono@1, resample@1, speech_gate@1?, window@1, rms_normalise@1?, log_mel@1?, scale@1?, \
             (standardise@1 | standardise_bands@1)?"
        }
        Modality::Text => "normalise_text@1, wordpiece@1, token_window@1",
    }
}

/// Checks an input's steps and gives the tensors they make.
pub(super) fn tensors(place: &str, input: &Input) -> Result<Vec<Produced>> {
    at_most(&format!("{place}.steps"), input.steps.len(), limits::STEPS)?;
    let modality = input.modality;
    let mut last = None;
    for (i, step) in input.steps.iter().enumerate() {
        let wrong = |expected: String| {
            Err(Error::new(
                ErrorKind::StepOrder,
                format!("{place}.steps[{i}]"),
                expected,
                step.id(),
            ))
        };
        let Some(rank) = rank(modality, step) else {
            return wrong(format!("a step for {}: {}", modality.name(), order(modality)));
        };
        if last.is_some_and(|last| last >= rank) {
            return wrong(format!("the order {}", order(modality)));
        }
        last = Some(rank);
    }
    let wanted = if modality == Modality::Text { 2 } else { 1 };
    if input.tensors.len() != wanted {
        return Err(Error::new(
            ErrorKind::Shape,
            format!("{place}.tensors"),
            format!("{wanted} name(s) for {}", modality.name()),
            input.tensors.len(),
        ));
    }
    let (dtype, shape, layout) = match modality {
        Modality::Image => image(place, &input.steps)?,
        Modality::Audio => audio(place, &input.steps)?,
        Modality::Text => (Dtype::I64, text(place, &input.steps)?, None),
    };
    Ok(input
        .tensors
        .iter()
        .map(|name| Produced {
            name: name.clone(),
            dtype,
            shape: shape.clone(),
            layout,
        })
        .collect())
}

/// The step that the input cannot do without.
fn required<'a, T>(
    place: &str,
    steps: &'a [Step],
    id: &str,
    pick: impl Fn(&'a Step) -> Option<T>,
) -> Result<T> {
    steps.iter().find_map(pick).ok_or_else(|| {
        let found: Vec<&str> = steps.iter().map(Step::id).collect();
        Error::new(
            ErrorKind::StepOrder,
            format!("{place}.steps"),
            format!("a step {id}"),
            found.join(", "),
        )
    })
}

fn image(place: &str, steps: &[Step]) -> Result<(Dtype, Shape, Option<Layout>)> {
    let mut channels = 3;
    for (i, step) in steps.iter().enumerate() {
        let place = format!("{place}.steps[{i}] {}", step.id());
        match step {
            Step::Grey(_) => channels = 1,
            Step::Crop(params) => within(&format!("{place} margin"), params.margin, 0.0, 16.0)?,
            Step::Resize(params) => {
                within(&format!("{place} width"), f64::from(params.width), 1.0, MAX_SIDE)?;
                within(
                    &format!("{place} height"),
                    f64::from(params.height),
                    1.0,
                    MAX_SIDE,
                )?;
            }
            Step::Scale(params) => scale(&place, params, channels, "channel")?,
            Step::Standardise(params) => least_std(&place, params.min_std)?,
            _ => {}
        }
    }
    let resize = required(place, steps, "resize@1", |step| match step {
        Step::Resize(params) => Some(params),
        _ => None,
    })?;
    let order = required(place, steps, "layout@1", |step| match step {
        Step::Layout(params) => Some(params.order),
        _ => None,
    })?;
    let (width, height) = (resize.width as usize, resize.height as usize);
    Ok(match order {
        PixelOrder::Nchw => (
            Dtype::F32,
            Shape::Exact(vec![1, channels, height, width]),
            Some(Layout::Nchw),
        ),
        PixelOrder::Nhwc => (
            Dtype::F32,
            Shape::Exact(vec![1, height, width, channels]),
            Some(Layout::Nhwc),
        ),
    })
}

fn audio(place: &str, steps: &[Step]) -> Result<(Dtype, Shape, Option<Layout>)> {
    required(place, steps, "mono@1", |step| {
        matches!(step, Step::Mono(_)).then_some(())
    })?;
    let rate = required(place, steps, "resample@1", |step| match step {
        Step::Resample(params) => Some(params.rate_hz),
        _ => None,
    })?;
    let mut samples = None;
    let mut dims = None;
    for (i, step) in steps.iter().enumerate() {
        let place = format!("{place}.steps[{i}]");
        let named = |error: limbic_signal::Error| from_signal(&place, &error);
        let same_rate = |found: u32| {
            if found == rate {
                return Ok(());
            }
            let expected = format!("the {rate} Hz of resample@1");
            Err(Error::new(
                ErrorKind::Shape,
                format!("{place} {} sample_rate_hz", step.id()),
                expected,
                found,
            ))
        };
        match step {
            Step::Resample(params) => drop(Resampler::new(params, params.rate_hz).map_err(named)?),
            Step::SpeechGate(params) => {
                same_rate(params.sample_rate_hz)?;
                drop(SpeechGate::new(params).map_err(named)?);
            }
            Step::Window(params) => {
                let window = Windower::new(params, rate).map_err(named)?.window_samples();
                samples = Some(window);
                dims = Some(vec![window]);
            }
            Step::RmsNormalise(params) => {
                within(
                    &format!("{place} target_dbfs"),
                    f64::from(params.target_dbfs),
                    -120.0,
                    0.0,
                )?;
                within(
                    &format!("{place} max_gain_db"),
                    f64::from(params.max_gain_db),
                    0.0,
                    120.0,
                )?;
            }
            Step::LogMel(params) => {
                same_rate(params.sample_rate_hz)?;
                let log_mel = LogMel::new(params).map_err(named)?;
                let samples = samples.unwrap_or_default();
                let frames = log_mel.frames(samples);
                if frames == 0 {
                    let found = format!("a window of {samples} samples");
                    let expected = format!("at least one frame of {} samples", params.fft_size);
                    return Err(Error::new(
                        ErrorKind::Shape,
                        format!("{place} log_mel@1"),
                        expected,
                        found,
                    ));
                }
                dims = Some(vec![frames, log_mel.bands()]);
            }
            Step::Scale(params) => match dims.as_deref() {
                Some([_, bands]) => scale(&place, params, *bands, "mel band")?,
                _ => scale(&place, params, 1, "channel")?,
            },
            Step::Standardise(params) => least_std(&place, params.min_std)?,
            Step::StandardiseBands(params) => {
                least_std(&place, params.min_std)?;
                if dims.as_ref().is_none_or(|dims| dims.len() != 2) {
                    return Err(Error::new(
                        ErrorKind::StepOrder,
                        place,
                        "log_mel@1 before standardise_bands@1",
                        "none",
                    ));
                }
            }
            _ => {}
        }
    }
    let dims = dims.ok_or_else(|| {
        Error::new(
            ErrorKind::StepOrder,
            format!("{place}.steps"),
            "a step window@1",
            "none",
        )
    })?;
    Ok((Dtype::F32, Shape::Trailing(dims), None))
}

fn text(place: &str, steps: &[Step]) -> Result<Shape> {
    required(place, steps, "normalise_text@1", |step| {
        matches!(step, Step::NormaliseText(_)).then_some(())
    })?;
    required(place, steps, "wordpiece@1", |step| {
        matches!(step, Step::WordPiece(_)).then_some(())
    })?;
    let params = required(place, steps, "token_window@1", |step| match step {
        Step::TokenWindow(params) => Some(params),
        _ => None,
    })?;
    let place = format!("{place}.steps token_window@1");
    within(
        &format!("{place} length"),
        f64::from(params.length),
        3.0,
        f64::from(MAX_TOKENS),
    )?;
    within(
        &format!("{place} stride"),
        f64::from(params.stride),
        1.0,
        f64::from(params.length.saturating_sub(2)),
    )?;
    within(
        &format!("{place} max_windows"),
        f64::from(params.max_windows),
        1.0,
        f64::from(MAX_TOKENS),
    )?;
    Ok(Shape::Tokens(params.length as usize))
}

fn scale(place: &str, params: &ScaleParams, count: usize, what: &str) -> Result<()> {
    let ScaleParams { factor, mean, std } = params;
    if !factor.is_finite() {
        return Err(Error::new(
            ErrorKind::Parameter,
            format!("{place} factor"),
            "a finite number",
            factor,
        ));
    }
    for (key, values) in [("mean", mean), ("std", std)] {
        if values.len() != 1 && values.len() != count {
            let expected = format!("1 value, or {count}, one a {what}");
            return Err(Error::new(
                ErrorKind::Shape,
                format!("{place} {key}"),
                expected,
                values.len(),
            ));
        }
        if let Some(value) = values.iter().find(|value| !value.is_finite()) {
            return Err(Error::new(
                ErrorKind::Parameter,
                format!("{place} {key}"),
                "finite numbers",
                value,
            ));
        }
    }
    match std.iter().find(|std| **std == 0.0) {
        Some(zero) => Err(Error::new(
            ErrorKind::Parameter,
            format!("{place} std"),
            "no zero",
            zero,
        )),
        None => Ok(()),
    }
}

fn least_std(place: &str, min_std: f32) -> Result<()> {
    within(
        &format!("{place} min_std"),
        f64::from(min_std),
        f64::from(f32::MIN_POSITIVE),
        f64::from(f32::MAX),
    )
}

fn from_signal(place: &str, error: &limbic_signal::Error) -> Error {
    Error::new(
        ErrorKind::Parameter,
        format!("{place} {}", shorten(error.subject())),
        error.expected(),
        error.found(),
    )
}
