//! Operations that move elements.

use super::emit::Integers;
use super::file::Index;
use super::flatbuffer::{Field, Table};
use super::{Exporter, axis_in_last, to_last, to_plain, unsupported, unsupported_with};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::graph::{Node, ValueId};
use crate::infer::extent;
use crate::op::{GatherMode, Op, PadMode, Resize, ResizeCoordinates, ResizeMode, ResizeRounding, ResizeTo};
use crate::tensor::Tensor;

/// Writes a node of this family; `false` if it is of none.
pub(super) fn write(e: &mut Exporter<'_>, node: &Node) -> Result<bool> {
    match &node.op {
        Op::Identity | Op::Reshape { .. } | Op::Flatten { .. } | Op::Squeeze | Op::Unsqueeze => {
            reshape(e, node)?
        }
        Op::Transpose { permutation } => transpose(e, node, permutation)?,
        Op::Concat { axis } => concat(e, node, *axis)?,
        Op::Split { axis } => split(e, node, *axis)?,
        Op::Slice => slice(e, node)?,
        Op::Pad { mode } => pad(e, node, *mode)?,
        Op::Gather(GatherMode::Slices { axis }) => gather(e, node, *axis)?,
        Op::Resize(settings) => resize(e, node, settings)?,
        Op::DepthToSpace { block, crd: false } => blocks(e, node, "DEPTH_TO_SPACE", *block)?,
        Op::SpaceToDepth { block, crd: false } => blocks(e, node, "SPACE_TO_DEPTH", *block)?,
        Op::Expand | Op::Tile => repeat(e, node)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// Where a node's input is, and where its output of the same number of axes goes.
fn same_order(e: &mut Exporter<'_>, id: ValueId, out: ValueId) -> Result<(Index, Index, bool)> {
    let last = e.lives_last(id) && e.shape(out)?.len() == e.shape(id)?.len();
    let x = if last { e.last(id)? } else { e.plain(id)? };
    Ok((x, e.new_tensor(out, last)?, last))
}

fn made(e: &mut Exporter<'_>, out: ValueId, to: Index, last: bool) {
    let places = if last { &mut e.last } else { &mut e.plain };
    places[out.0] = Some(to);
}

fn reshape(e: &mut Exporter<'_>, node: &Node) -> Result<()> {
    let (id, out) = (e.input(node, 0)?, e.output(node)?);
    let shape = e.shape(id)?;
    // One place a channel has the same order both ways.
    let flat = shape.len() >= 3 && shape[2..].iter().all(|&n| n == 1);
    let x = if flat && e.lives_last(id) {
        e.last(id)?
    } else {
        e.plain(id)?
    };
    let to = e.new_tensor(out, false)?;
    e.compute(&[x], to, Integers::Same, |e, x, to| {
        e.reshape(x[0], to);
        Ok(())
    })?;
    made(e, out, to, false);
    Ok(())
}

/// A transpose to or from channels-last names what is there already, or what an operation behind wants.
fn transpose(e: &mut Exporter<'_>, node: &Node, permutation: &[usize]) -> Result<()> {
    let (id, out) = (e.input(node, 0)?, e.output(node)?);
    let rank = permutation.len();
    let same_type = e.ty(id).quantization == e.ty(out).quantization;
    // An output of the graph has a tensor of its own name.
    if same_type && rank >= 3 && e.graph.constant(id).is_none() && !e.graph.outputs.contains(&out) {
        if permutation == to_plain(rank) && !e.lives_last(id) {
            let x = e.plain(id)?;
            e.last[out.0] = Some(x);
            return Ok(());
        }
        if permutation == to_last(rank) && e.lives_last(id) {
            let x = e.last(id)?;
            e.plain[out.0] = Some(x);
            return Ok(());
        }
    }
    let x = e.plain(id)?;
    let to = e.new_tensor(out, false)?;
    e.turn(x, to, permutation);
    made(e, out, to, false);
    Ok(())
}

fn concat(e: &mut Exporter<'_>, node: &Node, axis: i64) -> Result<()> {
    let out = e.output(node)?;
    let rank = e.shape(out)?.len();
    let axis = extent::axis(axis, rank)?;
    let ids: Vec<ValueId> = node.inputs.iter().flatten().copied().collect();
    let last = rank >= 3 && ids.iter().any(|&id| e.lives_last(id));
    let mut inputs = Vec::with_capacity(ids.len());
    for id in ids {
        inputs.push(if last { e.last(id)? } else { e.plain(id)? });
    }
    let axis = if last { axis_in_last(axis, rank) } else { axis };
    let to = e.new_tensor(out, last)?;
    e.compute(&inputs, to, Integers::Same, |e, inputs, to| {
        let settings = Table::new().with(0, Field::Int(axis as i32));
        let inputs: Vec<Option<Index>> = inputs.iter().copied().map(Some).collect();
        e.file.operator("CONCATENATION", settings, &inputs, &[to]);
        Ok(())
    })?;
    made(e, out, to, last);
    Ok(())
}

fn split(e: &mut Exporter<'_>, node: &Node, axis: i64) -> Result<()> {
    let id = e.input(node, 0)?;
    let rank = e.shape(id)?.len();
    let axis = extent::axis(axis, rank)?;
    let last = e.lives_last(id);
    let x = if last { e.last(id)? } else { e.plain(id)? };
    let place = if last { axis_in_last(axis, rank) } else { axis };
    let (mut sizes, mut outputs) = (Vec::new(), Vec::new());
    for out in &node.outputs {
        let out = out.ok_or_else(|| unsupported_with(&node.op, "a part that nothing reads"))?;
        if e.ty(out).quantization != e.ty(id).quantization {
            return Err(unsupported_with(&node.op, "other scales in its parts"));
        }
        sizes.push(e.shape(out)?[axis] as i32);
        let to = e.new_tensor(out, last)?;
        made(e, out, to, last);
        outputs.push(to);
    }
    let count = Field::Int(sizes.len() as i32);
    let sizes = e.file.ints("sizes", &sizes);
    let place = e.file.constant("axis", &Tensor::scalar(place as i32));
    e.file.operator(
        "SPLIT_V",
        Table::new().with(0, count),
        &[Some(x), Some(sizes), Some(place)],
        &outputs,
    );
    Ok(())
}

/// With starts, ends and steps for all axes, none of them counted from the end.
fn slice(e: &mut Exporter<'_>, node: &Node) -> Result<()> {
    let (id, out) = (e.input(node, 0)?, e.output(node)?);
    let (shape, to_shape) = (e.shape(id)?, e.shape(out)?);
    let rank = shape.len();
    let starts = e.numbers(node, 1)?.unwrap_or_default();
    let axes = match e.numbers(node, 3)? {
        Some(axes) => extent::axes(&axes, rank)?,
        None => (0..starts.len()).collect(),
    };
    let steps = e.numbers(node, 4)?.unwrap_or_else(|| vec![1; axes.len()]);
    let mut begins = vec![0i64; rank];
    let mut strides = vec![1i64; rank];
    for ((&axis, &start), &step) in axes.iter().zip(&starts).zip(&steps) {
        let extent = shape[axis] as i64;
        let start = if start < 0 {
            start.saturating_add(extent)
        } else {
            start
        };
        begins[axis] = if step < 0 {
            start.clamp(0, extent - 1)
        } else {
            start.clamp(0, extent)
        };
        strides[axis] = step;
    }
    let (x, to, last) = same_order(e, id, out)?;
    let order = if last { to_last(rank) } else { (0..rank).collect() };
    let (mut from, mut until, mut by) = (Vec::new(), Vec::new(), Vec::new());
    let mut open = 0i32;
    for (place, &axis) in order.iter().enumerate() {
        let end = begins[axis] + strides[axis] * to_shape[axis] as i64;
        // An end before the first element cannot be written but left open.
        if end < 0 {
            open |= 1 << place;
        }
        from.push(begins[axis] as i32);
        until.push(end.max(0) as i32);
        by.push(strides[axis] as i32);
    }
    let bounds = [
        e.file.ints("begin", &from),
        e.file.ints("end", &until),
        e.file.ints("strides", &by),
    ];
    e.compute(&[x], to, Integers::Same, |e, x, to| {
        let settings = Table::new().with(1, Field::Int(open));
        let [begin, end, strides] = bounds;
        e.file.operator(
            "STRIDED_SLICE",
            settings,
            &[Some(x[0]), Some(begin), Some(end), Some(strides)],
            &[to],
        );
        Ok(())
    })?;
    made(e, out, to, last);
    Ok(())
}

fn pad(e: &mut Exporter<'_>, node: &Node, mode: PadMode) -> Result<()> {
    let (id, out) = (e.input(node, 0)?, e.output(node)?);
    let rank = e.shape(id)?.len();
    let pads = e.numbers(node, 1)?.unwrap_or_default();
    let axes = match e.numbers(node, 3)? {
        Some(axes) => extent::axes(&axes, rank)?,
        None => (0..rank).collect(),
    };
    if pads.len() != 2 * axes.len() || pads.iter().any(|&n| n < 0) {
        return Err(unsupported_with(&node.op, "pads below zero"));
    }
    let mut pairs = vec![[0i32; 2]; rank];
    for (n, &axis) in axes.iter().enumerate() {
        pairs[axis] = [pads[n] as i32, pads[n + axes.len()] as i32];
    }
    let graph = e.graph;
    let value = match e.optional(node, 2) {
        None => 0.0,
        Some(id) => {
            let tensor = graph
                .constant(id)
                .ok_or_else(|| unsupported_with(&node.op, "a value made at run time"))?;
            tensor.dequantized()?.to_f32().first().copied().unwrap_or(0.0)
        }
    };
    let (x, to, last) = same_order(e, id, out)?;
    if last {
        pairs = super::permuted(&pairs, &to_last(rank));
    }
    let table = Tensor::new(&[rank, 2], pairs.concat())?;
    let table = e.file.constant("pads", &table);
    // Zero is in every scale; another value is exact in floats alone.
    let integers = if value == 0.0 {
        Integers::Same
    } else {
        Integers::None
    };
    e.compute(&[x], to, integers, |e, x, to| {
        match mode {
            PadMode::Constant if value == 0.0 => e.op("PAD", &[x[0], table], to),
            PadMode::Constant => {
                let value = e.file.constant("value", &Tensor::scalar(value));
                e.op("PADV2", &[x[0], table, value], to);
            }
            PadMode::Reflect => {
                let settings = Table::new().with(0, Field::Byte(0));
                e.file
                    .operator("MIRROR_PAD", settings, &[Some(x[0]), Some(table)], &[to]);
            }
            PadMode::Edge | PadMode::Wrap => return Err(unsupported(&node.op)),
        }
        Ok(())
    })?;
    made(e, out, to, last);
    Ok(())
}

fn gather(e: &mut Exporter<'_>, node: &Node, axis: i64) -> Result<()> {
    let (id, indices, out) = (e.input(node, 0)?, e.input(node, 1)?, e.output(node)?);
    let axis = extent::axis(axis, e.shape(id)?.len())?;
    let graph = e.graph;
    let negative = graph
        .constant(indices)
        .is_some_and(|i| i.to_i64().is_ok_and(|i| i.iter().any(|&n| n < 0)));
    if negative {
        return Err(unsupported_with(&node.op, "indices below zero"));
    }
    let (x, indices) = (e.plain(id)?, e.plain(indices)?);
    let to = e.new_tensor(out, false)?;
    let settings = Table::new().with(0, Field::Int(axis as i32));
    if e.file.tensor(x).quantization == e.file.tensor(to).quantization {
        e.file
            .operator("GATHER", settings, &[Some(x), Some(indices)], &[to]);
    } else {
        let x = if e.file.tensor(x).quantization.is_some() {
            e.dequantize(x)
        } else {
            x
        };
        if e.file.tensor(to).quantization.is_some() {
            return Err(unsupported_with(&node.op, "other scales in its output"));
        }
        e.file
            .operator("GATHER", settings, &[Some(x), Some(indices)], &[to]);
    }
    made(e, out, to, false);
    Ok(())
}

fn resize(e: &mut Exporter<'_>, node: &Node, r: &Resize) -> Result<()> {
    let (id, out) = (e.input(node, 0)?, e.output(node)?);
    let (shape, to_shape) = (e.shape(id)?, e.shape(out)?);
    let fits = shape.len() == 4
        && shape[..2] == to_shape[..2]
        && !r.antialias
        && !r.exclude_outside
        && r.to == ResizeTo::Stretch;
    // Align corners and half pixel centres.
    let (code, flags) = match (&r.mode, r.coordinates) {
        (ResizeMode::Linear, ResizeCoordinates::AlignCorners) => ("RESIZE_BILINEAR", (true, false)),
        (ResizeMode::Linear, ResizeCoordinates::HalfPixel) => ("RESIZE_BILINEAR", (false, true)),
        (ResizeMode::Linear, ResizeCoordinates::Asymmetric) => ("RESIZE_BILINEAR", (false, false)),
        (ResizeMode::Nearest(ResizeRounding::Floor), ResizeCoordinates::Asymmetric) => {
            ("RESIZE_NEAREST_NEIGHBOR", (false, false))
        }
        (ResizeMode::Nearest(ResizeRounding::Floor), ResizeCoordinates::TfHalfPixel) => {
            ("RESIZE_NEAREST_NEIGHBOR", (false, true))
        }
        (ResizeMode::Nearest(ResizeRounding::PreferCeil), ResizeCoordinates::AlignCorners) => {
            ("RESIZE_NEAREST_NEIGHBOR", (true, false))
        }
        // Enlarged by a whole number, every rule but the one of corners takes the same element.
        (
            ResizeMode::Nearest(ResizeRounding::PreferFloor | ResizeRounding::PreferCeil),
            ResizeCoordinates::HalfPixel,
        ) if shape
            .iter()
            .zip(&to_shape)
            .all(|(&from, &to)| from > 0 && to.is_multiple_of(from)) =>
        {
            ("RESIZE_NEAREST_NEIGHBOR", (false, false))
        }
        _ => {
            return Err(unsupported_with(
                &node.op,
                format!("{:?} and {:?}", r.mode, r.coordinates),
            ));
        }
    };
    if !fits {
        return Err(unsupported_with(&node.op, "other axes than rows and columns"));
    }
    let x = e.last(id)?;
    let to = e.new_tensor(out, true)?;
    let size = e.file.ints("size", &[to_shape[2] as i32, to_shape[3] as i32]);
    let first = if code == "RESIZE_BILINEAR" { 2 } else { 0 };
    let integers = if first == 2 {
        Integers::Equal
    } else {
        Integers::Same
    };
    e.compute(&[x], to, integers, |e, x, to| {
        let settings = Table::new()
            .with(first, Field::Byte(u8::from(flags.0)))
            .with(first + 1, Field::Byte(u8::from(flags.1)));
        e.file.operator(code, settings, &[Some(x[0]), Some(size)], &[to]);
        Ok(())
    })?;
    made(e, out, to, true);
    Ok(())
}

fn blocks(e: &mut Exporter<'_>, node: &Node, code: &'static str, block: usize) -> Result<()> {
    let (id, out) = (e.input(node, 0)?, e.output(node)?);
    if e.shape(id)?.len() != 4 {
        return Err(unsupported(&node.op));
    }
    let x = e.last(id)?;
    let to = e.new_tensor(out, true)?;
    e.compute(&[x], to, Integers::Same, |e, x, to| {
        let settings = Table::new().with(0, Field::Int(block as i32));
        e.file.operator(code, settings, &[Some(x[0])], &[to]);
        Ok(())
    })?;
    made(e, out, to, true);
    Ok(())
}

/// A broadcast or repetition to the output's extents.
fn repeat(e: &mut Exporter<'_>, node: &Node) -> Result<()> {
    let (id, out) = (e.input(node, 0)?, e.output(node)?);
    if !matches!(e.ty(id).dtype, Dtype::F32 | Dtype::I32 | Dtype::I64 | Dtype::Bool) {
        return Err(unsupported_with(
            &node.op,
            format!("elements of {}", e.ty(id).dtype),
        ));
    }
    let numbers: Vec<i32> = match node.op {
        Op::Tile => e
            .numbers(node, 1)?
            .unwrap_or_default()
            .iter()
            .map(|&n| n as i32)
            .collect(),
        _ => e.shape(out)?.iter().map(|&n| n as i32).collect(),
    };
    let x = e.plain(id)?;
    let to = e.new_tensor(out, false)?;
    let numbers = e.file.ints("numbers", &numbers);
    e.op(
        if node.op == Op::Tile {
            "TILE"
        } else {
            "BROADCAST_TO"
        },
        &[x, numbers],
        to,
    );
    made(e, out, to, false);
    Ok(())
}
