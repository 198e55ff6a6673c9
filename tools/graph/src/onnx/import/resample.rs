//! Resizing, sampling and regions.

use super::Importer;
use super::attributes::unsupported;
use super::node::{Source, Step};
use crate::error::Result;
use crate::graph::ValueId;
use crate::onnx::wire::malformed;
use crate::op::{
    Convolution, Op, PadMode, Padding, Reduction, Resize, ResizeCoordinates, ResizeMode, ResizeRounding,
    ResizeTo, RoiAlign,
};
use crate::tensor::Tensor;

pub(super) fn lower<'p>(b: &mut Importer<'p>, n: &Source<'p>) -> Result<Option<Vec<Step>>> {
    let a = &n.attributes;
    Ok(Some(match n.op_type {
        "Resize" if n.version >= 11 => resize(b, n)?,
        "Resize" | "Upsample" if n.version < 11 => first_resize(b, n)?,
        "GridSample" => grid_sample(n)?,
        "AffineGrid" => n.same(Op::AffineGrid {
            align_corners: a.flag("align_corners", false)?,
        }),
        "RoiAlign" => roi_align(n)?,
        "NonMaxSuppression" => n.same(Op::NonMaxSuppression {
            center: a.flag("center_point_box", false)?,
        }),
        "Col2Im" => col2im(b, n)?,
        _ => return Ok(None),
    }))
}

/// An input that is given, an empty constant standing for none.
fn given(b: &Importer<'_>, n: &Source<'_>, place: usize) -> Option<ValueId> {
    let id = n.optional(place)?;
    let empty = b.ty(id).shape().is_some_and(|shape| shape.contains(&0));
    (!empty).then_some(id)
}

fn resize(b: &mut Importer<'_>, n: &Source<'_>) -> Result<Vec<Step>> {
    let a = &n.attributes;
    let rounding = match a.text("nearest_mode", "round_prefer_floor")? {
        "round_prefer_floor" => ResizeRounding::PreferFloor,
        "round_prefer_ceil" => ResizeRounding::PreferCeil,
        "floor" => ResizeRounding::Floor,
        "ceil" => ResizeRounding::Ceil,
        other => {
            return Err(unsupported(
                "nearest_mode",
                "a way to round of the standard",
                other,
            ));
        }
    };
    let cubic = a.float("cubic_coeff_a", -0.75)?;
    let mode = match a.text("mode", "nearest")? {
        "nearest" => ResizeMode::Nearest(rounding),
        "linear" => ResizeMode::Linear,
        "cubic" => ResizeMode::Cubic { a: cubic },
        other => return Err(unsupported("mode", "nearest, linear or cubic", other)),
    };
    let coordinates = match a.text("coordinate_transformation_mode", "half_pixel")? {
        "half_pixel" => ResizeCoordinates::HalfPixel,
        "half_pixel_symmetric" => ResizeCoordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => ResizeCoordinates::PytorchHalfPixel,
        "align_corners" => ResizeCoordinates::AlignCorners,
        "asymmetric" => ResizeCoordinates::Asymmetric,
        "tf_half_pixel_for_nn" => ResizeCoordinates::TfHalfPixel,
        "tf_crop_and_resize" => ResizeCoordinates::TfCropAndResize,
        other => {
            return Err(unsupported(
                "coordinate_transformation_mode",
                "one of the standard",
                other,
            ));
        }
    };
    let to = match a.text("keep_aspect_ratio_policy", "stretch")? {
        "stretch" => ResizeTo::Stretch,
        "not_larger" => ResizeTo::NotLarger,
        "not_smaller" => ResizeTo::NotSmaller,
        other => {
            return Err(unsupported(
                "keep_aspect_ratio_policy",
                "one of the standard",
                other,
            ));
        }
    };
    let op = Op::Resize(Resize {
        mode,
        coordinates,
        antialias: a.flag("antialias", false)?,
        axes: a.ints("axes")?.unwrap_or_default().to_vec(),
        exclude_outside: a.flag("exclude_outside", false)?,
        extrapolation: a.float("extrapolation_value", 0.0)?,
        to,
    });
    // Regions matter for one way of placing only; files often give an empty tensor.
    let region = match coordinates {
        ResizeCoordinates::TfCropAndResize => given(b, n, 1),
        _ => None,
    };
    let inputs = vec![n.optional(0), region, given(b, n, 2), given(b, n, 3)];
    Ok(n.with(op, inputs))
}

/// `Upsample` and the first version of `Resize`: scales only, places without an offset, nearest by rounding down.
fn first_resize(b: &mut Importer<'_>, n: &Source<'_>) -> Result<Vec<Step>> {
    let a = &n.attributes;
    let scales = match a.floats("scales")? {
        Some(scales) => b.operand(n, "scales", Tensor::vector(scales.to_vec())),
        None => Some(n.input(1)?),
    };
    let mode = match a.text("mode", "nearest")? {
        "nearest" => ResizeMode::Nearest(ResizeRounding::Floor),
        "linear" | "bilinear" => ResizeMode::Linear,
        other => return Err(unsupported("mode", "nearest or linear", other)),
    };
    let op = Op::Resize(Resize {
        mode,
        coordinates: ResizeCoordinates::Asymmetric,
        antialias: false,
        axes: Vec::new(),
        exclude_outside: false,
        extrapolation: 0.0,
        to: ResizeTo::Stretch,
    });
    Ok(n.with(op, vec![n.optional(0), None, scales]))
}

fn grid_sample(n: &Source<'_>) -> Result<Vec<Step>> {
    let a = &n.attributes;
    let mode = match a.text("mode", "linear")? {
        "linear" | "bilinear" => ResizeMode::Linear,
        "nearest" => ResizeMode::Nearest(ResizeRounding::TiesToEven),
        "cubic" | "bicubic" => ResizeMode::Cubic { a: -0.75 },
        other => return Err(unsupported("mode", "linear, nearest or cubic", other)),
    };
    let padding = match a.text("padding_mode", "zeros")? {
        "zeros" => PadMode::Constant,
        "border" => PadMode::Edge,
        "reflection" => PadMode::Reflect,
        other => return Err(unsupported("padding_mode", "zeros, border or reflection", other)),
    };
    let align_corners = a.flag("align_corners", false)?;
    Ok(n.same(Op::GridSample {
        mode,
        padding,
        align_corners,
    }))
}

/// The first version places regions without the half pixel.
fn roi_align(n: &Source<'_>) -> Result<Vec<Step>> {
    let a = &n.attributes;
    let default = if n.version >= 16 {
        "half_pixel"
    } else {
        "output_half_pixel"
    };
    let half_pixel = match a.text("coordinate_transformation_mode", default)? {
        "half_pixel" => true,
        "output_half_pixel" => false,
        other => {
            return Err(unsupported(
                "coordinate_transformation_mode",
                "one of the standard",
                other,
            ));
        }
    };
    let reduction = match a.text("mode", "avg")? {
        "avg" => Reduction::Mean,
        "max" => Reduction::Max,
        other => return Err(unsupported("mode", "avg or max", other)),
    };
    Ok(n.same(Op::RoiAlign(RoiAlign {
        height: a.size("output_height", 1)?,
        width: a.size("output_width", 1)?,
        sampling_ratio: a.size("sampling_ratio", 0)?,
        spatial_scale: a.float("spatial_scale", 1.0)?,
        half_pixel,
        reduction,
    })))
}

fn col2im(b: &Importer<'_>, n: &Source<'_>) -> Result<Vec<Step>> {
    let a = &n.attributes;
    let lists = [a.sizes("strides")?, a.sizes("dilations")?];
    let pads = a.sizes("pads")?;
    let of_input = |place: usize| -> Option<usize> { b.ty(n.optional(place)?).shape()?.first().copied() };
    let axes = lists
        .iter()
        .flatten()
        .map(Vec::len)
        .next()
        .or_else(|| pads.as_ref().map(|p| p.len() / 2))
        .or_else(|| of_input(1))
        .or_else(|| of_input(2))
        .ok_or_else(|| unsupported("strides", "a known number of axes", "none"))?;
    let [strides, dilations] = lists.map(|list| list.unwrap_or_else(|| vec![1; axes]));
    let pads = pads.unwrap_or_else(|| vec![0; 2 * axes]);
    if strides.len() != axes || dilations.len() != axes || pads.len() != 2 * axes {
        return Err(malformed(
            format!("strides, dilations and pads of {axes} axes"),
            "others",
        ));
    }
    Ok(n.same(Op::Col2Im(Convolution {
        strides,
        dilations,
        padding: Padding::Explicit(pads),
        ..Convolution::unit(axes)
    })))
}
