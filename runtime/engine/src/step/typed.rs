//! Operations on elements of any type, element by element.

use super::plain::{AXES, Strided};
use crate::plan::Dtype;
use crate::record::{code, record};

code! {
    /// A function of two integers, in 64 bits, the low ones kept.
    #[allow(missing_docs, reason = "the names say it")]
    pub enum IntegerPair {
        #[default]
        Add = 0,
        Sub = 1,
        Mul = 2,
        /// Towards zero; 0 where the divisor is.
        Div = 3,
        /// Towards minus infinity; 0 where the divisor is.
        FloorDiv = 4,
        /// Rest with the sign of the divisor; 0 where that is 0.
        Modulo = 5,
        /// Rest with the sign of the dividend; 0 where the divisor is 0.
        Remainder = 6,
        Min = 7,
        Max = 8,
        And = 9,
        Or = 10,
        Xor = 11,
        /// 0 from the width on.
        ShiftLeft = 12,
        /// 0 from the width on.
        ShiftRight = 13,
        Pow = 14,
    }
}

code! {
    /// A comparison of two elements.
    #[allow(missing_docs, reason = "the names say it")]
    pub enum Relation {
        #[default]
        Equal = 0,
        NotEqual = 1,
        Less = 2,
        LessOrEqual = 3,
        Greater = 4,
        GreaterOrEqual = 5,
    }
}

record! {
    /// A function of two integers or truth values of one type.
    pub struct Calculate {
        /// The function.
        pub function: IntegerPair,
        /// Type of operands and output; no `f32`.
        pub dtype: Dtype,
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
    /// A comparison of two operands of one type to truth values.
    pub struct Compare {
        /// The comparison.
        pub relation: Relation,
        /// Type of the operands.
        pub dtype: Dtype,
        /// Extents of the output.
        pub dims: [u32; AXES],
        /// First operand.
        pub a: Strided,
        /// Second operand.
        pub b: Strided,
        /// The output, a byte an element.
        pub output: Strided,
    }
}

record! {
    /// `condition ? a : b`, copied.
    pub struct Select {
        /// Bytes of an element of `a`, `b` and the output: 1, 2, 4 or 8.
        pub size: u32,
        /// Extents of the output.
        pub dims: [u32; AXES],
        /// Truth values, a byte an element.
        pub condition: Strided,
        /// Where the condition is not 0.
        pub a: Strided,
        /// Where it is 0.
        pub b: Strided,
        /// The output.
        pub output: Strided,
    }
}
