//! Numbers that ONNX Runtime and PyTorch give for resampled planes.

use super::{apply, close, f32s, ramp};
use crate::op::{
    Op, PadMode, Reduction, Resize, ResizeCoordinates, ResizeMode, ResizeRounding, ResizeTo, RoiAlign,
};
use crate::tensor::Tensor;

fn resize(mode: ResizeMode, coordinates: ResizeCoordinates) -> Resize {
    Resize {
        mode,
        coordinates,
        antialias: false,
        axes: Vec::new(),
        exclude_outside: false,
        extrapolation: 0.0,
        to: ResizeTo::Stretch,
    }
}

/// Resizes a plane of four rows and five columns.
fn check(r: Resize, rows: usize, columns: usize, expected: &[f32]) {
    let x = ramp(&[1, 1, 4, 5], 0.7);
    let sizes = Tensor::vector(vec![1, 1, rows as i64, columns as i64]);
    let y = apply(&Op::Resize(r), &[Some(&x), None, None, Some(&sizes)], 1).remove(0);
    close(&y, &[1, 1, rows, columns], expected);
}

#[test]
fn cubic_resize_leaves_out_what_is_outside() {
    let r = Resize {
        exclude_outside: true,
        ..resize(ResizeMode::Cubic { a: -0.5 }, ResizeCoordinates::HalfPixel)
    };
    let expected = [
        -0.080202, 0.210863, 0.559902, 0.741432, 0.733096, 0.511588, 0.280855, 0.235417, 0.160549, 0.036357,
        -0.094875, -0.201810, -0.252995, -0.261093, -0.691420, -0.737092, -0.679068, -0.430462, -0.071624,
        0.317650, 0.574925,
    ];
    check(r, 3, 7, &expected);
}

#[test]
fn linear_resize_aligns_corners() {
    let expected = [
        0.000000, 0.985450, 0.334988, -0.175392, 0.001499, 0.175901, -0.350783, -0.982453, 0.016814,
        0.153102, -0.063927, -0.174833, 0.656987, 0.854599, -0.366479, -0.111355, 0.118231, 0.151545,
        -0.879696, -0.618137, 0.669570,
    ];
    check(
        resize(ResizeMode::Linear, ResizeCoordinates::AlignCorners),
        7,
        3,
        &expected,
    );
}

#[test]
fn smaller_outputs_are_smoothed() {
    let smooth = |mode, exclude_outside| Resize {
        antialias: true,
        exclude_outside,
        ..resize(mode, ResizeCoordinates::HalfPixel)
    };
    let linear = [0.013658, 0.206974, 0.168031, -0.233818, -0.099758, 0.146247];
    check(smooth(ResizeMode::Linear, false), 2, 3, &linear);
    let cubic = [0.047278, 0.214072, 0.126689, -0.213834, -0.130025, 0.108168];
    check(smooth(ResizeMode::Cubic { a: -0.75 }, false), 2, 3, &cubic);
    // PyTorch's numbers are those without what is outside.
    let linear = [-0.013534, 0.110476, 0.118377, -0.134887, -0.034933, 0.101735];
    check(smooth(ResizeMode::Linear, true), 2, 3, &linear);
    let cubic = [0.018712, 0.147269, 0.107935, -0.158561, -0.077417, 0.091985];
    check(smooth(ResizeMode::Cubic { a: -0.75 }, true), 2, 3, &cubic);
}

#[test]
fn nearest_resize_takes_scales() {
    let r = resize(
        ResizeMode::Nearest(ResizeRounding::PreferCeil),
        ResizeCoordinates::Asymmetric,
    );
    let x = ramp(&[1, 1, 4, 5], 0.7);
    let scales = Tensor::vector(vec![1.0f32, 1.0, 1.5, 0.7]);
    let y = apply(&Op::Resize(r), &[Some(&x), None, Some(&scales)], 1).remove(0);
    let expected = [
        0.000000, 0.644218, 0.863209, -0.350783, -0.871576, -0.631267, -0.350783, -0.871576, -0.631267,
        0.656987, 0.988168, 0.319099, -0.879696, -0.979178, 0.033622, -0.879696, -0.979178, 0.033622,
    ];
    close(&y, &[1, 1, 6, 3], &expected);
}

#[test]
fn a_region_is_cut_out_and_resized() {
    let r = Resize {
        extrapolation: 9.0,
        ..resize(ResizeMode::Linear, ResizeCoordinates::TfCropAndResize)
    };
    let x = ramp(&[1, 1, 4, 5], 0.7);
    let region = Tensor::vector(vec![0.0f32, 0.0, 0.1, -0.2, 1.0, 1.0, 0.8, 0.9]);
    let sizes = Tensor::vector(vec![1i64, 1, 3, 4]);
    let y = apply(&Op::Resize(r), &[Some(&x), Some(&region), None, Some(&sizes)], 1).remove(0);
    let expected = [
        9.0, 0.091241, 0.397717, 0.309668, 9.0, -0.146465, -0.334039, -0.189859, 9.0, 0.148258, 0.257425,
        0.110727,
    ];
    close(&y, &[1, 1, 3, 4], &expected);
}

#[test]
fn sizes_can_keep_the_aspect_ratio() {
    for (to, shape) in [(ResizeTo::NotLarger, [6, 8]), (ResizeTo::NotSmaller, [8, 10])] {
        let r = Resize {
            to,
            axes: vec![2, 3],
            ..resize(ResizeMode::Linear, ResizeCoordinates::HalfPixel)
        };
        let sizes = Tensor::vector(vec![8i64, 8]);
        let x = ramp(&[1, 1, 4, 5], 0.7);
        let y = apply(&Op::Resize(r), &[Some(&x), None, None, Some(&sizes)], 1).remove(0);
        assert_eq!(y.shape()[2..], shape);
    }
}

#[test]
fn grid_samples_are_those_of_onnx_runtime() {
    let x = ramp(&[1, 1, 4, 5], 0.7);
    let grid: Vec<f32> = ramp(&[12], 1.9).to_f32().iter().map(|x| x * 1.6).collect();
    let grid = f32s(&[1, 2, 3, 2], &grid);
    let nearest = ResizeMode::Nearest(ResizeRounding::TiesToEven);
    let cubic = ResizeMode::Cubic { a: -0.75 };
    let (zero, edge, mirror) = (PadMode::Constant, PadMode::Edge, PadMode::Reflect);
    let cases: [(ResizeMode, PadMode, bool, [f32; 6]); 11] = [
        (
            nearest,
            edge,
            false,
            [-0.618137, 0.0, 0.016814, -0.879696, 0.334988, 0.033622],
        ),
        (
            nearest,
            mirror,
            true,
            [0.854599, 0.0, -0.631267, -0.979178, 0.016814, 0.854599],
        ),
        (
            ResizeMode::Linear,
            zero,
            true,
            [-0.141479, -0.044210, 0.0, -0.045681, 0.078698, -0.113304],
        ),
        (
            ResizeMode::Linear,
            edge,
            false,
            [-0.618137, 0.0, -0.082657, -0.879696, 0.363726, -0.227402],
        ),
        (
            ResizeMode::Linear,
            mirror,
            false,
            [0.159703, 0.0, -0.345882, -0.947076, 0.115694, 0.030493],
        ),
        (
            ResizeMode::Linear,
            mirror,
            true,
            [0.517519, -0.044210, -0.334091, -0.765629, -0.154515, 0.262800],
        ),
        (
            cubic,
            zero,
            false,
            [0.054513, -0.042004, 0.001577, 0.020870, -0.022166, 0.029131],
        ),
        (
            cubic,
            edge,
            false,
            [-0.618137, -0.041235, -0.146509, -0.974288, 0.357415, -0.262232],
        ),
        (
            cubic,
            edge,
            true,
            [-0.662757, -0.059716, -0.187504, -0.977710, 0.565342, -0.392513],
        ),
        (
            cubic,
            mirror,
            false,
            [0.346217, -0.099904, -0.500638, -1.314911, 0.148894, 0.093556],
        ),
        (
            cubic,
            mirror,
            true,
            [0.695650, -0.040624, -0.522785, -0.926786, -0.082976, 0.405409],
        ),
    ];
    for (mode, padding, align_corners, expected) in cases {
        let op = Op::GridSample {
            mode,
            padding,
            align_corners,
        };
        let y = apply(&op, &[Some(&x), Some(&grid)], 1).remove(0);
        close(&y, &[1, 1, 2, 3], &expected);
    }
}

#[test]
fn volumes_are_sampled_as_by_pytorch() {
    let grid: Vec<f32> = ramp(&[12], 1.9).to_f32().iter().map(|x| x * 1.2).collect();
    let op = Op::GridSample {
        mode: ResizeMode::Linear,
        padding: PadMode::Constant,
        align_corners: false,
    };
    let inputs = [ramp(&[1, 1, 3, 3, 3], 0.7), f32s(&[1, 1, 2, 2, 3], &grid)];
    let y = apply(&op, &[Some(&inputs[0]), Some(&inputs[1])], 1).remove(0);
    close(&y, &[1, 1, 1, 2, 2], &[-0.261917, -0.226682, -0.243246, 0.034859]);
}

#[test]
fn affine_grids_are_those_of_pytorch() {
    let theta = ramp(&[1, 2, 3], 0.8);
    let size = Tensor::vector(vec![1i64, 1, 2, 3]);
    let centres = [
        0.640896, -1.177924, 0.640896, -0.727615, 0.640896, -0.277307, 1.358252, -1.236298, 1.358252,
        -0.785990, 1.358252, -0.335681,
    ];
    let corners = [
        0.282218, -1.373891, 0.282218, -0.698428, 0.282218, -0.022965, 1.71693, -1.49064, 1.71693, -0.815177,
        1.71693, -0.139714,
    ];
    for (align_corners, expected) in [(false, centres), (true, corners)] {
        let y = apply(&Op::AffineGrid { align_corners }, &[Some(&theta), Some(&size)], 1).remove(0);
        close(&y, &[1, 2, 3, 2], &expected);
    }
}

#[test]
fn regions_are_aligned_as_by_onnx_runtime() {
    let align = RoiAlign {
        height: 2,
        width: 2,
        sampling_ratio: 0,
        spatial_scale: 1.0,
        half_pixel: true,
        reduction: Reduction::Mean,
    };
    let coarse = RoiAlign {
        sampling_ratio: 2,
        spatial_scale: 0.5,
        half_pixel: false,
        reduction: Reduction::Max,
        ..align.clone()
    };
    let x = ramp(&[1, 1, 4, 5], 0.7);
    let regions = f32s(&[2, 4], &[0.0, 0.0, 3.0, 2.0, 1.0, 1.0, 4.0, 3.5]);
    let batches = Tensor::vector(vec![0i64, 0]);
    let mean = [
        0.201318, 0.871175, -0.513531, -0.925854, -0.331531, -0.303150, 0.256030, 0.228382,
    ];
    let greatest = [
        0.317076, 0.528460, 0.135890, 0.226483, 0.207609, 0.275233, 0.550055, 0.412277,
    ];
    for (r, expected) in [(align, mean), (coarse, greatest)] {
        let inputs = [Some(&x), Some(&regions), Some(&batches)];
        let y = apply(&Op::RoiAlign(r), &inputs, 1).remove(0);
        close(&y, &[2, 1, 2, 2], &expected);
    }
}

#[test]
fn boxes_that_overlap_a_better_one_are_dropped() {
    let boxes = [
        [0.0, 0.0, 1.0, 1.0],
        [0.0, 0.1, 1.0, 1.1],
        [0.0, -0.1, 1.0, 0.9],
        [0.0, 10.0, 1.0, 11.0],
        [0.0, 10.1, 1.0, 11.1],
        [0.0, 100.0, 1.0, 101.0],
    ];
    let inputs = [
        f32s(&[1, 6, 4], boxes.as_flattened()),
        f32s(&[1, 1, 6], &[0.9, 0.75, 0.6, 0.95, 0.5, 0.3]),
        Tensor::vector(vec![3i64]),
        Tensor::vector(vec![0.5f32]),
    ];
    let check = |least: Option<&Tensor>, expected: &[i64]| {
        let inputs: Vec<_> = inputs.iter().map(Some).chain([least]).collect();
        let kept = apply(&Op::NonMaxSuppression { center: false }, &inputs, 1).remove(0);
        assert_eq!(kept.elements::<i64>().unwrap(), expected);
    };
    check(None, &[0, 0, 3, 0, 0, 0, 0, 0, 5]);
    check(Some(&Tensor::vector(vec![0.4f32])), &[0, 0, 3, 0, 0, 0]);
}
