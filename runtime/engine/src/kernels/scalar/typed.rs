//! Operations on elements of any type.

use crate::kernels::for_each_run;
use crate::plan::Dtype;
use crate::step::{Calculate, Cast, Compare, IntegerPair, Relation, Select};

/// An element of a type: integers and truth values in 64 bits, `f32` as it is.
#[derive(Clone, Copy)]
pub(super) enum Element {
    Integer(i64),
    Real(f32),
}

/// The element whose bytes these are.
pub(super) fn element(dtype: Dtype, bytes: &[u8]) -> Element {
    let mut wide = [0; 8];
    wide[..bytes.len()].copy_from_slice(bytes);
    let (half, word) = (
        wide[0] as u16 | (wide[1] as u16) << 8,
        u32::from_le_bytes([wide[0], wide[1], wide[2], wide[3]]),
    );
    Element::Integer(match dtype {
        Dtype::F32 => return Element::Real(f32::from_bits(word)),
        Dtype::I8 => wide[0].cast_signed().into(),
        Dtype::U8 => wide[0].into(),
        Dtype::Bool => (wide[0] != 0).into(),
        Dtype::I16 => half.cast_signed().into(),
        Dtype::U16 => half.into(),
        Dtype::I32 => word.cast_signed().into(),
        Dtype::U32 => word.into(),
        Dtype::I64 => i64::from_le_bytes(wide),
    })
}

/// An integer of a type; `f32` as nothing.
pub(super) fn integer(dtype: Dtype, bytes: &[u8]) -> i64 {
    match element(dtype, bytes) {
        Element::Integer(x) => x,
        Element::Real(_) => 0,
    }
}

/// Stores the low bytes of an integer.
pub(super) fn store(x: i64, out: &mut [u8]) {
    let bytes = x.to_le_bytes();
    let size = out.len();
    out.copy_from_slice(&bytes[..size]);
}

fn power(base: i64, exponent: i64) -> i64 {
    let Ok(mut exponent) = u64::try_from(exponent) else {
        // The truth lies strictly between -1 and 1 but for these bases.
        return match base {
            1 => 1,
            -1 if exponent % 2 == 0 => 1,
            -1 => -1,
            _ => 0,
        };
    };
    let (mut result, mut base) = (1i64, base);
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = result.wrapping_mul(base);
        }
        base = base.wrapping_mul(base);
        exponent /= 2;
    }
    result
}

fn combine(function: IntegerPair, a: i64, b: i64, bits: u32) -> i64 {
    let divide = |quotient: fn(i64, i64) -> i64| if b == 0 { 0 } else { quotient(a, b) };
    let shift = u32::try_from(b).ok().filter(|&b| b < bits);
    match function {
        IntegerPair::Add => a.wrapping_add(b),
        IntegerPair::Sub => a.wrapping_sub(b),
        IntegerPair::Mul => a.wrapping_mul(b),
        IntegerPair::Div => divide(i64::wrapping_div),
        IntegerPair::FloorDiv => divide(|a, b| {
            let quotient = a.wrapping_div(b);
            if a.wrapping_rem(b) != 0 && (a < 0) != (b < 0) {
                quotient - 1
            } else {
                quotient
            }
        }),
        IntegerPair::Modulo => divide(|a, b| {
            let rest = a.wrapping_rem(b);
            if rest != 0 && (rest < 0) != (b < 0) {
                rest + b
            } else {
                rest
            }
        }),
        IntegerPair::Remainder => divide(i64::wrapping_rem),
        IntegerPair::Min => a.min(b),
        IntegerPair::Max => a.max(b),
        IntegerPair::And => a & b,
        IntegerPair::Or => a | b,
        IntegerPair::Xor => a ^ b,
        IntegerPair::ShiftLeft => shift.map_or(0, |n| a << n),
        IntegerPair::ShiftRight => shift.map_or(0, |n| a >> n),
        IntegerPair::Pow => power(a, b),
    }
}

pub(super) fn calculate(step: &Calculate, a: &[u8], b: &[u8], output: &mut [u8]) {
    let size = step.dtype.size();
    let [a_step, b_step, to_step] = [&step.a, &step.b, &step.output].map(|o| o.strides[5] as usize);
    for_each_run(&step.dims, [&step.a, &step.b, &step.output], |[at, bt, to]| {
        for n in 0..step.dims[5] as usize {
            let x = integer(step.dtype, &a[(at + n * a_step) * size..][..size]);
            let y = integer(step.dtype, &b[(bt + n * b_step) * size..][..size]);
            let found = combine(step.function, x, y, size as u32 * 8);
            store(found, &mut output[(to + n * to_step) * size..][..size]);
        }
    });
}

fn holds<T: PartialOrd>(relation: Relation, a: T, b: T) -> bool {
    match relation {
        Relation::Equal => a == b,
        Relation::NotEqual => a != b,
        Relation::Less => a < b,
        Relation::LessOrEqual => a <= b,
        Relation::Greater => a > b,
        Relation::GreaterOrEqual => a >= b,
    }
}

pub(super) fn compare(step: &Compare, a: &[u8], b: &[u8], output: &mut [u8]) {
    let size = step.dtype.size();
    let [a_step, b_step, to_step] = [&step.a, &step.b, &step.output].map(|o| o.strides[5] as usize);
    for_each_run(&step.dims, [&step.a, &step.b, &step.output], |[at, bt, to]| {
        for n in 0..step.dims[5] as usize {
            let x = element(step.dtype, &a[(at + n * a_step) * size..][..size]);
            let y = element(step.dtype, &b[(bt + n * b_step) * size..][..size]);
            output[to + n * to_step] = u8::from(match (x, y) {
                (Element::Real(x), Element::Real(y)) => holds(step.relation, x, y),
                (Element::Integer(x), Element::Integer(y)) => holds(step.relation, x, y),
                _ => false,
            });
        }
    });
}

pub(super) fn select(step: &Select, inputs: [&[u8]; 3], output: &mut [u8]) {
    let [condition, a, b] = inputs;
    let size = step.size as usize;
    let operands = [&step.condition, &step.a, &step.b, &step.output];
    let [c_step, a_step, b_step, to_step] = operands.map(|o| o.strides[5] as usize);
    for_each_run(&step.dims, operands, |[ct, at, bt, to]| {
        for n in 0..step.dims[5] as usize {
            let from = if condition[ct + n * c_step] != 0 {
                &a[(at + n * a_step) * size..][..size]
            } else {
                &b[(bt + n * b_step) * size..][..size]
            };
            output[(to + n * to_step) * size..][..size].copy_from_slice(from);
        }
    });
}

/// A real number in another type: towards zero and limited to its range.
fn truncated(x: f32, to: Dtype) -> i64 {
    match to {
        Dtype::I8 => (x as i8).into(),
        Dtype::U8 => (x as u8).into(),
        Dtype::I16 => (x as i16).into(),
        Dtype::U16 => (x as u16).into(),
        Dtype::I32 => (x as i32).into(),
        Dtype::U32 => (x as u32).into(),
        Dtype::I64 => x as i64,
        Dtype::Bool => (x != 0.0).into(),
        Dtype::F32 => x.to_bits().into(),
    }
}

pub(super) fn cast(step: &Cast, input: &[u8], output: &mut [u8]) {
    let [from_step, to_step] = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    let (size, out_size) = (step.from.size(), step.to.size());
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            let x = element(step.from, &input[(from + n * from_step) * size..][..size]);
            let found = match (x, step.to) {
                (Element::Real(x), to) => truncated(x, to),
                (Element::Integer(x), Dtype::F32) => (x as f32).to_bits().into(),
                (Element::Integer(x), Dtype::Bool) => (x != 0).into(),
                (Element::Integer(x), _) => x,
            };
            store(found, &mut output[(to + n * to_step) * out_size..][..out_size]);
        }
    });
}
