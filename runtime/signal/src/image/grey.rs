//! Colour to grey.

use super::picture::{Channels, Picture, PictureView};
use super::{GreyParams, GreyWeights};

/// Turns a picture grey; a grey picture is copied.
///
/// Luma of ITU-R BT.601 in 16-bit fixed point: `(19595 R + 38470 G + 7471 B + 32768) >> 16`, bit for bit Pillow's
/// `convert("L")`.
#[inline(never)]
pub fn grey(view: PictureView<'_>, params: &GreyParams) -> Picture {
    let GreyWeights::Itu601Pil = params.weights;
    if view.channels() == Channels::Grey {
        return view.to_picture();
    }
    let mut pixels = Vec::with_capacity(view.width() as usize * view.height() as usize);
    for row in view.rows() {
        let (rgb, _) = row.as_chunks::<3>();
        pixels.extend(rgb.iter().map(|&[r, g, b]| luma(r, g, b)));
    }
    Picture::from_parts(view.width(), view.height(), Channels::Grey, pixels)
}

fn luma(r: u8, g: u8, b: u8) -> u8 {
    // The weights sum to 65536, so the shifted sum never exceeds 255.
    ((u32::from(r) * 19_595 + u32::from(g) * 38_470 + u32::from(b) * 7_471 + 0x8000) >> 16) as u8
}
