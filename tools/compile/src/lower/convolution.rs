//! Convolutions and pools.

use limbic_engine::step::{Affine, Arithmetic, BLOCK, Depthwise, Pool, PoolKind, Taps, first_channel};
use limbic_engine::{Extent, Grid, Halo};
use limbic_graph::op::{self, Convolution};
use limbic_graph::{Graph, Node, Op, Result, ValueId};

use super::numbers::Numbers;
use super::product::{Product, Source};
use super::tail::View;
use super::{Lowering, paddings, unsupported};
use crate::pack::Kernel;
use crate::place::{Border, Kind, NONE, Placed};
use crate::strides::number;

/// Extents along rows and columns; a missing first axis is 1.
fn pair(numbers: &[usize], missing: usize) -> Result<[usize; 2]> {
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
struct Window {
    kernel: [usize; 2],
    strides: [usize; 2],
    dilations: [usize; 2],
    before: [usize; 2],
    after: [usize; 2],
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

impl Lowering<'_> {
    /// A spatial value with its channels next to each other and the border that a window needs.
    fn spatial(&mut self, placed: Placed, border: Border) -> Result<Placed> {
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
        let weights = self
            .constant(node, 1)?
            .ok_or_else(|| unsupported("constant weights", "none"))?;
        let bias = self.constant(node, 2)?;
        let output = self.output_id(node)?;
        let (outputs, channels) = (weights.shape()[0], weights.shape()[1]);
        let numbers = Numbers::new(input.kind, self.kind(output)?, weights, bias, 0)?;
        // The window's first element lies in the border.
        let mut view = pixels(&input);
        let back = w.before[0] * view.strides[1] + w.before[1] * view.strides[2];
        view.start = view
            .start
            .checked_sub(back)
            .ok_or_else(|| unsupported("a border", "none"))?;
        if c.groups > 1 && channels == 1 && outputs == c.groups {
            return self.depthwise(node, &w, &view, &numbers);
        }
        let out_channels = outputs / c.groups;
        if c.groups > 1 && !(channels * view.kind.size()).is_multiple_of(4) {
            return Err(unsupported(
                "groups of channels of a multiple of four bytes",
                format!("{channels} channels a group"),
            ));
        }
        let tail = self.follow(output, numbers.view(self.kind(output)?, View::Spatial))?;
        let placed = self.place_product(&tail)?;
        let pixel = view.strides[2];
        let size = view.kind.size();
        let whole = w.dilations[1] == 1
            && (w.kernel[1] == 1 || pixel <= crate::place::pixel_elements(view.kind, channels));
        for group in 0..c.groups {
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
                        row_step: number(w.dilations[0] * view.strides[1] * size)?,
                        columns: number(if whole { 1 } else { w.kernel[1] })?,
                        column_step: number(if whole { 0 } else { w.dilations[1] * pixel * size })?,
                        groups: number(groups)?,
                    })
                },
                pixel,
                whole,
                first_output: group * out_channels,
                outputs: out_channels,
                source: Source::Constant(&numbers),
                row_scales: 0,
                output: &placed,
                output_view: pixels(&placed),
                halo: if group == 0 {
                    halo(&placed)?
                } else {
                    Halo::default()
                },
            };
            self.product(&tail, product)?;
        }
        self.placed[tail.value.0] = Some(placed);
        Ok(())
    }

    fn depthwise(&mut self, node: &Node, w: &Window, view: &Placed, numbers: &Numbers) -> Result<()> {
        let output = self.output_id(node)?;
        let channels = view.dims[3];
        let taps = w.kernel[0] * w.kernel[1];
        let mut tail = self.limits_only(output)?;
        let placed = self.place_product(&tail)?;
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
        let output_view = pixels(&placed);
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
            epilogue: std::mem::take(&mut tail.epilogue),
            output: placed.span()?,
            output_grid: grid(&output_view)?,
            halo: halo(&placed)?,
        };
        debug_assert!(step.arithmetic != Arithmetic::F32 || scale == NONE);
        self.step(step);
        self.placed[tail.value.0] = Some(placed);
        Ok(())
    }

    pub(super) fn pool(&mut self, node: &Node) -> Result<()> {
        let input = self.operand(node, 0)?;
        let input = self.spatial(input, [0; 4])?;
        let output = self.output_id(node)?;
        if node.outputs.get(1).copied().flatten().is_some() {
            return Err(unsupported("a pool without indices", "indices"));
        }
        let (dims, kind) = (self.shape(output)?, self.kind(output)?);
        let view = pixels(&input);
        let spatial = [view.dims[1], view.dims[2]];
        let (pooled, w) = match &node.op {
            Op::Pool(p) => {
                let (before, after) = paddings(
                    &p.padding,
                    &input.dims[2..],
                    &dims[2..],
                    &p.kernel,
                    (&p.strides, &p.dilations),
                );
                let w = Window {
                    kernel: pair(&p.kernel, 1)?,
                    strides: pair(&p.strides, 1)?,
                    dilations: pair(&p.dilations, 1)?,
                    before: pair(&before, 0)?,
                    after: pair(&after, 0)?,
                };
                (p.kind, w)
            }
            Op::GlobalPool(kind) => (
                *kind,
                Window {
                    kernel: spatial,
                    strides: [1, 1],
                    dilations: [1, 1],
                    before: [0, 0],
                    after: [0, 0],
                },
            ),
            _ => return Err(unsupported("a pool", "none")),
        };
        let mut include_padding = 0;
        let pool_kind = match (pooled, input.kind, kind) {
            (op::PoolKind::Max, Kind::U8(a), Kind::U8(b)) if a == b => PoolKind::MaxU8,
            (op::PoolKind::Max, Kind::F32, Kind::F32) => PoolKind::MaxF32,
            (
                op::PoolKind::Average {
                    include_padding: padding,
                },
                a,
                b,
            ) => {
                include_padding = u32::from(padding);
                match (a, b) {
                    (Kind::U8(_), Kind::U8(_)) => PoolKind::MeanU8,
                    (Kind::F32, Kind::F32) => PoolKind::MeanF32,
                    _ => {
                        return Err(unsupported(
                            "a mean of and to one type",
                            format!("{a:?} to {b:?}"),
                        ));
                    }
                }
            }
            (kind, a, b) => {
                return Err(unsupported(
                    "a maximum or mean of one type",
                    format!("{kind:?} of {a:?} to {b:?}"),
                ));
            }
        };
        let placed = self.windows(
            pool_kind,
            &input,
            &dims,
            kind,
            &w,
            include_padding,
            self.borders[output.0],
        )?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// The mean over some spatial axes, as a pool whose window is as long as they are.
    pub(super) fn mean_of_pixels(&mut self, input: Placed, axes: &[usize], output: ValueId) -> Result<()> {
        let view = pixels(&input);
        let skipped = 4 - input.dims.len();
        let mut kernel = [1; 2];
        let mut dims = input.dims.clone();
        for &axis in axes {
            kernel[axis - 2 + skipped] = view.dims[axis - 1 + skipped];
            dims[axis] = 1;
        }
        let w = Window {
            kernel,
            strides: [1, 1],
            dilations: [1, 1],
            before: [0, 0],
            after: [0, 0],
        };
        let kind = self.kind(output)?;
        let pool_kind = match kind {
            Kind::U8(_) => PoolKind::MeanU8,
            Kind::F32 | Kind::Plain(_) => PoolKind::MeanF32,
        };
        let placed = self.windows(pool_kind, &input, &dims, kind, &w, 0, [0; 4])?;
        let dims = self.shape(output)?;
        let placed = placed
            .reshape(&dims)
            .ok_or_else(|| unsupported(format!("{dims:?}"), format!("{:?}", placed.dims)))?;
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// A pool to a place of its own.
    #[allow(clippy::too_many_arguments, reason = "each is one property of the step")]
    fn windows(
        &mut self,
        kind: PoolKind,
        input: &Placed,
        dims: &[usize],
        output: Kind,
        w: &Window,
        include_padding: u32,
        border: Border,
    ) -> Result<Placed> {
        let affine = |kind: Kind| match kind {
            Kind::U8(affine) => affine,
            Kind::F32 | Kind::Plain(_) => Affine::default(),
        };
        let view = pixels(input);
        let placed = self.channels_last(output, dims, border);
        let output_view = pixels(&placed);
        let pair =
            |numbers: [usize; 2]| -> Result<[u32; 2]> { Ok([number(numbers[0])?, number(numbers[1])?]) };
        let step = Pool {
            kind,
            extent: extent(&output_view)?,
            channels: number(view.dims[3])?,
            input_rows: number(view.dims[1])?,
            input_columns: number(view.dims[2])?,
            input: input.span()?,
            input_grid: grid(&view)?,
            kernel: pair(w.kernel)?,
            strides: pair(w.strides)?,
            dilations: pair(w.dilations)?,
            before: pair(w.before)?,
            after: pair(w.after)?,
            include_padding,
            input_affine: affine(input.kind),
            output_affine: affine(output),
            output: placed.span()?,
            output_grid: grid(&output_view)?,
            halo: halo(&placed)?,
        };
        self.step(step);
        Ok(placed)
    }
}
