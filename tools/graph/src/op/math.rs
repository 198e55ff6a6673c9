//! Elementwise functions and reductions.

/// A function of one element.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs, reason = "as in ONNX, where no other meaning is given")]
#[non_exhaustive]
pub enum Unary {
    Abs,
    Neg,
    Sign,
    Reciprocal,
    Sqrt,
    /// `1 / sqrt(x)`.
    Rsqrt,
    Exp,
    Log,
    Ceil,
    Floor,
    /// To nearest, ties to even.
    Round,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Erf,
    Not,
    BitwiseNot,
    IsNan,
    IsInf {
        positive: bool,
        negative: bool,
    },
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    LeakyRelu {
        alpha: f32,
    },
    Elu {
        alpha: f32,
    },
    Celu {
        alpha: f32,
    },
    Selu {
        alpha: f32,
        gamma: f32,
    },
    Sigmoid,
    HardSigmoid {
        alpha: f32,
        beta: f32,
    },
    HardSwish,
    /// `x * sigmoid(alpha x)`: SiLU with alpha 1, QuickGELU with 1.702.
    Swish {
        alpha: f32,
    },
    Gelu {
        /// The approximation by `tanh`.
        tanh: bool,
    },
    Mish,
    Softplus,
    Softsign,
    ThresholdedRelu {
        alpha: f32,
    },
    Shrink {
        bias: f32,
        lambd: f32,
    },
}

/// A function of two elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in ONNX, where no other meaning is given")]
#[non_exhaustive]
pub enum Binary {
    Add,
    Sub,
    Mul,
    /// Integers towards zero.
    Div,
    /// Integers towards minus infinity.
    FloorDiv,
    Pow,
    Mod {
        /// The sign of the dividend, as C's `fmod`, else that of the divisor.
        fmod: bool,
    },
    Min,
    Max,
    /// `a < 0 ? b * a : a`, with `b` the slope.
    PRelu,
    BitwiseAnd,
    BitwiseOr,
    BitwiseXor,
    ShiftLeft,
    ShiftRight,
    /// `(a - b)^2`.
    SquaredDifference,
}

/// A comparison of two elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Compare {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A function of two `bool`s.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Logic {
    And,
    Or,
    Xor,
}

/// A function of any number of elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Variadic {
    Sum,
    Mean,
    Min,
    Max,
}

/// What a reduction computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in ONNX")]
pub enum Reduce {
    Sum,
    Mean,
    Max,
    Min,
    Prod,
    L1,
    L2,
    LogSum,
    LogSumExp,
    SumSquare,
}
