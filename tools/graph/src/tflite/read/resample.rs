//! Resizing, and blocks of space to channels or to the batch.

use super::layer::{TO_FIRST, TO_LAST, extent};
use super::{Call, Importer};
use crate::error::{ErrorKind, Result};
use crate::graph::ValueId;
use crate::op::{Op, PadMode, Resize, ResizeCoordinates, ResizeMode, ResizeRounding, ResizeTo};
use crate::types::TensorType;

/// Imports an operator of this family; `false` if it is of none.
pub(super) fn import<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<bool> {
    match call.operator.code.as_str() {
        "RESIZE_BILINEAR" => {
            let coordinates = match (call.flag(2)?, call.flag(3)?) {
                (true, _) => ResizeCoordinates::AlignCorners,
                (false, true) => ResizeCoordinates::HalfPixel,
                (false, false) => ResizeCoordinates::Asymmetric,
            };
            resize(g, call, ResizeMode::Linear, coordinates)?;
        }
        "RESIZE_NEAREST_NEIGHBOR" => {
            let (coordinates, rounding) = match (call.flag(0)?, call.flag(1)?) {
                (true, _) => (ResizeCoordinates::AlignCorners, ResizeRounding::PreferCeil),
                (false, true) => (ResizeCoordinates::TfHalfPixel, ResizeRounding::Floor),
                (false, false) => (ResizeCoordinates::Asymmetric, ResizeRounding::Floor),
            };
            resize(g, call, ResizeMode::Nearest(rounding), coordinates)?;
        }
        "DEPTH_TO_SPACE" => {
            let op = Op::DepthToSpace {
                block: call.size(0, 0)?,
                crd: false,
            };
            spatial(g, call, op, None)?;
        }
        "SPACE_TO_DEPTH" => {
            let op = Op::SpaceToDepth {
                block: call.size(0, 0)?,
                crd: false,
            };
            spatial(g, call, op, None)?;
        }
        "SPACE_TO_BATCH_ND" => space_to_batch(g, call)?,
        "BATCH_TO_SPACE_ND" => batch_to_space(g, call)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Runs `op` on a channels-first view of the first input.
fn spatial<'a>(g: &mut Importer<'a>, call: Call<'a>, op: Op, sizes: Option<ValueId>) -> Result<()> {
    let x = g.operand(call, 0)?;
    let output = call.output(0)?;
    let ty = g.ty(output)?;
    let x = g.permute(call, x, &TO_FIRST)?;
    let inputs = match sizes {
        Some(sizes) => vec![Some(x), None, None, Some(sizes)],
        None => vec![Some(x)],
    };
    let found = g.emit_many(call, "op", op, &inputs, vec![ty]);
    let y = found.first().copied().unwrap_or(x);
    let y = g.permute(call, y, &TO_LAST)?;
    g.define(output, y);
    Ok(())
}

fn resize<'a>(
    g: &mut Importer<'a>,
    call: Call<'a>,
    mode: ResizeMode,
    coordinates: ResizeCoordinates,
) -> Result<()> {
    let sizes = g.axes(call, 1)?;
    let op = Op::Resize(Resize {
        mode,
        coordinates,
        antialias: false,
        axes: vec![2, 3],
        exclude_outside: false,
        extrapolation: 0.0,
        to: ResizeTo::Stretch,
    });
    spatial(g, call, op, Some(sizes))
}

/// Extents of the input, all fixed, with block sides and pairs of pads or crops for the axes behind the batch.
struct Blocks {
    shape: Vec<i64>,
    sides: Vec<i64>,
    pairs: Vec<i64>,
}

fn blocks<'a>(g: &Importer<'a>, call: Call<'a>) -> Result<Blocks> {
    let input = call.input(0)?;
    let known = (g.integers(call.input(1)?)?, g.integers(call.input(2)?)?);
    let (Some(sides), Some(pairs), true) = (known.0, known.1, g.file.tensors[input].fixed.iter().all(|&f| f))
    else {
        return Err(call.unsupported("extents that are not fixed"));
    };
    let shape = g
        .shape(input)
        .iter()
        .map(|&n| extent(call, n))
        .collect::<Result<Vec<_>>>()?;
    let in_range = |n: &i64| (0..1 << 24).contains(n);
    let fits = pairs.len() == 2 * sides.len()
        && sides.len() < shape.len()
        && sides.iter().all(|n| *n > 0 && in_range(n))
        && pairs.iter().chain(&shape).all(in_range);
    if !fits {
        let found = format!("sides {sides:?} and pairs {pairs:?} for {shape:?}");
        return Err(call.fault(ErrorKind::Value, "a side and a pair for each axis", found));
    }
    Ok(Blocks { shape, sides, pairs })
}

/// Pads, splits each axis into blocks, and moves the places inside a block before the batch.
fn space_to_batch<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let Blocks { shape, sides, pairs } = blocks(g, call)?;
    let count = sides.len();
    let mut x = g.operand(call, 0)?;
    let output = call.output(0)?;
    let ty = g.ty(output)?;
    let mut pads = vec![0; 2 * shape.len()];
    let mut split = vec![shape[0]];
    let mut joined = vec![shape[0] * sides.iter().product::<i64>()];
    for axis in 0..count {
        pads[axis + 1] = pairs[2 * axis];
        pads[shape.len() + axis + 1] = pairs[2 * axis + 1];
        let padded = shape[axis + 1] + pairs[2 * axis] + pairs[2 * axis + 1];
        split.extend([padded / sides[axis], sides[axis]]);
        joined.push(padded / sides[axis]);
    }
    split.extend(&shape[count + 1..]);
    joined.extend(&shape[count + 1..]);
    let pads = g.vector(call, "pads", pads);
    let op = Op::Pad {
        mode: PadMode::Constant,
    };
    x = g.emit(call, "padded", op, &[x, pads], ty.clone());
    x = reshaped(g, call, x, split, &ty);
    let inside = (0..count).map(|axis| 2 * axis + 2);
    let order: Vec<usize> = inside
        .chain([0])
        .chain((0..count).map(|axis| 2 * axis + 1))
        .chain(2 * count + 1..shape.len() + count)
        .collect();
    x = g.emit(
        call,
        "moved",
        Op::Transpose { permutation: order },
        &[x],
        ty.clone(),
    );
    x = reshaped(g, call, x, joined, &ty);
    g.define(output, x);
    Ok(())
}

/// The inverse: takes the places inside a block out of the batch, joins the axes, and crops.
fn batch_to_space<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let Blocks { shape, sides, pairs } = blocks(g, call)?;
    let count = sides.len();
    let mut x = g.operand(call, 0)?;
    let output = call.output(0)?;
    let ty = g.ty(output)?;
    let batch = shape[0] / sides.iter().product::<i64>();
    let mut split = sides.clone();
    split.push(batch);
    split.extend(&shape[1..]);
    let mut joined = vec![batch];
    let (mut starts, mut ends) = (Vec::new(), Vec::new());
    for axis in 0..count {
        let full = shape[axis + 1] * sides[axis];
        joined.push(full);
        starts.push(pairs[2 * axis]);
        ends.push(full - pairs[2 * axis + 1]);
    }
    joined.extend(&shape[count + 1..]);
    x = reshaped(g, call, x, split, &ty);
    let pairs = (0..count).flat_map(|axis| [count + 1 + axis, axis]);
    let order: Vec<usize> = [count]
        .into_iter()
        .chain(pairs)
        .chain(2 * count + 1..shape.len() + count)
        .collect();
    x = g.emit(
        call,
        "moved",
        Op::Transpose { permutation: order },
        &[x],
        ty.clone(),
    );
    x = reshaped(g, call, x, joined, &ty);
    let axes = (1..=count).map(|axis| axis as i64).collect();
    let bounds = [
        g.vector(call, "starts", starts),
        g.vector(call, "ends", ends),
        g.vector(call, "axes", axes),
    ];
    let [starts, ends, axes] = bounds;
    x = g.emit(call, "cropped", Op::Slice, &[x, starts, ends, axes], ty);
    g.define(output, x);
    Ok(())
}

fn reshaped<'a>(
    g: &mut Importer<'a>,
    call: Call<'a>,
    x: ValueId,
    shape: Vec<i64>,
    ty: &TensorType,
) -> ValueId {
    let shape = g.vector(call, "shape", shape);
    g.emit(
        call,
        "blocks",
        Op::Reshape { allow_zero: true },
        &[x, shape],
        ty.clone(),
    )
}
