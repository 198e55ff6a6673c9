//! Reductions, softmax and normalizations.

use crate::kernels::{floats, floats_mut, for_each_run};
use crate::step::{Normalize, Reduce, Reduction, Softmax, Strided};

pub(crate) fn reduce(step: &Reduce, input: &[u8], output: &mut [u8]) {
    let (input, output) = (floats(input), floats_mut(output));
    let count: f64 = step.inner.iter().map(|&n| f64::from(n)).product();
    let [from_step, to_step] = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            let inner = Strided {
                start: (from + n * from_step) as u32,
                strides: step.inner_strides,
                ..step.input
            };
            let found = match step.function {
                Reduction::LogSumExp => log_sum_exp(step, &inner, input),
                function => fold(function, step, &inner, input),
            };
            output[to + n * to_step] = match step.function {
                Reduction::Mean => found / count,
                Reduction::L2 => libm::sqrt(found),
                Reduction::LogSum => libm::log(found),
                _ => found,
            } as f32;
        }
    });
}

/// The logarithm of the sum of exponentials, the greatest element taken out before.
fn log_sum_exp(step: &Reduce, inner: &Strided, input: &[f32]) -> f64 {
    let greatest = fold(Reduction::Max, step, inner, input);
    // An infinite maximum is the answer, and would make NaN of the differences.
    let shift = if greatest.is_finite() { greatest } else { 0.0 };
    let inner_step = inner.strides[5] as usize;
    let mut sum = 0.0;
    for_each_run(&step.inner, [inner], |[at]| {
        for n in 0..step.inner[5] as usize {
            sum += libm::exp(f64::from(input[at + n * inner_step]) - shift);
        }
    });
    libm::log(sum) + shift
}

fn fold(function: Reduction, step: &Reduce, inner: &Strided, input: &[f32]) -> f64 {
    let mut found = match function {
        Reduction::Max => f64::NEG_INFINITY,
        Reduction::Min => f64::INFINITY,
        Reduction::Product => 1.0,
        _ => 0.0,
    };
    let inner_step = inner.strides[5] as usize;
    for_each_run(&step.inner, [inner], |[at]| {
        for n in 0..step.inner[5] as usize {
            let x = f64::from(input[at + n * inner_step]);
            match function {
                Reduction::Sum | Reduction::Mean | Reduction::LogSum => found += x,
                Reduction::Max => found = found.max(x),
                Reduction::Min => found = found.min(x),
                Reduction::L2 | Reduction::SumSquare => found += x * x,
                Reduction::Product => found *= x,
                Reduction::L1 => found += libm::fabs(x),
                Reduction::LogSumExp => {}
            }
        }
    });
    found
}

pub(crate) fn softmax(step: &Softmax, input: &[u8], output: &mut [u8]) {
    let (input, output) = (floats(input), floats_mut(output));
    let length = step.length as usize;
    let (from_step, to_step) = (step.input_step as usize, step.output_step as usize);
    let next = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            let (from, to) = (from + n * next[0], to + n * next[1]);
            let places = 0..length;
            let greatest = places
                .clone()
                .map(|i| input[from + i * from_step])
                .fold(f32::NEG_INFINITY, f32::max);
            let mut sum = 0.0;
            for i in places.clone() {
                let power = libm::expf(input[from + i * from_step] - greatest);
                output[to + i * to_step] = power;
                sum += power;
            }
            for i in places {
                output[to + i * to_step] /= sum;
            }
        }
    });
}

pub(crate) fn normalize(step: &Normalize, input: &[u8], scale: &[u8], bias: &[u8], output: &mut [u8]) {
    let (input, output) = (floats(input), floats_mut(output));
    let (scale, bias) = (floats(scale), floats(bias));
    let length = step.length as usize;
    let next = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        for n in 0..step.dims[5] as usize {
            let run = &input[from + n * next[0]..][..length];
            let out = &mut output[to + n * next[1]..][..length];
            let mean = if step.centre == 0 {
                0.0
            } else {
                run.iter().map(|&x| f64::from(x)).sum::<f64>() / length as f64
            };
            let square = |x: f32| (f64::from(x) - mean) * (f64::from(x) - mean);
            let variance = run.iter().map(|&x| square(x)).sum::<f64>() / length as f64;
            let factor = (1.0 / libm::sqrt(variance + f64::from(step.epsilon))) as f32;
            let mean = mean as f32;
            for (i, (y, x)) in out.iter_mut().zip(run).enumerate() {
                let offset = bias.get(i).copied().unwrap_or(0.0);
                *y = (x - mean) * factor * scale[i] + offset;
            }
        }
    });
}
