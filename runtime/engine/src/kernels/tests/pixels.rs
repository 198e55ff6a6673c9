//! Steps on pixels beside the scalar tier, over random extents.

use proptest::prelude::*;

use super::{Case, assert_same, random_floats};
use crate::span::{Extent, Grid, Halo};
use crate::step::*;

/// Pixels of so many bytes inside a border, and the bytes they take.
fn bordered(extent: &Extent, pixel: u32, border: u32) -> (Grid, Halo, u32) {
    let row = (extent.columns + 2 * border) * pixel;
    let rows = extent.rows + 2 * border;
    let grid = Grid {
        start: border * (row + pixel),
        image: rows * row,
        row,
        column: pixel,
    };
    let halo = Halo {
        images: extent.images,
        rows,
        row_bytes: row,
        top: border,
        bottom: border,
        left: border * pixel,
        right: border * pixel,
        value: 9,
    };
    (grid, halo, extent.images * rows * row)
}

fn extent() -> impl Strategy<Value = Extent> {
    (1..3u32, 1..7u32, 1..40u32).prop_map(|(images, rows, columns)| Extent {
        images,
        rows,
        columns,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn planes_become_the_same_pixels(seed in any::<u64>(), extent in extent(), channels in 1..6u32, gap in 0..2u32, dense in any::<bool>()) {
        let mut case = Case::default();
        let Extent { images, rows, columns } = extent;
        let plane = rows * columns;
        let pixel = channels.max(4);
        let row = (columns + gap) * pixel;
        let dims = [1, 1, images, rows, columns, channels];
        let input = Strided {
            span: case.span(&random_floats(seed, (images * channels * plane) as usize)),
            start: 0,
            strides: if dense {
                [0, 0, channels * plane, columns * channels, channels, 1]
            } else {
                [0, 0, channels * plane, columns, 1, plane]
            },
        };
        let output = Strided {
            // The last pixel ends with its last channel.
            span: case.output(images * rows * row - gap * pixel - pixel + channels),
            start: 0,
            strides: [0, 0, rows * row, row, pixel, 1],
        };
        let affine = Affine { scale: 0.011, zero: 100 };
        let step = Quantize { affine, dims, input, output };
        assert_same(&case.outputs(&step.into()), false);
    }

    #[test]
    fn groups_of_channels_are_normalized_alike(
        seed in any::<u64>(),
        extent in extent(),
        (groups, each) in (1..9u32, 1..30u32),
        quantized in 0..2u32,
        border in 0..3u32,
        relu in any::<bool>(),
    ) {
        let mut case = Case::default();
        let channels = groups * each;
        let (input_grid, _, bytes) = bordered(&extent, channels * 4, border);
        let input = case.span(&random_floats(seed, bytes as usize / 4));
        let size = if quantized == 0 { 4 } else { 1 };
        let (output_grid, halo, bytes) = bordered(&extent, (channels * size).next_multiple_of(4), border);
        let step = NormalizeGroups {
            extent,
            channels,
            groups,
            epsilon: 1e-3,
            low: if relu { 0.0 } else { f32::NEG_INFINITY },
            input,
            input_grid,
            scale: case.blob(&random_floats(seed ^ 1, channels as usize)),
            bias: case.blob(&random_floats(seed ^ 2, channels as usize)),
            quantized,
            affine: Affine { scale: 0.05, zero: 77 },
            output: case.output(bytes + channels * 8),
            output_grid,
            halo,
            scratch: bytes,
        };
        let mut outputs = case.outputs(&step.into());
        for output in &mut outputs {
            output.truncate(bytes as usize);
        }
        if quantized == 0 {
            assert_same(&outputs, true);
        } else {
            for (n, (a, b)) in outputs[0].iter().zip(&outputs[outputs.len() - 1]).enumerate() {
                prop_assert!(a.abs_diff(*b) <= 1, "place {}: {} and {}", n, a, b);
            }
        }
    }
}
