//! Layers, spectra, integer operators and branches.

use std::collections::HashMap;

use super::attribute::{Attributes, Value};
use super::{Call, Exporter, recurrent, unsupported};
use crate::dtype::Dtype;
use crate::error::Result;
use crate::graph::Graph;
use crate::onnx::tensor::data_type;
use crate::op::{Convolution, Op, Padding, Pool, PoolKind, Reduce};

pub(super) fn direct(call: &Call<'_>) -> Result<Option<(&'static str, Attributes)>> {
    Ok(Some(match &call.node.op {
        Op::Conv(c) => ("Conv", convolution(c)),
        Op::ConvTranspose(c) => ("ConvTranspose", transposed(c)),
        Op::ConvInteger(c) => ("ConvInteger", convolution(c)),
        Op::QLinearConv(c) => ("QLinearConv", convolution(c)),
        Op::Pool(p) => pool(p)?,
        Op::MaxUnpool(p) => ("MaxUnpool", window(p)),
        Op::GlobalPool(PoolKind::Max) => ("GlobalMaxPool", vec![]),
        Op::GlobalPool(PoolKind::Average { .. }) => ("GlobalAveragePool", vec![]),
        Op::GlobalPool(PoolKind::Lp { p }) => ("GlobalLpPool", vec![("p", (*p).into())]),
        Op::Gemm {
            alpha,
            beta,
            transpose_a,
            transpose_b,
        } => (
            "Gemm",
            vec![
                ("alpha", (*alpha).into()),
                ("beta", (*beta).into()),
                ("transA", (*transpose_a).into()),
                ("transB", (*transpose_b).into()),
            ],
        ),
        Op::MatMul => ("MatMul", vec![]),
        Op::MatMulInteger => ("MatMulInteger", vec![]),
        Op::QLinearMatMul => ("QLinearMatMul", vec![]),
        Op::DynamicQuantize => ("DynamicQuantizeLinear", vec![]),
        Op::BatchNormalization { epsilon } => ("BatchNormalization", vec![("epsilon", (*epsilon).into())]),
        Op::InstanceNormalization { epsilon } => {
            ("InstanceNormalization", vec![("epsilon", (*epsilon).into())])
        }
        Op::LayerNormalization { axis, epsilon } => (
            "LayerNormalization",
            vec![("axis", (*axis).into()), ("epsilon", (*epsilon).into())],
        ),
        Op::MeanVarianceNormalization { axes } => (
            "MeanVarianceNormalization",
            vec![("axes", axes.as_slice().into())],
        ),
        Op::LocalResponseNormalization {
            alpha,
            beta,
            bias,
            size,
        } => (
            "LRN",
            vec![
                ("alpha", (*alpha).into()),
                ("beta", (*beta).into()),
                ("bias", (*bias).into()),
                ("size", (*size as i64).into()),
            ],
        ),
        Op::Recurrent(r) if !r.batch_first => recurrent::operator(r),
        Op::Reduce {
            function: Reduce::Sum,
            keep_dims,
            noop_with_empty_axes,
        } => (
            "ReduceSum",
            vec![
                ("keepdims", (*keep_dims).into()),
                ("noop_with_empty_axes", (*noop_with_empty_axes).into()),
            ],
        ),
        Op::Stft { onesided } => ("STFT", vec![("onesided", (*onesided).into())]),
        Op::Window {
            coefficients,
            periodic,
            dtype,
        } => {
            let name = match coefficients {
                [0.5, 0.5, 0.0] => "HannWindow",
                [0.42, 0.5, 0.08] => "BlackmanWindow",
                [a, b, 0.0] if *a == 25.0 / 46.0 && *b == 21.0 / 46.0 => "HammingWindow",
                other => return Err(unsupported(format!("a window of {other:?}"))),
            };
            (
                name,
                vec![
                    ("output_datatype", data_type(*dtype).into()),
                    ("periodic", (*periodic).into()),
                ],
            )
        }
        Op::Dequantize(q) if q.block == 0 && matches!(q.dtype, None | Some(Dtype::F32)) => {
            ("DequantizeLinear", vec![("axis", q.axis.into())])
        }
        Op::Quantize(q) if q.block == 0 && (call.id(2).is_some() || q.dtype == Dtype::U8) => {
            if !matches!(q.dtype, Dtype::I8 | Dtype::U8) {
                return Err(unsupported(format!("QuantizeLinear to {}", q.dtype)));
            }
            ("QuantizeLinear", vec![("axis", q.axis.into())])
        }
        _ => return Ok(None),
    }))
}

/// Writes an `If`, whose branches name themselves what they take from the graph around them.
pub(super) fn branches(x: &mut Exporter<'_>, call: &Call<'_>, then: &Graph, otherwise: &Graph) -> Result<()> {
    let then = branch(x, call, then)?;
    let otherwise = branch(x, call, otherwise)?;
    let attributes = vec![("then_branch", then), ("else_branch", otherwise)];
    x.call("If", &[call.input(0).to_owned()], call.outputs, attributes);
    Ok(())
}

/// The graph of a branch, its inputs being values of the graph around it.
fn branch(exporter: &mut Exporter<'_>, call: &Call<'_>, graph: &Graph) -> Result<Value> {
    let outer = call.inputs.iter().skip(1).cloned();
    let captured: HashMap<_, _> = graph.inputs.iter().copied().zip(outer).collect();
    let mut inner = Exporter::new(graph, std::mem::take(&mut exporter.taken));
    let message = inner.graph(&captured);
    exporter.taken = std::mem::take(&mut inner.taken);
    exporter.problems.append(&mut inner.problems);
    Ok(Value::Graph(message?))
}

fn padding(padding: &Padding) -> (&'static str, Value) {
    match padding {
        Padding::Explicit(pads) => ("pads", pads.as_slice().into()),
        Padding::SameUpper => ("auto_pad", "SAME_UPPER".into()),
        Padding::SameLower => ("auto_pad", "SAME_LOWER".into()),
    }
}

fn convolution(c: &Convolution) -> Attributes {
    vec![
        ("dilations", c.dilations.as_slice().into()),
        ("group", (c.groups as i64).into()),
        padding(&c.padding),
        ("strides", c.strides.as_slice().into()),
    ]
}

fn transposed(c: &Convolution) -> Attributes {
    let mut attributes = vec![
        ("dilations", c.dilations.as_slice().into()),
        ("group", (c.groups as i64).into()),
        ("strides", c.strides.as_slice().into()),
    ];
    if !c.output_padding.is_empty() {
        attributes.push(("output_padding", c.output_padding.as_slice().into()));
    }
    if c.output_shape.is_empty() {
        attributes.push(padding(&c.padding));
    } else {
        attributes.push(("output_shape", c.output_shape.as_slice().into()));
        if c.padding == Padding::SameUpper {
            attributes.push(padding(&c.padding));
        }
    }
    attributes
}

fn window(p: &Pool) -> Attributes {
    vec![
        ("kernel_shape", p.kernel.as_slice().into()),
        padding(&p.padding),
        ("strides", p.strides.as_slice().into()),
    ]
}

fn pool(p: &Pool) -> Result<(&'static str, Attributes)> {
    let mut attributes = window(p);
    let dilated = p.dilations.iter().any(|&d| d != 1);
    Ok(match p.kind {
        PoolKind::Max => {
            attributes.push(("ceil_mode", p.ceil_mode.into()));
            attributes.push(("dilations", p.dilations.as_slice().into()));
            attributes.push(("storage_order", p.column_major.into()));
            ("MaxPool", attributes)
        }
        PoolKind::Average { include_padding } if !dilated => {
            attributes.push(("ceil_mode", p.ceil_mode.into()));
            attributes.push(("count_include_pad", include_padding.into()));
            ("AveragePool", attributes)
        }
        PoolKind::Lp { p: norm } if !dilated && !p.ceil_mode => {
            attributes.push(("p", norm.into()));
            ("LpPool", attributes)
        }
        PoolKind::Average { .. } => return Err(unsupported("AveragePool-19 with dilations")),
        PoolKind::Lp { .. } => return Err(unsupported("LpPool-18 with dilations or rounding up")),
    })
}
