//! Pools, and means over rows and columns.

use limbic_engine::step::{Affine, Pool, PoolKind};
use limbic_graph::op;
use limbic_graph::{Dtype, Node, Op, Result, ValueId};

use super::convolution::{Window, extent, grid, halo, pair, pixels};
use super::{Lowering, paddings, unsupported};
use crate::place::{Border, Kind, Placed};
use crate::strides::number;

impl Lowering<'_> {
    pub(super) fn pool(&mut self, node: &Node) -> Result<()> {
        let mut input = self.operand(node, 0)?;
        let output = self.output_id(node)?;
        let dtype = self.graph.value(output).ty.dtype;
        // Plain integers of 8 bits are in order as bytes, those with a sign once that is flipped.
        let flip = if input.kind == Kind::Plain(1) && dtype == Dtype::I8 {
            0x80
        } else {
            0
        };
        if flip != 0 {
            let flipped = self.row_major(input.kind, &input.dims);
            self.copy(&input, &flipped, flip)?;
            input = flipped;
        }
        if node.outputs.get(1).copied().flatten().is_some() {
            return Err(unsupported("a pool without indices", "indices"));
        }
        if let (Op::Pool(p), [_, _, _, _, _], 0) = (&node.op, &input.dims[..], flip) {
            return self.pool_by_axes(p, input, output);
        }
        let input = self.spatial(input, [0; 4])?;
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
            (op::PoolKind::Max, Kind::Plain(1), Kind::Plain(1)) if matches!(dtype, Dtype::I8 | Dtype::U8) => {
                PoolKind::MaxU8
            }
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
            (dtype, matches!(node.op, Op::GlobalPool(_))),
        )?;
        if flip != 0 {
            let flipped = self.row_major(kind, &dims);
            self.copy(&placed, &flipped, flip)?;
            self.placed[output.0] = Some(flipped);
            return Ok(());
        }
        self.placed[output.0] = Some(placed);
        Ok(())
    }

    /// A pool over three spatial axes: over the two inner ones, then over the outer one. Windows are products of their
    /// axes, padding and the numbers of their elements too.
    fn pool_by_axes(&mut self, p: &op::Pool, input: Placed, output: ValueId) -> Result<()> {
        let (dims, kind) = (self.shape(output)?, self.kind(output)?);
        let dtype = self.graph.value(output).ty.dtype;
        let (pool_kind, include_padding) = match (p.kind, input.kind, kind) {
            (op::PoolKind::Max, Kind::U8(a), Kind::U8(b)) if a == b => (PoolKind::MaxU8, 0),
            (op::PoolKind::Max, Kind::F32, Kind::F32) => (PoolKind::MaxF32, 0),
            (op::PoolKind::Average { include_padding }, Kind::F32, Kind::F32) => {
                (PoolKind::MeanF32, u32::from(include_padding))
            }
            // An integer would be rounded twice.
            (pool, a, b) => {
                return Err(unsupported(
                    "one or two spatial axes",
                    format!("{pool:?} of {a:?} to {b:?} over three"),
                ));
            }
        };
        let steps = (&p.strides[..], &p.dilations[..]);
        let (before, after) = paddings(&p.padding, &input.dims[2..], &dims[2..], &p.kernel, steps);
        let (&[n, c, depth, height, width], &[_, _, to_depth, to_height, to_width]) =
            (&input.dims[..], &dims[..])
        else {
            return Err(unsupported("[N,C,D,H,W]", format!("{dims:?}")));
        };
        let inner = Window {
            kernel: pair(&p.kernel[1..], 1)?,
            strides: pair(&p.strides[1..], 1)?,
            dilations: pair(&p.dilations[1..], 1)?,
            before: pair(&before[1..], 0)?,
            after: pair(&after[1..], 0)?,
        };
        let outer = Window {
            kernel: [p.kernel[0], 1],
            strides: [p.strides[0], 1],
            dilations: [p.dilations[0], 1],
            before: [before[0], 0],
            after: [after[0], 0],
        };
        let planes = self.reshaped(input, &[n, c * depth, height, width])?;
        let planes = self.spatial(planes, [0; 4])?;
        let to = [n, c * depth, to_height, to_width];
        let about = (dtype, false);
        let pooled = self.windows(
            pool_kind,
            &planes,
            &to,
            kind,
            &inner,
            include_padding,
            [0; 4],
            about,
        )?;
        let columns = self.reshaped(pooled, &[n, c, depth, to_height * to_width])?;
        let columns = self.spatial(columns, [0; 4])?;
        let to = [n, c, to_depth, to_height * to_width];
        let pooled = self.windows(
            pool_kind,
            &columns,
            &to,
            kind,
            &outer,
            include_padding,
            [0; 4],
            about,
        )?;
        let pooled = self.reshaped(pooled, &dims)?;
        self.placed[output.0] = Some(pooled);
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
        let dtype = self.graph.value(output).ty.dtype;
        let placed = self.windows(pool_kind, &input, &dims, kind, &w, 0, [0; 4], (dtype, true))?;
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
        (dtype, whole): (Dtype, bool),
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
        match self.mean_fixed(step, [input.kind, output], dtype, whole) {
            Some(fixed) if kind == PoolKind::MeanU8 => self.step(fixed),
            _ => self.step(step),
        }
        Ok(placed)
    }
}
