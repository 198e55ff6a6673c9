//! The face network of this project: `models/face-small/network.py`.

use limbic_graph::op::{Binary, Reduce, Unary};
use limbic_graph::{Dtype, Op, Result, Tensor, ValueId};

use crate::network::{Conv, Network};
use crate::{Architecture, Settings};

/// The architecture, with batch normalisation or folded.
pub(crate) const ARCHITECTURE: Architecture = Architecture {
    name: "face-small",
    description: "Grey picture f32 [1,1,48,48] to emotion and face logits, residual bottlenecks",
    anchors: &["features.3.body.0.0.weight"],
    build,
};

/// What `features` holds: kernel and step of a convolution, or a bottleneck.
const FEATURES: [Option<(usize, usize)>; 9] = [
    Some((5, 2)),
    Some((3, 1)),
    Some((3, 2)),
    None,
    None,
    Some((3, 2)),
    None,
    None,
    Some((3, 2)),
];

fn build(net: &mut Network<'_>, _settings: &Settings) -> Result<()> {
    let pixels = net.input("pixels", Dtype::F32, &[1, 1, 48, 48]);
    let mut x = with_mirror_image(net, pixels);
    for (i, feature) in FEATURES.iter().enumerate() {
        let prefix = format!("features.{i}");
        x = match feature {
            Some((kernel, stride)) => {
                let conv = Conv::square(*kernel, *stride);
                let x = net.conv_norm(&format!("{prefix}.0"), &format!("{prefix}.1"), x, &conv)?;
                net.unary(&format!("{prefix}.relu"), Unary::Relu, x)
            }
            None => bottleneck(net, &prefix, x)?,
        };
        let added = format!("added.{i}");
        if net.has_under(&format!("{added}.")) {
            x = bottleneck(net, &added, x)?;
        }
    }
    let each = net.global_mean("each", x);
    let pooled = net.reduce("pooled", Reduce::Mean, each, &[0], true);
    let emotion = net.linear("emotion", pooled)?;
    let face = net.linear("face", pooled)?;
    net.output("emotion_logits", emotion);
    net.output("face_logit", face);
    Ok(())
}

/// A face and its mirror image carry the same expression: the network sees both, and their features are averaged.
fn with_mirror_image(net: &mut Network<'_>, pixels: ValueId) -> ValueId {
    let bound = |value: i64| Tensor::vector(vec![value]);
    let start = net.constant("mirror.start", bound(-1));
    let end = net.constant("mirror.end", bound(i64::MIN));
    let axis = net.constant("mirror.axis", bound(3));
    let step = net.constant("mirror.step", bound(-1));
    let image = net.node("mirror", Op::Slice, &[pixels, start, end, axis, step], Dtype::F32);
    net.node("both", Op::Concat { axis: 0 }, &[pixels, image], Dtype::F32)
}

fn bottleneck(net: &mut Network<'_>, prefix: &str, x: ValueId) -> Result<ValueId> {
    let mut y = x;
    for (i, kernel) in [1, 3, 1].into_iter().enumerate() {
        let part = format!("{prefix}.body.{i}");
        y = net.conv_norm(
            &format!("{part}.0"),
            &format!("{part}.1"),
            y,
            &Conv::square(kernel, 1),
        )?;
        if i < 2 {
            y = net.unary(&format!("{part}.relu"), Unary::Relu, y);
        }
    }
    let sum = net.binary(&format!("{prefix}.add"), Binary::Add, x, y);
    Ok(net.unary(&format!("{prefix}.relu"), Unary::Relu, sum))
}
