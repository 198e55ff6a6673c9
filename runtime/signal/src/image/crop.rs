//! Cutting out the region an observation is about.

use super::CropParams;
use super::picture::PictureView;
use crate::{Error, ErrorKind, Result};

/// A rectangle of pixels; may reach outside the picture it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Region {
    /// Left edge, in pixels from the picture's left edge.
    pub x: i32,
    /// Top edge, in pixels from the picture's top edge.
    pub y: i32,
    /// Width, in pixels.
    pub w: u32,
    /// Height, in pixels.
    pub h: u32,
}

impl Region {
    /// The region of the whole picture.
    pub fn whole(view: PictureView<'_>) -> Self {
        Self {
            x: 0,
            y: 0,
            w: view.width(),
            h: view.height(),
        }
    }
}

/// Cuts out `region`, grown by the margin on each side and clamped to the picture; no pixel is copied.
///
/// Each edge is computed in `f64` (`left = x - margin * w`, `right = x + w + margin * w`, and so on), rounded half up
/// (`floor(edge + 0.5)`) and then clamped, so that a margin of zero keeps the region's integers.
///
/// # Errors
/// [`ErrorKind::Parameter`] when the margin is not a finite number in `0..=16`; [`ErrorKind::Region`] when the region
/// is empty or, once clamped, holds no pixel of the picture.
pub fn crop<'a>(view: PictureView<'a>, region: Region, params: &CropParams) -> Result<PictureView<'a>> {
    let margin = params.margin;
    if !(0.0..=MAX_MARGIN).contains(&margin) {
        return Err(Error::new(
            ErrorKind::Parameter,
            "crop@1 margin",
            format!("0 to {MAX_MARGIN}"),
            margin,
        ));
    }
    let Region { x, y, w, h } = region;
    if w == 0 || h == 0 {
        return Err(Error::new(
            ErrorKind::Region,
            "region",
            "sides of at least 1 pixel",
            format!("{x},{y},{w},{h}"),
        ));
    }
    let (left, right) = grow(x, w, margin, view.width());
    let (top, bottom) = grow(y, h, margin, view.height());
    view.rectangle(left, top, right, bottom).ok_or_else(|| {
        Error::new(
            ErrorKind::Region,
            "region",
            format!(
                "an overlap with the picture of {}x{} pixels",
                view.width(),
                view.height()
            ),
            format!("{x},{y},{w},{h}"),
        )
    })
}

const MAX_MARGIN: f64 = 16.0;

/// Both edges of one axis after margin, rounding and clamping to `0..=limit`.
fn grow(start: i32, len: u32, margin: f64, limit: u32) -> (u32, u32) {
    let (start, len) = (f64::from(start), f64::from(len));
    let clamp = |edge: f64| (edge + 0.5).floor().clamp(0.0, f64::from(limit)) as u32;
    (clamp(start - margin * len), clamp(start + len + margin * len))
}
