//! Silero's voice activity detector with the names of its safetensors file.

use limbic_graph::op::{
    Activation, Cell, Convolution, Direction, GatherMode, PadMode, Padding, Recurrent, Reduce, Unary,
};
use limbic_graph::{Dtype, Error, ErrorKind, Op, Result, Tensor, ValueId};

use crate::network::{Conv, Network};
use crate::{Architecture, Settings};

/// The architecture: samples as magnitudes of short-time spectra, four convolutions, one LSTM cell, a probability.
///
/// Takes 36 ms of mono samples in -1..1 (`input`: 576 at 16 kHz, of which the first 64 are the last of the run
/// before) and the cell's `state` `[2,1,128]`, zeros at first; gives the probability of speech and the next state.
pub(crate) const ARCHITECTURE: Architecture = Architecture {
    name: "silero-vad",
    description: "Samples f32 [1,576] and state f32 [2,1,128] to the probability of speech and the next state",
    anchors: &["stft_conv.weight"],
    build,
};

/// Steps of the four convolutions.
const STRIDES: [usize; 4] = [1, 2, 2, 1];

fn build(net: &mut Network<'_>, _: &Settings) -> Result<()> {
    let window = net.extent("stft_conv.weight", 2);
    let hidden = net.extent("lstm_cell.weight_hh", 1);
    let samples = 2 * window + window / 4;
    let x = net.input("input", Dtype::F32, &[1, samples]);
    let state = net.input("state", Dtype::F32, &[2, 1, hidden]);

    let mut x = spectrum(net, x, window)?;
    for (n, stride) in (1..).zip(STRIDES) {
        x = net.conv(&format!("conv{n}"), x, &Conv::of(&[3], &[stride]))?;
        x = net.unary(&format!("relu{n}"), Unary::Relu, x);
    }
    let x = net.transpose("steps", x, &[2, 0, 1]);
    let next = cell(net, x, state, hidden)?;
    let y = net.unary("decoder.relu", Unary::Relu, next[0]);
    let y = net.transpose("decoder.turned", y, &[1, 2, 0]);
    let y = net.conv("final_conv", y, &Conv::of(&[1], &[1]))?;
    let y = net.unary("decoder.sigmoid", Unary::Sigmoid, y);
    let y = net.reshape("probability", y, &[1, 1]);
    net.output("output", y);
    let state = net.node("state.joined", Op::Concat { axis: 0 }, &next, Dtype::F32);
    net.output("stateN", state);
    Ok(())
}

/// Magnitudes `[1, window / 2 + 1, frames]`: the rows of the basis are the real parts, then the imaginary ones.
fn spectrum(net: &mut Network<'_>, x: ValueId, window: usize) -> Result<ValueId> {
    let basis = net.parameter("stft_conv.weight", &[None, Some(1), None])?;
    let bins = net.extent("stft_conv.weight", 0) / 2;
    let pads = Tensor::vector(vec![0, 0, 0, (window / 4) as i64]);
    let pads = net.constant("stft.pads", pads);
    let mode = PadMode::Reflect;
    let x = net.node("stft.padded", Op::Pad { mode }, &[x, pads], Dtype::F32);
    let x = net.reshape("stft.channel", x, &[1, 1, -1]);
    let op = Op::Conv(Convolution {
        strides: vec![(window / 2).max(1)],
        padding: Padding::Explicit(vec![0, 0]),
        ..Convolution::unit(1)
    });
    let x = net.node("stft_conv", op, &[x, basis], Dtype::F32);
    let x = net.reshape("stft.parts", x, &[1, 2, bins as i64, -1]);
    Ok(net.reduce("stft.magnitude", Reduce::L2, x, &[1], false))
}

/// One step of the LSTM: the next hidden and cell state, `[1,1,hidden]` each.
fn cell(net: &mut Network<'_>, x: ValueId, state: ValueId, hidden: usize) -> Result<[ValueId; 2]> {
    let rows = Some(4 * hidden);
    let weight = net.stored("lstm_cell.weight_ih", &[rows, None], gates)?;
    let recurrent = net.stored("lstm_cell.weight_hh", &[rows, Some(hidden)], gates)?;
    let mut biases = [weight; 2];
    for (bias, name) in biases.iter_mut().zip(["lstm_cell.bias_ih", "lstm_cell.bias_hh"]) {
        *bias = net.stored(name, &[rows], gates)?;
    }
    let bias = net.node("lstm_cell.bias", Op::Concat { axis: 1 }, &biases, Dtype::F32);
    let mut before = [state; 2];
    for (n, part) in (0i64..).zip(&mut before) {
        let place = net.constant(&format!("state.{n}.place"), Tensor::vector(vec![n]));
        let op = Op::Gather(GatherMode::Slices { axis: 0 });
        *part = net.node(&format!("state.{n}"), op, &[state, place], Dtype::F32);
    }
    let op = Op::Recurrent(Recurrent {
        cell: Cell::Lstm { input_forget: false },
        hidden,
        direction: Direction::Forward,
        activations: vec![Activation::Sigmoid, Activation::Tanh, Activation::Tanh],
        clip: None,
        batch_first: false,
    });
    let inputs = [
        Some(x),
        Some(weight),
        Some(recurrent),
        Some(bias),
        None,
        Some(before[0]),
        Some(before[1]),
    ];
    let next = net.node_of_many("lstm_cell", op, &inputs, &[None, Some("hidden"), Some("cell")]);
    <[ValueId; 2]>::try_from(next)
        .map_err(|found| Error::new(ErrorKind::Name, "lstm_cell", "two states", found.len()))
}

/// The rows of PyTorch's gates (input, forget, cell, output) in ONNX's order (input, output, forget, cell), for one
/// direction.
fn gates(tensor: Tensor) -> Result<Tensor> {
    let elements = tensor.elements::<f32>()?;
    let gate = elements.len() / 4;
    let mut ordered: Vec<f32> = Vec::with_capacity(elements.len());
    for place in [0, 3, 1, 2] {
        ordered.extend(elements.iter().skip(place * gate).take(gate));
    }
    let shape: Vec<usize> = std::iter::once(1).chain(tensor.shape().iter().copied()).collect();
    Tensor::new(&shape, ordered)
}
