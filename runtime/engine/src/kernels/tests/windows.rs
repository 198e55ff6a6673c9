//! Steps whose windows slide over images.

use std::vec;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;

use super::geometry::{bordered, conv, depthwise, geometry, slid};
use super::{Case, assert_same, random_bytes, random_floats};
#[cfg(target_arch = "x86_64")]
use crate::cpu::{Cpu, Tier};
#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, run_step};
use crate::step::*;

/// What is compared whole and in parts is cut at all.
#[test]
fn windows_over_images_are_cut_where_they_have_several_pixels() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..200 {
        let g = geometry().new_tree(&mut runner).unwrap().current();
        let pixels = g.extent.pixels();
        let rows = g.extent.images * g.extent.rows;
        let bordered = g.border != [0; 4];
        let (_, conv) = conv(&g);
        let parts = Step::from(conv).parts(3, 0);
        if g.extent.images > 1 {
            assert_eq!(parts, g.extent.images as usize, "{g:?}");
        } else if rows > 2 || (!bordered && pixels > 2) {
            assert_eq!(parts, 3, "{g:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn convolutions_of_all_tiers_are_equal(g in geometry()) {
        let (case, step) = conv(&g);
        assert_same(&case.outputs(&step.into()), g.arithmetic != Arithmetic::U8ToU8);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn products_of_256_bits_are_equal_in_the_encoding_of_avx512(mut g in geometry()) {
        if Cpu::detect().tier() == Tier::Avx512Vnni {
            if g.arithmetic == Arithmetic::F32 {
                g.arithmetic = Arithmetic::U8ToU8;
            }
            let (case, step) = conv(&g);
            let scalar = case.made(&step.into(), &|step, tensors, constant, output| {
                run_step(Cpu::scalar(), step, tensors, constant, output);
            });
            let found = case.made(&step.into(), &|step, tensors, constant, output| {
                let Step::Conv(step) = step else { panic!("{}", step.name()) };
                // SAFETY: a processor of this tier has the instructions.
                unsafe { avx2::run_encoded(step, tensors, constant, output) };
            });
            assert_same(&[scalar, found], g.arithmetic != Arithmetic::U8ToU8);
        }
    }

    #[test]
    fn convolutions_along_long_rows_of_all_tiers_are_equal(
        mut g in geometry(),
        columns in 6..80u32,
        channels in prop::sample::select(vec![8, 16, 24, 32, 64]),
        bordered in any::<bool>(),
    ) {
        g.arithmetic = Arithmetic::U8ToU8;
        (g.extent.columns, g.channels) = (columns, channels);
        g.extent.rows = g.extent.rows.min(3);
        if !bordered {
            // Rows without a border are joined to longer ones.
            g.border = [0; 4];
        }
        let (case, step) = conv(&g);
        assert_same(&case.outputs(&step.into()), false);
    }

    #[test]
    fn depthwise_convolutions_of_all_tiers_are_equal(mut g in geometry()) {
        if g.arithmetic == Arithmetic::RowsToF32 {
            g.arithmetic = Arithmetic::U8ToF32;
        }
        // Whole blocks of channels, and pixels of a few channels, have code of their own.
        if !g.seed.is_multiple_of(3) {
            g.channels = if g.seed.is_multiple_of(4) {
                [4, 8, 16, 32][(g.seed % 11 % 4) as usize]
            } else {
                g.channels.next_multiple_of(16) + (g.seed % 5) as u32 * 16
            };
        }
        let (case, step) = depthwise(&g);
        assert_same(&case.outputs(&step.into()), g.arithmetic != Arithmetic::U8ToU8);
    }

    #[test]
    fn depthwise_convolutions_of_pixels_without_gaps_of_all_tiers_are_equal(
        mut g in geometry(),
        columns in 1..60u32,
        channels in prop::sample::select(vec![4, 8, 16, 32, 48, 64]),
        kernel in [1..8u32, 1..6],
    ) {
        g.arithmetic = Arithmetic::U8ToU8;
        (g.extent.columns, g.channels, g.kernel) = (columns, channels, kernel);
        (g.strides[1], g.dilations[1]) = (1, 1);
        let (case, step) = depthwise(&g);
        assert_same(&case.outputs(&step.into()), false);
    }

    #[test]
    fn pools_of_all_tiers_are_equal(g in geometry(), kind in 0..4usize, include_padding in 0..2u32) {
        let kind = [PoolKind::MaxU8, PoolKind::MaxF32, PoolKind::MeanU8, PoolKind::MeanF32][kind];
        let mut case = Case::default();
        let size = Pool { kind, ..Pool::default() }.size();
        let pixel = g.channels * size;
        // The window hangs over the borders by the places that the border has.
        let [top, bottom, left, right] = g.border;
        let before = [top.min(g.kernel[0] - 1), left.min(g.kernel[1] - 1)];
        let after = [bottom, right];
        let reach = |n: usize, places: u32| (places - 1) * g.strides[n] + (g.kernel[n] - 1) * g.dilations[n] + 1;
        let (rows, columns) = (reach(0, g.extent.rows), reach(1, g.extent.columns));
        let (input_grid, _, bytes) = slid(&g, pixel);
        let random = if size == 4 { random_floats } else { random_bytes };
        let input = case.span(&random(g.seed, (bytes / size) as usize));
        let (output_grid, halo, bytes) = bordered(&g, pixel);
        let step = Pool {
            kind,
            extent: g.extent,
            channels: g.channels,
            input_rows: rows,
            input_columns: columns,
            input,
            input_grid: crate::span::Grid {
                row: columns * pixel,
                column: pixel,
                ..input_grid
            },
            kernel: g.kernel,
            strides: g.strides,
            dilations: g.dilations,
            before,
            after,
            include_padding,
            input_affine: Affine { scale: 0.04, zero: 17 },
            output_affine: Affine { scale: 0.03, zero: 40 },
            output: case.output(bytes),
            output_grid,
            halo,
        };
        assert_same(&case.outputs(&step.into()), size == 4);
    }
}
