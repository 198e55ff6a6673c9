//! Operations by what they have in common.

use super::Op;

/// What an operation has in common with others: their types are found and their results computed side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Functions of elements, and reductions and the like along axes.
    Math,
    /// Layers of networks.
    Layer,
    /// Transforms of signals.
    Signal,
    /// Products whose rows are quantized as they come.
    Dynamic,
    /// Between integers and the numbers that they stand for.
    Quantization,
    /// Branches.
    Control,
    /// Shape and movement.
    Array,
}

impl Op {
    /// The family of an operation.
    pub(crate) fn family(&self) -> Family {
        use Op::*;
        match self {
            Unary(_)
            | Binary(_)
            | Compare(_)
            | Logic(_)
            | Variadic(_)
            | Where
            | Clip
            | Cast { .. }
            | BitCast { .. }
            | Reduce { .. }
            | ArgExtreme { .. }
            | Softmax { .. }
            | LogSoftmax { .. }
            | Hardmax { .. }
            | Cumulative { .. }
            | TopK { .. }
            | LpNormalization { .. } => Family::Math,
            Conv(_)
            | ConvTranspose(_)
            | DeformConv(_)
            | ConvInteger(_)
            | Pool(_)
            | GlobalPool(_)
            | MaxUnpool(_)
            | Gemm { .. }
            | MatMul
            | MatMulInteger
            | BatchNormalization { .. }
            | InstanceNormalization { .. }
            | GroupNormalization { .. }
            | LayerNormalization { .. }
            | RmsNormalization { .. }
            | MeanVarianceNormalization { .. }
            | LocalResponseNormalization { .. }
            | Attention(_)
            | RotaryEmbedding(_)
            | Recurrent(_)
            | Resize(_)
            | GridSample { .. }
            | AffineGrid { .. }
            | RoiAlign(_)
            | NonMaxSuppression { .. }
            | Col2Im(_)
            | QLinearConv(_)
            | QLinearMatMul => Family::Layer,
            Dft { .. } | Stft { .. } | Window { .. } => Family::Signal,
            DynamicMatMul => Family::Dynamic,
            Quantize(_) | Dequantize(_) | DynamicQuantize | Requantize => Family::Quantization,
            If { .. } => Family::Control,
            _ => Family::Array,
        }
    }
}
