//! Where operands lie.

use crate::record::record;

record! {
    /// A run of bytes of the arena.
    pub struct Span {
        /// First byte.
        pub offset: u32,
        /// Number of bytes; 0 where an optional operand is left out.
        pub bytes: u32,
    }
}

record! {
    /// A run of bytes of a weight pack.
    pub struct Blob {
        /// Place of the pack in the plan's table.
        pub pack: u32,
        /// First byte.
        pub offset: u32,
        /// Number of bytes; 0 where an optional operand is left out.
        pub bytes: u32,
    }
}

impl Span {
    /// Byte behind the last.
    pub fn end(&self) -> u64 {
        u64::from(self.offset) + u64::from(self.bytes)
    }

    /// Whether a byte is in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        u64::from(self.offset) < other.end() && u64::from(other.offset) < self.end()
    }

    /// Whether the operand is left out.
    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }
}

record! {
    /// Places of a grid of pixels in a span, all in bytes.
    pub struct Grid {
        /// First pixel.
        pub start: u32,
        /// From an image to the next.
        pub image: u32,
        /// From a row to the next.
        pub row: u32,
        /// From a pixel to its right neighbour.
        pub column: u32,
    }
}

record! {
    /// Extents of a grid of pixels.
    pub struct Extent {
        /// Images.
        pub images: u32,
        /// Rows of an image.
        pub rows: u32,
        /// Pixels of a row.
        pub columns: u32,
    }
}

impl Extent {
    /// Number of pixels.
    pub fn pixels(&self) -> u64 {
        u64::from(self.images) * u64::from(self.rows) * u64::from(self.columns)
    }
}

impl Grid {
    /// First byte of the last pixel; `None` where there is no pixel.
    pub fn last(&self, extent: &Extent) -> Option<u64> {
        let steps = [
            (extent.images, self.image),
            (extent.rows, self.row),
            (extent.columns, self.column),
        ];
        steps
            .iter()
            .try_fold(u64::from(self.start), |last, &(count, step)| {
                Some(last.saturating_add(u64::from(count.checked_sub(1)?) * u64::from(step)))
            })
    }

    /// First byte of a pixel, which [`Grid::last`] bounds.
    pub(crate) fn at(&self, image: u32, row: u32, column: u32) -> usize {
        self.start as usize
            + image as usize * self.image as usize
            + row as usize * self.row as usize
            + column as usize * self.column as usize
    }
}

record! {
    /// The border around the pixels of a span, which the step that makes the pixels fills.
    pub struct Halo {
        /// Images.
        pub images: u32,
        /// Rows of an image, border included; 0 for no border.
        pub rows: u32,
        /// Bytes of a row, border included.
        pub row_bytes: u32,
        /// Border rows above.
        pub top: u32,
        /// Border rows below.
        pub bottom: u32,
        /// Border bytes at the left of a row.
        pub left: u32,
        /// Border bytes at the right of a row.
        pub right: u32,
        /// What each byte is filled with.
        pub value: u32,
    }
}

impl Halo {
    /// Bytes of the images, borders included.
    pub fn bytes(&self) -> u64 {
        (u64::from(self.images) * u64::from(self.rows)).saturating_mul(u64::from(self.row_bytes))
    }

    /// Whether the borders lie inside the rows, and these inside a span of `bytes`.
    pub fn fits(&self, bytes: u32) -> bool {
        self.rows == 0
            || (u64::from(self.top) + u64::from(self.bottom) <= u64::from(self.rows)
                && u64::from(self.left) + u64::from(self.right) <= u64::from(self.row_bytes)
                && self.bytes() <= u64::from(bytes))
    }

    /// Fills the border.
    pub(crate) fn fill(&self, out: &mut [u8]) {
        let (row_bytes, rows) = (self.row_bytes as usize, self.rows as usize);
        let image_bytes = rows * row_bytes;
        if image_bytes == 0 {
            return;
        }
        let value = self.value as u8;
        let (top, bottom) = (self.top as usize * row_bytes, self.bottom as usize * row_bytes);
        for image in out.chunks_exact_mut(image_bytes).take(self.images as usize) {
            image[..top].fill(value);
            image[image_bytes - bottom..].fill(value);
            if self.left + self.right == 0 {
                continue;
            }
            for row in image[top..image_bytes - bottom].chunks_exact_mut(row_bytes) {
                row[..self.left as usize].fill(value);
                row[row_bytes - self.right as usize..].fill(value);
            }
        }
    }
}
