//! ResNets for 32x32 pictures, as He et al. 2015 (section 4.2) describe them.

use limbic_graph::op::{PadMode, Unary};
use limbic_graph::{Dtype, Op, Result, Tensor, ValueId};

use crate::network::{Conv, Network};
use crate::{Architecture, Settings, resnet};

/// The architecture of any depth, shortcuts without parameters (option A) or as a 1x1 convolution (option B).
pub(crate) const ARCHITECTURE: Architecture = Architecture {
    name: "resnet-cifar",
    description: "Picture f32 [1,3,32,32] to class logits, three stages of basic blocks",
    anchors: &["layer1.0.conv1.weight"],
    build,
};

fn build(net: &mut Network<'_>, settings: &Settings) -> Result<()> {
    let channels = net.extent("conv1.weight", 1).max(1);
    let shape = settings
        .input
        .clone()
        .unwrap_or_else(|| vec![1, channels, 32, 32]);
    let x = net.input("input", Dtype::F32, &shape);
    let x = net.conv_norm("conv1", "bn1", x, &Conv::square(3, 1))?;
    let x = net.unary("relu", Unary::Relu, x);
    let x = resnet::stages(net, 3, x, block)?;
    let pooled = net.global_mean("pooled", x);
    let logits = net.linear("linear", pooled)?;
    net.output("logits", logits);
    Ok(())
}

fn block(net: &mut Network<'_>, prefix: &str, x: ValueId, stride: usize) -> Result<ValueId> {
    let part = |name: &str| format!("{prefix}.{name}");
    let y = resnet::basic(net, prefix, x, stride)?;
    let weight = part("conv1.weight");
    let (outputs, inputs) = (net.extent(&weight, 0), net.extent(&weight, 1));
    let shortcut = if net.has_under(&part("shortcut.")) {
        resnet::projected(net, &part("shortcut"), x, stride)?
    } else if stride > 1 || outputs != inputs {
        padded(net, &part("shortcut"), x, stride, outputs.saturating_sub(inputs))
    } else {
        x
    };
    Ok(resnet::joined(net, prefix, y, shortcut))
}

/// Every `stride`-th element, and channels of zeros on both sides.
fn padded(net: &mut Network<'_>, name: &str, x: ValueId, stride: usize, channels: usize) -> ValueId {
    let vector = |values: [i64; 2]| Tensor::vector(values.to_vec());
    let starts = net.constant(&format!("{name}.starts"), vector([0, 0]));
    let ends = net.constant(&format!("{name}.ends"), vector([i64::MAX, i64::MAX]));
    let axes = net.constant(&format!("{name}.axes"), vector([2, 3]));
    let steps = net.constant(&format!("{name}.steps"), vector([stride as i64; 2]));
    let x = net.node(
        &format!("{name}.slice"),
        Op::Slice,
        &[x, starts, ends, axes, steps],
        Dtype::F32,
    );
    let before = (channels / 2) as i64;
    let behind = channels as i64 - before;
    let pads = vec![0, before, 0, 0, 0, behind, 0, 0];
    let pads = net.constant(&format!("{name}.pads"), Tensor::vector(pads));
    let mode = PadMode::Constant;
    net.node(name, Op::Pad { mode }, &[x, pads], Dtype::F32)
}
