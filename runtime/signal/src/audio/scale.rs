//! Scaling of features.

use crate::audio::{ScaleParams, StandardiseParams};
use crate::{Error, ErrorKind, Result};

/// `(x * factor - mean) / std` in place.
///
/// **Shape**: `[.., band]` with the band innermost. `mean` and `std` hold one value for all, or one a band.
///
/// # Errors
/// [`ErrorKind::Parameter`] when a number is not finite, a `std` is zero, or `mean` and `std` do not hold one value or
/// `bands` values; [`ErrorKind::Shape`] when the length is no multiple of `bands`.
#[inline(never)]
pub fn scale(values: &mut [f32], bands: usize, params: &ScaleParams) -> Result<()> {
    check_bands("scale@1 values", values.len(), bands)?;
    if !params.factor.is_finite() {
        return Err(Error::new(
            ErrorKind::Parameter,
            "scale@1 factor",
            "a finite number",
            params.factor,
        ));
    }
    for (subject, list) in [("scale@1 mean", &params.mean), ("scale@1 std", &params.std)] {
        if list.len() != 1 && list.len() != bands {
            let expected = format!("1 or {bands} values");
            return Err(Error::new(ErrorKind::Parameter, subject, expected, list.len()));
        }
        if let Some(bad) = list.iter().find(|value| !value.is_finite()) {
            return Err(Error::new(ErrorKind::Parameter, subject, "finite numbers", bad));
        }
    }
    if params.std.contains(&0.0) {
        return Err(Error::new(
            ErrorKind::Parameter,
            "scale@1 std",
            "values other than zero",
            0,
        ));
    }
    let pick = |list: &[f64], band: usize| list.get(band).or(list.first()).copied().unwrap_or(0.0);
    for row in values.chunks_exact_mut(bands) {
        for (band, value) in row.iter_mut().enumerate() {
            let scaled = f64::from(*value) * params.factor - pick(&params.mean, band);
            *value = (scaled / pick(&params.std, band)) as f32;
        }
    }
    Ok(())
}

/// `(x - mean) / max(std, min_std)` in place, with mean and population standard deviation over all values.
///
/// # Errors
/// [`ErrorKind::Parameter`] when `min_std` is not positive and finite, [`ErrorKind::NotFinite`] for a value that is not
/// finite.
#[inline(never)]
pub fn standardise(values: &mut [f32], params: &StandardiseParams) -> Result<()> {
    check_min_std("standardise@1 min_std", params)?;
    check_values("standardise@1 values", values)?;
    standardise_column(values, 0, 1, params.min_std);
    Ok(())
}

/// [`standardise`] for each band apart, over time.
///
/// **Shape**: `[frame, band]`, the band innermost.
///
/// # Errors
/// As [`standardise`], and [`ErrorKind::Shape`] when the length is no multiple of `bands`.
#[inline(never)]
pub fn standardise_bands(values: &mut [f32], bands: usize, params: &StandardiseParams) -> Result<()> {
    check_min_std("standardise_bands@1 min_std", params)?;
    check_bands("standardise_bands@1 values", values.len(), bands)?;
    check_values("standardise_bands@1 values", values)?;
    for band in 0..bands {
        standardise_column(values, band, bands, params.min_std);
    }
    Ok(())
}

/// Standardises every `step`-th value from `first` on.
fn standardise_column(values: &mut [f32], first: usize, step: usize, min_std: f32) {
    let column = || {
        values
            .iter()
            .skip(first)
            .step_by(step)
            .map(|&value| f64::from(value))
    };
    let count = column().count();
    if count == 0 {
        return;
    }
    let mean = column().sum::<f64>() / count as f64;
    let variance = column().map(|value| (value - mean).powi(2)).sum::<f64>() / count as f64;
    let divisor = variance.sqrt().max(f64::from(min_std));
    for value in values.iter_mut().skip(first).step_by(step) {
        *value = ((f64::from(*value) - mean) / divisor) as f32;
    }
}

fn check_min_std(subject: &'static str, params: &StandardiseParams) -> Result<()> {
    if params.min_std.is_finite() && params.min_std > 0.0 {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Parameter,
        subject,
        "a positive number",
        params.min_std,
    ))
}

fn check_bands(subject: &'static str, length: usize, bands: usize) -> Result<()> {
    if bands == 0 || !length.is_multiple_of(bands) {
        let expected = format!("a multiple of {bands} bands (at least 1)");
        return Err(Error::new(ErrorKind::Shape, subject, expected, length));
    }
    Ok(())
}

fn check_values(subject: &'static str, values: &[f32]) -> Result<()> {
    match values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
        None => Ok(()),
        Some((at, value)) => {
            Err(Error::new(ErrorKind::NotFinite, subject, "finite values", value).at(at as u64))
        }
    }
}
