//! Operations on tensors of any layout, element by element, and reductions.

use crate::plan::Dtype;
use crate::record::{code, record};
use crate::span::{Blob, Span};

/// Axes of a strided operand.
pub const AXES: usize = 6;

record! {
    /// A strided view: element `i` lies at `start + sum(i[n] * strides[n])`, in elements.
    pub struct Strided {
        /// The bytes it lies in.
        pub span: Span,
        /// First element.
        pub start: u32,
        /// Elements from a place to the next along each axis; 0 repeats.
        pub strides: [u32; AXES],
    }
}

impl Strided {
    /// Place of the last element; `None` where there is none.
    pub fn last(&self, dims: &[u32; AXES]) -> Option<u64> {
        self.strides
            .iter()
            .zip(dims)
            .try_fold(u64::from(self.start), |last, (&stride, &count)| {
                Some(last.saturating_add(u64::from(count.checked_sub(1)?) * u64::from(stride)))
            })
    }
}

code! {
    /// A function of one `f32`.
    #[allow(missing_docs, reason = "the names say it")]
    pub enum Function {
        Relu = 0,
        /// `min(max(x, alpha), beta)`.
        Clip = 1,
        Sigmoid = 2,
        Tanh = 3,
        Erf = 4,
        /// `x / 2 * (1 + erf(x / sqrt 2))`.
        Gelu = 5,
        /// The approximation of GELU by `tanh`.
        GeluTanh = 6,
        /// `x * sigmoid(alpha x)`.
        Swish = 7,
        /// `x * clip(x / 6 + 1 / 2, 0, 1)`.
        HardSwish = 8,
        /// `clip(alpha x + beta, 0, 1)`.
        HardSigmoid = 9,
        /// `x < 0 ? alpha x : x`.
        LeakyRelu = 10,
        Exp = 11,
        Log = 12,
        Sqrt = 13,
        Neg = 14,
        Abs = 15,
        Reciprocal = 16,
        #[default]
        Identity = 17,
        Sign = 18,
        /// `1 / sqrt(x)`.
        Rsqrt = 19,
        Ceil = 20,
        Floor = 21,
        /// To nearest, ties to even.
        Round = 22,
        Sin = 23,
        Cos = 24,
        Tan = 25,
        Asin = 26,
        Acos = 27,
        Atan = 28,
        Sinh = 29,
        Cosh = 30,
        Asinh = 31,
        Acosh = 32,
        Atanh = 33,
        /// `x < 0 ? alpha (exp x - 1) : x`.
        Elu = 34,
        /// `x < 0 ? alpha (exp (x / alpha) - 1) : x`.
        Celu = 35,
        /// `beta (x < 0 ? alpha (exp x - 1) : x)`.
        Selu = 36,
        /// `x tanh(ln(1 + exp x))`.
        Mish = 37,
        /// `ln(1 + exp x)`.
        Softplus = 38,
        /// `x / (1 + |x|)`.
        Softsign = 39,
        /// `x > alpha ? x : 0`.
        ThresholdedRelu = 40,
        /// `x < -beta ? x + alpha : x > beta ? x - alpha : 0`.
        Shrink = 41,
    }
}

code! {
    /// A function of two `f32`.
    #[allow(missing_docs, reason = "the names say it")]
    pub enum Pair {
        #[default]
        Add = 0,
        Sub = 1,
        Mul = 2,
        Div = 3,
        Min = 4,
        Max = 5,
        /// `a < 0 ? b * a : a`.
        PRelu = 6,
        Pow = 7,
        /// Rest with the sign of `a`.
        Remainder = 8,
        /// Rest with the sign of `b`.
        Modulo = 9,
        /// `floor(a / b)`.
        FloorDiv = 10,
        /// `(a - b)^2`.
        SquaredDifference = 11,
    }
}

code! {
    /// What a reduction computes, in `f64`.
    #[allow(missing_docs, reason = "the names say it")]
    pub enum Reduction {
        #[default]
        Sum = 0,
        Mean = 1,
        Max = 2,
        Min = 3,
        /// Square root of the sum of squares.
        L2 = 4,
        Product = 5,
        /// Sum of absolute values.
        L1 = 6,
        /// Logarithm of the sum.
        LogSum = 7,
        /// Logarithm of the sum of exponentials.
        LogSumExp = 8,
        /// Sum of squares.
        SumSquare = 9,
    }
}

record! {
    /// `output = function(input)`, `f32`; may be in place.
    pub struct Unary {
        /// The function.
        pub function: Function,
        /// A parameter of it.
        pub alpha: f32,
        /// Another.
        pub beta: f32,
        /// Extents.
        pub dims: [u32; AXES],
        /// The input.
        pub input: Strided,
        /// The output.
        pub output: Strided,
    }
}

record! {
    /// `output = function(a, b)`, `f32`.
    pub struct Binary {
        /// The function.
        pub function: Pair,
        /// Extents of the output.
        pub dims: [u32; AXES],
        /// First operand.
        pub a: Strided,
        /// Second operand.
        pub b: Strided,
        /// The output.
        pub output: Strided,
    }
}

record! {
    /// How the integers of a tensor stand for real numbers: `(q - zero) * scale`.
    pub struct Affine {
        /// Positive and finite.
        pub scale: f32,
        /// 0 to 255.
        pub zero: i32,
    }
}

record! {
    /// A function of two `u8` tensors on the real numbers that they stand for, quantized to nearest, ties to even.
    pub struct BinaryU8 {
        /// The function.
        pub function: Pair,
        /// Extents of the output.
        pub dims: [u32; AXES],
        /// First operand.
        pub a: Strided,
        /// Of the first operand.
        pub a_affine: Affine,
        /// Second operand.
        pub b: Strided,
        /// Of the second operand.
        pub b_affine: Affine,
        /// The output.
        pub output: Strided,
        /// Of the output.
        pub output_affine: Affine,
        /// Least output.
        pub low: i32,
        /// Greatest output.
        pub high: i32,
    }
}

record! {
    /// Copies elements to other places.
    pub struct Copy {
        /// Bytes of an element: 1, 2, 4 or 8.
        pub size: u32,
        /// Every byte is combined with this by exclusive or: 0x80 turns `i8` into `u8` and back.
        pub flip: u32,
        /// Axes along which the input is walked from its end: bit `n` for axis `n`.
        pub reversed: u32,
        /// Extents.
        pub dims: [u32; AXES],
        /// The input.
        pub input: Strided,
        /// The output.
        pub output: Strided,
    }
}

record! {
    /// Elements of another type: to `f32` to nearest, from `f32` towards zero and limited to the type's range, between
    /// integers cut to the low bits, to a truth value whether it is not zero.
    pub struct Cast {
        /// Type of the input.
        pub from: Dtype,
        /// Type of the output.
        pub to: Dtype,
        /// Extents.
        pub dims: [u32; AXES],
        /// The input.
        pub input: Strided,
        /// The output.
        pub output: Strided,
    }
}

record! {
    /// Copies constant elements into the arena.
    pub struct Load {
        /// The elements.
        pub input: Blob,
        /// Where they go.
        pub output: Span,
    }
}

record! {
    /// Fills a span with a byte.
    pub struct Fill {
        /// The byte.
        pub value: u32,
        /// The span.
        pub output: Span,
    }
}

record! {
    /// `clamp(round(input / scale) + zero)` of `f32`, to nearest with ties to even.
    pub struct Quantize {
        /// Of the output.
        pub affine: Affine,
        /// Extents.
        pub dims: [u32; AXES],
        /// The `f32` input.
        pub input: Strided,
        /// The `u8` output.
        pub output: Strided,
    }
}

record! {
    /// `(input - zero) * scale`.
    pub struct Dequantize {
        /// Of the input.
        pub affine: Affine,
        /// Extents.
        pub dims: [u32; AXES],
        /// The `u8` input.
        pub input: Strided,
        /// The `f32` output.
        pub output: Strided,
    }
}

record! {
    /// A function of each byte, by table; may be in place.
    pub struct Table {
        /// 256 bytes.
        pub table: Blob,
        /// Extents.
        pub dims: [u32; AXES],
        /// The input.
        pub input: Strided,
        /// The output.
        pub output: Strided,
    }
}

record! {
    /// Reduces `f32` over axes, in `f64`.
    pub struct Reduce {
        /// What is computed.
        pub function: Reduction,
        /// Extents that stay.
        pub dims: [u32; AXES],
        /// The input along the extents that stay.
        pub input: Strided,
        /// Extents that are reduced.
        pub inner: [u32; AXES],
        /// The input along the extents that are reduced.
        pub inner_strides: [u32; AXES],
        /// The output.
        pub output: Strided,
    }
}

record! {
    /// Softmax of `f32` along an axis.
    pub struct Softmax {
        /// Extents without the axis.
        pub dims: [u32; AXES],
        /// The input, first place of the axis.
        pub input: Strided,
        /// The output, first place of the axis.
        pub output: Strided,
        /// Places of the axis.
        pub length: u32,
        /// Elements of the input from a place to the next.
        pub input_step: u32,
        /// Elements of the output from a place to the next.
        pub output_step: u32,
    }
}

record! {
    /// `(x - mean) / sqrt(variance + epsilon) * scale + bias` of `f32` over runs of elements.
    pub struct Normalize {
        /// Added to the variance.
        pub epsilon: f32,
        /// Whether the mean is taken away; else the variance is the mean square.
        pub centre: u32,
        /// Extents without the run.
        pub dims: [u32; AXES],
        /// The input, first element of the run.
        pub input: Strided,
        /// The output, first element of the run.
        pub output: Strided,
        /// Elements of a run, next to each other.
        pub length: u32,
        /// `f32`, one for each element of a run.
        pub scale: Blob,
        /// As `scale`; left out for zeros.
        pub bias: Blob,
    }
}

record! {
    /// Picks rows of a constant table by index; a negative index counts from the end.
    ///
    /// An index outside the table gives a row of zeros.
    pub struct Gather {
        /// Rows of the table.
        pub rows: u32,
        /// Bytes of a row of the table.
        pub row_bytes: u32,
        /// 1 where the table is of finite `f16` and the output of `f32`; 0 where both have the same elements.
        pub widened: u32,
        /// The table.
        pub table: Blob,
        /// Indices, next to each other.
        pub indices: Span,
        /// Bytes of an index: 4 or 8.
        pub index_size: u32,
        /// The output, rows next to each other.
        pub output: Span,
    }
}

record! {
    /// Packs `f32` matrices for [`crate::step::Conv`]: `[images][blocks][depth][16]` from `depth x columns`.
    pub struct Pack {
        /// Matrices.
        pub images: u32,
        /// Rows of a matrix.
        pub depth: u32,
        /// Columns of a matrix.
        pub columns: u32,
        /// The matrices; strides of images, rows and columns, then zeros.
        pub input: Strided,
        /// The packed matrices, next to each other.
        pub output: Span,
    }
}
