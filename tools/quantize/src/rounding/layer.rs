//! A layer whose weights are rounded.

use limbic_graph::{Dtype, Graph, Op, Quantization, Tensor, ValueId, Windows};
use ndarray::{Array1, Array2, ArrayView2, Axis, Slice};

use super::moments::Moments;
use super::{DAMPING, ROWS_TO_FIT, Rounded, solve};
use crate::error::Result;
use crate::scheme::affine;
use crate::scheme::assign::output_axis;

/// A convolution or product in a float graph and in a quantized one.
#[derive(Debug)]
pub(super) struct Layer {
    name: String,
    op: Op,
    /// What it reads in the quantized graph.
    pub input: ValueId,
    /// Whether the scheme rounds that row by row.
    pub by_row: bool,
    input_scale: f64,
    /// Output channels.
    pub kernels: usize,
    /// Float weights, a row for each output channel.
    weights: Array2<f64>,
    /// Extents of the float weights.
    shape: Vec<usize>,
    bias: Option<Vec<f32>>,
    /// Extents of the quantized weights, and their axis of output channels.
    layout: (Vec<usize>, usize),
}

impl Layer {
    /// Node `n` of the float graph; nothing for one that the quantized graph has no integer weights for.
    pub fn new(graph: &Graph, quantized: &Graph, n: usize) -> Option<Self> {
        let node = graph.nodes.get(n)?;
        let other = quantized.nodes.iter().find(|other| other.name == node.name)?;
        let at = |inputs: &[Option<ValueId>], n: usize| inputs.get(n).copied().flatten();
        let weights = graph.constant(at(&node.inputs, 1)?)?;
        let integers = quantized.constant(at(&other.inputs, 1)?)?;
        let Some(Quantization::PerAxis { axis, .. }) = &integers.quantization else {
            return None;
        };
        if integers.dtype() != Dtype::I8 || weights.dtype() != Dtype::F32 || weights.is_empty() {
            return None;
        }
        let own_axis = output_axis(&node.op)?;
        let kernels = *weights.shape().get(own_axis)?;
        let place = place(weights.shape(), own_axis);
        let mut rows = Array2::zeros((kernels, weights.len() / kernels.max(1)));
        for (i, value) in weights.to_f32().into_iter().enumerate() {
            *rows.get_mut(place(i))? = f64::from(value);
        }
        let by_row = other.op == Op::DynamicMatMul;
        let bias = if by_row {
            at(&other.inputs, 2).and_then(|id| quantized.constant(id))
        } else {
            at(&node.inputs, 2).and_then(|id| graph.constant(id))
        };
        let input = at(&other.inputs, 0)?;
        let scale = quantized.value(input).ty.quantization.as_ref();
        Some(Self {
            name: node.name.clone(),
            op: node.op.clone(),
            input,
            by_row,
            input_scale: scale.map_or(1.0, affine::scale_of),
            kernels,
            weights: rows,
            shape: weights.shape().to_vec(),
            bias: bias.map(Tensor::to_f32),
            layout: (integers.shape().to_vec(), *axis),
        })
    }

    /// Groups of channels that have nothing to do with one another.
    pub fn groups(&self) -> usize {
        match &self.op {
            Op::Conv(convolution) => convolution.groups.max(1),
            _ => 1,
        }
    }

    /// Weights of one output.
    pub fn depth(&self) -> usize {
        self.weights.ncols()
    }

    /// Weights of a group, a row for each output.
    pub fn group(&self, group: usize) -> ArrayView2<'_, f64> {
        let rows = self.kernels / self.groups();
        self.weights
            .slice_axis(Axis(0), Slice::from(group * rows..(group + 1) * rows))
    }

    /// The integers of a row for each output in the layout of the quantized graph, with a scale for each.
    fn tensor<T: limbic_graph::Element>(&self, rows: &Array2<T>) -> Result<Tensor>
    where
        Vec<T>: Into<limbic_graph::Storage>,
    {
        let (shape, axis) = &self.layout;
        let place = place(shape, *axis);
        let values: Vec<T> = (0..rows.len()).map(|i| rows[place(i)]).collect();
        Ok(Tensor::new(shape, values)?)
    }
}

/// Output channel and place among its weights of each element.
fn place(shape: &[usize], axis: usize) -> impl Fn(usize) -> (usize, usize) {
    let inner: usize = shape.iter().skip(axis + 1).product::<usize>().max(1);
    let channels = shape.get(axis).copied().unwrap_or(1).max(1);
    move |i| (i / inner % channels, i / (inner * channels) * inner + i % inner)
}

/// What a layer reads, cut into the rows that its kernels are multiplied with.
pub(super) struct Operand<'a> {
    values: Vec<f32>,
    windows: Option<Windows>,
    layer: &'a Layer,
}

impl<'a> Operand<'a> {
    pub fn new(layer: &'a Layer, tensor: &Tensor) -> Result<Self> {
        let windows = match &layer.op {
            Op::Conv(convolution) => Some(Windows::new(convolution, tensor.shape(), &layer.shape)?),
            _ => None,
        };
        Ok(Self {
            values: tensor.to_f32(),
            windows,
            layer,
        })
    }

    pub fn rows(&self) -> usize {
        match &self.windows {
            Some(windows) => windows.count(),
            None => self.values.len() / self.layer.depth().max(1),
        }
    }

    /// Appends a row.
    pub fn gather(&self, group: usize, n: usize, row: &mut Vec<f64>) {
        match &self.windows {
            Some(windows) => windows.gather(&self.values, group, n, row),
            None => {
                let depth = self.layer.depth();
                let values = self.values.get(n * depth..(n + 1) * depth).unwrap_or_default();
                row.extend(values.iter().map(|&x| f64::from(x)));
            }
        }
    }
}

/// Rounds each row as [`Op::DynamicMatMul`] does.
pub(super) fn round_rows(rows: &mut Array2<f64>) {
    for mut row in rows.rows_mut() {
        let scale = row.iter().fold(0.0, |most: f64, x| most.max(x.abs())) / 127.0;
        if scale > 0.0 {
            row.mapv_inplace(|x| (x / scale).round_ties_even() * scale);
        }
    }
}

/// Rounds the weights of layers that read one tensor, from the moments of each group; a layer whose inputs were all
/// zero, or of which there were none, stays as it was.
pub(super) fn round(layers: &[Layer], mut moments: Vec<Moments>) -> Result<Vec<(String, Rounded)>> {
    let biased = layers.iter().all(|layer| layer.bias.is_some());
    let means: Vec<_> = moments.iter().map(Moments::means).collect();
    let mut fitted = Vec::with_capacity(moments.len());
    for moments in &mut moments {
        if biased {
            moments.centre();
        }
        let size = moments.inputs.nrows();
        let damping = DAMPING * moments.inputs.diag().sum() / size.max(1) as f64;
        moments.inputs.diag_mut().mapv_inplace(|x| x + damping);
        let enough = moments.count >= ROWS_TO_FIT * size;
        let lower = solve::cholesky(&moments.inputs);
        fitted.push(lower.filter(|_| enough).map(|lower| (lower, damping)));
    }
    let mut rounded = Vec::new();
    let mut from = 0;
    for layer in layers {
        let groups = layer.groups();
        let each = layer.kernels / groups;
        let mut real = layer.weights.clone();
        for (group, fitted) in fitted.iter().enumerate() {
            let Some((lower, damping)) = fitted else { continue };
            let mut right = layer.group(group).t().to_owned() * *damping;
            right += &moments[group]
                .outputs
                .slice_axis(Axis(1), Slice::from(from..from + each));
            let found = solve::solve(lower, right);
            real.slice_axis_mut(Axis(0), Slice::from(group * each..(group + 1) * each))
                .assign(&found.t());
        }
        let nearest = affine::weights(
            &layer.name,
            &layer.tensor(&real.mapv(|w| w as f32))?,
            layer.layout.1,
            layer.bias.as_deref().filter(|_| !layer.by_row),
            layer.input_scale,
        )?;
        let Some(Quantization::PerAxis { scales, .. }) = &nearest.quantization else {
            continue;
        };
        let scales: Vec<f64> = scales.iter().map(|&scale| f64::from(scale)).collect();
        let mut integers = Array2::<i8>::zeros(real.dim());
        let mut complete = true;
        for (group, moments) in moments.iter().enumerate() {
            let kernels = group * each..(group + 1) * each;
            let weights = real.slice_axis(Axis(0), Slice::from(kernels.clone()));
            match solve::round(&moments.inputs, weights.t(), &scales[kernels.clone()]) {
                Some(found) => integers
                    .slice_axis_mut(Axis(0), Slice::from(kernels))
                    .assign(&found.t()),
                None => {
                    for (kernel, row) in kernels.zip(weights.rows()) {
                        let nearest = row.mapv(|w| (w / scales[kernel]).round_ties_even() as i8);
                        integers.row_mut(kernel).assign(&nearest);
                    }
                    complete &= moments.count > 0;
                }
            }
        }
        if complete {
            let bias = layer
                .bias
                .as_deref()
                .map(|bias| corrected(layer, bias, &integers, &scales, &means, from, biased));
            let weights = layer
                .tensor(&integers)?
                .with_quantization(nearest.quantization.clone());
            rounded.push((layer.name.clone(), Rounded { weights, bias }));
        }
        from += each;
    }
    Ok(rounded)
}

/// A bias with the mean error of rounded weights and inputs taken from it.
fn corrected(
    layer: &Layer,
    bias: &[f32],
    integers: &Array2<i8>,
    scales: &[f64],
    means: &[(Array1<f64>, Array1<f64>)],
    from: usize,
    centred: bool,
) -> Vec<f32> {
    if !centred {
        return bias.to_vec();
    }
    let each = (layer.kernels / layer.groups()).max(1);
    bias.iter()
        .zip(integers.axis_iter(Axis(0)))
        .enumerate()
        .map(|(kernel, (&bias, row))| {
            let (inputs, outputs) = &means[kernel / each];
            let made: f64 = row.iter().zip(inputs).map(|(&q, x)| f64::from(q) * x).sum();
            (f64::from(bias) + outputs[from + kernel % each] - made * scales[kernel]) as f32
        })
        .collect()
}
