//! Attention written out as products, sums and a softmax.

use super::written::{Written, write_out};
use crate::Dtype;
use crate::error::Result;
use crate::graph::{Graph, Node, ValueId};
use crate::op::{Attention, Binary, Compare, Op, Reduce, Unary};
use crate::tensor::Tensor;

/// Writes each [`Op::Attention`] of `f32` whose extents are numbers out as `softmax(scale * Q K^T + mask) V`, with its
/// cache joined in front of K and V. Returns whether there was one.
///
/// # Errors
/// As [`crate::infer::infer`].
pub fn expand_attention(graph: &mut Graph) -> Result<bool> {
    write_out(graph, |graph, nodes, node| {
        let Op::Attention(attention) = &node.op else {
            return Ok(false);
        };
        let Some(extents) = Extents::of(graph, node, attention) else {
            return Ok(false);
        };
        let lengths = node.inputs.get(6).copied().flatten();
        // The last query is that of the last key that counts, where lengths say which.
        let aligned = lengths.is_some() && extents.past == 0;
        let causal = if aligned {
            None
        } else {
            causal_bias(attention, &extents)?
        };
        let mask = mask_of(graph, node);
        let mut parts = Parts {
            attention,
            extents,
            input: |n| node.inputs.get(n).copied().flatten(),
            outputs: &node.outputs,
            out: Written::new(graph, nodes, &node.name),
        };
        parts.write(mask, causal)?;
        Ok(true)
    })
}

/// Extents of an attention.
#[derive(Debug, Clone, Copy)]
struct Extents {
    batch: usize,
    heads: usize,
    key_heads: usize,
    queries: usize,
    /// Keys of a cache.
    past: usize,
    /// All keys, those of the cache first.
    keys: usize,
    size: usize,
    value_size: usize,
    /// Whether heads lie beside each other, as `[batch,length,heads*size]`.
    joined: bool,
}

impl Extents {
    /// Nothing where a type or an extent is not one that can be written out.
    fn of(graph: &Graph, node: &Node, a: &Attention) -> Option<Self> {
        let input = |n: usize| node.inputs.get(n).copied().flatten();
        let shape = |n: usize| {
            let ty = &graph.value(input(n)?).ty;
            (ty.dtype == Dtype::F32 && ty.quantization.is_none()).then(|| ty.shape())?
        };
        let heads = |shape: Vec<usize>, heads: Option<usize>| match (shape.as_slice(), heads) {
            (&[batch, heads, length, size], _) => Some([batch, heads, length, size]),
            (&[batch, length, width], Some(heads)) if heads > 0 && width.is_multiple_of(heads) => {
                Some([batch, heads, length, width / heads])
            }
            _ => None,
        };
        let joined = shape(0)?.len() == 3;
        let [batch, query_heads, queries, size] = heads(shape(0)?, a.query_heads)?;
        let [_, key_heads, length, _] = heads(shape(1)?, a.key_heads)?;
        let [_, _, _, value_size] = heads(shape(2)?, a.key_heads)?;
        let past = match (input(4), input(5)) {
            (None, None) => 0,
            (Some(_), Some(_)) => *shape(4)?.get(2)?,
            _ => return None,
        };
        let lengths = input(6).map(|id| &graph.value(id).ty);
        let counted = lengths.is_none_or(|ty| ty.dtype == Dtype::I64 && ty.shape() == Some(vec![batch]));
        let whole = key_heads > 0 && query_heads.is_multiple_of(key_heads) && counted;
        let some = [batch, query_heads, queries, length + past, size, value_size];
        (whole && !some.contains(&0)).then_some(Self {
            batch,
            heads: query_heads,
            key_heads,
            queries,
            past,
            keys: length + past,
            size,
            value_size,
            joined,
        })
    }
}

/// Minus infinity where a query does not see a later key; nothing where it sees all.
fn causal_bias(a: &Attention, e: &Extents) -> Result<Option<Tensor>> {
    if !a.causal {
        return Ok(None);
    }
    let seen = |n: usize| n % e.keys <= n / e.keys + e.past;
    let bias = (0..e.queries * e.keys).map(|n| if seen(n) { 0.0 } else { f32::NEG_INFINITY });
    Tensor::new(&[e.queries, e.keys], bias.collect::<Vec<f32>>()).map(Some)
}

/// A mask, whether it is of bits, and its extents.
fn mask_of(graph: &Graph, node: &Node) -> Option<(ValueId, bool, Vec<usize>)> {
    let mask = node.inputs.get(3).copied().flatten()?;
    let ty = &graph.value(mask).ty;
    Some((mask, ty.dtype == Dtype::Bool, ty.shape()?))
}

/// What the nodes are made from.
struct Parts<'a, I> {
    attention: &'a Attention,
    extents: Extents,
    input: I,
    outputs: &'a [Option<ValueId>],
    out: Written<'a>,
}

impl<I: Fn(usize) -> Option<ValueId>> Parts<'_, I> {
    fn write(&mut self, mask: Option<(ValueId, bool, Vec<usize>)>, causal: Option<Tensor>) -> Result<()> {
        let e = self.extents;
        let (Some(q), Some(k), Some(v)) = ((self.input)(0), (self.input)(1), (self.input)(2)) else {
            return Ok(());
        };
        let q = self.heads("queries", q, [e.heads, e.queries, e.size]);
        let length = e.keys - e.past;
        let k = self.heads("keys", k, [e.key_heads, length, e.size]);
        let k = self.cached("keys", k, 4, 1);
        let v = self.heads("values", v, [e.key_heads, length, e.value_size]);
        let v = self.cached("values", v, 5, 2);
        // Queries of the heads that share keys lie behind each other, so that they are one matrix.
        let rows = e.heads / e.key_heads * e.queries;
        let q = self
            .out
            .reshape("groups", q, &[e.batch, e.key_heads, rows, e.size]);
        let columns = self.out.transpose("columns", k, &[0, 1, 3, 2]);
        let scores = self.out.push("products", Op::MatMul, &[q, columns]);
        let scores = self
            .out
            .reshape("scores", scores, &[e.batch, e.heads, e.queries, e.keys]);
        let scale = self.attention.scale.unwrap_or(1.0 / (e.size as f32).sqrt());
        let scale = self.out.scalar("scale", scale);
        let mut scores = self.out.binary("scaled", Binary::Mul, scores, scale);
        self.show(0, scores);
        if self.attention.softcap > 0.0 {
            let cap = self.out.scalar("cap", self.attention.softcap);
            let share = self.out.binary("share", Binary::Div, scores, cap);
            let limited = self.out.push("limited", Op::Unary(Unary::Tanh), &[share]);
            scores = self.out.binary("capped", Binary::Mul, limited, cap);
        }
        self.show(1, scores);
        let masked = mask.is_some();
        if let Some((mask, bits, shape)) = mask {
            let bias = self.mask(mask, bits, shape)?;
            scores = self.out.binary("masked", Binary::Add, scores, bias);
        }
        if let Some(causal) = causal {
            let bias = self.out.constant("causal", causal);
            scores = self.out.binary("past", Binary::Add, scores, bias);
        }
        let lengths = (self.input)(6);
        if let Some(lengths) = lengths {
            let bias = self.counted(lengths)?;
            scores = self.out.binary("counted", Binary::Add, scores, bias);
        }
        self.show(2, scores);
        let mut weights = self.out.push("weights", Op::Softmax { axis: -1 }, &[scores]);
        if masked || lengths.is_some() {
            weights = self.seen(scores, weights);
        }
        self.show(3, weights);
        let weights = self
            .out
            .reshape("rows", weights, &[e.batch, e.key_heads, rows, e.keys]);
        let sums = self.out.push("sums", Op::MatMul, &[weights, v]);
        let Some(output) = self.outputs.first().copied().flatten() else {
            return Ok(());
        };
        let mut y = self
            .out
            .reshape("heads", sums, &[e.batch, e.heads, e.queries, e.value_size]);
        if e.joined {
            y = self.out.transpose("places", y, &[0, 2, 1, 3]);
            y = self
                .out
                .reshape("joined", y, &[e.batch, e.queries, e.heads * e.value_size]);
        }
        self.out.finish("y", Op::Identity, &[y], output);
        Ok(())
    }

    /// Heads as `[batch,heads,length,size]`.
    fn heads(&mut self, what: &str, x: ValueId, [heads, length, size]: [usize; 3]) -> ValueId {
        if !self.extents.joined {
            return x;
        }
        let split = [self.extents.batch, length, heads, size];
        let split = self.out.reshape(&format!("{what}.split"), x, &split);
        self.out.transpose(what, split, &[0, 2, 1, 3])
    }

    /// Keys or values behind those of the cache, which are also an output.
    fn cached(&mut self, what: &str, x: ValueId, past: usize, present: usize) -> ValueId {
        let joined = match (self.input)(past) {
            Some(past) => self
                .out
                .push(&format!("{what}.all"), Op::Concat { axis: 2 }, &[past, x]),
            None => x,
        };
        if let Some(output) = self.outputs.get(present).copied().flatten() {
            self.out
                .finish(&format!("{what}.present"), Op::Identity, &[joined], output);
        }
        joined
    }

    /// The scores as the fourth output, if it holds those of this stage.
    fn show(&mut self, stage: u8, scores: ValueId) {
        if self.attention.score_output == stage
            && let Some(output) = self.outputs.get(3).copied().flatten()
        {
            self.out.finish("shown", Op::Identity, &[scores], output);
        }
    }

    /// What a mask adds to the scores; keys behind its last are not seen.
    fn mask(&mut self, mask: ValueId, bits: bool, mut shape: Vec<usize>) -> Result<ValueId> {
        let mut bias = mask;
        if bits {
            let (seen, unseen) = (
                self.out.scalar("seen", 0.0),
                self.out.scalar("unseen", f32::NEG_INFINITY),
            );
            bias = self.out.push("mask", Op::Where, &[mask, seen, unseen]);
        }
        let Some(width) = shape.last_mut() else {
            return Ok(bias);
        };
        if *width >= self.extents.keys {
            return Ok(bias);
        }
        *width = self.extents.keys - *width;
        let rest = vec![f32::NEG_INFINITY; shape.iter().product()];
        let rest = self.out.constant("rest", Tensor::new(&shape, rest)?);
        Ok(self.out.push("widened", Op::Concat { axis: -1 }, &[bias, rest]))
    }

    /// Minus infinity for keys from the length of each batch on, and for those behind a query where the last one is that
    /// of the last key that counts.
    fn counted(&mut self, lengths: ValueId) -> Result<ValueId> {
        let e = self.extents;
        let behind = |query: usize| {
            if self.attention.causal && e.past == 0 {
                e.queries - 1 - query
            } else {
                0
            }
        };
        let places = (0..e.queries * e.keys).map(|n| (n % e.keys + behind(n / e.keys)) as i64);
        let places = Tensor::new(&[e.queries, e.keys], places.collect::<Vec<i64>>())?;
        let places = self.out.constant("places", places);
        let shape = Tensor::vector(vec![e.batch as i64, 1, 1, 1]);
        let shape = self.out.constant("lengths.shape", shape);
        let reshape = Op::Reshape { allow_zero: true };
        let lengths = self.out.typed("lengths", reshape, &[lengths, shape], Dtype::I64);
        let less = Op::Compare(Compare::Less);
        let counts = self.out.typed("counts", less, &[places, lengths], Dtype::Bool);
        let (seen, unseen) = (
            self.out.scalar("counting", 0.0),
            self.out.scalar("padding", f32::NEG_INFINITY),
        );
        Ok(self.out.push("padded", Op::Where, &[counts, seen, unseen]))
    }

    /// Weights of 0 for a query that sees no key.
    fn seen(&mut self, scores: ValueId, weights: ValueId) -> ValueId {
        let greatest = Op::Reduce {
            function: Reduce::Max,
            keep_dims: true,
            noop_with_empty_axes: false,
        };
        let axes = self.out.constant("axes", Tensor::vector(vec![-1i64]));
        let greatest = self.out.push("greatest", greatest, &[scores, axes]);
        let least = self.out.scalar("least", f32::NEG_INFINITY);
        let some = Op::Compare(Compare::Greater);
        let some = self.out.typed("some", some, &[greatest, least], Dtype::Bool);
        let zero = self.out.scalar("none", 0.0);
        self.out.push("kept", Op::Where, &[some, weights, zero])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::interpret;
    use crate::types::TensorType;

    fn numbers(shape: &[usize], seed: usize) -> Tensor {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count)
            .map(|n| ((n * 7 + seed * 5) % 23) as f32 / 8.0 - 1.4)
            .collect();
        Tensor::new(shape, values).unwrap()
    }

    fn plain() -> Attention {
        Attention {
            causal: false,
            query_heads: None,
            key_heads: None,
            scale: None,
            softcap: 0.0,
            score_output: 0,
        }
    }

    /// All outputs of an attention, as the interpreter has them and as it has what they are written out in.
    fn check(attention: Attention, inputs: &[Option<Tensor>]) {
        let mut graph = Graph::new("attention");
        let ids = inputs.iter().enumerate().map(|(n, tensor)| {
            let tensor = tensor.as_ref()?;
            Some(graph.add_input(format!("x{n}"), tensor.tensor_type()))
        });
        let ids: Vec<Option<ValueId>> = ids.collect();
        let y = graph.add_node(
            "y",
            Op::Attention(attention),
            &[],
            TensorType::unshaped(Dtype::F32),
        );
        graph.nodes[0].inputs = ids;
        let more = ["keys", "values", "scores"].map(|name| {
            let id = graph.add_value(name, TensorType::unshaped(Dtype::F32));
            graph.nodes[0].outputs.push(Some(id));
            id
        });
        graph.outputs.push(y);
        graph.outputs.extend(more);
        crate::infer::infer(&mut graph).unwrap();
        let given: Vec<Tensor> = inputs.iter().flatten().cloned().collect();
        let expected = interpret::run(&graph, &given).unwrap();
        assert!(expand_attention(&mut graph).unwrap());
        graph.check().unwrap();
        assert!(!graph.nodes.iter().any(|node| matches!(node.op, Op::Attention(_))));
        let found = interpret::run(&graph, &given).unwrap();
        for (expected, found) in expected.iter().zip(&found) {
            assert_eq!(expected.shape(), found.shape());
            for (a, b) in expected.to_f32().iter().zip(found.to_f32()) {
                assert!(*a == b || (a - b).abs() <= 1e-5, "{a} {b}");
            }
        }
    }

    fn three(heads: usize, key_heads: usize) -> Vec<Option<Tensor>> {
        vec![
            Some(numbers(&[2, heads, 3, 4], 1)),
            Some(numbers(&[2, key_heads, 5, 4], 2)),
            Some(numbers(&[2, key_heads, 5, 6], 3)),
        ]
    }

    #[test]
    fn heads_may_share_keys_and_scores_be_limited() {
        check(plain(), &three(4, 2));
        for score_output in 0..4 {
            check(
                Attention {
                    softcap: 0.5,
                    scale: Some(0.7),
                    score_output,
                    ..plain()
                },
                &three(2, 2),
            );
        }
    }

    #[test]
    fn heads_may_lie_beside_each_other_behind_a_cache() {
        let inputs = [
            Some(numbers(&[2, 3, 8], 1)),
            Some(numbers(&[2, 2, 4], 2)),
            Some(numbers(&[2, 2, 6], 3)),
            None,
            Some(numbers(&[2, 1, 3, 4], 4)),
            Some(numbers(&[2, 1, 3, 6], 5)),
        ];
        for causal in [false, true] {
            check(
                Attention {
                    causal,
                    query_heads: Some(2),
                    key_heads: Some(1),
                    ..plain()
                },
                &inputs,
            );
        }
    }

    #[test]
    fn a_query_that_sees_no_key_gives_zeros() {
        let mut bits = vec![true; 15];
        bits[5..10].fill(false);
        bits[12] = false;
        let mut inputs = three(2, 2);
        inputs.push(Some(Tensor::new(&[3, 5], bits).unwrap()));
        check(plain(), &inputs);
        // Keys behind a narrower mask are not seen.
        inputs[3] = Some(numbers(&[2, 1, 3, 4], 6));
        check(
            Attention {
                score_output: 3,
                causal: true,
                ..plain()
            },
            &inputs,
        );
    }

    #[test]
    fn keys_may_be_cut_at_lengths_that_are_computed() {
        for causal in [false, true] {
            for lengths in [[5i64, 3], [4, 0], [2, 1]] {
                let mut inputs = three(4, 2);
                inputs.extend([None, None, None]);
                inputs.push(Some(Tensor::vector(lengths.to_vec())));
                check(Attention { causal, ..plain() }, &inputs);
                // Beside a mask.
                inputs[3] = Some(numbers(&[2, 1, 3, 5], 6));
                check(Attention { causal, ..plain() }, &inputs);
            }
        }
    }

    #[test]
    fn other_types_stay() {
        let mut graph = Graph::new("attention");
        let given = three(2, 2);
        let shapes = given.iter().flatten().enumerate();
        let ids = shapes.map(|(n, tensor)| {
            let ty = TensorType::new(Dtype::F16, tensor.shape());
            Some(graph.add_input(format!("x{n}"), ty))
        });
        let ids: Vec<Option<ValueId>> = ids.collect();
        let y = graph.add_node("y", Op::Attention(plain()), &[], TensorType::unshaped(Dtype::F16));
        graph.nodes[0].inputs = ids;
        graph.outputs.push(y);
        crate::infer::infer(&mut graph).unwrap();
        assert!(!expand_attention(&mut graph).unwrap());
    }
}
