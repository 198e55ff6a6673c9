//! Operators that move elements.

use super::Importer;
use super::attributes::unsupported;
use super::node::{Source, Step};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::onnx::tensor;
use crate::onnx::wire::malformed;
use crate::op::{GatherMode, Op, PadMode, ScatterReduction};
use crate::tensor::Tensor;

pub(super) fn lower<'p>(b: &mut Importer<'p>, n: &Source<'p>) -> Result<Option<Vec<Step>>> {
    let a = &n.attributes;
    Ok(Some(match n.op_type {
        "Identity" => n.same(Op::Identity),
        "Dropout" => dropout(b, n)?,
        "Reshape" => n.same(Op::Reshape {
            allow_zero: a.flag("allowzero", false)?,
        }),
        "Flatten" => n.same(Op::Flatten {
            axis: a.int("axis", 1)?,
        }),
        "Squeeze" => {
            let inputs = with_list(b, n, 13, "axes")?;
            n.with(Op::Squeeze, inputs)
        }
        "Unsqueeze" => {
            let inputs = with_list(b, n, 13, "axes")?;
            n.with(Op::Unsqueeze, inputs)
        }
        "Transpose" => {
            let permutation = match a.sizes("perm")? {
                Some(permutation) => permutation,
                None => (0..b.rank(n.input(0)?)?).rev().collect(),
            };
            n.same(Op::Transpose { permutation })
        }
        "Expand" => n.same(Op::Expand),
        "Tile" => n.same(Op::Tile),
        "Concat" => n.same(Op::Concat {
            axis: a.required("axis", a.optional_int("axis")?)?,
        }),
        "Split" => split(b, n)?,
        "Slice" => slice(b, n)?,
        "Pad" => pad(b, n)?,
        "Gather" => n.same(Op::Gather(GatherMode::Slices {
            axis: a.int("axis", 0)?,
        })),
        "GatherElements" => n.same(Op::Gather(GatherMode::Elements {
            axis: a.int("axis", 0)?,
        })),
        "GatherND" => n.same(Op::Gather(GatherMode::Nd {
            batch_dims: a.size("batch_dims", 0)?,
        })),
        "Scatter" | "ScatterElements" => n.same(Op::ScatterElements {
            axis: a.int("axis", 0)?,
            reduction: scatter_reduction(n)?,
        }),
        "ScatterND" => n.same(Op::ScatterNd {
            reduction: scatter_reduction(n)?,
        }),
        "TensorScatter" => {
            let circular = match a.text("mode", "linear")? {
                "linear" => false,
                "circular" => true,
                other => return Err(unsupported("mode", "linear or circular", other)),
            };
            n.same(Op::TensorScatter {
                axis: a.int("axis", -2)?,
                circular,
            })
        }
        "Shape" => n.same(Op::Shape {
            start: a.int("start", 0)?,
            end: a.optional_int("end")?,
        }),
        "Size" => n.same(Op::Size),
        "ConstantOfShape" => {
            let value = match a.tensor("value")? {
                Some(proto) => tensor::tensor(proto, None)?,
                None => Tensor::vector(vec![0f32]),
            };
            if value.len() != 1 {
                return Err(malformed("one element in attribute value", value.len()));
            }
            n.same(Op::ConstantOfShape { value })
        }
        "Range" => {
            if a.int("stash_type", 1)? != 1 {
                return Err(unsupported("stash_type", "1", a.int("stash_type", 1)?));
            }
            n.same(Op::Range)
        }
        "EyeLike" => {
            let dtype = match a.dtype("dtype")? {
                Some(dtype) => dtype,
                None => b.dtype(n.input(0)?),
            };
            n.same(Op::EyeLike {
                dtype,
                k: a.int("k", 0)?,
            })
        }
        "Trilu" => n.same(Op::Trilu {
            upper: a.flag("upper", true)?,
        }),
        "OneHot" => n.same(Op::OneHot {
            axis: a.int("axis", -1)?,
        }),
        "NonZero" => n.same(Op::NonZero),
        "Compress" => n.same(Op::Compress {
            axis: a.optional_int("axis")?,
        }),
        "Unique" => n.same(Op::Unique {
            axis: a.optional_int("axis")?,
            sorted: a.flag("sorted", true)?,
        }),
        "ReverseSequence" => n.same(Op::ReverseSequence {
            batch_axis: a.int("batch_axis", 1)?,
            time_axis: a.int("time_axis", 0)?,
        }),
        "DepthToSpace" => n.same(Op::DepthToSpace {
            block: block(n)?,
            crd: crd(n)?,
        }),
        "SpaceToDepth" => n.same(Op::SpaceToDepth {
            block: block(n)?,
            crd: crd(n)?,
        }),
        "CenterCropPad" => n.same(Op::CenterCropPad {
            axes: a.ints("axes")?.unwrap_or_default().to_vec(),
        }),
        "Einsum" => n.same(Op::Einsum {
            equation: a.text("equation", "")?.to_owned(),
        }),
        "Det" => n.same(Op::Det),
        _ => return Ok(None),
    }))
}

/// The node's inputs, and a list of integers that was an attribute before a version.
fn with_list(
    b: &mut Importer<'_>,
    n: &Source<'_>,
    since: i64,
    name: &str,
) -> Result<Vec<Option<crate::graph::ValueId>>> {
    let mut inputs = n.inputs.clone();
    if n.version < since
        && let Some(list) = n.attributes.ints(name)?
    {
        inputs.push(b.integers(n, name, list));
    }
    Ok(inputs)
}

fn block(n: &Source<'_>) -> Result<usize> {
    let block = n
        .attributes
        .required("blocksize", n.attributes.optional_int("blocksize")?)?;
    match usize::try_from(block) {
        Ok(block) if block > 0 => Ok(block),
        _ => Err(malformed("a blocksize of at least 1", block)),
    }
}

fn crd(n: &Source<'_>) -> Result<bool> {
    match n.attributes.text("mode", "DCR")? {
        "DCR" => Ok(false),
        "CRD" => Ok(true),
        other => Err(unsupported("mode", "DCR or CRD", other)),
    }
}

fn scatter_reduction(n: &Source<'_>) -> Result<ScatterReduction> {
    Ok(match n.attributes.text("reduction", "none")? {
        "none" => ScatterReduction::Replace,
        "add" => ScatterReduction::Add,
        "mul" => ScatterReduction::Mul,
        "min" => ScatterReduction::Min,
        "max" => ScatterReduction::Max,
        other => return Err(unsupported("reduction", "none, add, mul, min or max", other)),
    })
}

/// Inference: the input itself, and a mask that is true everywhere.
fn dropout(b: &mut Importer<'_>, n: &Source<'_>) -> Result<Vec<Step>> {
    let a = &n.attributes;
    for name in ["ratio", "seed", "is_test"] {
        a.ignore(name);
    }
    let input = n.input(0)?;
    if let Some(training) = n.optional(2) {
        let off = b
            .graph
            .constant(training)
            .is_some_and(|t| t.to_i64().is_ok_and(|e| e == [0]));
        if !off {
            return Err(unsupported("training_mode", "a constant false", "training"));
        }
    }
    let mut steps = vec![Step {
        op: Op::Identity,
        inputs: vec![Some(input)],
        outputs: 0..1,
    }];
    if n.outputs.get(1) == Some(&true) {
        let shape = b.step(n, "shape", Op::Shape { start: 0, end: None }, &[Some(input)])?;
        // The mask has the input's own type before version 10.
        let value = Tensor::vector(vec![true]);
        if n.version < 10 && b.dtype(input) != Dtype::Bool {
            let mask = b.step(n, "mask", Op::ConstantOfShape { value }, &[shape])?;
            let op = Op::Cast {
                to: b.dtype(input),
                saturate: true,
            };
            steps.push(Step {
                op,
                inputs: vec![mask],
                outputs: 1..2,
            });
        } else {
            steps.push(Step {
                op: Op::ConstantOfShape { value },
                inputs: vec![shape],
                outputs: 1..2,
            });
        }
    }
    Ok(steps)
}

/// Sizes are an attribute before version 13; their number is one from 18 on.
fn split(b: &mut Importer<'_>, n: &Source<'_>) -> Result<Vec<Step>> {
    let inputs = with_list(b, n, 13, "split")?;
    let a = &n.attributes;
    if let Some(parts) = a.optional_int("num_outputs")?
        && usize::try_from(parts) != Ok(n.outputs.len())
    {
        return Err(malformed(format!("{parts} outputs"), n.outputs.len()));
    }
    Ok(n.with(
        Op::Split {
            axis: a.int("axis", 0)?,
        },
        inputs,
    ))
}

/// Everything is an attribute before version 10.
fn slice(b: &mut Importer<'_>, n: &Source<'_>) -> Result<Vec<Step>> {
    if n.version >= 10 {
        return Ok(n.same(Op::Slice));
    }
    let a = &n.attributes;
    let mut inputs = vec![n.optional(0)];
    for name in ["starts", "ends"] {
        let list = a.required(name, a.ints(name)?)?;
        inputs.push(b.integers(n, name, list));
    }
    if let Some(axes) = a.ints("axes")? {
        inputs.push(b.integers(n, "axes", axes));
    }
    Ok(n.with(Op::Slice, inputs))
}

/// Pads and value are attributes before version 11.
fn pad(b: &mut Importer<'_>, n: &Source<'_>) -> Result<Vec<Step>> {
    let a = &n.attributes;
    let mode = match a.text("mode", "constant")? {
        "constant" => PadMode::Constant,
        "edge" => PadMode::Edge,
        "reflect" => PadMode::Reflect,
        "wrap" => PadMode::Wrap,
        other => return Err(unsupported("mode", "constant, edge, reflect or wrap", other)),
    };
    if n.version >= 11 {
        return Ok(n.same(Op::Pad { mode }));
    }
    let input = n.input(0)?;
    let pads = b.integers(n, "pads", a.required("pads", a.ints("pads")?)?);
    let value = super::math::float_operand(b, n, "value", a.float("value", 0.0)?, input)?;
    Ok(n.with(Op::Pad { mode }, vec![Some(input), pads, value]))
}
