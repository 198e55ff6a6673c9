//! Pictures to tensors.

use limbic_bundle::{Input, Step};
use limbic_signal::image::{self, Picture, PictureTensor, PictureView, PixelOrder, Region};

use super::{FloatTensor, misplaced};
use crate::error::{Error, ErrorKind, Result};

/// The steps from a picture and a region of it to one tensor.
#[derive(Debug)]
pub struct ImagePipeline {
    input: Input,
}

/// What a step works on.
enum Stage<'a> {
    Borrowed(PictureView<'a>),
    Owned(Picture),
    Tensor(PictureTensor),
}

impl ImagePipeline {
    pub(super) fn new(input: &Input) -> Result<Self> {
        Ok(Self { input: input.clone() })
    }

    /// Name of the tensor that the model gets.
    pub fn tensor(&self) -> &str {
        self.input.tensors.first().map_or("", String::as_str)
    }

    /// Runs the steps on `region` of a picture.
    ///
    /// # Errors
    /// [`ErrorKind::Preprocess`] with the step's own words, such as a region that holds no pixel of the picture.
    pub fn run(&self, picture: PictureView<'_>, region: Region) -> Result<FloatTensor> {
        let mut stage = Stage::Borrowed(picture);
        for step in &self.input.steps {
            stage = match (step, stage) {
                (Step::Crop(params), Stage::Borrowed(view)) => {
                    Stage::Borrowed(image::crop(view, region, params).map_err(Error::preprocess)?)
                }
                (Step::Grey(params), Stage::Borrowed(view)) => Stage::Owned(image::grey(view, params)),
                (Step::Grey(params), Stage::Owned(picture)) => {
                    Stage::Owned(image::grey(picture.view(), params))
                }
                (Step::Resize(params), Stage::Borrowed(view)) => {
                    Stage::Owned(image::resize(view, params).map_err(Error::preprocess)?)
                }
                (Step::Resize(params), Stage::Owned(picture)) => {
                    Stage::Owned(image::resize(picture.view(), params).map_err(Error::preprocess)?)
                }
                (Step::Scale(params), stage) => {
                    let mut tensor = tensor_of(stage)?;
                    tensor.scale(params).map_err(Error::preprocess)?;
                    Stage::Tensor(tensor)
                }
                (Step::Standardise(params), stage) => {
                    let mut tensor = tensor_of(stage)?;
                    tensor.standardise(params).map_err(Error::preprocess)?;
                    Stage::Tensor(tensor)
                }
                (Step::Layout(params), stage) => {
                    let tensor = tensor_of(stage)?;
                    let (width, height) = (tensor.width() as usize, tensor.height() as usize);
                    let channels = tensor.channels().count();
                    let dims = match params.order {
                        PixelOrder::Nchw => vec![1, channels, height, width],
                        PixelOrder::Nhwc => vec![1, height, width, channels],
                    };
                    return Ok(FloatTensor {
                        dims,
                        values: tensor.layout(params),
                    });
                }
                (step, _) => return Err(misplaced(&self.input, step)),
            };
        }
        Err(Error::new(
            ErrorKind::Unsupported,
            format!("input {}: no layout@1 step at the end", self.input.name),
        ))
    }
}

fn tensor_of(stage: Stage<'_>) -> Result<PictureTensor> {
    match stage {
        Stage::Borrowed(view) => image::to_tensor(view).map_err(Error::preprocess),
        Stage::Owned(picture) => image::to_tensor(picture.view()).map_err(Error::preprocess),
        Stage::Tensor(tensor) => Ok(tensor),
    }
}
