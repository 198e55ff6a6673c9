//! Operators that pick elements by place.

use super::{Call, Importer};
use crate::dtype::Dtype;
use crate::error::{ErrorKind, Result};
use crate::graph::ValueId;
use crate::op::{Binary, Compare, GatherMode, Op, ScatterReduction};
use crate::tensor::Tensor;
use crate::types::TensorType;

/// Imports an operator of this family; `false` if it is of none.
pub(super) fn import<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<bool> {
    match call.operator.code.as_str() {
        "SLICE" => slice(g, call)?,
        "STRIDED_SLICE" => strided_slice(g, call)?,
        "GATHER" => gather(g, call)?,
        "GATHER_ND" => {
            let (x, indices) = (g.operand(call, 0)?, g.operand(call, 1)?);
            g.simple(call, Op::Gather(GatherMode::Nd { batch_dims: 0 }), &[x, indices])?;
        }
        "EMBEDDING_LOOKUP" => {
            let (ids, table) = (g.operand(call, 0)?, g.operand(call, 1)?);
            let table = if g.ty(call.output(0)?)?.dtype == Dtype::F32 {
                g.real(call, table)?
            } else {
                table
            };
            g.simple(call, Op::Gather(GatherMode::Slices { axis: 0 }), &[table, ids])?;
        }
        "REVERSE_V2" => reverse(g, call)?,
        "REVERSE_SEQUENCE" => {
            let x = g.operand(call, 0)?;
            let lengths = g.axes(call, 1)?;
            let op = Op::ReverseSequence {
                time_axis: call.int(0, 0)?.into(),
                batch_axis: call.int(1, 0)?.into(),
            };
            g.simple(call, op, &[x, lengths])?;
        }
        "SCATTER_ND" => scatter(g, call)?,
        _ => return Ok(false),
    }
    Ok(true)
}

/// The operator has sizes, -1 for all that is left; the graph has ends.
fn slice<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let x = g.operand(call, 0)?;
    let known = (g.integers(call.input(1)?)?, g.integers(call.input(2)?)?);
    let (starts, ends) = if let (Some(begins), Some(sizes)) = known {
        let ends = begins.iter().zip(&sizes).map(|(&begin, &size)| {
            if size == -1 {
                i64::MAX
            } else {
                begin.saturating_add(size)
            }
        });
        let ends = ends.collect();
        (g.vector(call, "starts", begins), g.vector(call, "ends", ends))
    } else {
        let (begins, sizes) = (g.axes(call, 1)?, g.axes(call, 2)?);
        let ty = TensorType::unshaped(Dtype::I64);
        let sum = g.emit(call, "sum", Op::Binary(Binary::Add), &[begins, sizes], ty.clone());
        let all = g.fresh(call, "all", Tensor::scalar(-1i64));
        let end = g.fresh(call, "end", Tensor::scalar(i64::MAX));
        let bool = TensorType::unshaped(Dtype::Bool);
        let open = g.emit(call, "open", Op::Compare(Compare::Equal), &[sizes, all], bool);
        (begins, g.emit(call, "ends", Op::Where, &[open, end, sum], ty))
    };
    g.simple(call, Op::Slice, &[x, starts, ends])
}

/// What a strided slice does, axis by axis of the input.
#[derive(Default)]
struct Cuts {
    starts: Vec<i64>,
    ends: Vec<i64>,
    axes: Vec<i64>,
    steps: Vec<i64>,
    /// Axes of the input that go away.
    dropped: Vec<i64>,
    /// Axes of the output that are new.
    new: Vec<i64>,
}

fn cuts(call: Call<'_>, begins: &[i64], ends: &[i64], steps: &[i64], rank: usize) -> Result<Cuts> {
    let masks = [0, 1, 2, 3, 4].map(|slot| call.int(slot, 0));
    let [begin_mask, end_mask, ellipsis, new, shrink] = masks;
    let (begin_mask, end_mask, ellipsis, new, shrink) = (begin_mask?, end_mask?, ellipsis?, new?, shrink?);
    let count = begins.len();
    if ends.len() != count || steps.len() != count || count > 31 || steps.contains(&0) {
        let found = format!("{begins:?}, {ends:?} and {steps:?}");
        return Err(call.fault(ErrorKind::Value, "as many begins, ends and steps", found));
    }
    let has = |mask: i32, n: usize| mask >> n & 1 != 0;
    let is_new = |n: usize| has(new, n) && !has(ellipsis, n);
    let cut = (0..count).filter(|&n| !is_new(n) && !has(ellipsis, n)).count();
    let skipped = rank
        .checked_sub(cut)
        .ok_or_else(|| call.fault(ErrorKind::Shape, format!("at most {rank} axes"), cut))?;
    let mut found = Cuts::default();
    let (mut axis, mut out) = (0i64, 0i64);
    for n in 0..count {
        if has(ellipsis, n) {
            axis += skipped as i64;
            out += skipped as i64;
            continue;
        }
        if is_new(n) {
            found.new.push(out);
            out += 1;
            continue;
        }
        let (mut start, mut end, mut step) = (begins[n], ends[n], steps[n]);
        if has(shrink, n) {
            step = 1;
            end = if start == -1 {
                i64::MAX
            } else {
                start.saturating_add(1)
            };
            found.dropped.push(axis);
        } else {
            if has(begin_mask, n) {
                start = if step > 0 { 0 } else { i64::MAX };
            }
            if has(end_mask, n) {
                end = if step > 0 { i64::MAX } else { i64::MIN };
            }
            out += 1;
        }
        (start, end) = (start.max(-i64::MAX), end.max(-i64::MAX));
        found.starts.push(start);
        found.ends.push(end);
        found.steps.push(step);
        found.axes.push(axis);
        axis += 1;
    }
    Ok(found)
}

fn strided_slice<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let mut x = g.operand(call, 0)?;
    if call.flag(5)? {
        return Err(call.unsupported("ends that are offsets"));
    }
    let output = call.output(0)?;
    let ty = g.ty(output)?;
    let bounds = [1, 2, 3].map(|n| call.input(n).and_then(|index| g.integers(index)));
    let [begins, ends, steps] = bounds;
    let (Some(begins), Some(ends), Some(steps)) = (begins?, ends?, steps?) else {
        return Err(call.unsupported("bounds that are no constants"));
    };
    let cuts = cuts(call, &begins, &ends, &steps, g.shape(call.input(0)?).len())?;
    let bounds = [
        g.vector(call, "starts", cuts.starts),
        g.vector(call, "ends", cuts.ends),
        g.vector(call, "axes", cuts.axes),
        g.vector(call, "steps", cuts.steps),
    ];
    let [starts, ends, axes, steps] = bounds;
    x = g.emit(
        call,
        "cut",
        Op::Slice,
        &[x, starts, ends, axes, steps],
        ty.clone(),
    );
    for (op, axes) in [(Op::Squeeze, cuts.dropped), (Op::Unsqueeze, cuts.new)] {
        if !axes.is_empty() {
            let axes = g.vector(call, "axes", axes);
            x = g.emit(call, "shaped", op, &[x, axes], ty.clone());
        }
    }
    g.define(output, x);
    Ok(())
}

fn gather<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let (mut x, indices) = (g.operand(call, 0)?, g.operand(call, 1)?);
    if g.ty(call.output(0)?)?.dtype == Dtype::F32 {
        x = g.real(call, x)?;
    }
    let rank = g.shape(call.input(0)?).len();
    let axis = g.axis(call, call.int(0, 0)?, rank)?;
    let batch = call.int(1, 0)?;
    if batch == 0 {
        return g.simple(call, Op::Gather(GatherMode::Slices { axis }), &[x, indices]);
    }
    let batch_dims = usize::try_from(batch).unwrap_or(usize::MAX);
    if axis != i64::from(batch) {
        return Err(call.unsupported(format!("{batch} axes in common and axis {axis}")));
    }
    let last = g.vector(call, "last", vec![-1]);
    let ty = TensorType::unshaped(g.graph.value(indices).ty.dtype);
    let places = g.emit(call, "places", Op::Unsqueeze, &[indices, last], ty);
    g.simple(call, Op::Gather(GatherMode::Nd { batch_dims }), &[x, places])
}

fn reverse<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let x = g.operand(call, 0)?;
    let Some(axes) = g.integers(call.input(1)?)? else {
        return Err(call.unsupported("axes that are no constants"));
    };
    let bounds: [ValueId; 4] = [
        g.vector(call, "starts", vec![i64::MAX; axes.len()]),
        g.vector(call, "ends", vec![-i64::MAX; axes.len()]),
        g.vector(call, "axes", axes.clone()),
        g.vector(call, "steps", vec![-1; axes.len()]),
    ];
    let [starts, ends, axes, steps] = bounds;
    g.simple(call, Op::Slice, &[x, starts, ends, axes, steps])
}

/// Updates that meet are added.
fn scatter<'a>(g: &mut Importer<'a>, call: Call<'a>) -> Result<()> {
    let (indices, updates, shape) = (g.operand(call, 0)?, g.operand(call, 1)?, g.axes(call, 2)?);
    let ty = g.ty(call.output(0)?)?;
    let value = match ty.dtype {
        Dtype::F32 => Tensor::vector(vec![0f32]),
        Dtype::I32 => Tensor::vector(vec![0i32]),
        Dtype::I64 => Tensor::vector(vec![0i64]),
        other => return Err(call.unsupported(format!("elements of {other}"))),
    };
    let zeros = g.emit(call, "zeros", Op::ConstantOfShape { value }, &[shape], ty);
    let to = Op::Cast {
        to: Dtype::I64,
        saturate: true,
    };
    let places = g.emit(call, "places", to, &[indices], TensorType::unshaped(Dtype::I64));
    let op = Op::ScatterNd {
        reduction: ScatterReduction::Add,
    };
    g.simple(call, op, &[zeros, places, updates])
}
