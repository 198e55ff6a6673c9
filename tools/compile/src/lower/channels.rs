//! Normalizations over groups of channels.

use limbic_engine::step::{Normalize, Pair};
use limbic_graph::{Node, Result};

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
