//! Prints how long the reference interpreter takes for one image through a network of ResNet-50's extents with made-up
//! weights, on one thread: `cargo run --release -p limbic-graph --example time_resnet50`.

use std::time::Instant;

use limbic_graph::op::{Binary, Convolution, Padding, Pool, PoolKind, Unary};
use limbic_graph::{Dtype, Graph, Op, Result, Tensor, TensorType, ValueId, infer, interpret};

/// Numbers that repeat only after a long while, of a size that neither grows nor fades from layer to layer.
fn numbers(shape: &[usize], scale: f32) -> Result<Tensor> {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|n| ((n % 65_537) as f32 * 0.731).sin() * scale)
        .collect();
    Tensor::new(shape, values)
}

fn node(graph: &mut Graph, op: Op, inputs: &[ValueId]) -> ValueId {
    let name = format!("n{}", graph.nodes.len());
    graph.add_node(name, op, inputs, TensorType::unshaped(Dtype::F32))
}

/// A convolution with a bias and, where wanted, a rectifier.
fn convolution(
    graph: &mut Graph,
    x: ValueId,
    [inputs, outputs, kernel, stride]: [usize; 4],
    rectified: bool,
) -> Result<ValueId> {
    let c = Convolution {
        strides: vec![stride; 2],
        padding: Padding::Explicit(vec![kernel / 2; 4]),
        ..Convolution::unit(2)
    };
    let depth = inputs * kernel * kernel;
    let w = numbers(&[outputs, inputs, kernel, kernel], (2.0 / depth as f32).sqrt())?;
    let w = graph.add_constant(format!("w{}", graph.values.len()), w);
    let b = graph.add_constant(format!("b{}", graph.values.len()), numbers(&[outputs], 0.1)?);
    let y = node(graph, Op::Conv(c), &[x, w, b]);
    Ok(if rectified {
        node(graph, Op::Unary(Unary::Relu), &[y])
    } else {
        y
    })
}

fn resnet50() -> Result<Graph> {
    let mut graph = Graph::new("resnet50");
    let graph_input = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 3, 224, 224]));
    let mut x = convolution(&mut graph, graph_input, [3, 64, 7, 2], true)?;
    let pool = Pool {
        kind: PoolKind::Max,
        kernel: vec![3; 2],
        strides: vec![2; 2],
        dilations: vec![1; 2],
        padding: Padding::Explicit(vec![1; 4]),
        ceil_mode: false,
        column_major: false,
    };
    x = node(&mut graph, Op::Pool(pool), &[x]);
    let mut channels = 64;
    for (stage, blocks) in [3, 4, 6, 3].into_iter().enumerate() {
        let width = 64 << stage;
        for block in 0..blocks {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let narrow = convolution(&mut graph, x, [channels, width, 1, 1], true)?;
            let middle = convolution(&mut graph, narrow, [width, width, 3, stride], true)?;
            let wide = convolution(&mut graph, middle, [width, 4 * width, 1, 1], false)?;
            let short = if block == 0 {
                convolution(&mut graph, x, [channels, 4 * width, 1, stride], false)?
            } else {
                x
            };
            let sum = node(&mut graph, Op::Binary(Binary::Add), &[wide, short]);
            x = node(&mut graph, Op::Unary(Unary::Relu), &[sum]);
            channels = 4 * width;
        }
    }
    let pooled = node(
        &mut graph,
        Op::GlobalPool(PoolKind::Average {
            include_padding: false,
        }),
        &[x],
    );
    let y = convolution(&mut graph, pooled, [channels, 1000, 1, 1], false)?;
    graph.outputs.push(y);
    infer::infer(&mut graph)?;
    Ok(graph)
}

fn main() -> Result<()> {
    let graph = resnet50()?;
    let x = numbers(&[1, 3, 224, 224], 1.0)?;
    for _ in 0..3 {
        let start = Instant::now();
        let y = interpret::run(&graph, std::slice::from_ref(&x))?;
        let sum: f32 = y[0].to_f32().iter().sum();
        println!(
            "{:.3} s (sum of the outputs {sum})",
            start.elapsed().as_secs_f64()
        );
    }
    Ok(())
}
