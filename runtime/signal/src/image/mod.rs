//! Pictures: grey, crop, resize, scaling and layout.

mod params;

pub use params::{CropParams, GreyParams, GreyWeights, LayoutParams, PixelOrder, ResizeFilter, ResizeParams};
