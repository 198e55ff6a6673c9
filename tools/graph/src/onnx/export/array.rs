//! Operations that move and resample elements.

use super::attribute::{Attributes, Value};
use super::{Call, Exporter, unsupported};
use crate::error::Result;
use crate::onnx::tensor::data_type;
use crate::op::{
    GatherMode, Op, PadMode, Reduction, Resize, ResizeCoordinates, ResizeMode, ResizeRounding, ResizeTo,
    ScatterReduction,
};

pub(super) fn direct(
    exporter: &mut Exporter<'_>,
    call: &Call<'_>,
) -> Result<Option<(&'static str, Attributes)>> {
    Ok(Some(match &call.node.op {
        Op::Identity => ("Identity", vec![]),
        Op::Reshape { allow_zero } => ("Reshape", vec![("allowzero", (*allow_zero).into())]),
        Op::Flatten { axis } => ("Flatten", vec![("axis", (*axis).into())]),
        Op::Squeeze => ("Squeeze", vec![]),
        Op::Unsqueeze => ("Unsqueeze", vec![]),
        Op::Transpose { permutation } => ("Transpose", vec![("perm", permutation.as_slice().into())]),
        Op::Expand => ("Expand", vec![]),
        Op::Tile => ("Tile", vec![]),
        Op::Concat { axis } => ("Concat", vec![("axis", (*axis).into())]),
        Op::Split { axis } if call.id(1).is_some() => ("Split", vec![("axis", (*axis).into())]),
        Op::Slice => ("Slice", vec![]),
        Op::Pad { mode } if call.id(3).is_none() => ("Pad", vec![("mode", pad_mode(*mode)?.into())]),
        Op::Gather(mode) => match mode {
            GatherMode::Slices { axis } => ("Gather", vec![("axis", (*axis).into())]),
            GatherMode::Elements { axis } => ("GatherElements", vec![("axis", (*axis).into())]),
            GatherMode::Nd { batch_dims } => ("GatherND", vec![("batch_dims", (*batch_dims as i64).into())]),
        },
        Op::ScatterElements { axis, reduction } => {
            let reduction = scatter_reduction(*reduction)?;
            (
                "ScatterElements",
                vec![("axis", (*axis).into()), ("reduction", reduction.into())],
            )
        }
        Op::ScatterNd { reduction } => (
            "ScatterND",
            vec![("reduction", scatter_reduction(*reduction)?.into())],
        ),
        Op::Shape { start, end } => {
            let mut attributes = vec![("start", (*start).into())];
            attributes.extend(end.map(|end| ("end", end.into())));
            ("Shape", attributes)
        }
        Op::Size => ("Size", vec![]),
        Op::ConstantOfShape { value } => (
            "ConstantOfShape",
            vec![("value", Value::Tensor(value.reshaped(&[1])?))],
        ),
        Op::Range => ("Range", vec![]),
        Op::EyeLike { dtype, k } => (
            "EyeLike",
            vec![("dtype", data_type(*dtype).into()), ("k", (*k).into())],
        ),
        Op::Trilu { upper } => ("Trilu", vec![("upper", (*upper).into())]),
        Op::OneHot { axis } => ("OneHot", vec![("axis", (*axis).into())]),
        Op::NonZero => ("NonZero", vec![]),
        Op::Compress { axis } => (
            "Compress",
            axis.map(|axis| ("axis", axis.into())).into_iter().collect(),
        ),
        Op::Unique { axis, sorted } => {
            let mut attributes = vec![("sorted", (*sorted).into())];
            attributes.extend(axis.map(|axis| ("axis", axis.into())));
            ("Unique", attributes)
        }
        Op::ReverseSequence {
            batch_axis,
            time_axis,
        } => (
            "ReverseSequence",
            vec![
                ("batch_axis", (*batch_axis).into()),
                ("time_axis", (*time_axis).into()),
            ],
        ),
        Op::DepthToSpace { block, crd } => {
            let mode = if *crd { "CRD" } else { "DCR" };
            (
                "DepthToSpace",
                vec![("blocksize", (*block as i64).into()), ("mode", mode.into())],
            )
        }
        Op::SpaceToDepth { block, crd: false } => {
            ("SpaceToDepth", vec![("blocksize", (*block as i64).into())])
        }
        Op::Resize(resize) => ("Resize", self::resize(resize)?),
        Op::GridSample {
            mode,
            padding,
            align_corners,
        } => {
            let mode = match mode {
                ResizeMode::Linear => "bilinear",
                ResizeMode::Nearest(_) => "nearest",
                ResizeMode::Cubic { .. } => "bicubic",
            };
            let padding = match padding {
                PadMode::Constant => "zeros",
                PadMode::Edge => "border",
                PadMode::Reflect => "reflection",
                PadMode::Wrap => return Err(unsupported("GridSample that wraps")),
            };
            if exporter.input_type(call, 0).and_then(|ty| ty.rank()) != Some(4) {
                return Err(unsupported("GridSample-20 of other than four extents"));
            }
            let align: Value = (*align_corners).into();
            (
                "GridSample",
                vec![
                    ("mode", mode.into()),
                    ("padding_mode", padding.into()),
                    ("align_corners", align),
                ],
            )
        }
        Op::RoiAlign(roi) => (
            "RoiAlign",
            vec![
                (
                    "coordinate_transformation_mode",
                    if roi.half_pixel {
                        "half_pixel"
                    } else {
                        "output_half_pixel"
                    }
                    .into(),
                ),
                (
                    "mode",
                    if roi.reduction == Reduction::Max {
                        "max"
                    } else {
                        "avg"
                    }
                    .into(),
                ),
                ("output_height", (roi.height as i64).into()),
                ("output_width", (roi.width as i64).into()),
                ("sampling_ratio", (roi.sampling_ratio as i64).into()),
                ("spatial_scale", roi.spatial_scale.into()),
            ],
        ),
        Op::NonMaxSuppression { center } => {
            ("NonMaxSuppression", vec![("center_point_box", (*center).into())])
        }
        Op::Einsum { equation } => ("Einsum", vec![("equation", equation.as_str().into())]),
        Op::Det => ("Det", vec![]),
        _ => return Ok(None),
    }))
}

pub(super) fn pad_mode(mode: PadMode) -> Result<&'static str> {
    Ok(match mode {
        PadMode::Constant => "constant",
        PadMode::Edge => "edge",
        PadMode::Reflect => "reflect",
        PadMode::Wrap => return Err(unsupported("Pad-19 that wraps")),
    })
}

fn scatter_reduction(reduction: ScatterReduction) -> Result<&'static str> {
    Ok(match reduction {
        ScatterReduction::Replace => "none",
        ScatterReduction::Add => "add",
        ScatterReduction::Mul => "mul",
        ScatterReduction::Min | ScatterReduction::Max => {
            return Err(unsupported("Scatter-18 with a least or greatest"));
        }
    })
}

fn resize(resize: &Resize) -> Result<Attributes> {
    if resize.antialias || !resize.axes.is_empty() || resize.to != ResizeTo::Stretch {
        return Err(unsupported(
            "Resize-18 with antialias, axes or a kept aspect ratio",
        ));
    }
    let coordinates = match resize.coordinates {
        ResizeCoordinates::HalfPixel => "half_pixel",
        ResizeCoordinates::PytorchHalfPixel => "pytorch_half_pixel",
        ResizeCoordinates::AlignCorners => "align_corners",
        ResizeCoordinates::Asymmetric => "asymmetric",
        ResizeCoordinates::TfCropAndResize => "tf_crop_and_resize",
        ResizeCoordinates::HalfPixelSymmetric | ResizeCoordinates::TfHalfPixel => {
            return Err(unsupported(format!("Resize with {:?}", resize.coordinates)));
        }
    };
    let mut attributes: Attributes = vec![
        ("coordinate_transformation_mode", coordinates.into()),
        ("exclude_outside", resize.exclude_outside.into()),
        ("extrapolation_value", resize.extrapolation.into()),
    ];
    match resize.mode {
        ResizeMode::Nearest(rounding) => {
            let rounding = match rounding {
                ResizeRounding::PreferFloor => "round_prefer_floor",
                ResizeRounding::PreferCeil => "round_prefer_ceil",
                ResizeRounding::Floor => "floor",
                ResizeRounding::Ceil => "ceil",
                ResizeRounding::TiesToEven => return Err(unsupported("Resize that rounds to even")),
            };
            attributes.push(("mode", "nearest".into()));
            attributes.push(("nearest_mode", rounding.into()));
        }
        ResizeMode::Linear => attributes.push(("mode", "linear".into())),
        ResizeMode::Cubic { a } => {
            attributes.push(("mode", "cubic".into()));
            attributes.push(("cubic_coeff_a", a.into()));
        }
    }
    Ok(attributes)
}
