//! Spectra and windows.

use super::Importer;
use super::node::{Source, Step};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::op::Op;
use crate::tensor::Tensor;

pub(super) fn lower<'p>(b: &mut Importer<'p>, n: &Source<'p>) -> Result<Option<Vec<Step>>> {
    let a = &n.attributes;
    Ok(Some(match n.op_type {
        "DFT" => {
            let mut inputs = n.inputs.clone();
            if n.version < 20 {
                // The axis is an attribute of version 17.
                let axis = Tensor::scalar(a.int("axis", 1)?);
                inputs.resize(2, None);
                inputs.push(b.operand(n, "axis", axis));
            }
            let op = Op::Dft {
                inverse: a.flag("inverse", false)?,
                onesided: a.flag("onesided", false)?,
            };
            n.with(op, inputs)
        }
        "STFT" => n.same(Op::Stft {
            onesided: a.flag("onesided", true)?,
        }),
        "HannWindow" => window(n, [0.5, 0.5, 0.0])?,
        "HammingWindow" => window(n, [25.0 / 46.0, 21.0 / 46.0, 0.0])?,
        "BlackmanWindow" => window(n, [0.42, 0.5, 0.08])?,
        _ => return Ok(None),
    }))
}

fn window(n: &Source<'_>, coefficients: [f64; 3]) -> Result<Vec<Step>> {
    let a = &n.attributes;
    Ok(n.same(Op::Window {
        coefficients,
        periodic: a.flag("periodic", true)?,
        dtype: a.dtype("output_datatype")?.unwrap_or(Dtype::F32),
    }))
}
