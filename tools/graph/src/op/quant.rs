//! Parameters of quantizing and dequantizing as ONNX has it, scales being inputs.

use crate::dtype::Dtype;

/// Parameters of `QuantizeLinear`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quantize {
    /// Axis of the scales; negative counts from the end.
    pub axis: i64,
    /// Elements a block along the axis; 0 for one scale an axis place.
    pub block: usize,
    /// Type of the output.
    pub dtype: Dtype,
}

/// Parameters of `DequantizeLinear`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dequantize {
    /// Axis of the scales; negative counts from the end.
    pub axis: i64,
    /// Elements a block along the axis; 0 for one scale an axis place.
    pub block: usize,
    /// Type of the output; `None` for the scales' type.
    pub dtype: Option<Dtype>,
}
