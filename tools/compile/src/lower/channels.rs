//! Normalizations over groups of channels.

use limbic_engine::step::{Affine, Normalize, NormalizeGroups, Pair};
use limbic_graph::op::Unary;
use limbic_graph::{Dtype, Node, Op, Result, ValueId};

use super::convolution::{extent, grid, halo, pixels};
use super::{Lowering, unsupported};
use crate::place::{Kind, NONE, Placed};
use crate::strides::{loops, number};

impl Lowering<'_> {
    /// `(X, scale, bias)` over groups of channels; scale and bias belong to channels.
    pub(super) fn group_normalization(
        &mut self,
        node: &Node,
        groups: Option<usize>,
        epsilon: f32,
    ) -> Result<()> {
        if self.normalize_pixels(node, groups, epsilon)? {
            return Ok(());
        }
        let input = self.real(node, 0)?;
        let output = self.output_id(node)?;
        let dims = input.dims.clone();
        if dims.len() < 2 || dims.contains(&0) {
            return Err(unsupported("[N,C,...], none empty", format!("{dims:?}")));
        }
        let channels = dims[1];
        let groups = groups.unwrap_or(channels);
        if groups == 0 || !channels.is_multiple_of(groups) {
            return Err(unsupported(format!("groups of {channels} channels"), groups));
        }
        let length = dims[1..].iter().product::<usize>() / groups;
        let input = self.contiguous(input)?;
        let runs = dims[0] * groups;
        let view = input
            .reshape(&[runs, length])
            .ok_or_else(|| unsupported("runs", "none"))?;
        let placed = self.row_major(Kind::F32, &[runs, length]);
        let found = loops(&[runs], [&view.strides[..1], &placed.strides[..1]])?;
        let ones = std::iter::repeat_n(1f32, length).flat_map(f32::to_le_bytes);
        let scale = self.pack.add(ones.collect())?;
        self.step(Normalize {
            epsilon,
            centre: 1,
            dims: found.dims,
            input: view.strided(found.strides[0])?,
            output: placed.strided(found.strides[1])?,
            length: number(length)?,
            scale,
            bias: NONE,
        });
        let mut placed = placed
            .reshape(&dims)
            .ok_or_else(|| unsupported(format!("{dims:?}"), "runs"))?;
        for (n, pair, neutral) in [(1, Pair::Mul, 1.0), (2, Pair::Add, 0.0)] {
            placed = self.by_channel(node, n, (pair, neutral), placed)?;
        }
        self.quantized(placed, output)
    }

    /// As [`Self::group_normalization`], in one step, of pixels whose channels lie next to each other; what follows and
    /// is part of the step is taken in. `false` where they lie otherwise, and nothing was made.
    fn normalize_pixels(&mut self, node: &Node, groups: Option<usize>, epsilon: f32) -> Result<bool> {
        let input = self.operand(node, 0)?;
        let numbers = |n: usize| {
            let id = node.inputs.get(n).copied().flatten()?;
            let table = self.graph.constant(id)?;
            (table.dtype() == Dtype::F32).then(|| table.to_f32())
        };
        let (Some(scale), Some(bias)) = (numbers(1), numbers(2)) else {
            return Ok(false);
        };
        let spatial = matches!(input.dims.len(), 3 | 4) && !input.dims.contains(&0);
        if !spatial || input.kind != Kind::F32 || input.strides[1] != 1 || input.dims[1] == 1 {
            return Ok(false);
        }
        let channels = input.dims[1];
        let groups = groups.unwrap_or(channels);
        if groups == 0 || !channels.is_multiple_of(groups) || [scale.len(), bias.len()] != [channels; 2] {
            return Ok(false);
        }
        let (value, low) = self.limit_and_quantize(self.output_id(node)?)?;
        let kind = self.kind(value)?;
        let mut placed = self.channels_last(kind, &self.shape(value)?, self.borders[value.0]);
        let scratch = placed.bytes.next_multiple_of(4);
        placed.bytes = scratch + channels * 8;
        self.buffers[placed.buffer] = placed.bytes;
        let view = pixels(&placed);
        let bytes = |numbers: Vec<f32>| numbers.into_iter().flat_map(f32::to_le_bytes).collect();
        let step = NormalizeGroups {
            extent: extent(&view)?,
            channels: number(channels)?,
            groups: number(groups)?,
            epsilon,
            low,
            input: input.span()?,
            input_grid: grid(&pixels(&input))?,
            scale: self.pack.add(bytes(scale))?,
            bias: self.pack.add(bytes(bias))?,
            quantized: u32::from(kind != Kind::F32),
            affine: match kind {
                Kind::U8(affine) => affine,
                Kind::F32 | Kind::Plain(_) => Affine::default(),
            },
            output: placed.span()?,
            output_grid: grid(&view)?,
            halo: halo(&placed)?,
            scratch: number(scratch)?,
        };
        self.step(step);
        self.placed[value.0] = Some(placed);
        Ok(true)
    }

    /// The value behind a ReLU and a change to integers that alone read a value, and the least number.
    fn limit_and_quantize(&mut self, value: ValueId) -> Result<(ValueId, f32)> {
        let (mut value, mut low) = (value, f32::NEG_INFINITY);
        while let Some(n) = self.only_reader(value) {
            let node = &self.graph.nodes[n];
            let Some(next) = node.outputs.first().copied().flatten() else {
                break;
            };
            match node.op {
                Op::Unary(Unary::Relu) if self.kind(next)? == Kind::F32 => low = 0.0,
                Op::Requantize if matches!(self.kind(next)?, Kind::U8(_)) => {}
                _ => break,
            }
            self.fused[n] = true;
            value = next;
            if self.kind(value)? != Kind::F32 {
                break;
            }
        }
        Ok((value, low))
    }

    /// Combines each channel with its number, where there is one that changes it.
    fn by_channel(
        &mut self,
        node: &Node,
        n: usize,
        (pair, neutral): (Pair, f32),
        x: Placed,
    ) -> Result<Placed> {
        let id = self.input_id(node, n)?;
        if let Some(numbers) = self.graph.constant(id)
            && numbers.to_f32().iter().all(|&x| x == neutral)
        {
            return Ok(x);
        }
        let table = self.real(node, n)?;
        let mut shape = vec![1; x.dims.len() - 1];
        shape[0] = x.dims[1];
        let table = table
            .reshape(&shape)
            .ok_or_else(|| unsupported(format!("{} numbers", x.dims[1]), format!("{:?}", table.dims)))?;
        let placed = self.row_major(Kind::F32, &x.dims);
        self.pair(pair, [&x, &table], &placed)?;
        Ok(placed)
    }
}
