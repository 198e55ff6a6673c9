//! Windows over spatial axes: how they are padded, and pools.

use super::emit::Integers;
use super::file::Index;
use super::flatbuffer::{Field, Table};
use super::{Exporter, unsupported_with};
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Node, ValueId};
use crate::op::{Padding, Pool, PoolKind};
use crate::tensor::Tensor;

pub(super) fn byte(flag: bool) -> Field {
    Field::Byte(u8::from(flag))
}

pub(super) fn int(n: usize) -> Field {
    Field::Int(i32::try_from(n).unwrap_or(i32::MAX))
}

/// Padding as the file has it, with what must be added before: numbers before and behind each axis.
pub(super) struct Framed {
    pub same: bool,
    pub explicit: Option<Vec<usize>>,
}

/// Finds out whether padding is one of the file's two kinds.
pub(super) fn framed(
    padding: &Padding,
    input: &[usize],
    reach: &[usize],
    strides: &[usize],
) -> Option<Framed> {
    let axes = input.len();
    let pads = match padding {
        Padding::SameUpper => {
            return Some(Framed {
                same: true,
                explicit: None,
            });
        }
        Padding::SameLower => return None,
        Padding::Explicit(pads) => pads,
    };
    if pads.iter().all(|&n| n == 0) {
        return Some(Framed {
            same: false,
            explicit: None,
        });
    }
    let same = (0..axes).all(|axis| {
        let total = ((input[axis].div_ceil(strides[axis]) - 1) * strides[axis] + reach[axis])
            .saturating_sub(input[axis]);
        pads[axis] == total / 2 && pads[axis + axes] == total - total / 2
    });
    Some(Framed {
        same,
        explicit: (!same).then(|| pads.clone()),
    })
}

/// Pads the spatial axes of a channels-last tensor with what a window ignores.
pub(super) fn pad(e: &mut Exporter<'_>, x: Index, pads: &[usize], lowest: bool) -> Index {
    let described = e.file.tensor(x).clone();
    let axes = pads.len() / 2;
    let mut shape = described.shape.clone();
    let mut pairs = vec![0, 0];
    for axis in 0..axes {
        shape[axis + 1] += pads[axis] + pads[axis + axes];
        pairs.extend([pads[axis] as i32, pads[axis + axes] as i32]);
    }
    pairs.extend([0, 0]);
    let pairs: Vec<i32> = pairs;
    let rows = pairs.len() / 2;
    let table = Tensor::new(&[rows, 2], pairs);
    let out = e.file.add(
        &format!("{}/padded", described.name),
        described.dtype,
        &shape,
        described.quantization.clone(),
    );
    let Ok(table) = table else { return x };
    let table = e.file.constant("pads", &table);
    if !lowest {
        e.op("PAD", &[x, table], out);
        return out;
    }
    let least = match described.dtype {
        Dtype::I8 => Tensor::scalar(i8::MIN),
        Dtype::U8 => Tensor::scalar(u8::MIN),
        _ => Tensor::scalar(f32::MIN),
    };
    let least = e
        .file
        .constant("least", &least.with_quantization(described.quantization));
    e.op("PADV2", &[x, table, least], out);
    out
}

/// The value channels-last with two spatial axes; one axis becomes a row.
pub(super) fn image(e: &mut Exporter<'_>, id: ValueId) -> Result<Index> {
    let x = e.last(id)?;
    let shape = e.file.tensor(x).shape.clone();
    match shape[..] {
        [n, columns, channels] => {
            let described = e.file.tensor(x).clone();
            let row = e.file.add(
                &format!("{}/row", described.name),
                described.dtype,
                &[n, 1, columns, channels],
                described.quantization,
            );
            e.reshape(x, row);
            Ok(row)
        }
        [_, _, _, _] => Ok(x),
        _ => Err(Error::new(
            ErrorKind::Unsupported,
            "",
            "one or two spatial axes",
            format!("{} axes", shape.len()),
        )),
    }
}

/// Sizes of one or two axes as those of two.
pub(super) fn two(sizes: &[usize], filler: usize) -> Vec<usize> {
    let mut found = vec![filler; 2usize.saturating_sub(sizes.len())];
    found.extend_from_slice(sizes);
    found
}

/// As [`two`], of numbers before each axis and then behind each.
pub(super) fn two_padding(padding: &Padding) -> Padding {
    match padding {
        Padding::Explicit(pads) if pads.len() == 2 => Padding::Explicit(vec![0, pads[0], 0, pads[1]]),
        other => other.clone(),
    }
}

/// Computes into the value's channels-last tensor, out of a row where it has one spatial axis.
pub(super) fn into_image(
    e: &mut Exporter<'_>,
    id: ValueId,
    body: impl FnOnce(&mut Exporter<'_>, Index) -> Result<()>,
) -> Result<()> {
    let out = e.new_tensor(id, true)?;
    let described = e.file.tensor(out).clone();
    if let [n, columns, channels] = described.shape[..] {
        let row = e.file.add(
            &format!("{}/row", described.name),
            described.dtype,
            &[n, 1, columns, channels],
            described.quantization,
        );
        body(e, row)?;
        e.reshape(row, out);
    } else {
        body(e, out)?;
    }
    e.last[id.0] = Some(out);
    Ok(())
}

pub(super) fn pool(e: &mut Exporter<'_>, n: usize, node: &Node, p: &Pool) -> Result<()> {
    let (x_id, out) = (e.input(node, 0)?, e.output(node)?);
    let (shape, to_shape) = (e.shape(x_id)?, e.shape(out)?);
    if shape.len() > 4 || shape.len() < 3 || p.dilations.iter().any(|&d| d != 1) || node.outputs.len() > 1 {
        return Err(unsupported_with(&node.op, "dilation, indices or three axes"));
    }
    let (kernel, strides, input) = (two(&p.kernel, 1), two(&p.strides, 1), two(&shape[2..], 1));
    let padding = two_padding(&p.padding);
    let max = p.kind == PoolKind::Max;
    let code = match p.kind {
        PoolKind::Max => "MAX_POOL_2D",
        PoolKind::Average { .. } => "AVERAGE_POOL_2D",
        PoolKind::Lp { .. } => return Err(unsupported_with(&node.op, "a p-norm")),
    };
    let framed = framed(&padding, &input, &kernel, &strides)
        .ok_or_else(|| unsupported_with(&node.op, "padding whose odd element comes first"))?;
    // Added elements count in a mean only where they are really there.
    let counted = matches!(
        p.kind,
        PoolKind::Average {
            include_padding: true
        }
    );
    let explicit = match (&framed.explicit, &padding) {
        (Some(pads), _) if max || counted => Some(pads.clone()),
        (None, Padding::Explicit(pads)) if framed.same && counted => Some(pads.clone()),
        (Some(_), _) => return Err(unsupported_with(&node.op, "padding that a mean leaves out")),
        _ => None,
    };
    let same = framed.same && explicit.is_none();
    let mut padded = input.clone();
    if let Some(pads) = &explicit {
        for axis in 0..2 {
            padded[axis] += pads[axis] + pads[axis + 2];
        }
    }
    let expected = |axis: usize| {
        if same {
            padded[axis].div_ceil(strides[axis])
        } else {
            padded[axis].saturating_sub(kernel[axis]) / strides[axis] + 1
        }
    };
    if two(&to_shape[2..], 1) != [expected(0), expected(1)] {
        return Err(unsupported_with(&node.op, "extents that are rounded up"));
    }
    let (result, activation) = e.fuse(n, out);
    let mut x = image(e, x_id)?;
    if let Some(pads) = &explicit {
        x = pad(e, x, pads, max);
    }
    let settings = Table::new()
        .with(0, byte(!same))
        .with(1, int(strides[1]))
        .with(2, int(strides[0]))
        .with(3, int(kernel[1]))
        .with(4, int(kernel[0]))
        .with(5, Field::Byte(activation));
    into_image(e, result, |e, to| {
        let integers = if max { Integers::Same } else { Integers::Equal };
        e.compute(&[x], to, integers, |e, x, to| {
            e.file.operator(code, settings, &[Some(x[0])], &[to]);
            Ok(())
        })
    })
}

/// A mean or maximum over the spatial axes.
pub(super) fn global_pool(e: &mut Exporter<'_>, node: &Node, kind: PoolKind) -> Result<()> {
    let (code, integers) = match kind {
        PoolKind::Max => ("REDUCE_MAX", Integers::Same),
        PoolKind::Average { .. } => ("MEAN", Integers::Any),
        PoolKind::Lp { .. } => return Err(unsupported_with(&node.op, "a p-norm")),
    };
    let (x, out) = (e.input(node, 0)?, e.output(node)?);
    let rank = e.shape(x)?.len();
    let x = e.last(x)?;
    let to = e.new_tensor(out, true)?;
    let axes: Vec<i32> = (1..rank as i32 - 1).collect();
    let axes = e.file.ints("axes", &axes);
    e.compute(&[x], to, integers, |e, x, to| {
        e.file.operator(
            code,
            Table::new().with(0, byte(true)),
            &[Some(x[0]), Some(axes)],
            &[to],
        );
        Ok(())
    })?;
    e.last[out.0] = Some(to);
    Ok(())
}
