//! Changes of type and functions of two elements, 16 at a time where they lie next to each other.

use super::LANES;
use super::lanes::{Lanes, Work};
use super::store;
use crate::kernels::{floats, floats_mut, for_each_run};
use crate::step::{Affine, Binary, BinaryU8, Dequantize, Epilogue, Pair, Quantize, Strided};

/// Whether an operand's innermost elements are next to each other, or all the same.
fn dense(operand: &Strided) -> bool {
    operand.strides[5] <= 1
}

/// The elements of an operand that a run from `at` on reads: one for each of the run, or one for all.
fn run_of<'a, T>(operand: &Strided, elements: &'a [T], at: usize, count: usize) -> &'a [T] {
    &elements[at..at + (count - 1) * operand.strides[5] as usize + 1]
}

/// Runs a step whose operands are dense; `false` where they are not, and nothing has run.
pub(super) fn quantize<L: Lanes>(l: L, step: &Quantize, input: &[u8], output: &mut [u8]) -> bool {
    if step.input.strides[5] != 1 || step.output.strides[5] != 1 {
        return false;
    }
    let (affine, count) = (step.affine, step.dims[5] as usize);
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        let (x, y) = (&floats(input)[from..from + count], &mut output[to..to + count]);
        l.enter(QuantizeRun { l, affine, x, y });
    });
    true
}

/// As [`quantize`].
pub(super) fn dequantize<L: Lanes>(l: L, step: &Dequantize, input: &[u8], output: &mut [u8]) -> bool {
    if step.input.strides[5] != 1 || step.output.strides[5] != 1 {
        return false;
    }
    let (affine, count) = (step.affine, step.dims[5] as usize);
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        let x = &input[from..from + count];
        let y = &mut floats_mut(output)[to..to + count];
        l.enter(DequantizeRun { l, affine, x, y });
    });
    true
}

/// As [`quantize`].
pub(super) fn binary<L: Lanes>(l: L, step: &Binary, [a, b]: [&[u8]; 2], output: &mut [u8]) -> bool {
    let dense = dense(&step.a) && dense(&step.b) && step.output.strides[5] == 1;
    if !dense || !is_known(step.function) {
        return false;
    }
    let count = step.dims[5] as usize;
    for_each_run(&step.dims, [&step.a, &step.b, &step.output], |[at, bt, to]| {
        l.enter(BinaryRun {
            l,
            step,
            a: run_of(&step.a, floats(a), at, count),
            b: run_of(&step.b, floats(b), bt, count),
            y: &mut floats_mut(output)[to..to + count],
        });
    });
    true
}

/// As [`quantize`].
pub(super) fn binary_u8<L: Lanes>(l: L, step: &BinaryU8, [a, b]: [&[u8]; 2], output: &mut [u8]) -> bool {
    let dense = dense(&step.a) && dense(&step.b) && step.output.strides[5] == 1;
    if !dense || !is_known(step.function) {
        return false;
    }
    let count = step.dims[5] as usize;
    for_each_run(&step.dims, [&step.a, &step.b, &step.output], |[at, bt, to]| {
        l.enter(BinaryU8Run {
            l,
            step,
            a: run_of(&step.a, a, at, count),
            b: run_of(&step.b, b, bt, count),
            y: &mut output[to..to + count],
        });
    });
    true
}

/// A run that is quantized.
struct QuantizeRun<'a, L> {
    l: L,
    affine: Affine,
    x: &'a [f32],
    y: &'a mut [u8],
}

impl<L: Lanes> Work for QuantizeRun<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { l, affine, x, y } = self;
        let limits = limits(l, &affine, 0, 255);
        for (x, y) in x.chunks(LANES).zip(y.chunks_mut(LANES)) {
            // SAFETY: no more elements are read or written than there are.
            unsafe {
                let x = l.load(x.as_ptr(), x.len());
                l.store_bytes(y.as_mut_ptr(), to_bytes(l, x, &affine, limits), y.len());
            }
        }
    }
}

/// A run of real numbers that integers stand for.
struct DequantizeRun<'a, L> {
    l: L,
    affine: Affine,
    x: &'a [u8],
    y: &'a mut [f32],
}

impl<L: Lanes> Work for DequantizeRun<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { l, affine, x, y } = self;
        for (x, y) in x.chunks(LANES).zip(y.chunks_mut(LANES)) {
            // SAFETY: no more elements are read or written than there are.
            unsafe {
                let x = to_reals(l, l.load_bytes(x.as_ptr(), x.len()), &affine);
                l.store(y.as_mut_ptr(), x, y.len());
            }
        }
    }
}

/// A run of a function of two elements: an operand has one element, or as many as the output.
struct BinaryRun<'a, L> {
    l: L,
    step: &'a Binary,
    a: &'a [f32],
    b: &'a [f32],
    y: &'a mut [f32],
}

impl<L: Lanes> BinaryRun<'_, L> {
    /// 16 elements of an operand.
    ///
    /// # Safety
    /// Those from a place on may be read, or there is one for all.
    #[inline(always)]
    unsafe fn load(&self, x: &[f32], operand: &Strided, at: usize, count: usize) -> L::Reals {
        if operand.strides[5] == 0 {
            return self.l.real(x[0]);
        }
        // SAFETY: as for this function.
        unsafe { self.l.load(x.as_ptr().add(at), count) }
    }
}

impl<L: Lanes> Work for BinaryRun<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (l, all) = (self.l, self.y.len());
        for at in (0..all).step_by(LANES) {
            let count = (all - at).min(LANES);
            // SAFETY: as this says of itself; no more elements are read or written than there are.
            unsafe {
                let a = self.load(self.a, &self.step.a, at, count);
                let b = self.load(self.b, &self.step.b, at, count);
                let to = self.y.as_mut_ptr().add(at);
                l.store(to, combine(l, self.step.function, a, b), count);
            }
        }
    }
}

/// As [`BinaryRun`], of integers that stand for real numbers.
struct BinaryU8Run<'a, L> {
    l: L,
    step: &'a BinaryU8,
    a: &'a [u8],
    b: &'a [u8],
    y: &'a mut [u8],
}

impl<L: Lanes> BinaryU8Run<'_, L> {
    /// As [`BinaryRun::load`].
    ///
    /// # Safety
    /// As [`BinaryRun::load`].
    #[inline(always)]
    unsafe fn load(&self, x: &[u8], operand: &Strided, at: usize, count: usize) -> L::Bytes {
        if operand.strides[5] == 0 {
            return self.l.byte(x[0]);
        }
        // SAFETY: as for this function.
        unsafe { self.l.load_bytes(x.as_ptr().add(at), count) }
    }
}

impl<L: Lanes> Work for BinaryU8Run<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let (l, step, all) = (self.l, self.step, self.y.len());
        let limits = limits(l, &step.output_affine, step.low, step.high);
        for at in (0..all).step_by(LANES) {
            let count = (all - at).min(LANES);
            // SAFETY: as this says of itself; no more elements are read or written than there are.
            unsafe {
                let a = to_reals(l, self.load(self.a, &step.a, at, count), &step.a_affine);
                let b = to_reals(l, self.load(self.b, &step.b, at, count), &step.b_affine);
                let found = combine(l, step.function, a, b);
                let bytes = to_bytes(l, found, &step.output_affine, limits);
                l.store_bytes(self.y.as_mut_ptr().add(at), bytes, count);
            }
        }
    }
}

/// Limits of integers.
#[inline(always)]
fn limits<L: Lanes>(l: L, affine: &Affine, low: i32, high: i32) -> L::Limits {
    store::limits(
        l,
        &Epilogue {
            zero_point: affine.zero,
            low: (low - affine.zero) as f32,
            high: (high - affine.zero) as f32,
        },
    )
}

/// Integers of real numbers; what is no number becomes the least.
#[inline(always)]
fn to_bytes<L: Lanes>(l: L, x: L::Reals, affine: &Affine, limits: L::Limits) -> L::Bytes {
    let quotient = l.div(x, l.real(affine.scale));
    l.to_bytes(l.max(quotient, l.real(-255.0)), limits)
}

/// The real numbers that bytes stand for.
#[inline(always)]
fn to_reals<L: Lanes>(l: L, x: L::Bytes, affine: &Affine) -> L::Reals {
    let x = l.sub_integers(l.widened(x), l.integer(affine.zero));
    l.mul(l.to_reals(x), l.real(affine.scale))
}

/// Functions there is code for.
fn is_known(function: Pair) -> bool {
    matches!(
        function,
        Pair::Add | Pair::Sub | Pair::Mul | Pair::Div | Pair::Min | Pair::Max | Pair::PRelu
    )
}

/// A function of two elements, as the scalar tier has it.
#[inline(always)]
fn combine<L: Lanes>(l: L, function: Pair, a: L::Reals, b: L::Reals) -> L::Reals {
    match function {
        Pair::Add => l.add(a, b),
        Pair::Sub => l.sub(a, b),
        Pair::Mul => l.mul(a, b),
        Pair::Div => l.div(a, b),
        Pair::Min => l.min(a, b),
        Pair::Max => l.max(a, b),
        Pair::PRelu => l.where_less(a, l.real(0.0), l.mul(a, b), a),
        // There is no code for these: nobody comes here with them.
        _ => a,
    }
}
