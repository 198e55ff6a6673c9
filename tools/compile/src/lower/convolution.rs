//! Convolutions.

use limbic_engine::step::{Arithmetic, BLOCK, Depthwise, Taps, first_channel};
use limbic_engine::{Extent, Grid, Halo};
use limbic_graph::op::Convolution;
use limbic_graph::{Graph, Node, Result};

use super::numbers::Numbers;
use super::product::{Product, Source};
use super::tail::{Tail, View};
use super::{Lowering, joined, paddings, unsupported};
use crate::pack::Kernel;
use crate::place::{Border, Kind, NONE, Placed};
use crate::strides::number;

/// Extents along rows and columns; a missing first axis is 1.
pub(super) fn pair(numbers: &[usize], missing: usize) -> Result<[usize; 2]> {
    match numbers {
        [columns] => Ok([missing, *columns]),
        [rows, columns] => Ok([*rows, *columns]),
        _ => Err(unsupported(
            "one or two spatial axes",
            format!("{} axes", numbers.len()),
        )),
    }
}

/// A window over the two spatial axes.
pub(super) struct Window {
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub dilations: [usize; 2],
    pub before: [usize; 2],
    pub after: [usize; 2],
}

fn window(graph: &Graph, node: &Node, c: &Convolution) -> Result<Window> {
    let shape = |id: Option<&Option<limbic_graph::ValueId>>| {
        id.copied()
            .flatten()
            .and_then(|id| graph.value(id).ty.shape())
            .filter(|shape| shape.len() >= 3)
            .ok_or_else(|| unsupported("extents that are numbers", "unknown extents"))
    };
    let input = shape(node.inputs.first())?;
    let weights = shape(node.inputs.get(1))?;
    let output = shape(node.outputs.first())?;
    let (before, after) = paddings(
        &c.padding,
        &input[2..],
        &output[2..],
        &weights[2..],
        (&c.strides, &c.dilations),
    );
    Ok(Window {
        kernel: pair(&weights[2..], 1)?,
        strides: pair(&c.strides, 1)?,
        dilations: pair(&c.dilations, 1)?,
        before: pair(&before, 0)?,
        after: pair(&after, 0)?,
    })
}

/// The border that a convolution needs around its input.
pub(super) fn border(graph: &Graph, node: &Node, c: &Convolution) -> Result<Border> {
    // What cannot be lowered needs none and is named later.
    let Ok(w) = window(graph, node, c) else {
        return Ok([0; 4]);
    };
    Ok([w.before[0], w.after[0], w.before[1], w.after[1]])
}

/// `[N,C,H,W]` or `[N,C,L]` as `[N,H,W,C]`.
pub(super) fn pixels(placed: &Placed) -> Placed {
    if placed.dims.len() == 3 {
        let mut view = placed.transpose(&[0, 2, 1]);
        view.dims.insert(1, 1);
        view.strides.insert(1, 0);
        return view;
    }
    placed.transpose(&[0, 2, 3, 1])
}

/// The places of pixels of `[N,H,W,C]`.
pub(super) fn grid(view: &Placed) -> Result<Grid> {
    let size = view.kind.size();
    Ok(Grid {
        start: number(view.start * size)?,
        image: number(view.strides[0] * size)?,
        row: number(view.strides[1] * size)?,
        column: number(view.strides[2] * size)?,
    })
}

/// The border of a value with channels last, for the step that writes its pixels.
pub(super) fn halo(placed: &Placed) -> Result<Halo> {
    if placed.border == [0; 4] {
        return Ok(Halo::default());
    }
    let view = pixels(placed);
    let [top, bottom, left, right] = placed.border;
    let size = placed.kind.size();
    let pixel = view.strides[2] * size;
    let rows = view.dims[1] + top + bottom;
    Ok(Halo {
        images: number(view.dims[0])?,
        rows: number(rows)?,
        row_bytes: number((view.dims[2] + left + right) * pixel)?,
        top: number(top)?,
        bottom: number(bottom)?,
        left: number(left * pixel)?,
        right: number(right * pixel)?,
        value: match placed.kind {
            Kind::U8(affine) => affine.zero.cast_unsigned(),
            Kind::F32 | Kind::Plain(_) => 0,
        },
    })
}

pub(super) fn extent(view: &Placed) -> Result<Extent> {
    Ok(Extent {
        images: number(view.dims[0])?,
        rows: number(view.dims[1])?,
        columns: number(view.dims[2])?,
    })
}

/// Whether each channel is convolved alone, to one channel.
fn is_depthwise(c: &Convolution, outputs: usize, view: &Placed) -> bool {
    c.groups > 1 && view.dims[3] == c.groups && outputs == c.groups
}

impl Lowering<'_> {
    /// A spatial value with its channels next to each other and the border that a window needs.
    pub(super) fn spatial(&mut self, placed: Placed, border: Border) -> Result<Placed> {
        if !matches!(placed.dims.len(), 3 | 4) {
            return Err(unsupported("[N,C,L] or [N,C,H,W]", format!("{:?}", placed.dims)));
        }
        let dense = placed.dims[1] == 1 || placed.strides[1] == 1;
        let bordered = placed.border.iter().zip(border).all(|(&has, needs)| has >= needs);
        if dense && bordered {
            return Ok(placed);
        }
        let to = self.channels_last(placed.kind, &placed.dims, border);
        self.fill_border(&to)?;
        self.copy(&placed, &to, 0)?;
        Ok(to)
    }

    pub(super) fn convolution(&mut self, node: &Node, c: &Convolution) -> Result<()> {
        let w = window(self.graph, node, c)?;
        let border = [w.before[0], w.after[0], w.before[1], w.after[1]];
        let input = self.operand(node, 0)?;
        let input = self.spatial(input, border)?;
        let output = self.output_id(node)?;
        let known = node
            .inputs
            .iter()
            .skip(1)
            .flatten()
            .all(|&id| self.graph.constant(id).is_some());
        if !known && input.kind == Kind::F32 {
            return self.convolution_computed(node, c, input);
        }
        let weights = self
            .constant(node, 1)?
            .ok_or_else(|| unsupported("constant weights", "none"))?;
        let bias = self.constant(node, 2)?;
        // The window's first element lies in the border.
        let mut view = pixels(&input);
        let back = w.before[0] * view.strides[1] + w.before[1] * view.strides[2];
        view.start = view
            .start
            .checked_sub(back)
            .ok_or_else(|| unsupported("a border", "none"))?;
        if self.is_fixed(input.kind, output)? {
            let sums = self.channels_last(Kind::F32, &self.shape(output)?, [0; 4]);
            let tail = Tail::unlimited(output, Kind::F32, View::Spatial);
            let factors = self.factors(input.kind, weights, output, true)?;
            let make = |lowering: &mut Self, numbers: &Numbers, placed: &Placed| {
                lowering.windowed_product(c, &w, &view, numbers, &tail, placed)
            };
            let sums = self.fixed_sums(input.kind, weights, 0, sums, make)?;
            return self.rescale(&sums, output, &factors, bias);
        }
        let numbers = Numbers::new(input.kind, self.kind(output)?, weights, bias, 0)?;
        let tail = if is_depthwise(c, weights.shape()[0], &view) {
            self.limits_only(output)?
        } else {
            self.follow(output, Some(View::Spatial))?
        };
        let placed = self.place_product(&tail)?;
        self.windowed_product(c, &w, &view, &numbers, &tail, &placed)?;
        self.placed[tail.value.0] = Some(placed);
        Ok(())
    }

    /// The steps of a convolution with constant weights, `view` beginning with the first window.
    fn windowed_product(
        &mut self,
        c: &Convolution,
        w: &Window,
        view: &Placed,
        numbers: &Numbers,
        tail: &Tail,
        placed: &Placed,
    ) -> Result<()> {
        let outputs = placed.dims[1];
        if is_depthwise(c, outputs, view) {
            return self.depthwise(w, view, numbers, tail, placed);
        }
        let channels = view.dims[3] / c.groups;
        let out_channels = outputs / c.groups;
        let pixel = view.strides[2];
        let size = view.kind.size();
        let whole = w.dilations[1] == 1
            && (w.kernel[1] == 1 || pixel <= crate::place::pixel_elements(view.kind, channels));
        let all = pixels(placed);
        let count = if whole && c.groups == 1 {
            joined::count(numbers, tail, placed, &all)
        } else {
            1
        };
        let columns = all.dims[2];
        let wide = numbers.joined(w, count).filter(|_| count > 1);
        let together = if wide.is_some() {
            columns / count * count
        } else {
            0
        };
        // Pixels that were joined, and the rest of each row.
        let parts = [(0..together, wide.as_ref()), (together..columns, None)];
        for (group, (columns, wide)) in (0..c.groups).flat_map(|group| {
            let parts = parts.clone();
            parts.into_iter().map(move |part| (group, part))
        }) {
            if columns.is_empty() {
                continue;
            }
            let count = if wide.is_some() { count } else { 1 };
            let product = Product {
                input: Placed {
                    start: view.start + group * channels + columns.start * w.strides[1] * pixel,
                    ..view.clone()
                },
                input_steps: [
                    view.strides[0],
                    w.strides[0] * view.strides[1],
                    count * w.strides[1] * pixel,
                ],
                kernel: [w.kernel[0], w.kernel[1] + (count - 1) * w.strides[1], channels],
                taps: |groups: usize| {
                    Ok(Taps {
                        rows: number(w.kernel[0])?,
                        row_step: number(w.dilations[0] * view.strides[1] * size)?,
                        columns: number(if whole { 1 } else { w.kernel[1] })?,
                        column_step: number(if whole { 0 } else { w.dilations[1] * pixel * size })?,
                        groups: number(groups)?,
                    })
                },
                // One pixel has no step to a neighbour.
                pixel: pixel.max(channels),
                whole,
                first_output: group * out_channels,
                outputs: count * out_channels,
                source: Source::Constant(wide.unwrap_or(numbers)),
                row_scales: 0,
                output: placed,
                halo: if group == 0 && columns.start == 0 {
                    halo(placed)?
                } else {
                    Halo::default()
                },
                output_view: joined::part(&all, columns, count),
            };
            self.product(tail, product)?;
        }
        Ok(())
    }

    /// The place of what a product stores, or of its sums alone.
    pub(super) fn place_sums(&mut self, tail: &Tail, fixed: bool) -> Result<Placed> {
        if !fixed {
            return self.place_product(tail);
        }
        let dims = self.shape(tail.value)?;
        Ok(self.channels_last(Kind::F32, &dims, [0; 4]))
    }

    /// A convolution of `f32` whose weights or bias a run makes.
    fn convolution_computed(&mut self, node: &Node, c: &Convolution, input: Placed) -> Result<()> {
        let kernel = self.real(node, 1)?;
        let placed = self.convolved(node, c, input, kernel)?;
        self.add_channels(placed, node, 2, self.output_id(node)?)
    }

    /// A convolution of `f32` without a bias, in a place of its own.
    pub(super) fn convolved(
        &mut self,
        node: &Node,
        c: &Convolution,
        input: Placed,
        mut kernel: Placed,
    ) -> Result<Placed> {
        let w = window(self.graph, node, c)?;
        let input = &self.spatial(input, [w.before[0], w.after[0], w.before[1], w.after[1]])?;
        let output = self.output_id(node)?;
        if kernel.dims.len() == 3 {
            kernel.dims.insert(2, 1);
            kernel.strides.insert(2, 0);
        }
        let dims = self.shape(output)?;
        let placed = self.channels_last(Kind::F32, &dims, [0; 4]);
        let mut view = pixels(input);
        let back = w.before[0] * view.strides[1] + w.before[1] * view.strides[2];
        view.start -= back;
        let [outputs, channels] = [kernel.dims[0] / c.groups, kernel.dims[1]];
        let pixel = view.strides[2];
        let tail = Tail::unlimited(output, Kind::F32, View::Spatial);
        for group in 0..c.groups {
            let mut own = kernel.clone();
            own.start += group * outputs * own.strides[0];
            own.dims[0] = outputs;
            let source = self.packed_kernel(&own.transpose(&[2, 3, 1, 0]))?;
            let product = Product {
                input: Placed {
                    start: view.start + group * channels,
                    ..view.clone()
                },
                input_steps: [
                    view.strides[0],
                    w.strides[0] * view.strides[1],
                    w.strides[1] * pixel,
                ],
                kernel: [w.kernel[0], w.kernel[1], channels],
                taps: |groups: usize| {
                    Ok(Taps {
                        rows: number(w.kernel[0])?,
                        row_step: number(w.dilations[0] * view.strides[1] * 4)?,
                        columns: number(w.kernel[1])?,
                        column_step: number(w.dilations[1] * pixel * 4)?,
                        groups: number(groups)?,
                    })
                },
                pixel,
                whole: false,
                first_output: group * outputs,
                outputs,
                source,
                row_scales: 0,
                output: &placed,
                output_view: pixels(&placed),
                halo: Halo::default(),
            };
            self.product(&tail, product)?;
        }
        Ok(placed)
    }

    fn depthwise(
        &mut self,
        w: &Window,
        view: &Placed,
        numbers: &Numbers,
        tail: &Tail,
        placed: &Placed,
    ) -> Result<()> {
        let channels = view.dims[3];
        let taps = w.kernel[0] * w.kernel[1];
        let size = view.kind.size();
        let weights = match numbers {
            Numbers::Float { weights, .. } => {
                let mut packed = Vec::new();
                for block in 0..channels.div_ceil(16) {
                    for tap in 0..taps {
                        let first = first_channel(block, channels);
                        for channel in first..first + BLOCK {
                            let w = weights.get(channel * taps + tap).filter(|_| channel < channels);
                            packed.extend(w.copied().unwrap_or(0.0).to_le_bytes());
                        }
                    }
                }
                self.pack.add(packed)?
            }
            Numbers::Integer { weights, .. } | Numbers::Rows { weights, .. } => {
                let kernel = Kernel {
                    elements: weights,
                    outputs: channels,
                    rows: 1,
                    columns: 1,
                    channels: taps,
                    pixel: taps,
                    whole: true,
                };
                self.pack.add(kernel.packed(|w| w.to_le_bytes()))?
            }
        };
        let (bias, scale) = self.tables(numbers, 0, channels)?;
        let output_view = pixels(placed);
        let input_grid = grid(view)?;
        let step = Depthwise {
            arithmetic: numbers.arithmetic(placed.kind),
            extent: extent(&output_view)?,
            channels: number(channels)?,
            input: view.span()?,
            input_grid: Grid {
                row: number(w.strides[0] * view.strides[1] * size)?,
                column: number(w.strides[1] * view.strides[2] * size)?,
                ..input_grid
            },
            kernel_rows: number(w.kernel[0])?,
            kernel_columns: number(w.kernel[1])?,
            row_step: number(w.dilations[0] * view.strides[1] * size)?,
            column_step: number(w.dilations[1] * view.strides[2] * size)?,
            weights,
            bias,
            scale,
            epilogue: tail.epilogue,
            output: placed.span()?,
            output_grid: grid(&output_view)?,
            halo: halo(placed)?,
        };
        debug_assert!(step.arithmetic != Arithmetic::F32 || scale == NONE);
        self.step(step);
        Ok(())
    }
}
