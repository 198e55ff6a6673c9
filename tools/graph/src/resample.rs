//! Extents and scales of `Resize`.

use crate::error::{Error, ErrorKind, Result};
use crate::infer::extent;
use crate::op::{Resize, ResizeTo};
use crate::tensor::Tensor;

/// What `Resize` makes of one axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Resized {
    /// Extent of the output.
    pub extent: usize,
    /// Output for each element of the input; it need not give a whole extent.
    pub scale: f64,
}

/// Greatest extent that a scale may give.
const MOST: f64 = (1u64 << 31) as f64;

/// The axes that scales, sizes and regions are for.
pub(crate) fn axes(r: &Resize, rank: usize) -> Result<Vec<usize>> {
    if r.axes.is_empty() {
        Ok((0..rank).collect())
    } else {
        extent::axes(&r.axes, rank)
    }
}

/// Every axis of an input, by scales or by sizes; an empty tensor is as good as none.
pub(crate) fn resized(
    r: &Resize,
    input: &[usize],
    scales: Option<&Tensor>,
    sizes: Option<&Tensor>,
) -> Result<Vec<Resized>> {
    let axes = axes(r, input.len())?;
    let mut found: Vec<Resized> = input
        .iter()
        .map(|&extent| Resized { extent, scale: 1.0 })
        .collect();
    let given = |tensor: Option<&Tensor>| match tensor {
        Some(tensor) if !tensor.is_empty() => tensor.len(),
        _ => 0,
    };
    match (given(scales), given(sizes), scales, sizes) {
        (n, 0, Some(scales), _) if n == axes.len() => {
            for (&axis, &scale) in axes.iter().zip(scales.elements::<f32>()?) {
                found[axis] = by_scale(input[axis], scale)?;
            }
        }
        (0, n, _, Some(sizes)) if n == axes.len() => {
            let sizes = crate::spatial::extents(sizes)?;
            by_sizes(r, input, &axes, &sizes, &mut found)?;
        }
        (scales, sizes, ..) => {
            return Err(Error::new(
                ErrorKind::Shape,
                "",
                format!("either {} scales or {} sizes", axes.len(), axes.len()),
                format!("{scales} and {sizes}"),
            ));
        }
    }
    Ok(found)
}

fn by_scale(input: usize, scale: f32) -> Result<Resized> {
    // In f32, as ONNX Runtime has it: 0.7 of 10 elements are 7, though 0.7 as f32 is a little less.
    let extent = f64::from((input as f32 * scale).floor());
    if !(scale > 0.0 && extent <= MOST) {
        return Err(Error::new(
            ErrorKind::Value,
            "scales",
            format!("above 0, and at most {MOST} elements of {input}"),
            scale,
        ));
    }
    Ok(Resized {
        extent: extent as usize,
        scale: scale.into(),
    })
}

fn by_sizes(
    r: &Resize,
    input: &[usize],
    axes: &[usize],
    sizes: &[usize],
    found: &mut [Resized],
) -> Result<()> {
    let mut ratios = Vec::with_capacity(axes.len());
    for (&axis, &size) in axes.iter().zip(sizes) {
        if input[axis] == 0 && size > 0 {
            return Err(Error::new(
                ErrorKind::Shape,
                format!("axis {axis}"),
                "elements to resize",
                "none",
            ));
        }
        ratios.push(if input[axis] == 0 {
            1.0
        } else {
            size as f64 / input[axis] as f64
        });
    }
    let common = match r.to {
        ResizeTo::Stretch => None,
        ResizeTo::NotLarger => ratios.iter().copied().reduce(f64::min),
        ResizeTo::NotSmaller => ratios.iter().copied().reduce(f64::max),
    };
    for ((&axis, &size), ratio) in axes.iter().zip(sizes).zip(ratios) {
        found[axis] = match common {
            None => Resized {
                extent: size,
                scale: ratio,
            },
            Some(scale) => Resized {
                // Half a step goes up.
                extent: (scale * input[axis] as f64 + 0.5).floor().min(MOST) as usize,
                scale,
            },
        };
    }
    Ok(())
}
