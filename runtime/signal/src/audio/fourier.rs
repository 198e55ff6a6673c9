//! The discrete Fourier transform of real frames.

use std::f64::consts::PI;

/// Largest prime factor of a length that has passes of its own; lengths with larger ones go through a convolution.
const LARGEST_RADIX: usize = 13;

/// Complex numbers, real and imaginary parts apart.
#[derive(Debug, Default, Clone)]
struct Split {
    re: Vec<f64>,
    im: Vec<f64>,
}

impl Split {
    fn zeros(length: usize) -> Self {
        Self {
            re: vec![0.0; length],
            im: vec![0.0; length],
        }
    }

    /// `exp(-2 pi i turn(n) / whole)` for `n` of `0..length`; `turn` is below `whole`, so that no accuracy is lost.
    fn turns(length: usize, whole: usize, turn: impl Fn(usize) -> usize) -> Self {
        let mut found = Self::zeros(length);
        for (n, (re, im)) in found.re.iter_mut().zip(&mut found.im).enumerate() {
            let angle = -2.0 * PI * turn(n) as f64 / whole as f64;
            (*im, *re) = angle.sin_cos();
        }
        found
    }

    /// Multiplies each number with that of `other`.
    fn multiply(&mut self, other: &Self) {
        let factors = other.re.iter().zip(&other.im);
        for ((re, im), (a, b)) in self.re.iter_mut().zip(&mut self.im).zip(factors) {
            (*re, *im) = product((*re, *im), (*a, *b));
        }
    }

    fn fill_zero(&mut self) {
        self.re.fill(0.0);
        self.im.fill(0.0);
    }
}

/// One pass of Stockham's self-sorting algorithm: `count` butterflies of `radix` legs, each on `stride` neighbours.
#[derive(Debug)]
struct Pass {
    radix: usize,
    count: usize,
    stride: usize,
    /// For each butterfly the factor of each of its outputs.
    twiddles: Split,
    /// The roots of unity of the radix.
    roots: Split,
}

impl Pass {
    fn new(radix: usize, length: usize, stride: usize) -> Self {
        Self {
            radix,
            count: length / radix,
            stride,
            twiddles: Split::turns(length, length, |at| at / radix * (at % radix) % length),
            roots: Split::turns(radix, radix, |at| at),
        }
    }

    fn run(&self, from: &Split, to: &mut Split) {
        if (self.radix, self.stride) == (4, 1) {
            return self.first_of_four(from, to);
        }
        let span = self.radix * self.stride;
        let outputs = to.re.chunks_exact_mut(span).zip(to.im.chunks_exact_mut(span));
        let twiddles = &self.twiddles;
        let factors = twiddles
            .re
            .chunks_exact(self.radix)
            .zip(twiddles.im.chunks_exact(self.radix));
        for (number, ((re, im), factors)) in outputs.zip(factors).enumerate() {
            if self.radix == 4 {
                self.four(number, from, re, im, factors);
            } else {
                self.any(number, from, re, im, factors);
            }
        }
    }

    /// A pass of radix 4 whose butterflies stand alone: their legs lie a quarter apart.
    fn first_of_four(&self, from: &Split, to: &mut Split) {
        let count = self.count;
        let [a, b, c, d] = [0, 1, 2, 3].map(|leg| &from.re[leg * count..][..count]);
        let [ai, bi, ci, di] = [0, 1, 2, 3].map(|leg| &from.im[leg * count..][..count]);
        let outputs = to.re.chunks_exact_mut(4).zip(to.im.chunks_exact_mut(4));
        let twiddles = &self.twiddles;
        let factors = twiddles.re.chunks_exact(4).zip(twiddles.im.chunks_exact(4));
        for (p, ((re, im), (w, wi))) in outputs.zip(factors).enumerate().take(count) {
            let sums = four([(a[p], ai[p]), (b[p], bi[p]), (c[p], ci[p]), (d[p], di[p])]);
            for (k, sum) in sums.into_iter().enumerate() {
                (re[k], im[k]) = product(sum, (w[k], wi[k]));
            }
        }
    }

    /// Leg `leg` of a butterfly.
    fn leg<'a>(&self, from: &'a Split, number: usize, leg: usize) -> (&'a [f64], &'a [f64]) {
        let at = self.stride * (number + self.count * leg);
        (&from.re[at..][..self.stride], &from.im[at..][..self.stride])
    }

    fn four(&self, number: usize, from: &Split, re: &mut [f64], im: &mut [f64], factors: (&[f64], &[f64])) {
        let [(a, ai), (b, bi), (c, ci), (d, di)] = [0, 1, 2, 3].map(|leg| self.leg(from, number, leg));
        let stride = self.stride;
        let (re01, re23) = re.split_at_mut(2 * stride);
        let (im01, im23) = im.split_at_mut(2 * stride);
        let ((re0, re1), (re2, re3)) = (re01.split_at_mut(stride), re23.split_at_mut(stride));
        let ((im0, im1), (im2, im3)) = (im01.split_at_mut(stride), im23.split_at_mut(stride));
        let [w1, w2, w3] = [1, 2, 3].map(|k| (factors.0[k], factors.1[k]));
        for q in 0..stride {
            let sums = four([(a[q], ai[q]), (b[q], bi[q]), (c[q], ci[q]), (d[q], di[q])]);
            (re0[q], im0[q]) = sums[0];
            (re1[q], im1[q]) = product(sums[1], w1);
            (re2[q], im2[q]) = product(sums[2], w2);
            (re3[q], im3[q]) = product(sums[3], w3);
        }
    }

    fn any(&self, number: usize, from: &Split, re: &mut [f64], im: &mut [f64], factors: (&[f64], &[f64])) {
        let outputs = re
            .chunks_exact_mut(self.stride)
            .zip(im.chunks_exact_mut(self.stride));
        for (k, (re, im)) in outputs.enumerate() {
            re.fill(0.0);
            im.fill(0.0);
            for leg in 0..self.radix {
                let root = leg * k % self.radix;
                let (c, s) = (self.roots.re[root], self.roots.im[root]);
                let (x, xi) = self.leg(from, number, leg);
                for (((re, im), x), xi) in re.iter_mut().zip(im.iter_mut()).zip(x).zip(xi) {
                    *re += x * c - xi * s;
                    *im += x * s + xi * c;
                }
            }
            let (c, s) = (factors.0[k], factors.1[k]);
            for (re, im) in re.iter_mut().zip(im.iter_mut()) {
                (*re, *im) = product((*re, *im), (c, s));
            }
        }
    }
}

type Complex = (f64, f64);

fn product((a, ai): Complex, (b, bi): Complex) -> Complex {
    (a * b - ai * bi, a * bi + ai * b)
}

/// The transform of four numbers.
fn four([a, b, c, d]: [Complex; 4]) -> [Complex; 4] {
    let (sum, gap) = ((a.0 + c.0, a.1 + c.1), (a.0 - c.0, a.1 - c.1));
    let odd = (b.0 + d.0, b.1 + d.1);
    // The gap of the odd ones, turned by a quarter.
    let turned = (b.1 - d.1, d.0 - b.0);
    [
        (sum.0 + odd.0, sum.1 + odd.1),
        (gap.0 + turned.0, gap.1 + turned.1),
        (sum.0 - odd.0, sum.1 - odd.1),
        (gap.0 - turned.0, gap.1 - turned.1),
    ]
}

/// The transform of a prime length, or one with large prime factors, as a convolution (Bluestein, 1970).
#[derive(Debug)]
struct Convolution {
    inner: ComplexFft,
    /// `exp(-pi i n^2 / length)`.
    chirp: Split,
    /// Transform of the conjugate chirp around zero, over the inner length.
    filter: Split,
}

impl Convolution {
    fn new(length: usize) -> Self {
        let chirp = Split::turns(length, 2 * length, |n| n * n % (2 * length));
        let whole = (2 * length - 1).next_power_of_two();
        let mut inner = ComplexFft::new(whole);
        inner.data.fill_zero();
        for n in 0..length {
            for at in [n, (whole - n) % whole] {
                inner.data.re[at] = chirp.re[n] / whole as f64;
                inner.data.im[at] = -chirp.im[n] / whole as f64;
            }
        }
        inner.run();
        Self {
            filter: inner.data.clone(),
            inner,
            chirp,
        }
    }

    fn run(&mut self, data: &mut Split) {
        let length = data.re.len();
        data.multiply(&self.chirp);
        let inner = &mut self.inner;
        inner.data.fill_zero();
        inner.data.re[..length].copy_from_slice(&data.re);
        inner.data.im[..length].copy_from_slice(&data.im);
        inner.run();
        inner.data.multiply(&self.filter);
        // The inverse transform is the transform of the conjugate, conjugated.
        inner.data.im.iter_mut().for_each(|im| *im = -*im);
        inner.run();
        data.re.copy_from_slice(&inner.data.re[..length]);
        data.im.copy_from_slice(&inner.data.im[..length]);
        data.im.iter_mut().for_each(|im| *im = -*im);
        data.multiply(&self.chirp);
    }
}

/// The transform of complex numbers, in place.
#[derive(Debug)]
struct ComplexFft {
    data: Split,
    work: Split,
    passes: Vec<Pass>,
    convolution: Option<Box<Convolution>>,
}

impl ComplexFft {
    fn new(length: usize) -> Self {
        let (mut passes, mut rest, mut stride) = (Vec::new(), length, 1);
        for radix in [4, 2, 3, 5, 7, 11, LARGEST_RADIX] {
            while rest.is_multiple_of(radix) && rest > 1 {
                passes.push(Pass::new(radix, rest, stride));
                rest /= radix;
                stride *= radix;
            }
        }
        let convolution = (rest > 1).then(|| Box::new(Convolution::new(length)));
        if convolution.is_some() {
            passes.clear();
        }
        Self {
            data: Split::zeros(length),
            work: Split::zeros(length),
            passes,
            convolution,
        }
    }

    fn run(&mut self) {
        for pass in &self.passes {
            pass.run(&self.data, &mut self.work);
            std::mem::swap(&mut self.data, &mut self.work);
        }
        if let Some(convolution) = &mut self.convolution {
            convolution.run(&mut self.data);
        }
    }
}

/// The transform `X[k] = sum_n x[n] exp(-2 pi i k n / size)` of real frames of one even size, for `k` of `0..=size / 2`.
///
/// Computed in double precision as a complex transform of half the size, whose even and odd samples are the real and
/// imaginary parts (Press et al., Numerical Recipes, section 12.3).
#[derive(Debug)]
pub(crate) struct RealFft {
    frame: Vec<f64>,
    half: ComplexFft,
    turns: Split,
    spectrum: Split,
}

impl RealFft {
    /// A transform of frames of `size` samples, an even number above 0.
    pub(crate) fn new(size: usize) -> Self {
        let half = (size / 2).max(1);
        Self {
            frame: vec![0.0; 2 * half],
            half: ComplexFft::new(half),
            turns: Split::turns(half + 1, 2 * half, |k| k),
            spectrum: Split::zeros(half + 1),
        }
    }

    /// Real and imaginary parts of the spectrum of a frame; samples that it lacks count as zero, further ones not at all.
    pub(crate) fn transform(&mut self, frame: impl Iterator<Item = f64>) -> (&[f64], &[f64]) {
        let mut filled = 0;
        for (place, sample) in self.frame.iter_mut().zip(frame) {
            *place = sample;
            filled += 1;
        }
        self.frame[filled..].fill(0.0);
        let data = &mut self.half.data;
        for ((re, im), pair) in data
            .re
            .iter_mut()
            .zip(&mut data.im)
            .zip(self.frame.chunks_exact(2))
        {
            (*re, *im) = (pair[0], pair[1]);
        }
        self.half.run();
        let (re, im) = (&self.half.data.re, &self.half.data.im);
        let half = re.len();
        let spectrum = &mut self.spectrum;
        (spectrum.re[0], spectrum.im[0]) = (re[0] + im[0], 0.0);
        (spectrum.re[half], spectrum.im[half]) = (re[0] - im[0], 0.0);
        let out = spectrum.re[1..half].iter_mut().zip(&mut spectrum.im[1..half]);
        let turns = self.turns.re[1..].iter().zip(&self.turns.im[1..]);
        let ahead = re[1..].iter().zip(&im[1..]);
        let behind = ahead.clone().rev();
        for ((((x, y), (&c, &s)), (a, ai)), (b, bi)) in out.zip(turns).zip(ahead).zip(behind) {
            let even = (0.5 * (a + b), 0.5 * (ai - bi));
            let odd = product((0.5 * (ai + bi), 0.5 * (b - a)), (c, s));
            (*x, *y) = (even.0 + odd.0, even.1 + odd.1);
        }
        (&spectrum.re, &spectrum.im)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The definition, with angles reduced before they are taken.
    fn naive(frame: &[f64]) -> Vec<(f64, f64)> {
        let size = frame.len();
        (0..=size / 2)
            .map(|k| {
                frame.iter().enumerate().fold((0.0, 0.0), |(re, im), (n, x)| {
                    let (s, c) = (-2.0 * PI * (k * n % size) as f64 / size as f64).sin_cos();
                    (re + x * c, im + x * s)
                })
            })
            .collect()
    }

    fn check(frame: &[f64]) {
        let mut fft = RealFft::new(frame.len());
        let norm: f64 = frame.iter().map(|x| x * x).sum::<f64>().sqrt().max(1e-300);
        let (re, im) = fft.transform(frame.iter().copied());
        assert_eq!((re.len(), im.len()), (frame.len() / 2 + 1, frame.len() / 2 + 1));
        for (k, ((re, im), wanted)) in re.iter().zip(im).zip(naive(frame)).enumerate() {
            let error = (re - wanted.0).hypot(im - wanted.1) / norm;
            assert!(
                error < 1e-12,
                "bin {k} of {}: off by {error:e} of the norm",
                frame.len()
            );
        }
    }

    fn noise(size: usize) -> Vec<f64> {
        let mut state = size as u64 + 1;
        (0..size)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1u64 << 52) as f64 - 1.0
            })
            .collect()
    }

    #[test]
    fn all_small_even_sizes_follow_the_definition() {
        for size in (2..=130).step_by(2) {
            check(&noise(size));
        }
    }

    #[test]
    fn sizes_in_use_follow_the_definition() {
        // Powers of two and four, 25 ms at 16 and 44.1 kHz, a prime half, a square of a large prime.
        for size in [256, 400, 512, 1024, 1102, 2048, 2 * 1009, 2 * 37 * 37] {
            check(&noise(size));
        }
    }

    #[test]
    fn a_short_frame_is_followed_by_zeros() {
        let mut fft = RealFft::new(16);
        let (re, im) = fft.transform([1.0].into_iter());
        assert!(re.iter().all(|&re| re == 1.0) && im.iter().all(|&im| im == 0.0));
    }

    #[test]
    fn a_frame_leaves_nothing_for_the_next() {
        for size in [24, 2 * 17] {
            let (frame, mut fft) = (noise(size), RealFft::new(size));
            let first = fft.transform(frame.iter().copied());
            let first = (first.0.to_vec(), first.1.to_vec());
            fft.transform(std::iter::repeat(3.0));
            let again = fft.transform(frame.iter().copied());
            assert_eq!((again.0, again.1), (&first.0[..], &first.1[..]));
        }
    }

    proptest! {
        #[test]
        fn the_largest_sizes_keep_their_energy(half in 16_000usize..32_768) {
            let frame = noise(2 * half);
            let mut fft = RealFft::new(frame.len());
            let (re, im) = fft.transform(frame.iter().copied());
            let power = |k: usize| re[k] * re[k] + im[k] * im[k];
            // Parseval: bins between the ends stand for two.
            let sum = power(0) + power(half) + 2.0 * (1..half).map(power).sum::<f64>();
            let energy: f64 = frame.iter().map(|x| x * x).sum();
            prop_assert!((sum / frame.len() as f64 / energy - 1.0).abs() < 1e-12);
        }
    }
}
