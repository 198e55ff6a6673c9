//! ResNets for large pictures with the names that torchvision gives them.

use limbic_graph::op::{Binary, PoolKind, Unary};
use limbic_graph::{Dtype, Result, ValueId};

use crate::network::{Conv, Network};
use crate::{Architecture, Settings};

/// The architecture: basic blocks or bottlenecks, wide and grouped ones (ResNeXt) included.
pub(crate) const ARCHITECTURE: Architecture = Architecture {
    name: "resnet",
    description: "Picture f32 [1,3,224,224] to class logits: torchvision's ResNet, ResNeXt and wide ResNet",
    anchors: &["layer4.0.conv1.weight"],
    build,
};

fn build(net: &mut Network<'_>, settings: &Settings) -> Result<()> {
    let channels = net.extent("conv1.weight", 1).max(1);
    let shape = settings
        .input
        .clone()
        .unwrap_or_else(|| vec![1, channels, 224, 224]);
    let x = net.input("input", Dtype::F32, &shape);
    let x = net.conv_norm("conv1", "bn1", x, &Conv::square(7, 2))?;
    let x = net.unary("relu", Unary::Relu, x);
    let x = net.pool("maxpool", PoolKind::Max, x, 3, 2, 1);
    let x = stages(net, 4, x, block)?;
    let pooled = net.global_mean("avgpool", x);
    let logits = net.linear("fc", pooled)?;
    net.output("logits", logits);
    Ok(())
}

/// Stages `layer1`, `layer2`, ... of blocks, the first block of each but the first stage at half the extents.
pub(crate) fn stages(
    net: &mut Network<'_>,
    count: usize,
    mut x: ValueId,
    block: fn(&mut Network<'_>, &str, ValueId, usize) -> Result<ValueId>,
) -> Result<ValueId> {
    for stage in 1..=count {
        for n in 0..net.count_under(&format!("layer{stage}.")).max(1) {
            let stride = if stage > 1 && n == 0 { 2 } else { 1 };
            x = block(net, &format!("layer{stage}.{n}"), x, stride)?;
        }
    }
    Ok(x)
}

/// The two 3x3 convolutions of a basic block.
pub(crate) fn basic(net: &mut Network<'_>, prefix: &str, x: ValueId, stride: usize) -> Result<ValueId> {
    let part = |name: &str| format!("{prefix}.{name}");
    let y = net.conv_norm(&part("conv1"), &part("bn1"), x, &Conv::square(3, stride))?;
    let y = net.unary(&part("relu1"), Unary::Relu, y);
    net.conv_norm(&part("conv2"), &part("bn2"), y, &Conv::square(3, 1))
}

/// The 1x1 convolution of a shortcut with parameters.
pub(crate) fn projected(net: &mut Network<'_>, shortcut: &str, x: ValueId, stride: usize) -> Result<ValueId> {
    let [conv, norm] = [0, 1].map(|n| format!("{shortcut}.{n}"));
    net.conv_norm(&conv, &norm, x, &Conv::square(1, stride))
}

/// What leaves a block.
pub(crate) fn joined(net: &mut Network<'_>, prefix: &str, y: ValueId, shortcut: ValueId) -> ValueId {
    let sum = net.binary(&format!("{prefix}.add"), Binary::Add, y, shortcut);
    net.unary(&format!("{prefix}.relu"), Unary::Relu, sum)
}

fn block(net: &mut Network<'_>, prefix: &str, x: ValueId, stride: usize) -> Result<ValueId> {
    let part = |name: &str| format!("{prefix}.{name}");
    let y = if net.has_under(&part("conv3.")) {
        let y = net.conv_norm(&part("conv1"), &part("bn1"), x, &Conv::square(1, 1))?;
        let y = net.unary(&part("relu1"), Unary::Relu, y);
        let inner = net.extent(&part("conv1.weight"), 0);
        let of_group = net.extent(&part("conv2.weight"), 1).max(1);
        let conv = Conv {
            groups: Some((inner / of_group).max(1)),
            ..Conv::square(3, stride)
        };
        let y = net.conv_norm(&part("conv2"), &part("bn2"), y, &conv)?;
        let y = net.unary(&part("relu2"), Unary::Relu, y);
        net.conv_norm(&part("conv3"), &part("bn3"), y, &Conv::square(1, 1))?
    } else {
        basic(net, prefix, x, stride)?
    };
    let shortcut = if net.has_under(&part("downsample.")) {
        projected(net, &part("downsample"), x, stride)?
    } else {
        x
    };
    Ok(joined(net, prefix, y, shortcut))
}
