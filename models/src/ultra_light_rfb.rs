//! The Ultra-Light face detector with a receptive field block (version RFB).

use limbic_graph::op::{Binary, Unary};
use limbic_graph::{Dtype, Op, Result, ValueId};

use crate::network::{Conv, Network};
use crate::{Architecture, Settings};

/// The architecture, without the decoding of boxes.
pub(crate) const ARCHITECTURE: Architecture = Architecture {
    name: "ultra-light-rfb",
    description: "Picture f32 [1,3,240,320] to scores [1,priors,2] and box offsets [1,priors,4]",
    anchors: &["base_net.7.branch0.0.conv.weight"],
    build,
};

/// Layers of `base_net` whose depthwise convolution halves the picture.
const STRIDED: [usize; 4] = [2, 4, 8, 11];

/// Layers of `base_net` behind which a pair of headers looks at what there is.
const HEADERS_BEHIND: [usize; 3] = [7, 10, 12];

fn build(net: &mut Network<'_>, settings: &Settings) -> Result<()> {
    let shape = settings.input.clone().unwrap_or_else(|| vec![1, 3, 240, 320]);
    let x = net.input("input", Dtype::F32, &shape);
    let mut x = conv_relu(net, "base_net.0", 0, x, &Conv::square(3, 2))?;
    let (mut scores, mut boxes) = (Vec::new(), Vec::new());
    for i in 1..=12 {
        let prefix = format!("base_net.{i}");
        x = if i == 7 {
            receptive_field(net, &prefix, x)?
        } else {
            let stride = if STRIDED.contains(&i) { 2 } else { 1 };
            let x = conv_relu(net, &prefix, 0, x, &Conv::square(3, stride).depthwise())?;
            conv_relu(net, &prefix, 3, x, &Conv::square(1, 1))?
        };
        if let Some(at) = HEADERS_BEHIND.iter().position(|behind| *behind == i) {
            scores.push(separable_header(
                net,
                &format!("classification_headers.{at}"),
                x,
                2,
            )?);
            boxes.push(separable_header(net, &format!("regression_headers.{at}"), x, 4)?);
        }
    }
    let y = net.conv("extras.0.0", x, &Conv::square(1, 1))?;
    let y = net.unary("extras.0.1", Unary::Relu, y);
    let y = separable(net, "extras.0.2", y, 2)?;
    let y = net.unary("extras.0.3", Unary::Relu, y);
    for (prefix, width, to) in [
        ("classification_headers.3", 2, &mut scores),
        ("regression_headers.3", 4, &mut boxes),
    ] {
        let header = net.conv(prefix, y, &Conv::square(3, 1))?;
        to.push(rows(net, prefix, header, width));
    }
    let logits = net.node("logits", Op::Concat { axis: 1 }, &scores, Dtype::F32);
    let scores = net.node("softmax", Op::Softmax { axis: 2 }, &[logits], Dtype::F32);
    let boxes = net.node("offsets", Op::Concat { axis: 1 }, &boxes, Dtype::F32);
    net.output("scores", scores);
    net.output("boxes", boxes);
    Ok(())
}

/// A convolution at a place of a sequence, its normalisation at the next and a ReLU.
fn conv_relu(net: &mut Network<'_>, prefix: &str, at: usize, x: ValueId, conv: &Conv) -> Result<ValueId> {
    let x = net.conv_norm(
        &format!("{prefix}.{at}"),
        &format!("{prefix}.{}", at + 1),
        x,
        conv,
    )?;
    Ok(net.unary(&format!("{prefix}.{}", at + 2), Unary::Relu, x))
}

/// Three branches of growing dilation, joined, beside a shortcut.
fn receptive_field(net: &mut Network<'_>, prefix: &str, x: ValueId) -> Result<ValueId> {
    let (one, three) = (Conv::square(1, 1), Conv::square(3, 1));
    // Every branch begins with its 1x1 and ends with its dilated convolution; only those between have a ReLU.
    let branches: [Vec<Conv>; 3] = [
        vec![one.clone(), three.clone(), three.clone().dilated(2)],
        vec![one.clone(), three.clone(), three.clone().dilated(3)],
        vec![one.clone(), three.clone(), three.clone(), three.dilated(5)],
    ];
    let mut joined = Vec::new();
    for (i, convs) in branches.iter().enumerate() {
        let mut y = x;
        for (j, conv) in convs.iter().enumerate() {
            let part = format!("{prefix}.branch{i}.{j}");
            y = net.conv_norm(&format!("{part}.conv"), &format!("{part}.bn"), y, conv)?;
            if j > 0 && j + 1 < convs.len() {
                y = net.unary(&format!("{part}.relu"), Unary::Relu, y);
            }
        }
        joined.push(y);
    }
    let y = net.node(
        &format!("{prefix}.concat"),
        Op::Concat { axis: 1 },
        &joined,
        Dtype::F32,
    );
    let y = net.conv_norm(
        &format!("{prefix}.ConvLinear.conv"),
        &format!("{prefix}.ConvLinear.bn"),
        y,
        &one,
    )?;
    let shortcut = net.conv_norm(
        &format!("{prefix}.shortcut.conv"),
        &format!("{prefix}.shortcut.bn"),
        x,
        &one,
    )?;
    let sum = net.binary(&format!("{prefix}.add"), Binary::Add, y, shortcut);
    Ok(net.unary(&format!("{prefix}.relu"), Unary::Relu, sum))
}

/// A depthwise convolution, a ReLU and a 1x1 convolution.
fn separable(net: &mut Network<'_>, prefix: &str, x: ValueId, stride: usize) -> Result<ValueId> {
    let y = net.conv(&format!("{prefix}.0"), x, &Conv::square(3, stride).depthwise())?;
    let y = net.unary(&format!("{prefix}.1"), Unary::Relu, y);
    net.conv(&format!("{prefix}.2"), y, &Conv::square(1, 1))
}

fn separable_header(net: &mut Network<'_>, prefix: &str, x: ValueId, width: i64) -> Result<ValueId> {
    let y = separable(net, prefix, x, 1)?;
    Ok(rows(net, prefix, y, width))
}

/// `[1, priors * width, H, W]` to one row a prior.
fn rows(net: &mut Network<'_>, prefix: &str, x: ValueId, width: i64) -> ValueId {
    let last = net.transpose(&format!("{prefix}.last"), x, &[0, 2, 3, 1]);
    net.reshape(&format!("{prefix}.rows"), last, &[0, -1, width])
}
