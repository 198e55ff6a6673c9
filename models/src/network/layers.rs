//! Layers with the parameter names that PyTorch modules give them.

use limbic_graph::op::{Convolution, GatherMode, Padding, Pool, PoolKind, Reduce};
use limbic_graph::{Dtype, Op, Result, Tensor, ValueId};

use super::Network;

/// Parameters of a convolution whose sizes its weight gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conv {
    /// Extents of the kernel, which its weight must have.
    pub kernel: Vec<usize>,
    /// Steps along each spatial axis.
    pub stride: Vec<usize>,
    /// Elements added before and behind each spatial axis.
    pub padding: Vec<usize>,
    /// Distances of the kernel's elements.
    pub dilation: Vec<usize>,
    /// Groups of channels that do not meet; `None` for one channel a group.
    pub groups: Option<usize>,
}

impl Conv {
    /// A square kernel, padded so that a step of 1 keeps the extents.
    pub fn square(kernel: usize, stride: usize) -> Self {
        Self::of(&[kernel, kernel], &[stride, stride])
    }

    /// A kernel of odd extents, padded so that steps of 1 keep the extents.
    pub fn of(kernel: &[usize], stride: &[usize]) -> Self {
        Self {
            kernel: kernel.to_vec(),
            stride: stride.to_vec(),
            padding: kernel.iter().map(|k| k / 2).collect(),
            dilation: vec![1; kernel.len()],
            groups: Some(1),
        }
    }

    /// The same with one channel a group.
    #[must_use]
    pub fn depthwise(mut self) -> Self {
        self.groups = None;
        self
    }

    /// The same with the kernel's elements apart, and the padding that keeps the extents.
    #[must_use]
    pub fn dilated(mut self, by: usize) -> Self {
        self.dilation = vec![by; self.kernel.len()];
        self.padding = self.kernel.iter().map(|k| k / 2 * by).collect();
        self
    }
}

impl Network<'_> {
    /// A convolution with `PREFIX.weight` and, where there is one, `PREFIX.bias`.
    ///
    /// # Errors
    /// What reading the parameters gives.
    pub fn conv(&mut self, prefix: &str, x: ValueId, conv: &Conv) -> Result<ValueId> {
        let name = format!("{prefix}.weight");
        let outputs = self.extent(&name, 0);
        let mut shape = vec![None, conv.groups.is_none().then_some(1)];
        shape.extend(conv.kernel.iter().map(|&k| Some(k)));
        let mut inputs = vec![x, self.parameter(&name, &shape)?];
        let bias = format!("{prefix}.bias");
        if self.has(&bias) {
            inputs.push(self.parameter(&bias, &[Some(outputs)])?);
        }
        let padding = conv.padding.iter().chain(&conv.padding).copied().collect();
        let op = Op::Conv(Convolution {
            strides: conv.stride.clone(),
            dilations: conv.dilation.clone(),
            padding: Padding::Explicit(padding),
            groups: conv.groups.unwrap_or(outputs),
            ..Convolution::unit(conv.kernel.len())
        });
        Ok(self.node(prefix, op, &inputs, Dtype::F32))
    }

    /// Batch normalisation with `PREFIX.weight`, `.bias`, `.running_mean`, `.running_var`.
    ///
    /// # Errors
    /// What reading the parameters gives.
    pub fn batch_norm(&mut self, prefix: &str, x: ValueId, epsilon: f32) -> Result<ValueId> {
        let channels = self.extent(&format!("{prefix}.running_var"), 0);
        let mut inputs = vec![x];
        for part in ["weight", "bias", "running_mean", "running_var"] {
            inputs.push(self.parameter(&format!("{prefix}.{part}"), &[Some(channels)])?);
        }
        Ok(self.node(prefix, Op::BatchNormalization { epsilon }, &inputs, Dtype::F32))
    }

    /// A convolution and the batch normalisation behind it, which is left out where it was folded into the convolution:
    /// where there is a bias and no running mean.
    ///
    /// # Errors
    /// What reading the parameters gives.
    pub fn conv_norm(&mut self, conv: &str, norm: &str, x: ValueId, layer: &Conv) -> Result<ValueId> {
        let x = self.conv(conv, x, layer)?;
        let folded = self.has(&format!("{conv}.bias")) && !self.has(&format!("{norm}.running_mean"));
        if folded {
            Ok(x)
        } else {
            self.batch_norm(norm, x, 1e-5)
        }
    }

    /// A linear layer over `[N,K]`: `PREFIX.weight` `[M,K]` and, where there is one, `PREFIX.bias`.
    ///
    /// # Errors
    /// What reading the parameters gives.
    pub fn linear(&mut self, prefix: &str, x: ValueId) -> Result<ValueId> {
        let name = format!("{prefix}.weight");
        let outputs = self.extent(&name, 0);
        let mut inputs = vec![x, self.parameter(&name, &[None, None])?];
        let bias = format!("{prefix}.bias");
        if self.has(&bias) {
            inputs.push(self.parameter(&bias, &[Some(outputs)])?);
        }
        let op = Op::Gemm {
            alpha: 1.0,
            beta: 1.0,
            transpose_a: false,
            transpose_b: true,
        };
        Ok(self.node(prefix, op, &inputs, Dtype::F32))
    }

    /// A linear layer over the last axis of a tensor of any rank: `PREFIX.weight` `[M,K]` and, where there is one,
    /// `PREFIX.bias`.
    ///
    /// # Errors
    /// What reading the parameters gives.
    pub fn dense(&mut self, prefix: &str, x: ValueId) -> Result<ValueId> {
        let name = format!("{prefix}.weight");
        let outputs = self.extent(&name, 0);
        let weight = self.stored(&name, &[None, None], transposed)?;
        let product = self.node(prefix, Op::MatMul, &[x, weight], Dtype::F32);
        let bias = format!("{prefix}.bias");
        if !self.has(&bias) {
            return Ok(product);
        }
        let bias = self.parameter(&bias, &[Some(outputs)])?;
        Ok(self.binary(
            &format!("{prefix}.add"),
            limbic_graph::op::Binary::Add,
            product,
            bias,
        ))
    }

    /// Layer normalisation over the last axis with `PREFIX.weight` and `.bias`.
    ///
    /// # Errors
    /// What reading the parameters gives.
    pub fn layer_norm(&mut self, prefix: &str, x: ValueId, epsilon: f32) -> Result<ValueId> {
        let width = self.extent(&format!("{prefix}.weight"), 0);
        let scale = self.parameter(&format!("{prefix}.weight"), &[Some(width)])?;
        let bias = self.parameter(&format!("{prefix}.bias"), &[Some(width)])?;
        let op = Op::LayerNormalization { axis: -1, epsilon };
        Ok(self.node(prefix, op, &[x, scale, bias], Dtype::F32))
    }

    /// Rows of a table by their number; the table is a parameter of two axes.
    ///
    /// # Errors
    /// What reading the parameter gives.
    pub fn embedding(&mut self, name: &str, ids: ValueId) -> Result<ValueId> {
        let table = self.parameter(name, &[None, None])?;
        let op = Op::Gather(GatherMode::Slices { axis: 0 });
        Ok(self.node(name.trim_end_matches(".weight"), op, &[table, ids], Dtype::F32))
    }

    /// Other extents; -1 infers one, 0 copies one.
    pub fn reshape(&mut self, name: &str, x: ValueId, shape: &[i64]) -> ValueId {
        let shape = self.constant(&format!("{name}.shape"), Tensor::vector(shape.to_vec()));
        self.node(name, Op::Reshape { allow_zero: false }, &[x, shape], Dtype::F32)
    }

    /// Permuted axes.
    pub fn transpose(&mut self, name: &str, x: ValueId, permutation: &[usize]) -> ValueId {
        let permutation = permutation.to_vec();
        self.node(name, Op::Transpose { permutation }, &[x], Dtype::F32)
    }

    /// A reduction over axes.
    pub fn reduce(
        &mut self,
        name: &str,
        function: Reduce,
        x: ValueId,
        axes: &[i64],
        keep_dims: bool,
    ) -> ValueId {
        let axes = self.constant(&format!("{name}.axes"), Tensor::vector(axes.to_vec()));
        let op = Op::Reduce {
            function,
            keep_dims,
            noop_with_empty_axes: false,
        };
        self.node(name, op, &[x, axes], Dtype::F32)
    }

    /// A pool with a square window.
    pub fn pool(
        &mut self,
        name: &str,
        kind: PoolKind,
        x: ValueId,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> ValueId {
        let op = Op::Pool(Pool {
            kind,
            kernel: vec![kernel; 2],
            strides: vec![stride; 2],
            dilations: vec![1; 2],
            padding: Padding::Explicit(vec![padding; 4]),
            ceil_mode: false,
            column_major: false,
        });
        self.node(name, op, &[x], Dtype::F32)
    }

    /// The mean over the spatial axes, `[N,C,H,W]` to `[N,C]`.
    pub fn global_mean(&mut self, name: &str, x: ValueId) -> ValueId {
        let kind = PoolKind::Average {
            include_padding: false,
        };
        let pooled = self.node(name, Op::GlobalPool(kind), &[x], Dtype::F32);
        self.node(
            &format!("{name}.flat"),
            Op::Flatten { axis: 1 },
            &[pooled],
            Dtype::F32,
        )
    }
}

/// Rows and columns of a matrix exchanged.
fn transposed(tensor: Tensor) -> Result<Tensor> {
    let (rows, columns) = match tensor.shape() {
        [rows, columns] => (*rows, *columns),
        _ => return Ok(tensor),
    };
    let from = tensor.elements::<f32>()?;
    // Of a matrix without elements, one extent may be anything.
    if from.is_empty() {
        return Tensor::new(&[columns, rows], Vec::<f32>::new());
    }
    let mut to: Vec<f32> = Vec::with_capacity(from.len());
    for column in 0..columns {
        to.extend(from.iter().skip(column).step_by(columns.max(1)));
    }
    Tensor::new(&[columns, rows], to)
}
