//! Steps of a plan: what each kernel is told.

mod axis;
mod check;
mod check_typed;
mod conv;
mod fixed;
mod groups;
mod part;
mod plain;
mod pool;
mod rows;
mod spans;
mod typed;

pub use axis::{Cumulate, Extreme, Interpolate, Lookup};
pub use check::Limits;
pub use conv::{
    Arithmetic, BLOCK, Conv, Depthwise, Epilogue, GROUP_BYTES, MAX_TILE, Residual, Taps, first_channel,
};
pub use fixed::{Fixed, FixedPair, MeanFixed, PairFixed, Rescale};
pub use groups::NormalizeGroups;
pub(crate) use part::MOST_PARTS;
pub use plain::{
    AXES, Affine, Binary, BinaryU8, Cast, Copy, Dequantize, Fill, Function, Gather, Load, Normalize, Pack,
    Pair, Quantize, Reduce, Reduction, Softmax, Strided, Table, Unary,
};
pub use pool::{Pool, PoolKind};
pub use rows::{QuantizeRows, ROW_ZERO};
pub use typed::{Calculate, Compare, IntegerPair, Relation, Select};

use crate::record::{Record, Words};

/// Declares the steps: number, name in reports and record of each.
macro_rules! steps {
    ($($number:literal $name:literal $variant:ident,)*) => {
        /// One step of a plan.
        #[derive(Debug, Clone, Copy, PartialEq)]
        #[allow(missing_docs, reason = "the records say it")]
        #[allow(clippy::large_enum_variant, reason = "one is decoded at a time, on the stack")]
        #[non_exhaustive]
        pub enum Step {
            $($variant($variant),)*
        }

        impl Step {
            /// Reads the step of a kernel; `None` where the kernel is unknown or words are missing or left over.
            pub fn read(kernel: u32, mut words: Words<'_>) -> Option<Self> {
                let step = match kernel {
                    $($number => Self::$variant($variant::read(&mut words)?),)*
                    _ => return None,
                };
                words.is_empty().then_some(step)
            }

            /// Writes the step word by word; returns its kernel.
            pub fn write(&self, sink: &mut dyn FnMut(u32)) -> u32 {
                match self {
                    $(Self::$variant(step) => { step.write(sink); $number })*
                }
            }

            /// Name of the kernel, as reports write it.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }
        }

        $(impl From<$variant> for Step {
            fn from(step: $variant) -> Self {
                Self::$variant(step)
            }
        })*
    };
}

steps! {
    1 "conv" Conv,
    2 "depthwise" Depthwise,
    3 "pool" Pool,
    4 "unary" Unary,
    5 "binary" Binary,
    6 "binary_u8" BinaryU8,
    7 "copy" Copy,
    8 "load" Load,
    9 "fill" Fill,
    10 "quantize" Quantize,
    11 "dequantize" Dequantize,
    12 "table" Table,
    13 "reduce" Reduce,
    14 "softmax" Softmax,
    15 "normalize" Normalize,
    16 "gather" Gather,
    17 "pack" Pack,
    18 "cast" Cast,
    32 "quantize_rows" QuantizeRows,
    33 "normalize_groups" NormalizeGroups,
    40 "calculate" Calculate,
    41 "compare" Compare,
    42 "select" Select,
    43 "lookup" Lookup,
    44 "extreme" Extreme,
    45 "cumulate" Cumulate,
    46 "interpolate" Interpolate,
    47 "rescale" Rescale,
    48 "pair_fixed" PairFixed,
    49 "mean_fixed" MeanFixed,
}

impl Step {
    /// Multiply-accumulates of one run.
    pub fn macs(&self) -> u64 {
        match self {
            Self::Conv(conv) => conv.macs(),
            Self::Depthwise(depthwise) => depthwise.macs(),
            _ => 0,
        }
    }
}
