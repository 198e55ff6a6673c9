//! Llama decoders as llama2.c stores them.

use limbic_graph::op::{Binary, Compare, GatherMode, Unary};
use limbic_graph::{Dtype, Error, ErrorKind, Op, Result, Tensor, ValueId};

use crate::network::Network;
use crate::{Architecture, Settings};

/// The architecture: one token a run, keys and values of the tokens before it as state.
///
/// Takes `token` i64 `[1,1]`, its `position` i64 `[1]` from 0 on, and for each layer `key.N` and `value.N`
/// `[1, heads, positions, size]`, zeros at first; gives `logits` `[1,1,words]` of the next token, and the state again
/// as `key.N_next` and `value.N_next`. A position behind the last that the file has angles for is refused when the
/// graph runs.
pub(crate) const ARCHITECTURE: Architecture = Architecture {
    name: "llama",
    description: "A token, its position and the state of each layer to the logits of the next: llama2.c's files",
    anchors: &["rms_att_weight"],
    build,
};

/// Added to the mean square in every normalisation.
const EPSILON: f32 = 1e-5;

/// Added to the scores of places that hold no token yet: their share is then 0 in `f32`, and `f16` can hold it.
const HIDDEN: f32 = -10000.0;

/// Most layers: a tensor without elements can state any number of them.
const MOST_LAYERS: usize = 1024;

/// Extents of a decoder.
struct Shape {
    width: usize,
    layers: usize,
    heads: usize,
    /// Heads of keys and values, each shared by `heads / shared` heads of queries.
    shared: usize,
    /// Elements of a head.
    size: usize,
    positions: usize,
}

/// What all layers read.
struct Place {
    /// `[1,1,positions,1]`: whether a row of the state is the token's own.
    own: ValueId,
    /// `[1,1,1,positions]`: added to the scores.
    unseen: ValueId,
    /// `[1,size]`: cosines, each twice.
    cos: ValueId,
    /// `[1,size]`: sines, each twice, the first one negative.
    sin: ValueId,
    /// The neighbour of each element of a head.
    partners: ValueId,
}

fn build(net: &mut Network<'_>, _: &Settings) -> Result<()> {
    let shape = shape(net)?;
    let token = net.input("token", Dtype::I64, &[1, 1]);
    let position = net.input("position", Dtype::I64, &[1]);
    let place = place(net, &shape, position)?;
    let table = net.parameter("token_embedding_table", &[None, Some(shape.width)])?;
    let rows = Op::Gather(GatherMode::Slices { axis: 0 });
    let mut x = net.node("embedded", rows, &[table, token], Dtype::F32);
    let mut states = Vec::new();
    for n in 0..shape.layers {
        let (y, next) = attention(net, &shape, &place, n, x)?;
        let y = net.binary(&format!("{n}.attended"), Binary::Add, x, y);
        states.push(next);
        let z = feed_forward(net, n, y)?;
        x = net.binary(&format!("{n}.fed"), Binary::Add, y, z);
    }
    let scale = net.parameter("rms_final_weight", &[Some(shape.width)])?;
    let x = normalised(net, "final", x, scale);
    let classifier = if net.has("wcls") {
        net.parameter("wcls", &[None, Some(shape.width)])?
    } else {
        table
    };
    let logits = product(net, "classifier", x, classifier);
    net.output("logits", logits);
    for (n, [key, value]) in states.into_iter().enumerate() {
        net.output(&format!("key.{n}_next"), key);
        net.output(&format!("value.{n}_next"), value);
    }
    Ok(())
}

fn shape(net: &Network<'_>) -> Result<Shape> {
    let width = net.extent("token_embedding_table", 1);
    let size = 2 * net.extent("freq_cis_real", 1);
    let fault = |expected: &str, found: String| Error::new(ErrorKind::Shape, "llama", expected, found);
    let shared = net.extent("wk", 1).checked_div(size).unwrap_or(0);
    let heads = width.checked_div(size).unwrap_or(0);
    if shared == 0 || heads * size != width || !heads.is_multiple_of(shared) {
        let found = format!("{width} elements, {size} a head, {shared} heads of keys");
        return Err(fault("heads of keys that heads of queries share evenly", found));
    }
    let layers = net.extent("wq", 0);
    if layers > MOST_LAYERS {
        return Err(fault("at most 1024 layers", layers.to_string()));
    }
    Ok(Shape {
        width,
        layers,
        heads,
        shared,
        size,
        positions: net.extent("freq_cis_real", 0),
    })
}

fn place(net: &mut Network<'_>, shape: &Shape, position: ValueId) -> Result<Place> {
    let angles = [Some(shape.positions), Some(shape.size / 2)];
    let cos = net.stored("freq_cis_real", &angles, |tensor| twice(&tensor, 1.0))?;
    let sin = net.stored("freq_cis_imag", &angles, |tensor| twice(&tensor, -1.0))?;
    let row = Op::Gather(GatherMode::Slices { axis: 0 });
    let cos = net.node("cos", row.clone(), &[cos, position], Dtype::F32);
    let sin = net.node("sin", row, &[sin, position], Dtype::F32);
    let numbers: Vec<i64> = (0..shape.positions as i64).collect();
    let numbers = net.constant("positions", Tensor::vector(numbers));
    let own = net.node(
        "own",
        Op::Compare(Compare::Equal),
        &[numbers, position],
        Dtype::Bool,
    );
    let own_rows = net.constant("own.shape", Tensor::vector(vec![1i64, 1, -1, 1]));
    let reshape = Op::Reshape { allow_zero: false };
    let own = net.node("own.rows", reshape, &[own, own_rows], Dtype::Bool);
    let later = net.node(
        "later",
        Op::Compare(Compare::Greater),
        &[numbers, position],
        Dtype::Bool,
    );
    let to = Dtype::F32;
    let later = net.node("later.cast", Op::Cast { to, saturate: true }, &[later], to);
    let hidden = net.constant("hidden", Tensor::scalar(HIDDEN));
    let unseen = net.binary("unseen", Binary::Mul, later, hidden);
    let partners: Vec<i64> = (0..shape.size as i64).map(|n| n ^ 1).collect();
    let partners = net.constant("partners", Tensor::vector(partners));
    Ok(Place {
        own,
        unseen,
        cos,
        sin,
        partners,
    })
}

/// Each angle for both elements of its pair; the first of them times `first`.
fn twice(angles: &Tensor, first: f32) -> Result<Tensor> {
    let [positions, pairs] = angles.shape()[..] else {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            "two axes",
            format!("{:?}", angles.shape()),
        ));
    };
    let both = angles
        .elements::<f32>()?
        .iter()
        .flat_map(|&angle| [first * angle, angle]);
    Tensor::new(&[positions, 2 * pairs], both.collect::<Vec<f32>>())
}

/// What the attention of a layer adds, and the next keys and values.
fn attention(
    net: &mut Network<'_>,
    shape: &Shape,
    place: &Place,
    n: usize,
    x: ValueId,
) -> Result<(ValueId, [ValueId; 2])> {
    let scale = of_layer(net, "rms_att_weight", n)?;
    let x = normalised(net, &format!("{n}.attention"), x, scale);
    let (shared, size) = (shape.shared as i64, shape.size as i64);
    let sharing = (shape.heads / shape.shared) as i64;
    let queries = projected(net, "wq", n, x)?;
    // The queries that share a key stand together.
    let queries = net.reshape(&format!("{n}.queries"), queries, &[1, shared, sharing, size]);
    let queries = turned(net, place, &format!("{n}.queries"), queries);
    let new = projected(net, "wk", n, x)?;
    let new = net.reshape(&format!("{n}.key"), new, &[1, shared, 1, size]);
    let new = turned(net, place, &format!("{n}.key"), new);
    let keys = kept(net, shape, place, &format!("key.{n}"), new);
    let new = projected(net, "wv", n, x)?;
    let new = net.reshape(&format!("{n}.value"), new, &[1, shared, 1, size]);
    let values = kept(net, shape, place, &format!("value.{n}"), new);

    let factor = Tensor::scalar(1.0 / (shape.size as f32).sqrt());
    let factor = net.constant(&format!("{n}.factor"), factor);
    let queries = net.binary(&format!("{n}.scaled"), Binary::Mul, queries, factor);
    let columns = net.transpose(&format!("{n}.columns"), keys, &[0, 1, 3, 2]);
    let scores = net.node(
        &format!("{n}.scores"),
        Op::MatMul,
        &[queries, columns],
        Dtype::F32,
    );
    let scores = net.binary(&format!("{n}.seen"), Binary::Add, scores, place.unseen);
    let shares = net.node(
        &format!("{n}.shares"),
        Op::Softmax { axis: -1 },
        &[scores],
        Dtype::F32,
    );
    let mixed = net.node(&format!("{n}.mixed"), Op::MatMul, &[shares, values], Dtype::F32);
    let mixed = net.reshape(&format!("{n}.context"), mixed, &[1, 1, shape.width as i64]);
    Ok((projected(net, "wo", n, mixed)?, [keys, values]))
}

/// Neighbours turned by the angles of the token's position.
fn turned(net: &mut Network<'_>, place: &Place, name: &str, x: ValueId) -> ValueId {
    let kept = net.binary(&format!("{name}.cos"), Binary::Mul, x, place.cos);
    let op = Op::Gather(GatherMode::Slices { axis: 3 });
    let partners = net.node(&format!("{name}.partners"), op, &[x, place.partners], Dtype::F32);
    let crossed = net.binary(&format!("{name}.sin"), Binary::Mul, partners, place.sin);
    net.binary(&format!("{name}.turned"), Binary::Add, kept, crossed)
}

/// The state of this name with the token's own row put in.
fn kept(net: &mut Network<'_>, shape: &Shape, place: &Place, name: &str, new: ValueId) -> ValueId {
    let extents = [1, shape.shared, shape.positions, shape.size];
    let before = net.input(name, Dtype::F32, &extents);
    net.node(
        &format!("{name}.kept"),
        Op::Where,
        &[place.own, new, before],
        Dtype::F32,
    )
}

/// What the gated layers behind the attention add.
fn feed_forward(net: &mut Network<'_>, n: usize, x: ValueId) -> Result<ValueId> {
    let scale = of_layer(net, "rms_ffn_weight", n)?;
    let x = normalised(net, &format!("{n}.feed"), x, scale);
    let gate = projected(net, "w1", n, x)?;
    let gate = net.unary(&format!("{n}.gate"), Unary::Swish { alpha: 1.0 }, gate);
    let wide = projected(net, "w3", n, x)?;
    let wide = net.binary(&format!("{n}.gated"), Binary::Mul, gate, wide);
    projected(net, "w2", n, wide)
}

fn normalised(net: &mut Network<'_>, name: &str, x: ValueId, scale: ValueId) -> ValueId {
    let op = Op::RmsNormalization {
        axis: -1,
        epsilon: EPSILON,
    };
    net.node(&format!("{name}.norm"), op, &[x, scale], Dtype::F32)
}

/// The product with a matrix `[outputs, inputs]` of one layer.
fn projected(net: &mut Network<'_>, name: &str, n: usize, x: ValueId) -> Result<ValueId> {
    let weight = of_layer(net, name, n)?;
    Ok(product(net, &format!("{n}.{name}"), x, weight))
}

fn product(net: &mut Network<'_>, name: &str, x: ValueId, weight: ValueId) -> ValueId {
    let weight = net.transpose(&format!("{name}.weight"), weight, &[1, 0]);
    net.node(name, Op::MatMul, &[x, weight], Dtype::F32)
}

/// One layer's part of a parameter that holds those of all layers.
fn of_layer(net: &mut Network<'_>, name: &str, n: usize) -> Result<ValueId> {
    let rank = if name.starts_with("rms") { 2 } else { 3 };
    let all = net.parameter(name, &vec![None; rank])?;
    let place = net.constant(&format!("{n}.{name}.place"), Tensor::scalar(n as i64));
    let op = Op::Gather(GatherMode::Slices { axis: 0 });
    Ok(net.node(&format!("{n}.{name}.part"), op, &[all, place], Dtype::F32))
}
