//! Pictures: grey, crop, resize, scaling and layout.
//!
//! The steps in their usual order:
//! ```
//! use limbic_signal::image::*;
//! let picture = Picture::new(96, 64, Channels::Rgb, vec![128; 96 * 64 * 3])?;
//! let grey = grey(picture.view(), &GreyParams { weights: GreyWeights::Itu601Pil });
//! let face = crop(grey.view(), Region { x: 10, y: 8, w: 40, h: 40 }, &CropParams { margin: 0.1 })?;
//! let filter = ResizeFilter::BilinearAntialiasPil;
//! let small = resize(face, &ResizeParams { width: 48, height: 48, filter })?;
//! let mut tensor = to_tensor(small.view())?;
//! tensor.scale(&ScaleParams { factor: 1.0 / 255.0, mean: vec![0.5], std: vec![0.5] })?;
//! let values = tensor.layout(&LayoutParams { order: PixelOrder::Nchw });
//! assert_eq!(values.len(), 48 * 48);
//! # Ok::<(), limbic_signal::Error>(())
//! ```

mod crop;
mod grey;
mod params;
mod picture;
mod resize;
mod tensor;

pub use crate::audio::{ScaleParams, StandardiseParams};
pub use crop::{Region, crop};
pub use grey::grey;
pub use params::{CropParams, GreyParams, GreyWeights, LayoutParams, PixelOrder, ResizeFilter, ResizeParams};
pub use picture::{Channels, Picture, PictureView};
pub use resize::{MAX_INPUT_SIDE, MAX_RESIZED_SIDE, resize};
pub use tensor::{PictureTensor, to_tensor};
