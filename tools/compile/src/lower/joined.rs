//! Convolutions to a few channels: neighbouring pixels as one.
//!
//! A block of weights has 16 outputs. Where pixels have 4 or 8 channels, 4 or 2 neighbours of a row fill one: their
//! windows are joined to one that holds them all, with weights of zero where a pixel does not look, and they lie next
//! to each other in the output, too.

use limbic_engine::step::BLOCK;

use super::convolution::Window;
use super::numbers::Numbers;
use super::tail::Tail;
use crate::place::{Kind, Placed};

/// Pixels that become one; 1 where none are joined.
pub(super) fn count(numbers: &Numbers, tail: &Tail, output: &Placed, output_view: &Placed) -> usize {
    let channels = output_view.dims[3];
    let fits = matches!(numbers, Numbers::Integer { .. })
        && matches!(output.kind, Kind::U8(_))
        && tail.residual.is_none()
        && matches!(channels, 4 | 8)
        && output_view.strides[2..] == [channels, 1];
    let count = BLOCK / channels.max(1);
    if fits && output_view.dims[2] >= count {
        count
    } else {
        1
    }
}

impl Numbers {
    /// The weights of `count` neighbouring pixels as those of one, for kernels of so many rows and columns; `None` for
    /// weights that are not integers.
    pub fn joined(&self, w: &Window, count: usize) -> Option<Self> {
        let Self::Integer { weights, bias, scale } = self else {
            return None;
        };
        let [rows, columns] = w.kernel;
        let outputs = bias.len();
        let channels = weights.len() / (outputs * rows * columns).max(1);
        let wide = columns + (count - 1) * w.strides[1];
        let mut found = vec![0; count * outputs * rows * wide * channels];
        for (n, row) in weights.chunks_exact(columns * channels).enumerate() {
            for pixel in 0..count {
                // Outputs of a pixel, then those of the next; each has rows of taps.
                let from = ((pixel * outputs * rows + n) * wide + pixel * w.strides[1]) * channels;
                found[from..from + row.len()].copy_from_slice(row);
            }
        }
        Some(Self::Integer {
            weights: found,
            bias: bias.repeat(count),
            scale: scale.repeat(count),
        })
    }
}

/// Some columns of pixels `[N,H,W,C]`, `count` of them as one.
pub(super) fn part(view: &Placed, columns: std::ops::Range<usize>, count: usize) -> Placed {
    let mut part = view.clone();
    part.start += columns.start * view.strides[2];
    part.dims[2] = columns.len() / count;
    part.dims[3] *= count;
    part.strides[2] *= count;
    part
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_joined_window_holds_the_windows_of_its_pixels() {
        let w = Window {
            kernel: [1, 2],
            strides: [1, 1],
            dilations: [1, 1],
            before: [0, 0],
            after: [0, 0],
        };
        let numbers = Numbers::Integer {
            weights: vec![1, 2, 3, 4],
            bias: vec![5, 6],
            scale: vec![0.5, 0.25],
        };
        let Some(Numbers::Integer { weights, bias, scale }) = numbers.joined(&w, 2) else {
            panic!("integers stay integers");
        };
        assert_eq!(weights, [1, 2, 0, 3, 4, 0, 0, 1, 2, 0, 3, 4]);
        assert_eq!(bias, [5, 6, 5, 6]);
        assert_eq!(scale, [0.5, 0.25, 0.5, 0.25]);
    }
}
