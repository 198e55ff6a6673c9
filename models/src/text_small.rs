//! The text network of this project: `models/text-small/model.py`.

use limbic_graph::op::Binary;
use limbic_graph::{Dim, Dtype, Op, Result, ValueId};

use crate::bert::{self, Attended, Names};
use crate::network::Network;
use crate::{Architecture, Settings};

/// The architecture: a post-norm encoder with a factorised embedding, and heads that pool by attention.
pub(crate) const ARCHITECTURE: Architecture = Architecture {
    name: "text-small",
    description: "Token ids and mask i64 [1,L] to the logits of each head",
    anchors: &["encoder.words.weight"],
    build,
};

/// Places of an attention head.
const HEAD_WIDTH: usize = 32;

/// Layer normalisation's.
const EPSILON: f32 = 1e-12;

fn build(net: &mut Network<'_>, _settings: &Settings) -> Result<()> {
    let positions = net.extent("encoder.positions.weight", 0).max(2);
    let length = net.symbol("L", 2, positions);
    let dims = [Dim::Known(1), length];
    let ids = net.input_of("token_ids", Dtype::I64, &dims);
    let mask = net.input_of("attention_mask", Dtype::I64, &dims);
    let words = net.embedding("encoder.words.weight", ids)?;
    let expanded = net.dense("encoder.expand", words)?;
    let places = bert::places(net, "encoder.positions.weight", ids)?;
    let x = net.binary("encoder.embedded", Binary::Add, expanded, places);
    let mut x = net.layer_norm("encoder.norm", x, EPSILON)?;
    let unseen = bert::unseen(net, mask);
    for i in 0..net.count_under("encoder.layers.").max(1) {
        let prefix = format!("encoder.layers.{i}");
        let attended = Attended {
            heads: net.extent(&format!("{prefix}.query.weight"), 0) / HEAD_WIDTH,
            unseen,
            epsilon: EPSILON,
            activation: bert::GELU,
        };
        x = bert::layer(net, &prefix, &NAMES, &attended, x)?;
    }
    for head in net.children("heads.") {
        let logits = self::head(net, &format!("heads.{head}"), x, mask)?;
        net.output(&format!("{head}_logits"), logits);
    }
    Ok(())
}

/// Names inside a layer.
const NAMES: Names = Names {
    query: "query",
    key: "key",
    value: "value",
    join: "join",
    join_norm: "join_norm",
    widen: "widen",
    narrow: "narrow",
    narrow_norm: "narrow_norm",
};

/// Logits as an attention-weighted mean of token logits, one attention a label.
fn head(net: &mut Network<'_>, prefix: &str, x: ValueId, mask: ValueId) -> Result<ValueId> {
    let scores = net.dense(&format!("{prefix}.attention"), x)?;
    let unseen = bert::unseen_rows(net, prefix, mask);
    let scores = net.binary(&format!("{prefix}.seen"), Binary::Add, scores, unseen);
    let weight = net.node(
        &format!("{prefix}.weight"),
        Op::Softmax { axis: 1 },
        &[scores],
        Dtype::F32,
    );
    let logits = net.dense(&format!("{prefix}.logits"), x)?;
    let weighted = net.binary(&format!("{prefix}.weighted"), Binary::Mul, weight, logits);
    Ok(net.reduce(prefix, limbic_graph::op::Reduce::Sum, weighted, &[1], false))
}
