//! Where windows lie that slide over the spatial axes of a tensor.

use crate::error::{Error, ErrorKind, Result};
use crate::op::{Convolution, Padding, Pool};
use crate::tensor::Tensor;

/// Greatest stride, dilation, kernel extent or padding that is accepted.
const LIMIT: usize = 1 << 30;

/// A window that slides along one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Axis {
    /// Extent of what it slides over.
    pub input: usize,
    /// Elements of the window.
    pub kernel: usize,
    /// Distance of two places of the window.
    pub stride: usize,
    /// Distance of two elements of the window.
    pub dilation: usize,
    /// Elements added before the input.
    pub before: usize,
    /// Elements added behind the input.
    pub after: usize,
    /// Places of the window.
    pub output: usize,
}

impl Axis {
    /// Place in the input of a window's element; `None` in the padding.
    pub fn place(&self, output: usize, element: usize) -> Option<usize> {
        (output * self.stride + element * self.dilation)
            .checked_sub(self.before)
            .filter(|&place| place < self.input)
    }

    /// Outputs whose element of the window lies in the input: a range.
    pub fn inside(&self, element: usize) -> (usize, usize) {
        let shift = element * self.dilation;
        let first = self.before.saturating_sub(shift).div_ceil(self.stride);
        let end = (self.input + self.before)
            .saturating_sub(shift)
            .div_ceil(self.stride);
        (first.min(self.output), end.min(self.output))
    }
}

/// How far a window reaches.
fn reach(kernel: usize, dilation: usize) -> usize {
    (kernel - 1) * dilation + 1
}

/// What a window is before its input is known.
#[derive(Debug, Clone, Copy)]
struct Sliding<'a> {
    kernel: &'a [usize],
    strides: &'a [usize],
    dilations: &'a [usize],
    padding: &'a Padding,
}

impl Sliding<'_> {
    /// Checks the numbers of every axis.
    fn check(&self, axes: usize) -> Result<()> {
        let named = [
            ("kernel extents", self.kernel, 1),
            ("strides", self.strides, 1),
            ("dilations", self.dilations, 1),
        ];
        for (name, numbers, least) in named {
            check_numbers(name, numbers, axes, least)?;
        }
        for axis in 0..axes {
            let reach = (self.kernel[axis] - 1).checked_mul(self.dilations[axis]);
            if reach.is_none_or(|reach| reach > LIMIT) {
                return Err(Error::new(
                    ErrorKind::Limit,
                    format!("spatial axis {axis}"),
                    format!("a window that reaches at most {LIMIT} elements"),
                    format!(
                        "kernel {} with dilation {}",
                        self.kernel[axis], self.dilations[axis]
                    ),
                ));
            }
        }
        match self.padding {
            Padding::Explicit(pads) => check_numbers("pads", pads, 2 * axes, 0),
            Padding::SameUpper | Padding::SameLower => Ok(()),
        }
    }

    /// Elements added before and behind an axis, for `output` places where the padding depends on them.
    fn pads(&self, axes: usize, axis: usize, total: usize) -> (usize, usize) {
        match self.padding {
            Padding::Explicit(pads) => (pads[axis], pads[axes + axis]),
            Padding::SameUpper => (total / 2, total - total / 2),
            Padding::SameLower => (total - total / 2, total / 2),
        }
    }

    /// The axis of an input of `input` elements.
    fn axis(&self, axes: usize, n: usize, input: usize, ceil: bool) -> Result<Axis> {
        let (kernel, stride, dilation) = (self.kernel[n], self.strides[n], self.dilations[n]);
        let reach = reach(kernel, dilation);
        if !matches!(self.padding, Padding::Explicit(_)) {
            let output = input.div_ceil(stride);
            let total = (output.saturating_sub(1) * stride + reach).saturating_sub(input);
            let (before, after) = self.pads(axes, n, total);
            return Ok(Axis {
                input,
                kernel,
                stride,
                dilation,
                before,
                after,
                output,
            });
        }
        let (before, after) = self.pads(axes, n, 0);
        let Some(room) = (input + before + after).checked_sub(reach) else {
            return Err(Error::new(
                ErrorKind::Shape,
                format!("spatial axis {n}"),
                format!("at least {reach} elements with padding, which is how far the window reaches"),
                format!("{input} elements and {before} + {after} of padding"),
            ));
        };
        let mut output = if ceil {
            room.div_ceil(stride) + 1
        } else {
            room / stride + 1
        };
        // A window that would begin behind the input and the padding before it is not there.
        if ceil && (output - 1) * stride >= input + before {
            output -= 1;
        }
        Ok(Axis {
            input,
            kernel,
            stride,
            dilation,
            before,
            after,
            output,
        })
    }

    /// The places along an axis whose extent is not known, if they are as many as its elements.
    fn keeps_extent(&self, axes: usize, n: usize) -> bool {
        let reach = reach(self.kernel[n], self.dilations[n]);
        self.strides[n] == 1
            && match self.padding {
                Padding::Explicit(pads) => pads[n] + pads[axes + n] + 1 == reach,
                Padding::SameUpper | Padding::SameLower => true,
            }
    }
}

fn check_numbers(name: &str, numbers: &[usize], count: usize, least: usize) -> Result<()> {
    if numbers.len() != count {
        return Err(Error::new(
            ErrorKind::Value,
            "",
            format!("{count} {name}"),
            format!("{numbers:?}"),
        ));
    }
    if numbers.iter().any(|&n| n < least || n > LIMIT) {
        return Err(Error::new(
            ErrorKind::Value,
            "",
            format!("{name} of {least} to {LIMIT}"),
            format!("{numbers:?}"),
        ));
    }
    Ok(())
}

/// Spatial extents of an input that are all known.
fn check_inputs(input: &[usize]) -> Result<()> {
    match input.iter().find(|&&n| n > LIMIT) {
        None => Ok(()),
        Some(n) => Err(Error::new(
            ErrorKind::Limit,
            "",
            format!("extents of at most {LIMIT}"),
            n,
        )),
    }
}

/// The window of a convolution over an input of these spatial extents with a kernel of these.
pub(crate) fn convolution(c: &Convolution, input: &[usize], kernel: &[usize]) -> Result<Vec<Axis>> {
    let sliding = of_convolution(c, kernel);
    sliding.check(input.len())?;
    check_inputs(input)?;
    (0..input.len())
        .map(|n| sliding.axis(input.len(), n, input[n], false))
        .collect()
}

/// The window of a pool over an input of these spatial extents.
pub(crate) fn pool(p: &Pool, input: &[usize]) -> Result<Vec<Axis>> {
    let sliding = of_pool(p);
    sliding.check(input.len())?;
    check_inputs(input)?;
    (0..input.len())
        .map(|n| sliding.axis(input.len(), n, input[n], p.ceil_mode))
        .collect()
}

/// Whether a convolution's window has as many places along an axis as the axis has elements, however many these are.
pub(crate) fn convolution_keeps_extent(c: &Convolution, kernel: &[usize], axis: usize) -> Result<bool> {
    let sliding = of_convolution(c, kernel);
    sliding.check(kernel.len())?;
    Ok(sliding.keeps_extent(kernel.len(), axis))
}

/// As [`convolution_keeps_extent`], for a pool.
pub(crate) fn pool_keeps_extent(p: &Pool, axis: usize) -> Result<bool> {
    let sliding = of_pool(p);
    sliding.check(p.kernel.len())?;
    Ok(sliding.keeps_extent(p.kernel.len(), axis))
}

fn of_convolution<'a>(c: &'a Convolution, kernel: &'a [usize]) -> Sliding<'a> {
    Sliding {
        kernel,
        strides: &c.strides,
        dilations: &c.dilations,
        padding: &c.padding,
    }
}

fn of_pool(p: &Pool) -> Sliding<'_> {
    Sliding {
        kernel: &p.kernel,
        strides: &p.strides,
        dilations: &p.dilations,
        padding: &p.padding,
    }
}

/// The window of a transposed convolution: it slides over the *output*, with one place for each element of the input.
///
/// Extents as ONNX `ConvTranspose` has them: from the padding, or from wanted extents that determine it.
pub(crate) fn transposed(c: &Convolution, input: &[usize], kernel: &[usize]) -> Result<Vec<Axis>> {
    let axes = input.len();
    let sliding = of_convolution(c, kernel);
    sliding.check(axes)?;
    check_inputs(input)?;
    for (name, numbers) in [
        ("output padding", &c.output_padding),
        ("output extents", &c.output_shape),
    ] {
        if !numbers.is_empty() {
            check_numbers(name, numbers, axes, 0)?;
        }
    }
    (0..axes)
        .map(|n| {
            let (stride, dilation) = (c.strides[n], c.dilations[n]);
            let extra = c.output_padding.get(n).copied().unwrap_or(0);
            let full = input[n].saturating_sub(1) * stride + extra + reach(kernel[n], dilation);
            let wanted = match (&c.padding, c.output_shape.get(n)) {
                (_, Some(&wanted)) => Some(wanted),
                (Padding::Explicit(_), None) => None,
                (_, None) => Some(input[n] * stride),
            };
            let (output, before, after) = match wanted {
                None => {
                    let (before, after) = sliding.pads(axes, n, 0);
                    let Some(output) = full.checked_sub(before + after) else {
                        return Err(Error::new(
                            ErrorKind::Shape,
                            format!("spatial axis {n}"),
                            format!("padding of at most {full}"),
                            format!("{before} + {after}"),
                        ));
                    };
                    (output, before, after)
                }
                Some(wanted) => {
                    let total = full.saturating_sub(wanted);
                    let (before, after) = match c.padding {
                        Padding::SameUpper => (total / 2, total - total / 2),
                        _ => (total - total / 2, total / 2),
                    };
                    (wanted, before, after)
                }
            };
            Ok(Axis {
                input: output,
                kernel: kernel[n],
                stride,
                dilation,
                before,
                after,
                output: input[n],
            })
        })
        .collect()
}

/// Spatial extents of what a maximum pool made these extents of.
pub(crate) fn unpooled(p: &Pool, input: &[usize]) -> Result<Vec<usize>> {
    let convolution = Convolution {
        strides: p.strides.clone(),
        padding: p.padding.clone(),
        ..Convolution::unit(input.len())
    };
    let axes = transposed(&convolution, input, &p.kernel)?;
    Ok(axes.iter().map(|a| a.input).collect())
}

/// Calls `visit` with every place of a grid, the last axis fastest.
pub(crate) fn for_each_place(extents: &[usize], mut visit: impl FnMut(&[usize])) {
    if extents.contains(&0) {
        return;
    }
    let mut place = vec![0; extents.len()];
    loop {
        visit(&place);
        let mut axis = extents.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            place[axis] += 1;
            if place[axis] < extents[axis] {
                break;
            }
            place[axis] = 0;
        }
    }
}

/// Runs through the places `begin..end` of a window (flat, the last axis fastest) at which one of its elements lies in
/// the input, a stretch of the last axis at a time.
///
/// `visit` gets the first flat place, the flat place of the input there, the step from one to the next in the input,
/// and how many they are.
pub(crate) fn for_each_run(
    axes: &[Axis],
    element: &[usize],
    begin: usize,
    end: usize,
    mut visit: impl FnMut(usize, usize, usize, usize),
) {
    let Some((last, outer)) = axes.split_last() else {
        return;
    };
    if begin >= end {
        return;
    }
    let width = last.output;
    let (inside, behind) = last.inside(element[outer.len()]);
    for row in begin / width..end.div_ceil(width) {
        let mut rest = row;
        let mut place = 0;
        let mut size = last.input;
        let mut missing = false;
        for (axis, &k) in outer.iter().zip(element).rev() {
            match axis.place(rest % axis.output, k) {
                Some(p) => place += p * size,
                None => missing = true,
            }
            rest /= axis.output;
            size *= axis.input;
        }
        let from = inside.max(begin.saturating_sub(row * width));
        let to = behind.min(end - row * width);
        if missing || from >= to {
            continue;
        }
        if let Some(first) = last.place(from, element[outer.len()]) {
            visit(row * width + from, place + first, last.stride, to - from);
        }
    }
}

/// Extents that a tensor holds.
pub(crate) fn extents(tensor: &Tensor) -> Result<Vec<usize>> {
    let numbers = tensor.to_i64()?;
    numbers
        .iter()
        .map(|&n| usize::try_from(n))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| Error::new(ErrorKind::Value, "", "extents from 0 on", format!("{numbers:?}")))
}
