//! Transposed convolutions: one convolution for each phase of the output.
//!
//! Of the outputs whose place leaves the same rest by the stride, each meets the same taps of the kernel, and these lie
//! at equal distances in the input: together they are a convolution of step 1.

use limbic_engine::Halo;
use limbic_engine::step::Taps;
use limbic_graph::interpret::{Call, evaluate};
use limbic_graph::op::{Convolution, GatherMode, Padding};
use limbic_graph::{Node, Op, Quantization, Result, Rounding, Tensor, TensorType};

use super::convolution::{halo, pair, pixels};
use super::numbers::Numbers;
use super::product::{Product, Source};
use super::tail::{Tail, View};
use super::{Lowering, unsupported};
use crate::place::{Kind, Placed};
use crate::strides::number;

/// One phase of one axis.
#[derive(Debug, Clone)]
struct Phase {
    /// First output.
    first: usize,
    /// Outputs.
    count: usize,
    /// Places of the kernel, in the order in which the input is met; none where only the bias is left.
    taps: Vec<usize>,
    /// Place in the input of the first output's first tap; negative before it.
    start: i64,
    /// Elements of the input from a tap to the next.
    step: usize,
}

/// An axis of a transposed convolution.
#[derive(Debug, Clone, Copy)]
struct Axis {
    kernel: usize,
    stride: usize,
    dilation: usize,
    before: usize,
    output: usize,
}

fn greatest_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}

impl Axis {
    fn phases(&self) -> Vec<Phase> {
        let shared = greatest_divisor(self.stride, self.dilation);
        let phase = |first: usize| {
            let distance = |k: usize| (first + self.before) as i64 - (k * self.dilation) as i64;
            let stride = self.stride as i64;
            // The last place of the kernel meets the first element of the input.
            let taps: Vec<usize> = (0..self.kernel)
                .rev()
                .filter(|&k| distance(k).rem_euclid(stride) == 0)
                .collect();
            Phase {
                first,
                count: (self.output - first).div_ceil(self.stride),
                start: taps.first().map_or(0, |&k| distance(k).div_euclid(stride)),
                step: self.dilation / shared,
                taps,
            }
        };
        (0..self.stride.min(self.output)).map(phase).collect()
    }
}

/// Elements of the input that phases need before its first and behind its last.
fn border(phases: &[Phase], input: usize) -> (usize, usize) {
    let mut needed = (0, 0);
    for phase in phases {
        let last = phase.start + ((phase.taps.len().max(1) - 1) * phase.step + phase.count - 1) as i64;
        needed.0 = needed.0.max((-phase.start).max(0) as usize);
        needed.1 = needed.1.max((last + 1 - input as i64).max(0) as usize);
    }
    needed
}

/// Slices along an axis of a constant, whatever its elements stand for.
fn taken(tensor: &Tensor, axis: usize, places: &[usize]) -> Result<Tensor> {
    let plain = tensor.clone().with_quantization(None);
    let places = Tensor::vector(places.iter().map(|&p| p as i64).collect::<Vec<i64>>());
    let made = evaluate(Call {
        op: &Op::Gather(GatherMode::Slices { axis: axis as i64 }),
        inputs: &[Some(&plain), Some(&places)],
        outputs: &[Some(&TensorType::unshaped(tensor.dtype()))],
        rounding: Rounding::default(),
    })?;
    let made = made
        .into_iter()
        .next()
        .ok_or_else(|| unsupported("slices", "none"))?;
    Ok(made.with_quantization(tensor.quantization.clone()))
}

/// Kernel and bias.
enum Weights {
    Constant {
        /// `[C,M/groups,rows,columns]`.
        kernel: Tensor,
        bias: Option<Tensor>,
        /// Whether the sums are stored as they are.
        fixed: bool,
    },
    /// As the constant, in a place.
    Computed(Placed),
}

impl Lowering<'_> {
    pub(super) fn convolution_transposed(&mut self, node: &Node, c: &Convolution) -> Result<()> {
        let input = self.operand(node, 0)?;
        let (id, output) = (self.input_id(node, 1)?, self.output_id(node)?);
        let (shape, dims) = (self.shape(id)?, self.shape(output)?);
        let (kernel, strides, dilations) = (
            pair(&shape[2..], 1)?,
            pair(&c.strides, 1)?,
            pair(&c.dilations, 1)?,
        );
        let (inputs, outputs) = (pair(&input.dims[2..], 1)?, pair(&dims[2..], 1)?);
        let before = match &c.padding {
            Padding::Explicit(pads) if c.output_shape.is_empty() => pair(&pads[..pads.len() / 2], 0)?,
            padding => before(c, padding, &input.dims[2..], &dims[2..], &shape[2..])?,
        };
        let axes = [0, 1].map(|n| Axis {
            kernel: kernel[n],
            stride: strides[n],
            dilation: dilations[n],
            before: before[n],
            output: outputs[n],
        });
        let [rows, columns] = axes.map(|axis| axis.phases());
        let (top, bottom) = border(&rows, inputs[0]);
        let (left, right) = border(&columns, inputs[1]);
        let input = self.spatial(input, [top, bottom, left, right])?;
        let weights = self.kernel_of(node, &input, &shape)?;
        let (tail, sums) = match &weights {
            Weights::Constant { fixed: false, .. } => (self.limits_only(output)?, false),
            _ => (Tail::unlimited(output, Kind::F32, View::Spatial), true),
        };
        let placed = self.place_sums(&tail, sums)?;
        let mut halo = halo(&placed)?;
        for row in &rows {
            for column in &columns {
                for group in 0..c.groups {
                    let part = Part {
                        phases: [row, column],
                        strides,
                        group,
                        groups: c.groups,
                    };
                    self.phase(&tail, &part, &input, &weights, &placed, std::mem::take(&mut halo))?;
                }
            }
        }
        match weights {
            Weights::Constant {
                kernel,
                fixed: true,
                bias,
            } => {
                let factors = self.factors(input.kind, &kernel, output, true)?;
                self.rescale(&placed, output, &factors, bias.as_ref())
            }
            Weights::Constant { .. } => {
                self.placed[tail.value.0] = Some(placed);
                Ok(())
            }
            Weights::Computed(_) => self.add_channels(placed, node, 2, output),
        }
    }

    /// The kernel with two spatial axes; a computed one with these turned around, as the phases meet it.
    fn kernel_of(&mut self, node: &Node, input: &Placed, shape: &[usize]) -> Result<Weights> {
        let mut shape = shape.to_vec();
        if shape.len() == 3 {
            shape.insert(2, 1);
        }
        let id = self.input_id(node, 1)?;
        if let Some(kernel) = self.graph.constant(id) {
            let quantization = kernel.quantization.clone();
            let kernel = kernel.reshaped(&shape)?.with_quantization(quantization);
            let bias = self.constant(node, 2)?.cloned();
            let fixed = self.is_fixed(input.kind, self.output_id(node)?)?;
            return Ok(Weights::Constant { kernel, bias, fixed });
        }
        let placed = self.operand(node, 1)?;
        if (input.kind, placed.kind) != (Kind::F32, Kind::F32) {
            return Err(unsupported(
                "constant weights, or f32",
                format!("{:?}", placed.kind),
            ));
        }
        let placed = self.reshaped(placed, &shape)?;
        Ok(Weights::Computed(placed))
    }

    fn phase(
        &mut self,
        tail: &Tail,
        part: &Part<'_>,
        input: &Placed,
        weights: &Weights,
        placed: &Placed,
        halo: Halo,
    ) -> Result<()> {
        let [row, column] = part.phases;
        let view = pixels(input);
        let channels = view.dims[3] / part.groups;
        let size = view.kind.size();
        let at = |start: i64, stride: usize| -> Result<i64> {
            i64::try_from(stride)
                .ok()
                .and_then(|stride| stride.checked_mul(start))
                .ok_or_else(|| unsupported("places of 64 bits", start))
        };
        let shift = at(row.start, view.strides[1])? + at(column.start, view.strides[2])?;
        let start = (view.start + part.group * channels)
            .checked_add_signed(shift as isize)
            .ok_or_else(|| unsupported("a border", "none"))?;
        let taps = [row, column].map(|phase| phase.taps.clone());
        let mut own = pixels(placed);
        own.start += row.first * own.strides[1] + column.first * own.strides[2];
        own.dims[1] = row.count;
        own.dims[2] = column.count;
        own.strides[1] *= part.strides[0];
        own.strides[2] *= part.strides[1];
        let outputs = own.dims[3] / part.groups;
        let numbers;
        let source = match weights {
            Weights::Constant { kernel, bias, fixed } => {
                let kernel = part.kernel(kernel, &taps, channels)?;
                let bias = match bias.as_ref().filter(|_| !fixed) {
                    Some(bias) if bias.len() != 1 => {
                        let own: Vec<usize> = (part.group * outputs..(part.group + 1) * outputs).collect();
                        Some(taken(bias, 0, &own)?)
                    }
                    other => other.cloned(),
                };
                let made = Numbers::new(input.kind, placed.kind, &kernel, bias.as_ref(), 1)?;
                numbers = if *fixed { made.unscaled(1)? } else { made };
                Source::Constant(&numbers)
            }
            Weights::Computed(kernel) => {
                let kernel = self.part_of(kernel, part, &taps, channels)?;
                self.packed_kernel(&kernel)?
            }
        };
        let kernel = taps.each_ref().map(|taps| taps.len().max(1));
        let pixel = view.strides[2];
        let product = Product {
            input_steps: [view.strides[0], view.strides[1], pixel],
            input: Placed {
                start,
                ..view.clone()
            },
            kernel: [kernel[0], kernel[1], channels],
            taps: |groups: usize| {
                Ok(Taps {
                    rows: number(kernel[0])?,
                    row_step: number(row.step * view.strides[1] * size)?,
                    columns: number(kernel[1])?,
                    column_step: number(column.step * pixel * size)?,
                    groups: number(groups)?,
                })
            },
            pixel,
            whole: false,
            first_output: 0,
            outputs,
            source,
            row_scales: 0,
            output: placed,
            output_view: Placed {
                start: own.start + part.group * outputs,
                ..own
            },
            halo,
        };
        self.product(tail, product)
    }

    /// The taps of a phase and group of a computed kernel, `[rows, columns, channels, outputs]`.
    fn part_of(
        &mut self,
        kernel: &Placed,
        part: &Part<'_>,
        taps: &[Vec<usize>; 2],
        channels: usize,
    ) -> Result<Placed> {
        let mut own = kernel.clone();
        own.start += part.group * channels * own.strides[0];
        own.dims[0] = channels;
        for (axis, taps) in [2, 3].into_iter().zip(taps) {
            if taps.is_empty() {
                return Err(unsupported(
                    "a computed kernel no shorter than its stride",
                    "a shorter one",
                ));
            }
            own = self.pick(&own, axis, taps.iter().map(|&tap| tap as i64).collect())?;
        }
        Ok(own.transpose(&[2, 3, 0, 1]))
    }
}

/// A phase of the rows and one of the columns, and a group of channels.
struct Part<'a> {
    phases: [&'a Phase; 2],
    strides: [usize; 2],
    group: usize,
    groups: usize,
}

impl Part<'_> {
    /// The taps of a constant kernel; one of zeros where there is none.
    fn kernel(&self, kernel: &Tensor, taps: &[Vec<usize>; 2], channels: usize) -> Result<Tensor> {
        let own: Vec<usize> = (self.group * channels..(self.group + 1) * channels).collect();
        let mut found = taken(kernel, 0, &own)?;
        if taps.iter().any(Vec::is_empty) {
            let zero = match kernel.quantization {
                Some(Quantization::PerTensor { zero_point, .. }) => zero_point,
                Some(_) if kernel.dtype() == limbic_graph::Dtype::U8 => 128,
                _ => 0,
            };
            let shape = [found.shape()[0], found.shape()[1], 1, 1];
            let made = evaluate(Call {
                op: &Op::Cast {
                    to: kernel.dtype(),
                    saturate: true,
                },
                inputs: &[Some(&Tensor::new(&shape, vec![zero; shape.iter().product()])?)],
                outputs: &[Some(&TensorType::new(kernel.dtype(), &shape))],
                rounding: Rounding::default(),
            })?;
            let made = made
                .into_iter()
                .next()
                .ok_or_else(|| unsupported("zeros", "none"))?;
            // Where one axis has no tap, the other has one that counts nothing.
            let repeated = taps.each_ref().map(|taps| vec![0; taps.len().max(1)]);
            let made = taken(&taken(&made, 2, &repeated[0])?, 3, &repeated[1])?;
            return Ok(made.with_quantization(kernel.quantization.clone()));
        }
        for (axis, taps) in [2, 3].into_iter().zip(taps) {
            found = taken(&found, axis, taps)?;
        }
        Ok(found)
    }
}

/// Elements cut from the front of the output, where they follow from its extents.
fn before(
    c: &Convolution,
    padding: &Padding,
    input: &[usize],
    output: &[usize],
    kernel: &[usize],
) -> Result<[usize; 2]> {
    let axes = input.len();
    let mut found = Vec::with_capacity(axes);
    for n in 0..axes {
        let extra = c.output_padding.get(n).copied().unwrap_or(0);
        let full = c.strides[n] * (input[n] - 1) + extra + (kernel[n] - 1) * c.dilations[n] + 1;
        let total = full.saturating_sub(output[n]);
        found.push(match padding {
            Padding::SameUpper => total / 2,
            _ => total - total / 2,
        });
    }
    pair(&found, 0)
}
