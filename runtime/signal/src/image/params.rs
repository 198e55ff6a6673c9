//! Parameters of the picture steps, as a manifest holds them.

use limbic_json::{choices, deserialize, fields};
use serde::Serialize;

/// Colour to grey.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GreyParams {
    /// Weights of red, green and blue.
    pub weights: GreyWeights,
}

/// Weights of red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GreyWeights {
    /// ITU-R 601-2 luma in 16-bit fixed point, as Pillow's `convert("L")`.
    Itu601Pil,
}

/// Cut of the region the observation is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CropParams {
    /// Growth of the region on each side as a share of its size; clamped to the picture.
    pub margin: f64,
}

/// Resize to a fixed size, aspect ratio not kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ResizeParams {
    /// Width after the resize, in pixels.
    pub width: u32,
    /// Height after the resize, in pixels.
    pub height: u32,
    /// Filter.
    pub filter: ResizeFilter,
}

/// Filter of a resize.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeFilter {
    /// Triangle filter whose support grows with the reduction, on 8-bit pixels in fixed point, as Pillow's `BILINEAR`.
    BilinearAntialiasPil,
}

/// Order of the tensor's axes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayoutParams {
    /// The order.
    pub order: PixelOrder,
}

/// Order of a picture tensor's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PixelOrder {
    /// Batch, channel, row, column.
    Nchw,
    /// Batch, row, column, channel.
    Nhwc,
}

fields!(GreyParams { weights });
choices!(GreyWeights { Itu601Pil = "itu601_pil" });
fields!(CropParams { margin });
fields!(ResizeParams {
    width,
    height,
    filter
});
choices!(ResizeFilter { BilinearAntialiasPil = "bilinear_antialias_pil" });
fields!(LayoutParams { order });
choices!(PixelOrder { Nchw = "nchw", Nhwc = "nhwc" });
deserialize!(GreyParams, CropParams, ResizeParams, LayoutParams);
