//! `GridSample` and `AffineGrid`: a tensor sampled at given places.

use super::real;
use super::resize::cubic;
use crate::error::{Error, ErrorKind, Result};
use crate::op::{PadMode, ResizeMode};
use crate::spatial::for_each_place;
use crate::tensor::Tensor;

/// Coefficient of the cubic kernel of `GridSample`.
const CUBIC: f64 = -0.75;

/// How places outside are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampling {
    pub mode: ResizeMode,
    pub padding: PadMode,
    pub align_corners: bool,
}

impl Sampling {
    /// A coordinate from -1 to 1 as a place along an axis.
    fn place(&self, coordinate: f64, extent: usize) -> f64 {
        let extent = extent as f64;
        let at = if self.align_corners {
            (coordinate + 1.0) / 2.0 * (extent - 1.0)
        } else {
            ((coordinate + 1.0) * extent - 1.0) / 2.0
        };
        match self.mode {
            ResizeMode::Nearest(_) => self.inward(at.round_ties_even(), extent),
            ResizeMode::Linear => self.inward(at, extent),
            // Each element that a cubic meets is brought inside, not the place between them.
            ResizeMode::Cubic { .. } => at,
        }
    }

    /// A place outside brought inside, where the padding says how.
    fn inward(&self, at: f64, extent: f64) -> f64 {
        let (first, last) = if self.align_corners {
            (0.0, extent - 1.0)
        } else {
            (-0.5, extent - 0.5)
        };
        if (first..=last).contains(&at) {
            return at;
        }
        match self.padding {
            PadMode::Edge => at.clamp(0.0, extent - 1.0),
            PadMode::Reflect => reflect(at, first, last),
            _ => at,
        }
    }

    /// The element that stands at a whole place; `None` for zero.
    fn element(&self, at: f64, extent: usize) -> Option<usize> {
        let last = extent as f64 - 1.0;
        if (0.0..=last).contains(&at) {
            return Some(at as usize);
        }
        match self.padding {
            // Towards zero: a reflected place lies half an element outside at most.
            PadMode::Reflect => Some(self.inward(at, extent as f64).trunc().clamp(0.0, last) as usize),
            PadMode::Edge => Some(at.clamp(0.0, last) as usize),
            _ => None,
        }
    }

    /// Elements along an axis and their weights.
    fn taps(&self, at: f64, extent: usize) -> Vec<(usize, f64)> {
        if !at.is_finite() {
            return Vec::new();
        }
        let floor = at.floor();
        let taps: Vec<(f64, f64)> = match self.mode {
            ResizeMode::Nearest(_) => vec![(at.trunc(), 1.0)],
            ResizeMode::Linear => vec![(floor, 1.0 - (at - floor)), (floor + 1.0, at - floor)],
            ResizeMode::Cubic { .. } => (-1..=2)
                .map(|n| {
                    (
                        floor + f64::from(n),
                        cubic((floor + f64::from(n) - at).abs(), CUBIC),
                    )
                })
                .collect(),
        };
        taps.into_iter()
            .filter_map(|(at, weight)| Some((self.element(at, extent)?, weight)))
            .collect()
    }
}

/// Mirrors a place at both borders until it lies between them.
fn reflect(at: f64, first: f64, last: f64) -> f64 {
    let range = last - first;
    if range <= 0.0 {
        return first;
    }
    let beyond = if at < first { first - at } else { at - last };
    let times = (beyond / range).trunc();
    let rest = beyond - times * range;
    let even = times % 2.0 == 0.0;
    if (at < first) == even {
        first + rest
    } else {
        last - rest
    }
}

/// `(X, grid)`: X `[N,C,...]`, grid `[N,...,axes]` with the last axis of X first.
pub(super) fn run_grid(s: Sampling, x: &Tensor, grid: &Tensor) -> Result<Tensor> {
    let refused = || {
        Error::new(
            ErrorKind::Shape,
            "",
            "X [N,C,...] that is not empty and a grid [N,...,axes]",
            format!("{:?} and {:?}", x.shape(), grid.shape()),
        )
    };
    let ([batch, channels, extents @ ..], [grid_batch, places @ .., axes]) = (x.shape(), grid.shape()) else {
        return Err(refused());
    };
    let fits = batch == grid_batch && *axes == extents.len() && places.len() == *axes && *axes > 0;
    if !fits || extents.contains(&0) {
        return Err(refused());
    }
    let shape = [&[*batch, *channels], places].concat();
    let (plane, count) = (real::count(extents)?, real::count(places)?);
    let (values, grid) = (real::reals(x), real::floats(grid)?);
    let mut y = real::zeros(&shape)?;
    for n in 0..*batch {
        for place in 0..count {
            let coordinates = &grid[(n * count + place) * axes..][..*axes];
            let taps: Vec<Vec<(usize, f64)>> = extents
                .iter()
                .zip(coordinates.iter().rev())
                .map(|(&extent, &c)| s.taps(s.place(c, extent), extent))
                .collect();
            let counts: Vec<usize> = taps.iter().map(Vec::len).collect();
            for c in 0..*channels {
                let plane = &values[(n * channels + c) * plane..][..plane];
                let mut sum = 0.0;
                for_each_place(&counts, |tap| {
                    let (mut at, mut weight) = (0, 1.0);
                    for ((taps, &n), &extent) in taps.iter().zip(tap).zip(extents) {
                        at = at * extent + taps[n].0;
                        weight *= taps[n].1;
                    }
                    sum += weight * plane[at];
                });
                y[(n * channels + c) * count + place] = sum;
            }
        }
    }
    real::tensor(&shape, x.dtype(), y)
}

/// `(theta, size)`: theta `[N,axes,axes+1]` and the shape of what is sampled, to a grid `[N,...,axes]`.
pub(super) fn run_affine(align_corners: bool, theta: &Tensor, size: &Tensor) -> Result<Tensor> {
    let size = crate::spatial::extents(size)?;
    let (batch, extents) = match &size[..] {
        [batch, _, extents @ ..] if !extents.is_empty() => (*batch, extents),
        _ => {
            return Err(Error::new(
                ErrorKind::Shape,
                "size",
                "[N,C,...]",
                format!("{size:?}"),
            ));
        }
    };
    let axes = extents.len();
    if theta.shape() != [batch, axes, axes + 1] {
        return Err(Error::new(
            ErrorKind::Shape,
            "theta",
            format!("[{batch},{axes},{}]", axes + 1),
            format!("{:?}", theta.shape()),
        ));
    }
    let shape = [&[batch], extents, &[axes]].concat();
    let values = real::floats(theta)?;
    let mut grid = Vec::with_capacity(real::count(&shape)?);
    for theta in values.chunks_exact(axes * (axes + 1)) {
        for_each_place(extents, |place| {
            // The last axis is x, the first row of theta.
            let centre = |n: usize| {
                let (at, extent) = (place[axes - 1 - n] as f64, extents[axes - 1 - n] as f64);
                match align_corners {
                    true if extent == 1.0 => 0.0,
                    true => 2.0 * at / (extent - 1.0) - 1.0,
                    false => (2.0 * at + 1.0) / extent - 1.0,
                }
            };
            for row in theta.chunks_exact(axes + 1) {
                let sum: f64 = (0..axes).map(|n| row[n] * centre(n)).sum();
                grid.push(sum + row[axes]);
            }
        });
    }
    real::tensor(&shape, theta.dtype(), grid)
}
