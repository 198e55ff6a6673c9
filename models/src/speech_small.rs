//! The speech network of this project: `models/speech-small/network.py`.

use limbic_graph::op::{Binary, Reduce, Unary};
use limbic_graph::{Dtype, Op, Result, Tensor, ValueId};

use crate::network::{Conv, Network};
use crate::{Architecture, Settings};

/// The architecture, with batch normalisation or folded, of any number of members.
pub(crate) const ARCHITECTURE: Architecture = Architecture {
    name: "speech-small",
    description: "Log-mel window f32 [1,1,149,64] to emotion logits, the mean of convolutional members",
    anchors: &["members.0.stages.0.0.weight"],
    build,
};

fn build(net: &mut Network<'_>, _settings: &Settings) -> Result<()> {
    let x = net.input("features", Dtype::F32, &[1, 1, 149, 64]);
    let members = net.count_under("members.").max(1);
    let mut logits = member(net, "members.0", x)?;
    for i in 1..members {
        let more = member(net, &format!("members.{i}"), x)?;
        logits = net.binary(&format!("members.{i}.sum"), Binary::Add, logits, more);
    }
    let share = net.constant("share", Tensor::scalar(1.0 / members as f32));
    let mean = net.binary("mean", Binary::Mul, logits, share);
    net.output("emotion_logits", mean);
    Ok(())
}

fn member(net: &mut Network<'_>, prefix: &str, x: ValueId) -> Result<ValueId> {
    // 3 and 6 are dropout.
    let mut x = strided(net, &format!("{prefix}.stages.0"), x, 5)?;
    x = strided(net, &format!("{prefix}.stages.1"), x, 3)?;
    x = separable(net, &format!("{prefix}.stages.2"), x)?;
    x = strided(net, &format!("{prefix}.stages.4"), x, 3)?;
    x = separable(net, &format!("{prefix}.stages.5"), x)?;
    x = strided(net, &format!("{prefix}.stages.7"), x, 3)?;
    let bands = net.reduce(&format!("{prefix}.bands"), Reduce::Mean, x, &[3], false);
    let frames = net.transpose(&format!("{prefix}.frames"), bands, &[0, 2, 1]);
    let score = net.dense(&format!("{prefix}.score"), frames)?;
    let weight = net.node(
        &format!("{prefix}.weight"),
        Op::Softmax { axis: 1 },
        &[score],
        Dtype::F32,
    );
    let weighted = net.binary(&format!("{prefix}.weighted"), Binary::Mul, weight, frames);
    let attended = net.reduce(&format!("{prefix}.attended"), Reduce::Sum, weighted, &[1], false);
    let mean = net.reduce(&format!("{prefix}.mean"), Reduce::Mean, frames, &[1], false);
    let pooled = net.node(
        &format!("{prefix}.pooled"),
        Op::Concat { axis: 1 },
        &[attended, mean],
        Dtype::F32,
    );
    net.linear(&format!("{prefix}.classify"), pooled)
}

fn strided(net: &mut Network<'_>, prefix: &str, x: ValueId, kernel: usize) -> Result<ValueId> {
    let conv = Conv::square(kernel, 2);
    let x = net.conv_norm(&format!("{prefix}.0"), &format!("{prefix}.1"), x, &conv)?;
    Ok(net.unary(&format!("{prefix}.relu"), Unary::Relu, x))
}

fn separable(net: &mut Network<'_>, prefix: &str, x: ValueId) -> Result<ValueId> {
    let part = format!("{prefix}.depthwise");
    let conv = Conv::of(&[5, 3], &[1, 1]).depthwise();
    let mut y = net.conv_norm(&format!("{part}.0"), &format!("{part}.1"), x, &conv)?;
    y = net.unary(&format!("{part}.relu"), Unary::Relu, y);
    let part = format!("{prefix}.pointwise");
    y = net.conv_norm(&format!("{part}.0"), &format!("{part}.1"), y, &Conv::square(1, 1))?;
    let sum = net.binary(&format!("{prefix}.add"), Binary::Add, x, y);
    Ok(net.unary(&format!("{prefix}.relu"), Unary::Relu, sum))
}
