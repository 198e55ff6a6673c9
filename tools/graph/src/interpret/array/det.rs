//! Determinants.

use crate::error::{Error, ErrorKind, Result};
use crate::interpret::wide::{Narrow, Wide, widen};
use crate::tensor::{Storage, Tensor};

/// Determinants of the matrices in the last two axes, by elimination with partial pivoting in `f64`.
pub(super) fn det(x: &Tensor) -> Result<Storage> {
    let (rank, dtype) = (x.rank(), x.dtype());
    let (n, columns) = (x.shape()[rank - 2], x.shape()[rank - 1]);
    if n != columns {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            "square matrices",
            format!("{:?}", x.shape()),
        ));
    }
    let count: usize = x.shape()[..rank - 2].iter().product();
    let each = |read: &dyn Fn(usize) -> f64| -> Vec<f64> {
        (0..count)
            .map(|m| one((m * n * n..(m + 1) * n * n).map(read).collect(), n))
            .collect()
    };
    match widen(x) {
        Wide::F32(x) => {
            let found = each(&|place| f64::from(x[place]));
            f32::narrow(found.into_iter().map(|x| x as f32).collect(), dtype)
        }
        Wide::F64(x) => f64::narrow(each(&|place| x[place]), dtype),
        _ => Err(Error::new(ErrorKind::Dtype, "", "floating-point elements", dtype)),
    }
}

fn one(mut a: Vec<f64>, n: usize) -> f64 {
    let mut product = 1.0;
    for column in 0..n {
        let mut pivot = column;
        for row in column + 1..n {
            if a[row * n + column].abs() > a[pivot * n + column].abs() {
                pivot = row;
            }
        }
        let head = a[pivot * n + column];
        if head == 0.0 {
            return 0.0;
        }
        if pivot != column {
            for k in 0..n {
                a.swap(pivot * n + k, column * n + k);
            }
            product = -product;
        }
        product *= head;
        for row in column + 1..n {
            let factor = a[row * n + column] / head;
            for k in column..n {
                a[row * n + k] -= factor * a[column * n + k];
            }
        }
    }
    product
}
