//! Operations that only this project has, written out in those that every runtime has.

use limbic_graph::op::{Binary, Reduce, Unary, Variadic};
use limbic_graph::{Dtype, Graph, Node, Op, Quantization, Tensor, TensorType, ValueId};

use crate::error::Result;

/// Least scale of a row: keeps a row of zeros from being divided by zero.
const LEAST_ROW_SCALE: f32 = 1e-30;

/// Writes [`Op::DynamicMatMul`] and weights in blocks out in plain operations, for export.
///
/// # Errors
/// [`crate::ErrorKind::Graph`] never, for a graph that [`crate::scheme::apply`] made.
pub fn lower(graph: &Graph) -> Result<Graph> {
    let mut lowered = graph.clone();
    let nodes = std::mem::take(&mut lowered.nodes);
    let mut builder = Builder {
        graph: lowered,
        nodes: Vec::with_capacity(nodes.len()),
    };
    for node in nodes {
        let at = |n: usize| node.inputs.get(n).copied().flatten();
        let output = node.outputs.first().copied().flatten();
        match (&node.op, at(0), at(1), output) {
            (Op::DynamicMatMul, Some(x), Some(w), Some(y)) => {
                builder.dynamic_product(&node.name, x, w, at(2), y)?;
            }
            (Op::Requantize, Some(x), _, Some(y)) if builder.blocks(x).is_some() => {
                builder.dequantized_blocks(&node.name, x, y)?;
            }
            _ => builder.nodes.push(node),
        }
    }
    let mut lowered = builder.graph;
    lowered.nodes = builder.nodes;
    limbic_graph::passes::remove_dead(&mut lowered);
    limbic_graph::infer::infer(&mut lowered)?;
    lowered.check()?;
    Ok(lowered)
}

struct Builder {
    graph: Graph,
    nodes: Vec<Node>,
}

impl Builder {
    fn add(&mut self, name: &str, op: Op, inputs: &[ValueId], dtype: Dtype) -> ValueId {
        let name = self.graph.unique_name(name);
        let output = self.graph.add_value(name.clone(), TensorType::unshaped(dtype));
        self.push(&name, op, inputs, output);
        output
    }

    fn push(&mut self, name: &str, op: Op, inputs: &[ValueId], output: ValueId) {
        self.nodes.push(Node {
            name: name.to_owned(),
            op,
            inputs: inputs.iter().copied().map(Some).collect(),
            outputs: vec![Some(output)],
        });
    }

    fn constant(&mut self, name: &str, tensor: Tensor) -> ValueId {
        let name = self.graph.unique_name(name);
        self.graph.add_constant(name, tensor)
    }

    /// The integers of a quantized constant and its scales, one for all or one a place.
    fn plain(&mut self, name: &str, id: ValueId) -> Option<(ValueId, Vec<f32>)> {
        let tensor = self.graph.constant(id)?;
        let scales = match tensor.quantization.as_ref()? {
            Quantization::PerTensor { scale, .. } => vec![*scale],
            Quantization::PerAxis { scales, .. } | Quantization::Blocks { scales, .. } => scales.clone(),
        };
        let plain = tensor.clone().with_quantization(None);
        Some((self.constant(name, plain), scales))
    }

    fn dynamic_product(
        &mut self,
        name: &str,
        x: ValueId,
        w: ValueId,
        bias: Option<ValueId>,
        y: ValueId,
    ) -> Result<()> {
        let of = |part: &str| format!("{name}.{part}");
        let Some((weights, scales)) = self.plain(&of("integers"), w) else {
            return Ok(());
        };
        let float = Dtype::F32;
        let axes = self.constant(&of("axes"), Tensor::vector(vec![-1i64]));
        let steps = self.constant(&of("steps"), Tensor::scalar(127f32));
        let least = self.constant(&of("least"), Tensor::scalar(LEAST_ROW_SCALE));
        let scales = self.constant(&of("scales"), Tensor::vector(scales));
        let greatest = Op::Reduce {
            function: Reduce::Max,
            keep_dims: true,
            noop_with_empty_axes: false,
        };
        let magnitude = self.add(&of("magnitude"), Op::Unary(Unary::Abs), &[x], float);
        let greatest = self.add(&of("greatest"), greatest, &[magnitude, axes], float);
        let scale = self.add(
            &of("row_scale"),
            Op::Binary(Binary::Div),
            &[greatest, steps],
            float,
        );
        let scale = self.add(&of("scale"), Op::Variadic(Variadic::Max), &[scale, least], float);
        let quotient = self.add(&of("quotient"), Op::Binary(Binary::Div), &[x, scale], float);
        let rounded = self.add(&of("rounded"), Op::Unary(Unary::Round), &[quotient], float);
        let cast = |to| Op::Cast { to, saturate: true };
        let integers = self.add(&of("rows"), cast(Dtype::I8), &[rounded], Dtype::I8);
        let sums = self.add(&of("sums"), Op::MatMulInteger, &[integers, weights], Dtype::I32);
        let sums = self.add(&of("real_sums"), cast(float), &[sums], float);
        // One factor after the other: ONNX Runtime takes a product of two scales for one number a tensor.
        let sums = self.add(
            &of("scaled_columns"),
            Op::Binary(Binary::Mul),
            &[sums, scales],
            float,
        );
        match bias {
            None => self.push(name, Op::Binary(Binary::Mul), &[sums, scale], y),
            Some(bias) => {
                let product = self.add(&of("product"), Op::Binary(Binary::Mul), &[sums, scale], float);
                self.push(name, Op::Binary(Binary::Add), &[product, bias], y);
            }
        }
        Ok(())
    }

    /// Shape, axis and block size of a constant in whole blocks.
    fn blocks(&self, id: ValueId) -> Option<(Vec<usize>, usize, usize)> {
        let tensor = self.graph.constant(id)?;
        match tensor.quantization.as_ref()? {
            Quantization::Blocks { axis, size, .. }
                if tensor
                    .shape()
                    .get(*axis)
                    .is_some_and(|n| *size > 0 && n % size == 0) =>
            {
                Some((tensor.shape().to_vec(), *axis, *size))
            }
            _ => None,
        }
    }

    fn dequantized_blocks(&mut self, name: &str, x: ValueId, y: ValueId) -> Result<()> {
        let of = |part: &str| format!("{name}.{part}");
        let (Some((shape, axis, size)), Some((integers, scales))) =
            (self.blocks(x), self.plain(&of("integers"), x))
        else {
            return Ok(());
        };
        let outer: usize = shape.iter().take(axis).product();
        let inner: usize = shape.iter().skip(axis + 1).product();
        let blocks = shape[axis] / size;
        let extents = |dims: &[usize]| Tensor::vector(dims.iter().map(|&n| n as i64).collect::<Vec<_>>());
        let scales = Tensor::new(&[outer, blocks, 1, inner], scales)?;
        let scales = self.constant(&of("scales"), scales);
        let apart = self.constant(&of("blocks"), extents(&[outer, blocks, size, inner]));
        let together = self.constant(&of("shape"), extents(&shape));
        let float = Dtype::F32;
        let reshape = || Op::Reshape { allow_zero: false };
        let cast = Op::Cast {
            to: float,
            saturate: true,
        };
        let real = self.add(&of("real"), cast, &[integers], float);
        let real = self.add(&of("apart"), reshape(), &[real, apart], float);
        let real = self.add(&of("scaled"), Op::Binary(Binary::Mul), &[real, scales], float);
        self.push(name, reshape(), &[real, together], y);
        Ok(())
    }
}
