//! What a node computes.
//!
//! Operations have the meaning of the ONNX operator of the same name in its latest version (opset 28), with older
//! versions brought to that form when a file is read. Spatial operations are channels-first (`[N,C,H,W]`). A list of
//! inputs is given as `(X, W, B?)`, a `?` marking one that may be left out; `X...` is any number.
//!
//! Where an operation's inputs and output are *quantized* (their type has a [`crate::Quantization`]), the operation
//! is integer arithmetic on them: `Conv`, `ConvTranspose`, `Gemm` and `MatMul` accumulate in i32 (a bias is an i32 of
//! scale `scale_x * scale_w`) and requantize by [`crate::Graph::rounding`]; the others act on the real numbers that
//! the integers stand for, in f32, and quantize the result to nearest, ties to even. Where such an operation's output
//! is plain `f32`, it is the accumulator times `scale_x * scale_w`, or the real numbers themselves; an input of the
//! others that is plain `f32` is taken as it is.

mod array;
mod family;
mod layer;
mod math;
mod quant;
mod recurrent;

pub use array::{
    GatherMode, PadMode, Reduction, Resize, ResizeCoordinates, ResizeMode, ResizeRounding, ResizeTo,
    RoiAlign, ScatterReduction,
};
pub(crate) use family::Family;
pub use layer::{Attention, Convolution, Deformable, Padding, Pool, PoolKind, RotaryEmbedding};
pub use math::{Binary, Compare, Logic, Reduce, Unary, Variadic};
pub use quant::{Dequantize, Quantize};
pub use recurrent::{Activation, Cell, Direction, Recurrent};

use crate::dtype::Dtype;
use crate::graph::Graph;

/// What a node computes.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Op {
    // Elementwise.
    /// `(X)`: a function of each element.
    Unary(Unary),
    /// `(A, B)`: a function of two elements, extents broadcast as in NumPy.
    Binary(Binary),
    /// `(A, B)`: a comparison to `bool`, extents broadcast.
    Compare(Compare),
    /// `(A, B)`: a function of two `bool`s, extents broadcast.
    Logic(Logic),
    /// `(X...)`: a function of any number of tensors, extents broadcast.
    Variadic(Variadic),
    /// `(condition, X, Y)`: X where the condition is true, else Y, extents broadcast.
    Where,
    /// `(X, min?, max?)`: limits each element; `min` and `max` are scalars.
    Clip,
    /// `(X)`: elements of another type; floats to integers towards zero.
    Cast {
        /// Type of the output.
        to: Dtype,
        /// Whether an overflow in a conversion to an 8-bit float saturates.
        saturate: bool,
    },
    /// `(X)`: the bits read as another type of the same size.
    BitCast {
        /// Type of the output.
        to: Dtype,
    },

    // Reductions along axes.
    /// `(X, axes?)`: reduces over axes given as a constant or at run time.
    Reduce {
        /// What is computed of the reduced elements.
        function: Reduce,
        /// Whether reduced axes stay with extent 1.
        keep_dims: bool,
        /// Whether empty or missing axes reduce nothing instead of everything.
        noop_with_empty_axes: bool,
    },
    /// `(X)`: place of the greatest or least element along an axis, as `i64`.
    ArgExtreme {
        /// Greatest, else least.
        max: bool,
        /// The axis; negative counts from the end.
        axis: i64,
        /// Whether the axis stays with extent 1.
        keep_dims: bool,
        /// Whether the last of equal elements is taken instead of the first.
        select_last: bool,
    },
    /// `(X)`: softmax along an axis.
    Softmax {
        /// The axis; negative counts from the end.
        axis: i64,
    },
    /// `(X)`: logarithm of the softmax along an axis.
    LogSoftmax {
        /// The axis; negative counts from the end.
        axis: i64,
    },
    /// `(X)`: 1 at the first greatest element along an axis, else 0.
    Hardmax {
        /// The axis; negative counts from the end.
        axis: i64,
    },
    /// `(X, axis)`: running sum or product along an axis.
    Cumulative {
        /// Product instead of sum.
        product: bool,
        /// Whether an element itself is left out of its own result.
        exclusive: bool,
        /// Whether it runs from the end.
        reverse: bool,
    },
    /// `(X, k) -> (values, indices)`: the k greatest or least elements along an axis.
    TopK {
        /// The axis; negative counts from the end.
        axis: i64,
        /// Greatest, else least.
        largest: bool,
        /// Whether they come in order.
        sorted: bool,
    },
    /// `(X)`: divides by the p-norm along an axis.
    LpNormalization {
        /// The axis; negative counts from the end.
        axis: i64,
        /// 1 or 2.
        p: i64,
    },

    // Shape and movement.
    /// `(X)`: the input itself.
    Identity,
    /// `(X, shape)`: other extents; -1 infers one, 0 copies one unless `allow_zero`.
    Reshape {
        /// Whether 0 is an extent of 0.
        allow_zero: bool,
    },
    /// `(X)`: two extents, the product before the axis and the product from it on.
    Flatten {
        /// The axis; negative counts from the end.
        axis: i64,
    },
    /// `(X, axes?)`: drops extents of 1.
    Squeeze,
    /// `(X, axes)`: inserts extents of 1.
    Unsqueeze,
    /// `(X)`: permutes axes.
    Transpose {
        /// Axis of the input at each place of the output; empty to turn the order around.
        permutation: Vec<usize>,
    },
    /// `(X, shape)`: broadcasts to a shape in both directions.
    Expand,
    /// `(X, repeats)`: repeats along each axis.
    Tile,
    /// `(X...)`: joins along an axis.
    Concat {
        /// The axis; negative counts from the end.
        axis: i64,
    },
    /// `(X, sizes?) -> (Y...)`: cuts along an axis; equal parts, the last smaller, where no sizes are given.
    Split {
        /// The axis; negative counts from the end.
        axis: i64,
    },
    /// `(X, starts, ends, axes?, steps?)`.
    Slice,
    /// `(X, pads, value?, axes?)`.
    Pad {
        /// What the new elements are.
        mode: PadMode,
    },
    /// `(X, indices)`: picks along an axis (or by [`GatherMode`]).
    Gather(GatherMode),
    /// `(X, indices, updates)`: a copy of X with some elements replaced or combined.
    ScatterElements {
        /// The axis; negative counts from the end.
        axis: i64,
        /// How an update meets what is there.
        reduction: ScatterReduction,
    },
    /// `(X, indices, updates)`: a copy of X with slices replaced or combined.
    ScatterNd {
        /// How an update meets what is there.
        reduction: ScatterReduction,
    },
    /// `(cache, update, write_indices?)`: writes along an axis of a cache.
    TensorScatter {
        /// The axis; negative counts from the end.
        axis: i64,
        /// Whether places past the end wrap around.
        circular: bool,
    },
    /// `(X)`: extents `start..end` as an `i64` vector.
    Shape {
        /// First axis; negative counts from the end.
        start: i64,
        /// Axis behind the last; `None` for the end.
        end: Option<i64>,
    },
    /// `(X)`: number of elements as an `i64` scalar.
    Size,
    /// `(shape)`: filled with one value.
    ConstantOfShape {
        /// One element; its type is the output's.
        value: crate::tensor::Tensor,
    },
    /// `(start, limit, delta)`.
    Range,
    /// `(X)`: ones on a diagonal.
    EyeLike {
        /// Type of the output.
        dtype: Dtype,
        /// Diagonal, positive above the main one.
        k: i64,
    },
    /// `(X, k?)`: upper or lower triangle.
    Trilu {
        /// Upper, else lower.
        upper: bool,
    },
    /// `(indices, depth, values)`.
    OneHot {
        /// Axis of the output that is new; negative counts from the end.
        axis: i64,
    },
    /// `(X)`: places of elements that are not zero, as `i64` `[rank, n]`.
    NonZero,
    /// `(X, condition)`: slices along an axis (of the flattened input without one) where the condition is true.
    Compress {
        /// The axis; negative counts from the end.
        axis: Option<i64>,
    },
    /// `(X) -> (Y, first?, inverse?, counts?)`.
    Unique {
        /// The axis; `None` flattens.
        axis: Option<i64>,
        /// Ascending, else in order of first appearance.
        sorted: bool,
    },
    /// `(X, lengths)`: reverses the first elements of each sequence.
    ReverseSequence {
        /// Axis of the batch.
        batch_axis: i64,
        /// Axis of time.
        time_axis: i64,
    },
    /// `(X)`: blocks of channels to space.
    DepthToSpace {
        /// Side of a block.
        block: usize,
        /// Column-row-depth order, else depth-column-row.
        crd: bool,
    },
    /// `(X)`: blocks of space to channels.
    SpaceToDepth {
        /// Side of a block.
        block: usize,
        /// Column-row-depth order, else depth-column-row.
        crd: bool,
    },
    /// `(X, shape)`: crops or pads around the centre.
    CenterCropPad {
        /// Axes that the shape is for; empty for all.
        axes: Vec<i64>,
    },
    /// `(X, image_shape, block_shape)`.
    Col2Im(Convolution),
    /// `(X, roi?, scales?, sizes?)`.
    Resize(Resize),
    /// `(X, grid)`.
    GridSample {
        /// `linear`, `nearest` or `cubic`.
        mode: ResizeMode,
        /// What lies outside: zeros, the border or a reflection.
        padding: PadMode,
        /// Whether -1 and 1 are the centres of the outer elements.
        align_corners: bool,
    },
    /// `(theta, size)`.
    AffineGrid {
        /// Whether -1 and 1 are the centres of the outer elements.
        align_corners: bool,
    },
    /// `(X, rois, batch_indices)`.
    RoiAlign(RoiAlign),
    /// `(boxes, scores, max_output_boxes?, iou_threshold?, score_threshold?)`.
    NonMaxSuppression {
        /// Boxes as centre and size, else as corners.
        center: bool,
    },
    /// `(A...)`: Einstein summation.
    Einsum {
        /// Such as `bij,bjk->bik`.
        equation: String,
    },
    /// `(X)`: determinants of the last two axes.
    Det,

    // Layers.
    /// `(X, W, B?)`: X `[N,C,...]`, W `[M,C/groups,...]`, B `[M]`; one or more spatial axes.
    Conv(Convolution),
    /// `(X, W, B?)`: W `[C,M/groups,...]`.
    ConvTranspose(Convolution),
    /// `(X, W, offset, B?, mask?)`.
    DeformConv(Deformable),
    /// `(X, W, x_zero_point?, w_zero_point?)`: to `i32`.
    ConvInteger(Convolution),
    /// `(X)` or for `max` `(X) -> (Y, indices?)`.
    Pool(Pool),
    /// `(X)`: to one element a channel.
    GlobalPool(PoolKind),
    /// `(X, indices, shape?)`.
    MaxUnpool(Pool),
    /// `(A, B, C?)`: `alpha * A B + beta * C` with `A` `[M,K]` and `B` `[K,N]` after the transpositions.
    Gemm {
        /// Factor of the product.
        alpha: f32,
        /// Factor of C.
        beta: f32,
        /// Whether A is stored `[K,M]`.
        transpose_a: bool,
        /// Whether B is stored `[N,K]`.
        transpose_b: bool,
    },
    /// `(A, B)`: as NumPy's `matmul`.
    MatMul,
    /// `(A, B, a_zero_point?, b_zero_point?)`: to `i32`.
    MatMulInteger,
    /// `(X, scale, bias, mean, variance)`: inference.
    BatchNormalization {
        /// Added to the variance.
        epsilon: f32,
    },
    /// `(X, scale, bias)`: over the spatial axes of each channel.
    InstanceNormalization {
        /// Added to the variance.
        epsilon: f32,
    },
    /// `(X, scale, bias)`: over groups of channels, scale and bias per channel.
    GroupNormalization {
        /// Added to the variance.
        epsilon: f32,
        /// Number of groups.
        groups: usize,
    },
    /// `(X, scale, bias?) -> (Y, mean?, inverse_deviation?)`: over the axes from `axis` on.
    LayerNormalization {
        /// First axis; negative counts from the end.
        axis: i64,
        /// Added to the variance.
        epsilon: f32,
    },
    /// `(X, scale)`: over the axes from `axis` on.
    RmsNormalization {
        /// First axis; negative counts from the end.
        axis: i64,
        /// Added to the mean square.
        epsilon: f32,
    },
    /// `(X)`: zero mean and unit variance over axes.
    MeanVarianceNormalization {
        /// The axes.
        axes: Vec<i64>,
    },
    /// `(X)`: across neighbouring channels.
    LocalResponseNormalization {
        /// Factor.
        alpha: f32,
        /// Exponent.
        beta: f32,
        /// Added before the power.
        bias: f32,
        /// Channels of a window.
        size: usize,
    },
    /// `(Q, K, V, mask?, past_key?, past_value?, nonpad?) -> (Y, present_key?, present_value?, scores?)`.
    Attention(Attention),
    /// `(X, cos, sin, positions?)`.
    RotaryEmbedding(RotaryEmbedding),
    /// `(X, W, R, B?, lengths?, initial_h?, initial_c?, peepholes?) -> (Y?, Y_h?, Y_c?)`, as ONNX LSTM, GRU and RNN.
    Recurrent(Recurrent),

    // Signal.
    /// `(X, length?, axis?)`: discrete Fourier transform; the last axis is 1 (real) or 2 (complex).
    Dft {
        /// Whether it goes back.
        inverse: bool,
        /// Whether only the first half of the spectrum of a real signal is there.
        onesided: bool,
    },
    /// `(signal, step, window?, length?)`.
    Stft {
        /// Whether only the first half of the spectrum is there.
        onesided: bool,
    },
    /// `(size)`: Hann, Hamming or Blackman.
    Window {
        /// Coefficients of the cosine sum: `a0 - a1 cos + a2 cos 2`.
        coefficients: [f64; 3],
        /// Periodic, else symmetric.
        periodic: bool,
        /// Type of the output.
        dtype: Dtype,
    },

    // Quantization.
    /// `(X, scale, zero_point?)`.
    Quantize(Quantize),
    /// `(X, scale, zero_point?)`.
    Dequantize(Dequantize),
    /// `(X) -> (Y, scale, zero_point)`: to `u8` by the range of the tensor.
    DynamicQuantize,
    /// Between quantized types, or from `f32` to a quantized type and back: `(X)`, parameters in the types. Between two
    /// tensors of one scale each the integers are rescaled by [`crate::Graph::rounding`].
    Requantize,
    /// `(X, W, B?)`: X `[...,K]` of `f32`, W `[K,N]` of `i8` with one symmetric scale or one for each of its columns, B
    /// `[N]` of `f32`, to `f32` `[...,N]`. Each row of X is rounded to `i8` with the scale `max|x| / 127` of its own,
    /// ties to even; the products are summed in i32, brought to f32, and multiplied by the product of both scales.
    DynamicMatMul,
    /// `(a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero)`.
    QLinearMatMul,
    /// `(x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, B?)`.
    QLinearConv(Convolution),

    // Control.
    /// `(condition, captures...)`: both branches take the captures as their inputs.
    If {
        /// Runs where the condition is true.
        then: Box<Graph>,
        /// Runs else.
        otherwise: Box<Graph>,
    },
}
