//! Parameters of convolutions, pools and attention.

/// Elements added around the spatial axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Padding {
    /// Numbers: before each axis, then behind each axis.
    Explicit(Vec<usize>),
    /// As many that the output is `ceil(input / stride)`; the odd one behind.
    SameUpper,
    /// As many that the output is `ceil(input / stride)`; the odd one before.
    SameLower,
}

/// Parameters of a convolution over one or more spatial axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Convolution {
    /// Steps along each spatial axis.
    pub strides: Vec<usize>,
    /// Distances of the kernel's elements.
    pub dilations: Vec<usize>,
    /// Elements added.
    pub padding: Padding,
    /// Groups of channels that do not meet.
    pub groups: usize,
    /// Of a transposed convolution: elements added behind the output; else empty.
    pub output_padding: Vec<usize>,
    /// Of a transposed convolution: wanted spatial extents; else empty.
    pub output_shape: Vec<usize>,
}

impl Convolution {
    /// Step 1, no dilation, no padding, one group, over `axes` spatial axes.
    pub fn unit(axes: usize) -> Self {
        Self {
            strides: vec![1; axes],
            dilations: vec![1; axes],
            padding: Padding::Explicit(vec![0; 2 * axes]),
            groups: 1,
            output_padding: Vec::new(),
            output_shape: Vec::new(),
        }
    }
}

/// Parameters of a deformable convolution.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deformable {
    /// As of a convolution.
    pub convolution: Convolution,
    /// Groups of channels that share offsets.
    pub offset_groups: usize,
}

/// What a pool makes of its window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolKind {
    /// The greatest.
    Max,
    /// The mean.
    Average {
        /// Whether added elements count.
        include_padding: bool,
    },
    /// The p-norm.
    Lp {
        /// The p.
        p: i64,
    },
}

/// Parameters of a pool over one or more spatial axes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// What it makes of its window.
    pub kind: PoolKind,
    /// Extents of the window.
    pub kernel: Vec<usize>,
    /// Steps along each spatial axis.
    pub strides: Vec<usize>,
    /// Distances of the window's elements.
    pub dilations: Vec<usize>,
    /// Elements added.
    pub padding: Padding,
    /// Whether the output's extents are rounded up.
    pub ceil_mode: bool,
    /// Of indices: whether they count columns before rows.
    pub column_major: bool,
}

/// Parameters of `Attention`, as ONNX Attention-24.
#[derive(Debug, Clone, PartialEq)]
pub struct Attention {
    /// Whether a query sees no later key.
    pub causal: bool,
    /// Heads of the queries, where Q is `[batch, length, heads * size]`.
    pub query_heads: Option<usize>,
    /// Heads of keys and values, where they are `[batch, length, heads * size]`.
    pub key_heads: Option<usize>,
    /// Factor of the scores; `None` for `1 / sqrt(size)`.
    pub scale: Option<f32>,
    /// Soft limit of the scores; 0 for none.
    pub softcap: f32,
    /// Which scores the fourth output holds, 0 to 3.
    pub score_output: u8,
}

/// Parameters of `RotaryEmbedding`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotaryEmbedding {
    /// Whether pairs are neighbours instead of halves apart.
    pub interleaved: bool,
    /// Elements of a head that are turned; 0 for all.
    pub dim: usize,
    /// Heads, where X is `[batch, length, heads * size]`.
    pub heads: usize,
}
