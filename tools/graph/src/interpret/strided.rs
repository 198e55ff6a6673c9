//! Walks over tensors by strides: the one place where broadcast, transposed and cut tensors are iterated.

use crate::error::Result;
use crate::infer::extent::checked_count;

/// Distances of neighbours along each axis of a row-major tensor.
pub(super) fn strides(shape: &[usize]) -> Vec<isize> {
    let mut found = vec![0isize; shape.len()];
    let mut step = 1isize;
    for (stride, &extent) in found.iter_mut().zip(shape).rev() {
        *stride = step;
        step = step.saturating_mul(extent as isize);
    }
    found
}

/// Strides with which a tensor is read as one of a shape that it broadcasts to.
pub(super) fn broadcast_strides(shape: &[usize], to: &[usize]) -> Vec<isize> {
    let own = strides(shape);
    let missing = to.len().saturating_sub(shape.len());
    let mut found = vec![0isize; missing];
    found.extend(
        shape
            .iter()
            .zip(own)
            .map(|(&extent, stride)| if extent == 1 { 0 } else { stride }),
    );
    found
}

/// A walk over the places of a shape in row-major order, with a stride per axis for each of `N` operands.
///
/// Axes of extent 1 are dropped and neighbouring axes joined where every operand allows it, so that most walks have
/// one long innermost run.
#[derive(Debug)]
pub(super) struct Walk<const N: usize> {
    outer: Vec<(usize, [isize; N])>,
    length: usize,
    steps: [isize; N],
    empty: bool,
}

impl<const N: usize> Walk<N> {
    /// A walk over `shape`; each list of strides is as long as the shape.
    pub(super) fn new(shape: &[usize], strides: [&[isize]; N]) -> Self {
        let mut axes: Vec<(usize, [isize; N])> = Vec::with_capacity(shape.len());
        for (place, &extent) in shape.iter().enumerate() {
            if extent == 1 {
                continue;
            }
            let here: [isize; N] = std::array::from_fn(|n| strides[n][place]);
            if let Some((joined, steps)) = axes.last_mut()
                && (0..N).all(|n| steps[n] == here[n] * extent as isize)
            {
                *joined *= extent;
                *steps = here;
                continue;
            }
            axes.push((extent, here));
        }
        let empty = shape.contains(&0);
        let (length, steps) = axes.pop().unwrap_or((1, [0; N]));
        Self {
            outer: axes,
            length,
            steps,
            empty,
        }
    }

    /// Number of places in the innermost run.
    pub(super) fn run_length(&self) -> usize {
        self.length
    }

    /// Strides along the innermost run.
    pub(super) fn run_steps(&self) -> [isize; N] {
        self.steps
    }

    /// Shows `f` where each run starts in each operand.
    pub(super) fn runs(&self, start: [isize; N], mut f: impl FnMut([isize; N])) {
        if self.empty {
            return;
        }
        let mut at = start;
        let mut place = vec![0usize; self.outer.len()];
        loop {
            f(at);
            let mut axis = self.outer.len();
            loop {
                if axis == 0 {
                    return;
                }
                axis -= 1;
                let (extent, steps) = &self.outer[axis];
                place[axis] += 1;
                if place[axis] < *extent {
                    for n in 0..N {
                        at[n] += steps[n];
                    }
                    break;
                }
                for n in 0..N {
                    at[n] -= steps[n] * (*extent as isize - 1);
                }
                place[axis] = 0;
            }
        }
    }
}

/// The elements at `start` plus the strides of each place of `shape`, in row-major order.
pub(super) fn collect<T: Copy>(x: &[T], shape: &[usize], strides: &[isize], start: isize) -> Result<Vec<T>> {
    let mut out = Vec::with_capacity(checked_count(shape)?);
    let walk = Walk::new(shape, [strides]);
    let (length, [step]) = (walk.run_length(), walk.run_steps());
    walk.runs([start], |[at]| match step {
        1 => out.extend_from_slice(&x[at as usize..at as usize + length]),
        0 => out.resize(out.len() + length, x[at as usize]),
        _ => out.extend((0..length as isize).map(|i| x[(at + i * step) as usize])),
    });
    Ok(out)
}

/// A function of the elements of two tensors broadcast to `shape`.
pub(super) fn zip<A: Copy, B: Copy, R>(
    (a, a_shape): (&[A], &[usize]),
    (b, b_shape): (&[B], &[usize]),
    shape: &[usize],
    f: impl Fn(A, B) -> R,
) -> Result<Vec<R>> {
    let mut out = Vec::with_capacity(checked_count(shape)?);
    let walk = Walk::new(
        shape,
        [
            &broadcast_strides(a_shape, shape),
            &broadcast_strides(b_shape, shape),
        ],
    );
    let (length, steps) = (walk.run_length(), walk.run_steps());
    walk.runs([0, 0], |[i, j]| {
        let (i, j) = (i as usize, j as usize);
        match steps {
            [1, 1] => out.extend(
                a[i..i + length]
                    .iter()
                    .zip(&b[j..j + length])
                    .map(|(&x, &y)| f(x, y)),
            ),
            [1, 0] => {
                let y = b[j];
                out.extend(a[i..i + length].iter().map(|&x| f(x, y)));
            }
            [0, 1] => {
                let x = a[i];
                out.extend(b[j..j + length].iter().map(|&y| f(x, y)));
            }
            [s, t] => out.extend((0..length).map(|n| f(a[i + n * s as usize], b[j + n * t as usize]))),
        }
    });
    Ok(out)
}

/// Splits a shape at an axis: product of the extents before it, its own, and product of those behind it.
pub(super) fn around(shape: &[usize], axis: usize) -> (usize, usize, usize) {
    (
        shape[..axis].iter().product(),
        shape[axis],
        shape[axis + 1..].iter().product(),
    )
}

/// The elements at the places that each axis' map names, `fill` where one names none.
pub(super) fn pick<T: Copy>(
    x: &[T],
    shape: &[usize],
    maps: &[Vec<Option<usize>>],
    fill: T,
) -> Result<Vec<T>> {
    let out_shape: Vec<usize> = maps.iter().map(Vec::len).collect();
    let count = checked_count(&out_shape)?;
    let Some((inner, outer)) = maps.split_last() else {
        return Ok(x.to_vec());
    };
    let mut out = Vec::with_capacity(count);
    if count == 0 {
        return Ok(out);
    }
    let steps = strides(shape);
    let whole = inner.iter().enumerate().all(|(n, &from)| from == Some(n));
    let mut place = vec![0usize; outer.len()];
    loop {
        let start = outer
            .iter()
            .zip(&place)
            .zip(&steps)
            .try_fold(0usize, |sum, ((map, &n), &step)| {
                Some(sum + map[n]? * step as usize)
            });
        match start {
            None => out.resize(out.len() + inner.len(), fill),
            Some(start) if whole => out.extend_from_slice(&x[start..start + inner.len()]),
            Some(start) => out.extend(inner.iter().map(|from| from.map_or(fill, |from| x[start + from]))),
        }
        let mut axis = outer.len();
        loop {
            if axis == 0 {
                return Ok(out);
            }
            axis -= 1;
            place[axis] += 1;
            if place[axis] < outer[axis].len() {
                break;
            }
            place[axis] = 0;
        }
    }
}
