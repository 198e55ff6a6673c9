//! Parameters of operations that move and resample elements.

/// How `Gather` reads its indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatherMode {
    /// Whole slices along an axis.
    Slices {
        /// The axis; negative counts from the end.
        axis: i64,
    },
    /// One element an index, the index replacing the place along an axis.
    Elements {
        /// The axis; negative counts from the end.
        axis: i64,
    },
    /// The last axis of the indices is a place in X.
    Nd {
        /// Leading axes that X and the indices share.
        batch_dims: usize,
    },
}

/// What new elements around a tensor are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PadMode {
    /// A constant.
    Constant,
    /// The outermost element.
    Edge,
    /// A mirror without the outermost element.
    Reflect,
    /// The other end.
    Wrap,
}

/// How an update of `Scatter` meets what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ScatterReduction {
    Replace,
    Add,
    Mul,
    Min,
    Max,
}

/// What `RoiAlign` makes of its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Reduction {
    Mean,
    Max,
}

/// How `Resize` interpolates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ResizeMode {
    /// The nearest element.
    Nearest(ResizeRounding),
    /// Linear along each axis.
    Linear,
    /// Cubic along each axis.
    Cubic {
        /// Coefficient `a`, such as -0.75.
        a: f32,
    },
}

/// Which of two elements is the nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ResizeRounding {
    PreferFloor,
    PreferCeil,
    Floor,
    Ceil,
    /// To even, as `GridSample` has it.
    TiesToEven,
}

/// Where an element of the output lies in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in ONNX, where no other meaning is given")]
pub enum ResizeCoordinates {
    HalfPixel,
    HalfPixelSymmetric,
    PytorchHalfPixel,
    AlignCorners,
    Asymmetric,
    /// `(x + 0.5) * scale`, without the half pixel taken back.
    TfHalfPixel,
    TfCropAndResize,
}

/// Whether sizes are taken as they are or keep the aspect ratio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "as in ONNX")]
pub enum ResizeTo {
    Stretch,
    NotLarger,
    NotSmaller,
}

/// Parameters of `Resize`.
#[derive(Debug, Clone, PartialEq)]
pub struct Resize {
    /// How it interpolates.
    pub mode: ResizeMode,
    /// Where an element of the output lies in the input.
    pub coordinates: ResizeCoordinates,
    /// Whether a smaller output averages over more elements.
    pub antialias: bool,
    /// Axes that scales and sizes are for; empty for all.
    pub axes: Vec<i64>,
    /// Whether weights outside the input are left out and the rest scaled to a sum of 1.
    pub exclude_outside: bool,
    /// Value outside the input, for [`ResizeCoordinates::TfCropAndResize`].
    pub extrapolation: f32,
    /// What sizes mean.
    pub to: ResizeTo,
}

/// Parameters of `RoiAlign`.
#[derive(Debug, Clone, PartialEq)]
pub struct RoiAlign {
    /// Rows of the output.
    pub height: usize,
    /// Columns of the output.
    pub width: usize,
    /// Samples a bin and axis; 0 chooses by size.
    pub sampling_ratio: usize,
    /// Scale of the regions' coordinates.
    pub spatial_scale: f32,
    /// Whether coordinates are shifted by half a pixel.
    pub half_pixel: bool,
    /// What is made of the samples.
    pub reduction: Reduction,
}
