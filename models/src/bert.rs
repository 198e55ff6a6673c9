//! BERT encoders with the names that Hugging Face's transformers gives them.

use limbic_graph::op::{Binary, GatherMode, Reduce, Unary};
use limbic_graph::{Dim, Dtype, Error, ErrorKind, Op, Result, Tensor, ValueId};

use crate::network::Network;
use crate::{Architecture, Pooling, Settings};

/// The architecture: BERT of any size, and MiniLM, which is a small one.
///
/// Takes token ids and their mask, both i64 `[1,L]`; the token type is 0 throughout. Gives the pooled vector of a
/// sentence-transformers folder, the logits of a classifier, or else the token vectors and, where there is a pooler,
/// its vector. The number of heads is not in the parameters: `config.json` must say it.
pub const ARCHITECTURE: Architecture = Architecture {
    name: "bert",
    description: "Token ids and mask i64 [1,L] to token vectors, a sentence vector or class logits",
    anchors: &[
        "embeddings.word_embeddings.weight",
        "bert.embeddings.word_embeddings.weight",
    ],
    build,
};

/// GELU by the error function.
pub(crate) const GELU: Unary = Unary::Gelu { tanh: false };

/// Added to scores of tokens that the mask hides: their share is then 0 in `f32`, and `f16` can hold it.
const HIDDEN: f32 = -10000.0;

/// Names inside an encoder layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names {
    pub query: &'static str,
    pub key: &'static str,
    pub value: &'static str,
    pub join: &'static str,
    pub join_norm: &'static str,
    pub widen: &'static str,
    pub narrow: &'static str,
    pub narrow_norm: &'static str,
}

const NAMES: Names = Names {
    query: "attention.self.query",
    key: "attention.self.key",
    value: "attention.self.value",
    join: "attention.output.dense",
    join_norm: "attention.output.LayerNorm",
    widen: "intermediate.dense",
    narrow: "output.dense",
    narrow_norm: "output.LayerNorm",
};

/// What the layers of an encoder share.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attended {
    /// Attention heads.
    pub heads: usize,
    /// Added to the scores, [1,1,1,L].
    pub unseen: ValueId,
    /// Layer normalisation's.
    pub epsilon: f32,
    /// Between the two layers of the feed-forward block.
    pub activation: Unary,
}

fn build(net: &mut Network<'_>, settings: &Settings) -> Result<()> {
    let root = if net.has_under("bert.") { "bert." } else { "" };
    let part = |name: &str| format!("{root}{name}");
    let positions = net
        .extent(&part("embeddings.position_embeddings.weight"), 0)
        .max(1);
    let length = net.symbol("L", 1, positions);
    let dims = [Dim::Known(1), length];
    let ids = net.input_of("input_ids", Dtype::I64, &dims);
    let mask = net.input_of("attention_mask", Dtype::I64, &dims);
    let epsilon = settings.number("layer_norm_eps").unwrap_or(1e-12) as f32;

    let words = net.embedding(&part("embeddings.word_embeddings.weight"), ids)?;
    let places = places(net, &part("embeddings.position_embeddings.weight"), ids)?;
    let x = net.binary("embeddings.placed", Binary::Add, words, places);
    let types = net.parameter(&part("embeddings.token_type_embeddings.weight"), &[None, None])?;
    let first = net.constant("embeddings.type", Tensor::scalar(0i64));
    let op = Op::Gather(GatherMode::Slices { axis: 0 });
    let kind = net.node("embeddings.token_type", op, &[types, first], Dtype::F32);
    let x = net.binary("embeddings.typed", Binary::Add, x, kind);
    let mut x = net.layer_norm(&part("embeddings.LayerNorm"), x, epsilon)?;

    let attended = Attended {
        heads: heads(net, settings)?,
        unseen: unseen(net, mask),
        epsilon,
        activation: activation(settings)?,
    };
    for i in 0..net.count_under(&part("encoder.layer.")).max(1) {
        x = layer(net, &part(&format!("encoder.layer.{i}")), &NAMES, &attended, x)?;
    }
    // What masked-language training and sentence order leave behind.
    net.ignore("cls.");
    if net.has("classifier.weight") {
        let pooled = pooler(net, &part("pooler.dense"), x)?;
        let logits = net.linear("classifier", pooled)?;
        net.output("logits", logits);
    } else if let Some(pooling) = settings.pooling {
        net.ignore(&part("pooler."));
        let pooled = pool(net, pooling, x, mask);
        let vector = if settings.normalise {
            unit(net, pooled)
        } else {
            pooled
        };
        net.output("sentence_embedding", vector);
    } else {
        if net.has_under(&part("pooler.")) {
            let pooled = pooler(net, &part("pooler.dense"), x)?;
            net.output("pooler_output", pooled);
        }
        net.output("last_hidden_state", x);
    }
    Ok(())
}

fn heads(net: &Network<'_>, settings: &Settings) -> Result<usize> {
    match settings.count("num_attention_heads") {
        Some(heads) if heads > 0 => Ok(heads),
        // Names and shapes are the same for every number of heads.
        _ if net.is_tried() => Ok(1),
        _ => Err(Error::new(
            ErrorKind::Value,
            "config.json: num_attention_heads",
            "a positive number",
            settings.config.as_ref().map_or_else(
                || "no config.json (--config FILE names one)".to_owned(),
                |_| "none".to_owned(),
            ),
        )),
    }
}

fn activation(settings: &Settings) -> Result<Unary> {
    match settings.word("hidden_act").unwrap_or("gelu") {
        "gelu" => Ok(GELU),
        "gelu_new" | "gelu_pytorch_tanh" => Ok(Unary::Gelu { tanh: true }),
        "relu" => Ok(Unary::Relu),
        other => Err(Error::new(
            ErrorKind::Unsupported,
            "config.json: hidden_act",
            "gelu, gelu_new, gelu_pytorch_tanh or relu",
            other,
        )),
    }
}

/// One post-norm layer over `[1, L, width]`.
pub(crate) fn layer(
    net: &mut Network<'_>,
    prefix: &str,
    names: &Names,
    attended: &Attended,
    x: ValueId,
) -> Result<ValueId> {
    let part = |name: &str| format!("{prefix}.{name}");
    let context = net.extent(&part(&format!("{}.weight", names.query)), 0);
    let heads = attended.heads.max(1);
    if !context.is_multiple_of(heads) {
        return Err(Error::new(
            ErrorKind::Shape,
            part(names.query),
            format!("outputs that {heads} heads share evenly"),
            context,
        ));
    }
    let size = context / heads;
    let mut split = |name: &str, permutation: &[usize]| -> Result<ValueId> {
        let y = net.dense(&part(name), x)?;
        let y = net.reshape(
            &part(&format!("{name}.heads")),
            y,
            &[0, 0, heads as i64, size as i64],
        );
        Ok(net.transpose(&part(&format!("{name}.turned")), y, permutation))
    };
    let query = split(names.query, &[0, 2, 1, 3])?;
    let key = split(names.key, &[0, 2, 3, 1])?;
    let value = split(names.value, &[0, 2, 1, 3])?;
    let factor = Tensor::scalar(1.0 / (size.max(1) as f32).sqrt());
    let factor = net.constant(&part("scale"), factor);
    let query = net.binary(&part("scaled"), Binary::Mul, query, factor);
    let scores = net.node(&part("scores"), Op::MatMul, &[query, key], Dtype::F32);
    let scores = net.binary(&part("seen"), Binary::Add, scores, attended.unseen);
    let shares = net.node(&part("shares"), Op::Softmax { axis: -1 }, &[scores], Dtype::F32);
    let mixed = net.node(&part("mixed"), Op::MatMul, &[shares, value], Dtype::F32);
    let mixed = net.transpose(&part("mixed.turned"), mixed, &[0, 2, 1, 3]);
    let mixed = net.reshape(&part("context"), mixed, &[0, 0, context as i64]);
    let joined = net.dense(&part(names.join), mixed)?;
    let sum = net.binary(&part("join.sum"), Binary::Add, joined, x);
    let x = net.layer_norm(&part(names.join_norm), sum, attended.epsilon)?;
    let wide = net.dense(&part(names.widen), x)?;
    let wide = net.unary(&part("activation"), attended.activation, wide);
    let narrow = net.dense(&part(names.narrow), wide)?;
    let sum = net.binary(&part("narrow.sum"), Binary::Add, narrow, x);
    net.layer_norm(&part(names.narrow_norm), sum, attended.epsilon)
}

/// The first rows of a table of positions, as many as there are tokens.
pub(crate) fn places(net: &mut Network<'_>, name: &str, ids: ValueId) -> Result<ValueId> {
    let table = net.parameter(name, &[None, None])?;
    let base = name.trim_end_matches(".weight");
    let count = Op::Shape {
        start: 1,
        end: Some(2),
    };
    let count = net.node(&format!("{base}.count"), count, &[ids], Dtype::I64);
    let start = net.constant(&format!("{base}.start"), Tensor::vector(vec![0i64]));
    let axis = net.constant(&format!("{base}.axis"), Tensor::vector(vec![0i64]));
    Ok(net.node(base, Op::Slice, &[table, start, count, axis], Dtype::F32))
}

/// What is added to the scores of the tokens that a mask `[1,L]` hides, `[1,1,1,L]`.
pub(crate) fn unseen(net: &mut Network<'_>, mask: ValueId) -> ValueId {
    let hidden = hidden(net, "mask", mask);
    let axes = net.constant("mask.axes", Tensor::vector(vec![1i64, 2]));
    net.node("mask.unseen", Op::Unsqueeze, &[hidden, axes], Dtype::F32)
}

/// The same for one score a token, `[1,L,1]`.
pub(crate) fn unseen_rows(net: &mut Network<'_>, prefix: &str, mask: ValueId) -> ValueId {
    let hidden = hidden(net, prefix, mask);
    let axes = net.constant(&format!("{prefix}.axes"), Tensor::vector(vec![2i64]));
    net.node(
        &format!("{prefix}.unseen"),
        Op::Unsqueeze,
        &[hidden, axes],
        Dtype::F32,
    )
}

fn hidden(net: &mut Network<'_>, prefix: &str, mask: ValueId) -> ValueId {
    let mask = as_f32(net, &format!("{prefix}.cast"), mask);
    let one = net.constant(&format!("{prefix}.one"), Tensor::scalar(1.0f32));
    let inverse = net.binary(&format!("{prefix}.inverse"), Binary::Sub, one, mask);
    let factor = net.constant(&format!("{prefix}.factor"), Tensor::scalar(HIDDEN));
    net.binary(&format!("{prefix}.hidden"), Binary::Mul, inverse, factor)
}

fn as_f32(net: &mut Network<'_>, name: &str, x: ValueId) -> ValueId {
    let to = Dtype::F32;
    net.node(name, Op::Cast { to, saturate: true }, &[x], to)
}

/// The first token's vector through a linear layer and `tanh`.
fn pooler(net: &mut Network<'_>, prefix: &str, x: ValueId) -> Result<ValueId> {
    let first = first_token(net, x);
    let y = net.linear(prefix, first)?;
    Ok(net.unary("pooler.tanh", Unary::Tanh, y))
}

fn first_token(net: &mut Network<'_>, x: ValueId) -> ValueId {
    let first = net.constant("first", Tensor::scalar(0i64));
    let op = Op::Gather(GatherMode::Slices { axis: 1 });
    net.node("first_token", op, &[x, first], Dtype::F32)
}

fn pool(net: &mut Network<'_>, pooling: Pooling, x: ValueId, mask: ValueId) -> ValueId {
    match pooling {
        Pooling::First => first_token(net, x),
        Pooling::Mean => {
            let mask = as_f32(net, "pooling.cast", mask);
            let axes = net.constant("pooling.axes", Tensor::vector(vec![2i64]));
            let mask = net.node("pooling.mask", Op::Unsqueeze, &[mask, axes], Dtype::F32);
            let kept = net.binary("pooling.kept", Binary::Mul, x, mask);
            let sum = net.reduce("pooling.sum", Reduce::Sum, kept, &[1], false);
            let count = net.reduce("pooling.count", Reduce::Sum, mask, &[1], false);
            // No text is without a token, but a mask of zeros must not divide by zero.
            let least = net.constant("pooling.least", Tensor::scalar(1e-9f32));
            let count = net.binary("pooling.some", Binary::Max, count, least);
            net.binary("pooling.mean", Binary::Div, sum, count)
        }
        Pooling::Max => {
            let unseen = unseen_rows(net, "pooling", mask);
            let kept = net.binary("pooling.kept", Binary::Add, x, unseen);
            net.reduce("pooling.max", Reduce::Max, kept, &[1], false)
        }
    }
}

/// Divided by its Euclidean length.
fn unit(net: &mut Network<'_>, x: ValueId) -> ValueId {
    let length = net.reduce("norm.length", Reduce::L2, x, &[1], true);
    let least = net.constant("norm.least", Tensor::scalar(1e-12f32));
    let length = net.binary("norm.some", Binary::Max, length, least);
    net.binary("norm", Binary::Div, x, length)
}
