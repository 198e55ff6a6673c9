//! Resizing: one axis at a time, by weights that the interpreter gives.

use limbic_engine::step::{Interpolate, Pair};
use limbic_graph::interpret::{Call, evaluate};
use limbic_graph::op::{Resize, ResizeCoordinates, ResizeMode, ResizeTo};
use limbic_graph::{Dtype, Node, Op, Result, Rounding, Tensor, TensorType};

use super::axis::without;
use super::movement::axis_of;
use super::{Lowering, unsupported};
use crate::place::{Kind, Placed};
use crate::strides::{loops, number};

/// What an axis becomes.
struct Axis {
    /// For each place of the output its terms: places of the input and their weights.
    terms: Vec<Vec<(usize, f32)>>,
    /// What is added to each place of the output; not 0 where that lies outside the input.
    offsets: Vec<f32>,
}

impl Axis {
    /// The weights, found by resizing unit vectors: a row for each place of the input, and one of zeros.
    fn new(r: &Resize, length: usize, inputs: [Option<&Tensor>; 3], output: usize) -> Result<Self> {
        let rows = length + 1;
        let units: Vec<f32> = (0..rows * length)
            .map(|n| if n / length == n % length { 1.0 } else { 0.0 })
            .collect();
        let units = Tensor::new(&[rows, length], units)?;
        let one = Resize {
            axes: vec![1],
            to: ResizeTo::Stretch,
            ..r.clone()
        };
        let [region, scales, sizes] = inputs;
        let made = evaluate(Call {
            op: &Op::Resize(one),
            inputs: &[Some(&units), region, scales, sizes],
            outputs: &[Some(&TensorType::unshaped(Dtype::F32))],
            rounding: Rounding::default(),
        })?;
        let made = made.first().ok_or_else(|| unsupported("weights", "none"))?;
        if made.shape() != [rows, output] {
            return Err(unsupported(
                format!("{output} places"),
                format!("{:?}", made.shape()),
            ));
        }
        let weights = made.to_f32();
        let offsets = weights[length * output..].to_vec();
        let terms = (0..output).map(|place| {
            let weight = |from: usize| weights[from * output + place] - offsets[place];
            (0..length)
                .map(|from| (from, weight(from)))
                .filter(|&(_, weight)| weight != 0.0)
                .collect()
        });
        Ok(Self {
            terms: terms.collect(),
            offsets,
        })
    }

    /// The place that each place of the output is, if each is one.
    fn places(&self) -> Option<Vec<i64>> {
        let mut places = Vec::with_capacity(self.terms.len());
        for terms in &self.terms {
            match terms[..] {
                [(place, 1.0)] => places.push(place as i64),
                _ => return None,
            }
        }
        Some(places)
    }
}

/// The scale of all axes that keeps the ratio of their extents, for each axis.
fn common_scale(to: ResizeTo, input: &Placed, axes: &[usize], sizes: &[f32]) -> Result<Vec<f32>> {
    let ratios = axes.iter().zip(sizes);
    let ratios = ratios.map(|(&axis, &size)| f64::from(size) / input.dims[axis] as f64);
    let scale = if to == ResizeTo::NotLarger {
        ratios.reduce(f64::min)
    } else {
        ratios.reduce(f64::max)
    };
    // Rounded, it could take the neighbour of a place that lies halfway between two.
    match scale {
        Some(scale) if f64::from(scale as f32) == scale => Ok(vec![scale as f32; axes.len()]),
        _ => Err(unsupported(
            "a ratio of extents that f32 holds",
            format!("{scale:?}"),
        )),
    }
}

/// Most places of an axis: its weights are a matrix while they are found.
const MOST: usize = 1 << 13;

impl Lowering<'_> {
    pub(super) fn resize(&mut self, node: &Node, r: &Resize) -> Result<()> {
        let output = self.output_id(node)?;
        let dims = self.shape(output)?;
        let [region, scales, sizes] = [
            self.constant(node, 1)?,
            self.constant(node, 2)?,
            self.constant(node, 3)?,
        ];
        let rank = dims.len();
        let axes = match &r.axes[..] {
            [] => (0..rank).collect(),
            axes => axes
                .iter()
                .map(|&axis| axis_of(axis, rank))
                .collect::<Result<Vec<_>>>()?,
        };
        let nearest = matches!(r.mode, ResizeMode::Nearest(_));
        let mut placed = if nearest {
            self.operand(node, 0)?
        } else {
            self.real(node, 0)?
        };
        let given = |tensor: Option<&Tensor>| tensor.filter(|t| t.len() == axes.len()).map(Tensor::to_f32);
        let (scale, size) = match (r.to, given(sizes)) {
            (ResizeTo::NotLarger | ResizeTo::NotSmaller, Some(sizes)) => {
                (Some(common_scale(r.to, &placed, &axes, &sizes)?), None)
            }
            (_, sizes) => (given(scales), sizes),
        };
        let cropped = r.coordinates == ResizeCoordinates::TfCropAndResize;
        let regions = region
            .map(Tensor::to_f32)
            .filter(|t| cropped && t.len() == 2 * axes.len());
        for (n, &axis) in axes.iter().enumerate() {
            let same = scale.as_ref().is_none_or(|s| s[n] == 1.0) && placed.dims[axis] == dims[axis];
            let whole = regions
                .as_ref()
                .is_none_or(|r| (r[n], r[axes.len() + n]) == (0.0, 1.0));
            if same && whole {
                continue;
            }
            if placed.dims[axis].max(dims[axis]) > MOST {
                return Err(unsupported(format!("at most {MOST} places"), dims[axis]));
            }
            let one = |tensor: &Option<Vec<f32>>| tensor.as_ref().map(|t| Tensor::vector(vec![t[n]]));
            let part = regions
                .as_ref()
                .map(|r| Tensor::vector(vec![r[n], r[axes.len() + n]]));
            let size = size.as_ref().map(|_| Tensor::vector(vec![dims[axis] as i64]));
            let inputs = [part.as_ref(), one(&scale).as_ref(), size.as_ref()].map(|t| t.cloned());
            let found = Axis::new(
                r,
                placed.dims[axis],
                inputs.each_ref().map(Option::as_ref),
                dims[axis],
            )?;
            placed = match found.places() {
                Some(places) => self.pick(&placed, axis, places)?,
                None if placed.kind == Kind::F32 => self.interpolate(&placed, axis, &found)?,
                None => return Err(unsupported("places of the input", "some outside it")),
            };
        }
        let kind = self.kind(output)?;
        let placed = self.as_kind(placed, kind)?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    fn interpolate(&mut self, input: &Placed, axis: usize, found: &Axis) -> Result<Placed> {
        let mut dims = input.dims.clone();
        dims[axis] = found.terms.len();
        let placed = self.row_major(Kind::F32, &dims);
        let outer = without(&dims, axis);
        let walk = loops(
            &outer,
            [&without(&input.strides, axis), &without(&placed.strides, axis)],
        )?;
        let taps = found.terms.iter().map(Vec::len).max().unwrap_or(0).max(1);
        let (mut places, mut weights) = (Vec::new(), Vec::new());
        for terms in &found.terms {
            for tap in 0..taps {
                let (place, weight) = terms.get(tap).copied().unwrap_or((0, 0.0));
                places.extend(number(place)?.to_le_bytes());
                weights.extend(weight.to_le_bytes());
            }
        }
        let (places, weights) = (self.pack.add(places)?, self.pack.add(weights)?);
        self.step(Interpolate {
            dims: walk.dims,
            input: input.strided(walk.strides[0])?,
            output: placed.strided(walk.strides[1])?,
            input_length: number(input.dims[axis])?,
            output_length: number(dims[axis])?,
            input_step: number(input.strides[axis])?,
            output_step: number(placed.strides[axis])?,
            taps: number(taps)?,
            places,
            weights,
        });
        if found.offsets.iter().all(|&x| x == 0.0) {
            return Ok(placed);
        }
        let mut along = vec![1; dims.len()];
        along[axis] = dims[axis];
        let offsets = self.load(&Tensor::new(&along, found.offsets.clone())?)?;
        self.pairwise(Pair::Add, &placed, &offsets)
    }
}
