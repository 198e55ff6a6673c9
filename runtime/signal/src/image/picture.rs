//! 8-bit pictures, owned and borrowed.

use crate::{Error, ErrorKind, Result};

/// Channels of a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Channels {
    /// One channel of luma.
    Grey,
    /// Red, green and blue, interleaved in this order.
    Rgb,
}

impl Channels {
    /// Number of values a pixel has.
    pub const fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

/// An owned picture of 8-bit values, row-major, channels interleaved, top row first, without padding between rows.
///
/// **Shape** `[height, width, channels]`, at least one pixel. **Range** `0..=255`.
///
/// # Example
/// ```
/// use limbic_signal::image::{Channels, Picture};
/// let picture = Picture::new(2, 1, Channels::Rgb, vec![255, 0, 0, 0, 0, 255])?;
/// assert_eq!((picture.width(), picture.height()), (2, 1));
/// # Ok::<(), limbic_signal::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    channels: Channels,
    pixels: Vec<u8>,
}

impl Picture {
    /// Takes ownership of `height * width * channels` values.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] when a side is zero or the number of values is not what the sides ask for.
    pub fn new(width: u32, height: u32, channels: Channels, pixels: Vec<u8>) -> Result<Self> {
        PictureView::new(width, height, channels, &pixels)?;
        Ok(Self {
            width,
            height,
            channels,
            pixels,
        })
    }

    /// A picture whose buffer the caller has sized from `width`, `height` and `channels`.
    pub(super) fn from_parts(width: u32, height: u32, channels: Channels, pixels: Vec<u8>) -> Self {
        Self {
            width,
            height,
            channels,
            pixels,
        }
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Channels of a pixel.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// All values, row-major and interleaved.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The values, given back.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// The picture, borrowed.
    pub fn view(&self) -> PictureView<'_> {
        let stride = self.width as usize * self.channels.count();
        PictureView {
            width: self.width,
            height: self.height,
            channels: self.channels,
            stride,
            pixels: &self.pixels,
        }
    }
}

/// A borrowed picture or a rectangle of one; copying it copies no pixels.
///
/// **Shape** `[height, width, channels]`, rows `stride` values apart, at least one pixel. **Range** `0..=255`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureView<'a> {
    width: u32,
    height: u32,
    channels: Channels,
    stride: usize,
    pixels: &'a [u8],
}

impl<'a> PictureView<'a> {
    /// Borrows `height * width * channels` values, row-major, channels interleaved, no padding between rows.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] when a side is zero or the number of values is not what the sides ask for.
    pub fn new(width: u32, height: u32, channels: Channels, pixels: &'a [u8]) -> Result<Self> {
        let sides = || format!("{width}x{height}");
        if width == 0 || height == 0 {
            return Err(Error::new(
                ErrorKind::Shape,
                "picture",
                "sides of at least 1 pixel",
                sides(),
            ));
        }
        let wanted = buffer_len(width, height, channels).ok_or_else(|| {
            Error::new(
                ErrorKind::Shape,
                "picture",
                "sides that fit the address space",
                sides(),
            )
        })?;
        if pixels.len() != wanted {
            return Err(Error::new(
                ErrorKind::Shape,
                "picture buffer",
                format!("{wanted} values for {width}x{height}x{}", channels.count()),
                pixels.len(),
            ));
        }
        Ok(Self {
            width,
            height,
            channels,
            stride: width as usize * channels.count(),
            pixels,
        })
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Channels of a pixel.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// The rows from the top, each `width * channels` values.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &'a [u8]> + use<'a> {
        let len = self.width as usize * self.channels.count();
        self.pixels
            .chunks(self.stride)
            .map(move |row| row.get(..len).unwrap_or(row))
    }

    /// The values of this view, copied into a picture of its own.
    pub fn to_picture(&self) -> Picture {
        let mut pixels =
            Vec::with_capacity(self.height as usize * self.width as usize * self.channels.count());
        for row in self.rows() {
            pixels.extend_from_slice(row);
        }
        Picture::from_parts(self.width, self.height, self.channels, pixels)
    }

    /// The rectangle of pixels `left..right`, `top..bottom`; `None` when it is empty or reaches outside.
    pub(super) fn rectangle(&self, left: u32, top: u32, right: u32, bottom: u32) -> Option<PictureView<'a>> {
        if left >= right || top >= bottom || right > self.width || bottom > self.height {
            return None;
        }
        let (width, height) = (right - left, bottom - top);
        let start = top as usize * self.stride + left as usize * self.channels.count();
        let end = (bottom - 1) as usize * self.stride + right as usize * self.channels.count();
        let pixels = self.pixels.get(start..end)?;
        Some(PictureView {
            width,
            height,
            channels: self.channels,
            stride: self.stride,
            pixels,
        })
    }
}

/// Number of values of a picture, or `None` where the address space cannot hold it.
pub(super) fn buffer_len(width: u32, height: u32, channels: Channels) -> Option<usize> {
    (width as usize)
        .checked_mul(height as usize)?
        .checked_mul(channels.count())
}
