//! The windows of a convolution, each as a row of numbers.

use crate::error::{Error, ErrorKind, Result};
use crate::op::Convolution;
use crate::spatial::{self, Axis};

/// Where the windows of a convolution lie in its input `[N,C,...]`.
#[derive(Debug, Clone)]
pub struct Windows {
    channels: usize,
    groups: usize,
    batch: usize,
    axes: Vec<Axis>,
}

impl Windows {
    /// Windows of a convolution with weights `[M,C/groups,...]`.
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] where the extents do not fit one another.
    pub fn new(convolution: &Convolution, input: &[usize], weights: &[usize]) -> Result<Self> {
        let groups = convolution.groups;
        let fits = input.len() >= 3
            && weights.len() == input.len()
            && groups > 0
            && weights[1].checked_mul(groups) == Some(input[1]);
        if !fits {
            return Err(Error::new(
                ErrorKind::Shape,
                "",
                format!("X [N,C,...] and W [M,C/{groups},...]"),
                format!("{input:?} and {weights:?}"),
            ));
        }
        Ok(Self {
            channels: input[1],
            groups,
            batch: input[0],
            axes: spatial::convolution(convolution, &input[2..], &weights[2..])?,
        })
    }

    /// Number of windows of each group: all places in all items of the batch.
    pub fn count(&self) -> usize {
        self.batch * self.axes.iter().map(|axis| axis.output).product::<usize>()
    }

    /// Appends window `n` of a group to `row`, in the order of a kernel's weights, zeros where padding is.
    ///
    /// Nothing is appended for a window that is not there or an input that is too short.
    pub fn gather(&self, input: &[f32], group: usize, n: usize, row: &mut Vec<f64>) {
        let places: usize = self.axes.iter().map(|axis| axis.output).product();
        let plane: usize = self.axes.iter().map(|axis| axis.input).product();
        if n >= self.count() || group >= self.groups || input.len() < self.batch * self.channels * plane {
            return;
        }
        let (item, mut rest) = (n / places, n % places);
        let mut place = vec![0; self.axes.len()];
        for (place, axis) in place.iter_mut().zip(&self.axes).rev() {
            *place = rest % axis.output;
            rest /= axis.output;
        }
        let kernel: Vec<usize> = self.axes.iter().map(|axis| axis.kernel).collect();
        let inputs = self.channels / self.groups;
        for channel in group * inputs..(group + 1) * inputs {
            let plane = &input[(item * self.channels + channel) * plane..][..plane];
            spatial::for_each_place(&kernel, |element| {
                let offset = self.axes.iter().zip(&place).zip(element).try_fold(
                    0,
                    |offset, ((axis, &place), &element)| {
                        Some(offset * axis.input + axis.place(place, element)?)
                    },
                );
                row.push(offset.map_or(0.0, |offset| f64::from(plane[offset])));
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Padding;

    #[test]
    fn a_window_times_the_kernel_is_the_convolution() {
        let convolution = Convolution {
            padding: Padding::Explicit(vec![1, 0, 1, 2]),
            strides: vec![2, 1],
            dilations: vec![1, 2],
            groups: 2,
            ..Convolution::unit(2)
        };
        let number = |n: usize| ((n * 37 + 11) % 23) as f32 - 11.0;
        let (input, weights) = ([2, 4, 5, 6], [6, 2, 3, 2]);
        let x = crate::Tensor::new(&input, (0..240).map(number).collect::<Vec<f32>>()).unwrap();
        let w = crate::Tensor::new(&weights, (0..72).map(number).collect::<Vec<f32>>()).unwrap();
        let op = crate::Op::Conv(convolution.clone());
        let call = crate::interpret::Call {
            op: &op,
            inputs: &[Some(&x), Some(&w)],
            outputs: &[None],
            rounding: crate::Rounding::default(),
        };
        let y = crate::interpret::evaluate(call).unwrap().remove(0);
        let windows = Windows::new(&convolution, &input, &weights).unwrap();
        let places = windows.count() / 2;
        for (n, expected) in y.to_f32().into_iter().enumerate() {
            let (item, kernel, place) = (n / (6 * places), n / places % 6, n % places);
            let mut row = Vec::new();
            windows.gather(&x.to_f32(), kernel / 3, item * places + place, &mut row);
            let kernel = &w.to_f32()[kernel * 12..][..12];
            let found: f64 = row.iter().zip(kernel).map(|(x, w)| x * f64::from(*w)).sum();
            assert_eq!(found, f64::from(expected), "{n}");
        }
        assert!(Windows::new(&convolution, &[1, 3, 5, 6], &weights).is_err());
    }
}
