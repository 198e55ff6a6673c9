//! Quantizing, dequantizing and integer layers.

use super::Importer;
use super::attributes::unsupported;
use super::node::{Source, Step};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::op::{Dequantize, Op, Quantize};

pub(super) fn lower<'p>(b: &mut Importer<'p>, n: &Source<'p>) -> Result<Option<Vec<Step>>> {
    let a = &n.attributes;
    Ok(Some(match n.op_type {
        "QuantizeLinear" => {
            // It only matters for 8-bit floats, which are not read.
            a.ignore("saturate");
            let precision = a.int("precision", 0)?;
            if !matches!(precision, 0 | 1) {
                return Err(unsupported("precision", "0 or 1 (float)", precision));
            }
            let stated = a.dtype("output_dtype")?;
            let dtype = match n.optional(2) {
                Some(zero_point) => b.dtype(zero_point),
                None => stated.unwrap_or(Dtype::U8),
            };
            n.same(Op::Quantize(Quantize {
                axis: a.int("axis", 1)?,
                block: a.size("block_size", 0)?,
                dtype,
            }))
        }
        "DequantizeLinear" => n.same(Op::Dequantize(Dequantize {
            axis: a.int("axis", 1)?,
            block: a.size("block_size", 0)?,
            dtype: a.dtype("output_dtype")?,
        })),
        "DynamicQuantizeLinear" => n.same(Op::DynamicQuantize),
        "QLinearMatMul" => n.same(Op::QLinearMatMul),
        "MatMulInteger" => n.same(Op::MatMulInteger),
        _ => return Ok(None),
    }))
}
