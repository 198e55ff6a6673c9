//! Fourier transforms and windows, in `f64`.

use std::f64::consts::PI;

use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::infer::{extent, transform_length};
use crate::interpret::Call;
use crate::interpret::cast::cast;
use crate::interpret::strided::around;
use crate::op::Op;
use crate::tensor::{Storage, Tensor};

/// A complex number.
type Complex = [f64; 2];

/// The outputs, those at the end that are not wanted left out.
pub(super) fn run(call: Call<'_>) -> Result<Vec<Tensor>> {
    let shape = call.shape(0)?;
    let x = call.input(0)?;
    let storage = match call.op {
        Op::Dft { inverse, onesided } => rounded(dft(call, &shape, *inverse, *onesided)?, &shape, x.dtype())?,
        Op::Stft { .. } => rounded(stft(call, &shape)?, &shape, x.dtype())?,
        Op::Window {
            coefficients,
            periodic,
            dtype,
        } => rounded(window(shape[0], *coefficients, *periodic), &shape, *dtype)?,
        other => {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "",
                "an operation on signals",
                format!("{other:?}"),
            ));
        }
    };
    Ok(vec![Tensor::new(&shape, storage)?])
}

fn rounded(elements: Vec<f64>, shape: &[usize], dtype: Dtype) -> Result<Storage> {
    Ok(cast(&Tensor::new(shape, elements)?, dtype))
}

fn reals(tensor: &Tensor) -> Result<Vec<f64>> {
    let wide = Tensor::new(tensor.shape(), cast(tensor, Dtype::F64))?;
    Ok(wide.elements::<f64>()?.to_vec())
}

/// A cosine sum `a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N)`, `N` being the size, or one less if symmetric.
fn window(size: usize, [a0, a1, a2]: [f64; 3], periodic: bool) -> Vec<f64> {
    let period = if periodic { size } else { size.saturating_sub(1) }.max(1) as f64;
    (0..size)
        .map(|n| {
            let angle = 2.0 * PI * n as f64 / period;
            a0 - a1 * angle.cos() + a2 * (2.0 * angle).cos()
        })
        .collect()
}

/// Transforms of one length.
struct Fourier {
    /// `exp(-2 pi i k / n)`.
    roots: Vec<Complex>,
}

impl Fourier {
    fn new(n: usize) -> Self {
        let roots = (0..n)
            .map(|k| {
                let angle = -2.0 * PI * k as f64 / n as f64;
                [angle.cos(), angle.sin()]
            })
            .collect();
        Self { roots }
    }

    /// `sum x[t] exp(-2 pi i k t / n)` for each `k`.
    fn forward(&self, x: &[Complex]) -> Vec<Complex> {
        let mut out = vec![[0.0; 2]; x.len()];
        self.part(x, 0, 1, &mut out);
        out
    }

    /// `sum x[k] exp(2 pi i k t / n) / n` for each `t`.
    fn backward(&self, x: &[Complex]) -> Vec<Complex> {
        let n = x.len() as f64;
        let swapped: Vec<Complex> = x.iter().map(|&[re, im]| [im, re]).collect();
        let mut out = self.forward(&swapped);
        for z in &mut out {
            *z = [z[1] / n, z[0] / n];
        }
        out
    }

    /// The transform of every `stride`-th place from `start` on: by halves while they are even, then by the sum.
    fn part(&self, x: &[Complex], start: usize, stride: usize, out: &mut [Complex]) {
        let count = out.len();
        if count % 2 == 1 {
            for (k, out) in out.iter_mut().enumerate() {
                let mut sum = [0.0; 2];
                let mut turn = 0;
                for t in 0..count {
                    let ([a, b], [c, d]) = (x[start + t * stride], self.roots[turn * stride]);
                    sum[0] += a * c - b * d;
                    sum[1] += a * d + b * c;
                    turn += k;
                    if turn >= count {
                        turn -= count;
                    }
                }
                *out = sum;
            }
            return;
        }
        let (even, odd) = out.split_at_mut(count / 2);
        self.part(x, start, 2 * stride, even);
        self.part(x, start + stride, 2 * stride, odd);
        for (k, (even, odd)) in even.iter_mut().zip(odd).enumerate() {
            let ([a, b], [c, d]) = (*odd, self.roots[k * stride]);
            let turned = [a * c - b * d, a * d + b * c];
            *odd = [even[0] - turned[0], even[1] - turned[1]];
            *even = [even[0] + turned[0], even[1] + turned[1]];
        }
    }
}

fn dft(call: Call<'_>, shape: &[usize], inverse: bool, onesided: bool) -> Result<Vec<f64>> {
    let x = call.input(0)?;
    let optional = |n: usize| match call.optional(n) {
        Some(_) => call.int(n).map(Some),
        None => Ok(None),
    };
    let along = extent::axis(optional(2)?.unwrap_or(-2), x.rank())?;
    let (outer, places, inner) = around(x.shape(), along);
    // The last axis holds the parts of one number.
    let (parts, out_parts) = (x.shape()[x.rank() - 1], shape[shape.len() - 1]);
    let inner = inner / parts;
    let length = transform_length(optional(1)?, places, onesided && inverse)?;
    let fourier = Fourier::new(length);
    let elements = reals(x)?;
    let kept = shape[along];
    let mut out = vec![0.0; shape.iter().product()];
    let mut line = vec![[0.0; 2]; length];
    for o in 0..outer {
        for i in 0..inner {
            line.fill([0.0; 2]);
            let filled = if onesided && inverse {
                length / 2 + 1
            } else {
                length
            };
            for (n, z) in line.iter_mut().enumerate().take(places.min(filled)) {
                let place = ((o * places + n) * inner + i) * parts;
                *z = [
                    elements[place],
                    if parts == 2 { elements[place + 1] } else { 0.0 },
                ];
            }
            if onesided && inverse {
                mirror(&mut line);
            }
            let found = if inverse {
                fourier.backward(&line)
            } else {
                fourier.forward(&line)
            };
            for (n, z) in found.iter().enumerate().take(kept) {
                let place = ((o * kept + n) * inner + i) * out_parts;
                out[place..place + out_parts].copy_from_slice(&z[..out_parts]);
            }
        }
    }
    Ok(out)
}

/// Completes half a spectrum to that of a real signal; what cannot be in such a spectrum is dropped.
fn mirror(line: &mut [Complex]) {
    let n = line.len();
    line[0][1] = 0.0;
    if n.is_multiple_of(2) {
        line[n / 2][1] = 0.0;
    }
    for k in n / 2 + 1..n {
        let [re, im] = line[n - k];
        line[k] = [re, -im];
    }
}

fn stft(call: Call<'_>, shape: &[usize]) -> Result<Vec<f64>> {
    let signal = call.input(0)?;
    let step = extent::extent(call.int(1)?)?;
    let window = call.optional(2).map(reals).transpose()?;
    let samples = signal.shape()[1];
    let parts = signal.shape().get(2).copied().unwrap_or(1);
    let wanted = call.optional(3).map(|_| call.int(3)).transpose()?;
    let length = transform_length(wanted, window.as_ref().map_or(samples, Vec::len), false)?;
    let fourier = Fourier::new(length);
    let elements = reals(signal)?;
    let (frames, bins) = (shape[1], shape[2]);
    let mut out = Vec::with_capacity(shape.iter().product());
    let mut line = vec![[0.0; 2]; length];
    for batch in 0..shape[0] {
        for frame in 0..frames {
            for (n, z) in line.iter_mut().enumerate() {
                let place = (batch * samples + frame * step + n) * parts;
                let weight = window.as_ref().map_or(1.0, |w| w[n]);
                let im = if parts == 2 { elements[place + 1] } else { 0.0 };
                *z = [elements[place] * weight, im * weight];
            }
            out.extend(fourier.forward(&line)[..bins].iter().flatten());
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::interpret::apply::{apply, apply_some, check_close, tensor};

    const X: [f32; 6] = [1.0, 2.0, -1.0, 0.5, 3.0, 0.25];

    #[test]
    fn spectra_are_those_of_numpy() {
        let x = tensor(&[1, 6, 1], &X);
        let forward = Op::Dft {
            inverse: false,
            onesided: false,
        };
        let (re, im) = (
            [5.75, 0.625, -0.625, 0.25, -0.625, 0.625],
            [
                0.0,
                1.9485571585149868,
                -4.979646071760522,
                0.0,
                4.979646071760522,
                -1.9485571585149868,
            ],
        );
        let expected: Vec<f64> = re.iter().zip(im).flat_map(|(&re, im)| [re, im]).collect();
        let found = apply(&forward, &[&x], 1).unwrap().remove(0);
        for (a, b) in found.to_f32().iter().zip(&expected) {
            assert!((f64::from(*a) - b).abs() < 1e-6, "{a} {b}");
        }
        let half = Op::Dft {
            inverse: false,
            onesided: true,
        };
        let found = apply(&half, &[&x, &tensor(&[], &[5i64])], 1).unwrap().remove(0);
        assert_eq!(found.shape(), [1, 3, 2]);
        let expected = [5.5, 0.0, 2.949_593_5, 1.832_734_4, -3.199_593_5, -0.838_799_5];
        for (a, b) in found.to_f32().iter().zip(expected) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }

    #[test]
    fn windows_are_cosine_sums() {
        let hann = |periodic| Op::Window {
            coefficients: [0.5, 0.5, 0.0],
            periodic,
            dtype: Dtype::F32,
        };
        let size = tensor(&[], &[4i64]);
        check_close(&hann(true), &[&size], &[4], &[0.0, 0.5, 1.0, 0.5], 1e-6);
        check_close(&hann(false), &[&size], &[4], &[0.0, 0.75, 0.75, 0.0], 1e-6);
        let refused = apply(&hann(true), &[&tensor(&[], &[-1i64])], 1).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Value);
    }

    #[test]
    fn frames_are_weighted_and_transformed() {
        let x = tensor(&[1, 6, 1], &X);
        let op = Op::Stft { onesided: true };
        let (step, window) = (tensor(&[], &[2i64]), tensor(&[4], &[0f32, 1.0, 1.0, 0.0]));
        let found = apply(&op, &[&x, &step, &window], 1).unwrap().remove(0);
        assert_eq!(found.shape(), [1, 2, 3, 2]);
        // Frame 0 is 0, 2, -1, 0 and frame 1 is 0, 0.5, 3, 0.
        let expected = [1.0, 0.0, 1.0, -2.0, -3.0, 0.0, 3.5, 0.0, -3.0, -0.5, 2.5, 0.0];
        for (a, b) in found.to_f32().iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{a} {b}");
        }
        let refused = apply(&op, &[&x, &tensor(&[], &[0i64]), &window], 1).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Value);
        let length = tensor(&[], &[8i64]);
        let found = apply_some(&op, &[Some(&x), Some(&step), None, Some(&length)], 1).unwrap();
        assert_eq!(found[0].shape(), [1, 0, 5, 2]);
    }

    proptest! {
        #[test]
        fn a_transform_and_its_inverse_leave_the_signal(
            n in 1usize..40,
            seed in prop::collection::vec(-1f64..1.0, 240),
            axis in 0i64..2,
        ) {
            let shape = if axis == 0 { [n, 3, 2] } else { [3, n, 2] };
            let x = tensor(&shape, &seed[..6 * n]);
            let op = |inverse, onesided| Op::Dft { inverse, onesided };
            let along = tensor(&[], &[axis]);
            let forward = apply_some(&op(false, false), &[Some(&x), None, Some(&along)], 1).unwrap();
            let back = apply_some(&op(true, false), &[Some(&forward[0]), None, Some(&along)], 1).unwrap();
            for (a, b) in back[0].elements::<f64>().unwrap().iter().zip(x.elements::<f64>().unwrap()) {
                prop_assert!((a - b).abs() < 1e-12, "{a} {b}");
            }
            let real = tensor(&[shape[0], shape[1], 1], &seed[..3 * n]);
            let half = apply_some(&op(false, true), &[Some(&real), None, Some(&along)], 1).unwrap();
            let length = tensor(&[], &[n as i64]);
            let back = apply(&op(true, true), &[&half[0], &length, &along], 1).unwrap();
            for (a, b) in back[0].elements::<f64>().unwrap().iter().zip(real.elements::<f64>().unwrap()) {
                prop_assert!((a - b).abs() < 1e-12, "{a} {b}");
            }
        }
    }
}
