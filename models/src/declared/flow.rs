//! The way of declared layers into a network.

use limbic_graph::op::{Binary, PoolKind, Reduce, Unary};
use limbic_graph::{Dtype, Error, ErrorKind, Op, Result, ValueId};

use super::{Border, Extents, Function, Layer, Pooled, Same};
use crate::network::{Conv, Network};

/// Layers on their way into a network.
pub(super) struct Flow<'a, 'w> {
    network: &'a mut Network<'w>,
    /// Layers so far, to name those that have no parameters.
    count: usize,
    outputs: usize,
}

impl<'a, 'w> Flow<'a, 'w> {
    /// Into a network that has no layers yet.
    pub(super) fn into(network: &'a mut Network<'w>) -> Self {
        Self {
            network,
            count: 0,
            outputs: 0,
        }
    }

    /// Whether a layer made an output.
    pub(super) fn has_output(&self) -> bool {
        self.outputs > 0
    }

    /// Adds layers behind a value of a rank; gives the last value and its rank.
    pub(super) fn run(
        &mut self,
        layers: &[Layer],
        mut x: ValueId,
        mut rank: usize,
    ) -> Result<(ValueId, usize)> {
        for layer in layers {
            (x, rank) = self.layer(layer, x, rank)?;
        }
        Ok((x, rank))
    }

    fn layer(&mut self, layer: &Layer, x: ValueId, rank: usize) -> Result<(ValueId, usize)> {
        self.count += 1;
        let numbered = |word: &str, count: usize| format!("{word}_{count}");
        let label = |word: &str| numbered(word, self.count);
        let value = match layer {
            Layer::Conv { .. } => self.conv(layer, x)?,
            Layer::BatchNorm { name, epsilon } => self.network.batch_norm(name, x, *epsilon)?,
            Layer::LayerNorm { name, epsilon } => self.network.layer_norm(name, x, *epsilon)?,
            Layer::Linear { name } if rank == 2 => self.network.linear(name, x)?,
            Layer::Linear { name } => self.network.dense(name, x)?,
            Layer::Embedding { name } => {
                let rows = self.network.embedding(&format!("{name}.weight"), x)?;
                return Ok((rows, rank + 1));
            }
            Layer::Activation { function, alpha } => {
                let name = label("activation");
                self.network.unary(&name, unary(*function, *alpha), x)
            }
            Layer::Pool {
                kind,
                kernel,
                stride,
                padding,
            } => {
                let stride = stride.unwrap_or(*kernel);
                self.network
                    .pool(&label("pool"), pool_kind(*kind), x, *kernel, stride, *padding)
            }
            Layer::GlobalPool { kind } => {
                let op = Op::GlobalPool(pool_kind(*kind));
                let pooled = self.network.node(&label("pool"), op, &[x], Dtype::F32);
                let op = Op::Flatten { axis: 1 };
                return Ok((self.network.node(&label("flat"), op, &[pooled], Dtype::F32), 2));
            }
            Layer::Mean { axes } => {
                let mean = self.network.reduce(&label("mean"), Reduce::Mean, x, axes, false);
                return Ok((mean, rank.saturating_sub(axes.len())));
            }
            Layer::Flatten => {
                let op = Op::Flatten { axis: 1 };
                return Ok((self.network.node(&label("flat"), op, &[x], Dtype::F32), 2));
            }
            Layer::Reshape { shape } => {
                return Ok((self.network.reshape(&label("reshape"), x, shape), shape.len()));
            }
            Layer::Transpose { permutation } => self.network.transpose(&label("transpose"), x, permutation),
            Layer::Softmax { axis } => {
                let op = Op::Softmax { axis: *axis };
                self.network.node(&label("softmax"), op, &[x], Dtype::F32)
            }
            Layer::Identity => x,
            Layer::Residual { layers, shortcut } => {
                let name = label("sum");
                let (y, _) = self.run(layers, x, rank)?;
                let (straight, _) = self.run(shortcut, x, rank)?;
                self.network.binary(&name, Binary::Add, y, straight)
            }
            Layer::Branch { layers } => {
                self.run(layers, x, rank)?;
                x
            }
            Layer::Output { name } => {
                self.outputs += 1;
                self.network.output(name, x);
                x
            }
        };
        Ok((value, rank))
    }

    fn conv(&mut self, layer: &Layer, x: ValueId) -> Result<ValueId> {
        let Layer::Conv {
            name,
            stride,
            padding,
            dilation,
            groups,
        } = layer
        else {
            return Ok(x);
        };
        let kernel = self.network.kernel(name);
        let axes = kernel.len();
        let each = |extents: &Extents, what: &str| match extents {
            Extents::All(n) => Ok(vec![*n; axes]),
            Extents::Each(list) if list.len() == axes => Ok(list.clone()),
            Extents::Each(list) => Err(Error::new(
                ErrorKind::Shape,
                format!("layer {name}: {what}"),
                format!("{axes} numbers"),
                format!("{list:?}"),
            )),
        };
        let dilation = each(dilation, "dilation")?;
        let padding = match padding {
            Border::Given(given) => each(given, "padding")?,
            Border::Named(Same::Same) => kernel.iter().zip(&dilation).map(|(k, d)| k / 2 * d).collect(),
        };
        let conv = Conv {
            stride: each(stride, "stride")?,
            padding,
            dilation,
            groups: Some(*groups),
            kernel,
        };
        self.network.conv(name, x, &conv)
    }
}

fn unary(function: Function, alpha: Option<f32>) -> Unary {
    match function {
        Function::Relu => Unary::Relu,
        Function::Relu6 => Unary::Relu6,
        Function::LeakyRelu => Unary::LeakyRelu {
            alpha: alpha.unwrap_or(0.01),
        },
        Function::Elu => Unary::Elu {
            alpha: alpha.unwrap_or(1.0),
        },
        Function::Gelu => Unary::Gelu { tanh: false },
        Function::GeluTanh => Unary::Gelu { tanh: true },
        Function::Silu => Unary::Swish { alpha: 1.0 },
        Function::HardSwish => Unary::HardSwish,
        Function::Sigmoid => Unary::Sigmoid,
        Function::Tanh => Unary::Tanh,
    }
}

/// PyTorch's average pool counts what it adds.
fn pool_kind(kind: Pooled) -> PoolKind {
    match kind {
        Pooled::Max => PoolKind::Max,
        Pooled::Average => PoolKind::Average {
            include_padding: true,
        },
    }
}
