//! Functions of one element, softmax and normalizations of runs whose elements lie next to each other.

use super::LANES;
use super::lanes::{Lanes, Work};
use crate::kernels::{floats, floats_mut, for_each_run, is_vectorised};
use crate::step::{Function, Normalize, Softmax, Unary};

/// Runs a function there is code for; `false` where there is none, and nothing has run.
pub(super) fn unary<L: Lanes>(l: L, step: &Unary, input: &[u8], output: &mut [u8]) -> bool {
    if !is_vectorised(step.function) || step.input.strides[5] != 1 || step.output.strides[5] != 1 {
        return false;
    }
    let count = step.dims[5] as usize;
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        let x = &floats(input)[from..from + count];
        let y = &mut floats_mut(output)[to..to + count];
        function_run(l, step.function, [step.alpha, step.beta], x, y);
    });
    true
}

/// Softmax along an axis whose places lie next to each other; `false` where they do not, and nothing has run.
pub(super) fn softmax<L: Lanes>(l: L, step: &Softmax, input: &[u8], output: &mut [u8]) -> bool {
    if step.input_step != 1 || step.output_step != 1 {
        return false;
    }
    let length = step.length as usize;
    let next = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            let (from, to) = (from + n * next[0], to + n * next[1]);
            let x = &floats(input)[from..from + length];
            let y = &mut floats_mut(output)[to..to + length];
            l.enter(SoftmaxRun { l, x, y });
        }
    });
    true
}

/// Normalizes runs of a step that was checked; tables are scale and bias.
pub(super) fn normalize<L: Lanes>(
    l: L,
    step: &Normalize,
    input: &[u8],
    tables: [&[u8]; 2],
    output: &mut [u8],
) {
    let length = step.length as usize;
    let tables = tables.map(floats);
    let next = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            let (from, to) = (from + n * next[0], to + n * next[1]);
            let x = &floats(input)[from..from + length];
            let y = &mut floats_mut(output)[to..to + length];
            l.enter(NormalizeRun {
                l,
                step,
                x,
                tables,
                y,
            });
        }
    });
}

/// A polynomial by its factors, that of the highest power first.
#[inline(always)]
fn polynomial<L: Lanes, const N: usize>(l: L, x: L::Reals, factors: [f32; N]) -> L::Reals {
    let mut y = l.real(factors[0]);
    for &factor in &factors[1..] {
        y = l.mul_add(y, x, l.real(factor));
    }
    y
}

/// `min(max(x, low), high)`, where what is no number comes to `low`.
#[inline(always)]
fn limited<L: Lanes>(l: L, x: L::Reals, low: f32, high: f32) -> L::Reals {
    l.min(l.max(x, l.real(low)), l.real(high))
}

/// `e^x`: by powers of two and the series to the seventh power, which is within 1e-8 on half of ln 2.
#[inline(always)]
fn exp<L: Lanes>(l: L, x: L::Reals) -> L::Reals {
    // Beyond these the result is 0 or infinite anyway; what is no number stays so.
    let x = l.within(x, l.real(-104.0), l.real(89.0));
    let n = l.round(l.mul(x, l.real(core::f32::consts::LOG2_E)));
    // ln 2 in two parts, the first short enough that its product with n is exact.
    let r = l.neg_mul_add(n, l.real(0.693_359_4), x);
    let r = l.neg_mul_add(n, l.real(-2.121_944_4e-4), r);
    let factors = [
        1.0 / 5040.0,
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    l.times_power(polynomial(l, r, factors), n)
}

/// The error function within 4e-7: a quotient of two polynomials of `x^2`, times `x`, fitted on -3.9 to 3.9.
#[inline(always)]
fn erf<L: Lanes>(l: L, x: L::Reals) -> L::Reals {
    let x = l.within(x, l.real(-3.9), l.real(3.9));
    let square = l.mul(x, x);
    let over = [
        2.050_386_7e-6,
        2.874_577_8e-4,
        3.836_891_6e-3,
        0.052_966_967,
        0.191_941_35,
        core::f32::consts::FRAC_2_SQRT_PI,
    ];
    let under = [
        3.823_076_3e-5,
        1.181_738_6e-3,
        0.015_109_235,
        0.114_758_34,
        0.503_435_4,
        1.0,
    ];
    l.div(
        l.mul(x, polynomial(l, square, over)),
        polynomial(l, square, under),
    )
}

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn sigmoid<L: Lanes>(l: L, x: L::Reals) -> L::Reals {
    let one = l.real(1.0);
    l.div(one, l.add(one, exp(l, l.sub(l.real(0.0), x))))
}

/// The hyperbolic tangent, to a few units in the last place.
#[inline(always)]
fn tanh<L: Lanes>(l: L, x: L::Reals) -> L::Reals {
    let far = l.mul_add(sigmoid(l, l.add(x, x)), l.real(2.0), l.real(-1.0));
    // Near 0 that difference keeps few bits, and the first terms of the series are enough.
    let series = [62.0 / 2835.0, -17.0 / 315.0, 2.0 / 15.0, -1.0 / 3.0, 1.0];
    let near = l.mul(x, polynomial(l, l.mul(x, x), series));
    l.where_less(l.abs(x), l.real(0.25), near, far)
}

/// A function of all elements, for which there is code.
pub(super) fn function_run<L: Lanes>(
    l: L,
    function: Function,
    parameters: [f32; 2],
    x: &[f32],
    y: &mut [f32],
) {
    let (whole, rest) = x.as_chunks();
    let (to, to_rest) = y.as_chunks_mut();
    l.enter(FunctionRun {
        l,
        function,
        parameters,
        x: whole,
        y: to,
    });
    if rest.is_empty() {
        return;
    }
    let mut last = [[0.0; LANES]; 2];
    let [x, y] = &mut last;
    x[..rest.len()].copy_from_slice(rest);
    l.enter(FunctionRun {
        l,
        function,
        parameters,
        x: core::slice::from_ref(x),
        y: core::slice::from_mut(y),
    });
    to_rest.copy_from_slice(&y[..to_rest.len()]);
}

/// A run of a function.
struct FunctionRun<'a, L> {
    l: L,
    function: Function,
    parameters: [f32; 2],
    x: &'a [[f32; LANES]],
    y: &'a mut [[f32; LANES]],
}

impl<L: Lanes> Work for FunctionRun<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self {
            l,
            function,
            parameters: [alpha, beta],
            x,
            y,
        } = self;
        // Written out: a closure would not be part of the function that may use the instructions.
        macro_rules! map {
            ($e:ident => $found:expr) => {
                for (x, y) in x.iter().zip(y) {
                    // SAFETY: as many elements are there.
                    unsafe {
                        let $e = l.load(x.as_ptr(), LANES);
                        l.store(y.as_mut_ptr(), $found, LANES);
                    }
                }
            };
        }
        match function {
            Function::Relu => map!(x => l.max(x, l.real(0.0))),
            Function::Clip => map!(x => limited(l, x, alpha, beta)),
            Function::Sigmoid => map!(x => sigmoid(l, x)),
            Function::Tanh => map!(x => tanh(l, x)),
            Function::Erf => map!(x => erf(l, x)),
            Function::Gelu => map!(x => {
                let half = l.mul(x, l.real(0.5));
                let erf = erf(l, l.mul(x, l.real(core::f32::consts::FRAC_1_SQRT_2)));
                l.mul_add(half, erf, half)
            }),
            Function::Swish => map!(x => l.mul(x, sigmoid(l, l.mul(x, l.real(alpha))))),
            Function::HardSwish => map!(x => {
                let gate = l.add(l.div(x, l.real(6.0)), l.real(0.5));
                l.mul(x, l.within(gate, l.real(0.0), l.real(1.0)))
            }),
            Function::Exp => map!(x => exp(l, x)),
            // There is no code for these: nobody comes here with them.
            _ => y.copy_from_slice(x),
        }
    }
}

/// A run of softmax.
struct SoftmaxRun<'a, L> {
    l: L,
    x: &'a [f32],
    y: &'a mut [f32],
}

impl<L: Lanes> Work for SoftmaxRun<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { l, x, y } = self;
        // SAFETY: no more elements are read or written than there are.
        unsafe {
            let (whole, rest) = x.as_chunks::<LANES>();
            let mut most = l.real(f32::NEG_INFINITY);
            for x in whole {
                most = l.max(l.load(x.as_ptr(), LANES), most);
            }
            let greatest = rest.iter().fold(l.greatest(most), |most, &x| most.max(x));
            let greatest = l.real(greatest);
            let mut sums = l.real(0.0);
            let (to, to_rest) = y.as_chunks_mut::<LANES>();
            for (x, y) in whole.iter().zip(to) {
                let power = exp(l, l.sub(l.load(x.as_ptr(), LANES), greatest));
                sums = l.add(sums, power);
                l.store(y.as_mut_ptr(), power, LANES);
            }
            let mut sum = l.sum(sums);
            if !rest.is_empty() {
                let power = exp(l, l.sub(l.load(rest.as_ptr(), rest.len()), greatest));
                l.store(to_rest.as_mut_ptr(), power, to_rest.len());
                sum += to_rest.iter().sum::<f32>();
            }
            let factor = l.real(1.0 / sum);
            for y in y.chunks_mut(LANES) {
                let found = l.mul(l.load(y.as_ptr(), y.len()), factor);
                l.store(y.as_mut_ptr(), found, y.len());
            }
        }
    }
}

/// The sum of all elements less a centre, or of their squares, in 16 parts of `f32` that are summed in `f64`.
#[inline(always)]
fn sum<L: Lanes, const SQUARES: bool>(l: L, x: &[f32], centre: f32) -> f64 {
    // Sums of few elements each lose little.
    const MOST: usize = LANES * 64;
    let mut all = 0.0;
    for x in x.chunks(MOST) {
        let (groups, rest) = x.as_chunks::<LANES>();
        let mut sums = l.real(0.0);
        for x in groups {
            // SAFETY: as many elements are there.
            let x = l.sub(unsafe { l.load(x.as_ptr(), LANES) }, l.real(centre));
            sums = if SQUARES {
                l.mul_add(x, x, sums)
            } else {
                l.add(sums, x)
            };
        }
        all += l.wide_sum(sums);
        for x in rest {
            let x = f64::from(x - centre);
            all += if SQUARES { x * x } else { x };
        }
    }
    all
}

/// A run of a normalization; the first table has as many elements, the second as many or none.
struct NormalizeRun<'a, L> {
    l: L,
    step: &'a Normalize,
    x: &'a [f32],
    tables: [&'a [f32]; 2],
    y: &'a mut [f32],
}

impl<L: Lanes> Work for NormalizeRun<'_, L> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self {
            l,
            step,
            x,
            tables: [scale, bias],
            y,
        } = self;
        let length = x.len() as f64;
        let mean = if step.centre == 0 {
            0.0
        } else {
            (sum::<_, false>(l, x, 0.0) / length) as f32
        };
        let squares = sum::<_, true>(l, x, mean);
        let factor = (1.0 / libm::sqrt(squares / length + f64::from(step.epsilon))) as f32;
        for (n, (x, y)) in x.chunks(LANES).zip(y.chunks_mut(LANES)).enumerate() {
            // SAFETY: no more elements are read or written than there are.
            unsafe {
                let count = y.len();
                let x = l.sub(l.load(x.as_ptr(), count), l.real(mean));
                let scale = l.load(scale.as_ptr().add(n * LANES), count);
                let mut found = l.mul(l.mul(x, l.real(factor)), scale);
                if !bias.is_empty() {
                    found = l.add(found, l.load(bias.as_ptr().add(n * LANES), count));
                }
                l.store(y.as_mut_ptr(), found, count);
            }
        }
    }
}
