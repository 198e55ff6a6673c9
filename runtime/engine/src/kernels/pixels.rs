//! Where the pixels of a convolution lie, tile by tile.

use crate::step::Conv;

/// Where the pixels of a tile lie, in bytes; places behind its last pixel mean nothing.
#[derive(Clone, Copy)]
pub(super) struct Places<const N: usize> {
    pub input: [usize; N],
    pub output: [usize; N],
    pub other: [usize; N],
    /// Of the first pixel's scale in the input.
    pub scales: usize,
}

/// A pixel of a step, and where it lies.
pub(super) struct Cursor<'a> {
    step: &'a Conv,
    image: u32,
    row: u32,
    column: u32,
    input: usize,
    output: usize,
    other: usize,
    number: usize,
}

impl<'a> Cursor<'a> {
    /// The pixel of a number, image by image and row by row.
    pub fn new(step: &'a Conv, pixel: usize) -> Self {
        let (rows, columns) = (step.extent.rows as usize, step.extent.columns as usize);
        let mut found = Self {
            step,
            image: (pixel / columns / rows) as u32,
            row: (pixel / columns % rows) as u32,
            column: (pixel % columns) as u32,
            input: 0,
            output: 0,
            other: 0,
            number: pixel,
        };
        found.locate();
        found
    }

    fn locate(&mut self) {
        let step = self.step;
        self.input = step.input_grid.at(self.image, self.row, self.column);
        self.output = step.output_grid.at(self.image, self.row, self.column);
        self.other = step.residual.grid.at(self.image, self.row, self.column);
    }

    /// Goes on in the row, and from its end to the next.
    fn advance(&mut self, count: usize, [input, output, other]: [usize; 3]) {
        self.column += count as u32;
        if self.column < self.step.extent.columns {
            self.input += count * input;
            self.output += count * output;
            self.other += count * other;
            return;
        }
        self.column = 0;
        self.row += 1;
        if self.row == self.step.extent.rows {
            self.row = 0;
            self.image += 1;
        }
        self.locate();
    }

    /// The next `count` pixels, at most `N`.
    pub fn places<const N: usize>(&mut self, count: usize) -> Places<N> {
        let step = self.step;
        let mut found = Places {
            input: [0; N],
            output: [0; N],
            other: [0; N],
            scales: step.row_scales as usize + self.number * 4,
        };
        self.number += count;
        let apart =
            [&step.input_grid, &step.output_grid, &step.residual.grid].map(|grid| grid.column as usize);
        if self.column as usize + count <= step.extent.columns as usize {
            // All in one row.
            for n in 0..N {
                found.input[n] = self.input + n * apart[0];
                found.output[n] = self.output + n * apart[1];
                found.other[n] = self.other + n * apart[2];
            }
            self.advance(count, apart);
            return found;
        }
        for n in 0..count.min(N) {
            found.input[n] = self.input;
            found.output[n] = self.output;
            found.other[n] = self.other;
            self.advance(1, apart);
        }
        found
    }
}
