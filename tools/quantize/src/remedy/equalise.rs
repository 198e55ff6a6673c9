//! Channels between convolutions brought to equal ranges.

use limbic_graph::op::{Binary, PoolKind, Unary, Variadic};
use limbic_graph::{Dtype, Graph, Node, Op, ValueId};

use crate::control::Judge;
use crate::error::Result;
use crate::remedy::smooth::{channel_of, input_maxima, normalised, scale_weights};
use crate::remedy::{Axis, observe};

/// Values whose channels can only be scaled together, and the convolutions that make and read them.
#[derive(Debug, Default)]
struct Strand {
    values: Vec<ValueId>,
    makers: Vec<usize>,
    readers: Vec<usize>,
}

/// Makes the ranges of channels between convolutions more equal, through rectifiers, pools and sums, which scale with
/// their inputs.
///
/// Channel `c` is divided by a factor in the convolutions that make it and multiplied with it in those that read it:
/// `sqrt(max|x_c| / max|w_c|)`, after Nagel et al., "Data-Free Quantization" (2019), with the activation's range in place
/// of the first layer's weights; `max|x_c|` where only depthwise convolutions read it, whose weights have a scale for each
/// channel anyway.
pub(super) fn equalise(graph: &mut Graph, judge: &mut dyn Judge) -> Result<()> {
    let strands = strands(graph);
    let wanted = strands
        .iter()
        .flat_map(|strand| strand.values.iter().map(|id| (*id, Axis::Second)));
    let channels = observe(graph, wanted, judge)?;
    for strand in strands {
        let mut greatest: Vec<f64> = Vec::new();
        for found in strand.values.iter().filter_map(|id| channels.get(id)) {
            greatest.resize(greatest.len().max(found.greatest.len()), 0.0);
            for (most, x) in greatest.iter_mut().zip(&found.greatest) {
                *most = most.max(*x);
            }
        }
        let mut weights: Option<Vec<f64>> = None;
        for &reader in &strand.readers {
            let Some((maxima, depthwise)) = maxima(graph, reader) else {
                continue;
            };
            if !depthwise && maxima.len() == greatest.len() {
                let all = weights.get_or_insert_with(|| vec![0.0; greatest.len()]);
                for (most, w) in all.iter_mut().zip(maxima) {
                    *most = most.max(w);
                }
            }
        }
        let raw = greatest.iter().enumerate().map(|(c, &x)| match &weights {
            Some(weights) if x > 0.0 && weights[c] > 0.0 => (x / weights[c]).sqrt(),
            None if x > 0.0 => x,
            _ => 1.0,
        });
        let factors = normalised(raw.collect());
        let factor = |channel: usize| factors.get(channel).copied().unwrap_or(1.0);
        for &n in &strand.readers {
            let groups = groups(&graph.nodes[n]);
            scale_weights(graph, n, 1, |i, shape| factor(channel_of(i, shape, 1, groups, 0)))?;
        }
        for &n in &strand.makers {
            scale_weights(graph, n, 1, |i, shape| {
                let inner: usize = shape.iter().skip(1).product();
                1.0 / factor(i / inner.max(1))
            })?;
            scale_weights(graph, n, 2, |i, _| 1.0 / factor(i))?;
        }
    }
    Ok(())
}

/// Greatest weight for each input channel of a convolution, and whether it is depthwise.
fn maxima(graph: &Graph, n: usize) -> Option<(Vec<f64>, bool)> {
    let node = graph.nodes.get(n)?;
    let weights = graph.constant(node.inputs.get(1).copied().flatten()?)?;
    let groups = groups(node);
    Some((
        input_maxima(weights, 1, groups, 0),
        groups > 1 && weights.shape().get(1) == Some(&1),
    ))
}

fn groups(node: &Node) -> usize {
    match &node.op {
        Op::Conv(convolution) => convolution.groups.max(1),
        _ => 1,
    }
}

/// Values that hang together, as a tree in which each knows a value nearer to the root.
struct Unions(Vec<usize>);

impl Unions {
    fn root(&self, mut n: usize) -> usize {
        while self.0[n] != n {
            n = self.0[n];
        }
        n
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b)] = a.min(b);
    }
}

/// The strands of a graph that nothing but convolutions ends.
fn strands(graph: &Graph) -> Vec<Strand> {
    let mut unions = Unions((0..graph.values.len()).collect());
    let mut closed = vec![true; graph.values.len()];
    for id in graph.inputs.iter().chain(&graph.outputs) {
        closed[id.0] = false;
    }
    for node in &graph.nodes {
        match carried(graph, node) {
            Carried::Convolution(input) => {
                closed[input.0] &= graph.constant(input).is_none();
            }
            Carried::Scaled(values) => {
                for pair in values.windows(2) {
                    unions.join(pair[0].0, pair[1].0);
                }
            }
            Carried::Nothing => {
                for id in node.inputs.iter().chain(&node.outputs).flatten() {
                    closed[id.0] = false;
                }
            }
        }
    }
    let mut open = vec![false; graph.values.len()];
    for (n, closed) in closed.iter().enumerate() {
        open[unions.root(n)] |= !closed;
    }
    let mut strands: Vec<(usize, Strand)> = Vec::new();
    for (n, node) in graph.nodes.iter().enumerate() {
        let convolution = matches!(carried(graph, node), Carried::Convolution(_));
        let ends = [
            node.inputs.first().copied().flatten(),
            node.outputs.first().copied().flatten(),
        ];
        for (made, id) in ends.into_iter().enumerate() {
            let Some(id) = id.filter(|id| graph.constant(*id).is_none() && !open[unions.root(id.0)]) else {
                continue;
            };
            let root = unions.root(id.0);
            let place = strands
                .iter()
                .position(|(found, _)| *found == root)
                .unwrap_or(strands.len());
            if place == strands.len() {
                strands.push((root, Strand::default()));
            }
            let strand = &mut strands[place].1;
            if !strand.values.contains(&id) {
                strand.values.push(id);
            }
            match (convolution, made) {
                (true, 0) => strand.readers.push(n),
                (true, _) => strand.makers.push(n),
                (false, _) => {}
            }
        }
    }
    strands
        .into_iter()
        .map(|(_, strand)| strand)
        .filter(|strand| !strand.makers.is_empty() && !strand.readers.is_empty())
        .collect()
}

/// What a node does with the scale of channels.
enum Carried {
    /// A convolution with constants of its own, of this input.
    Convolution(ValueId),
    /// Its values scale together.
    Scaled(Vec<ValueId>),
    /// Something else.
    Nothing,
}

fn carried(graph: &Graph, node: &Node) -> Carried {
    let plain = |id: &ValueId| {
        graph
            .constant(*id)
            .is_some_and(|w| w.dtype() == Dtype::F32 && w.quantization.is_none())
    };
    let (inputs, outputs): (Vec<ValueId>, Vec<ValueId>) = (
        node.inputs.iter().copied().flatten().collect(),
        node.outputs.iter().copied().flatten().collect(),
    );
    let [output] = outputs.as_slice() else {
        return Carried::Nothing;
    };
    let shape = |id: &ValueId| graph.value(*id).ty.shape();
    match (&node.op, inputs.as_slice()) {
        (Op::Conv(_), [input, rest @ ..]) if rest.iter().all(plain) => Carried::Convolution(*input),
        (Op::Unary(Unary::Relu | Unary::LeakyRelu { .. }) | Op::Identity, [input]) => {
            Carried::Scaled(vec![*input, *output])
        }
        (Op::Pool(pool), [input]) if !matches!(pool.kind, PoolKind::Lp { .. }) => {
            Carried::Scaled(vec![*input, *output])
        }
        (Op::Binary(Binary::Add | Binary::Sub) | Op::Variadic(Variadic::Sum), all)
            if all.iter().all(|id| {
                graph.constant(*id).is_none() && shape(id).is_some() && shape(id) == shape(output)
            }) =>
        {
            Carried::Scaled(all.iter().chain([output]).copied().collect())
        }
        _ => Carried::Nothing,
    }
}
