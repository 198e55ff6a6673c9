//! Matrix products.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

use super::convolution::{matrix, mismatch};
use super::real;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::Tensor;

/// Extents of a broadcast product: batches of `[rows, depth]` times `[depth, columns]`.
#[derive(Debug)]
pub(super) struct Product {
    pub rows: usize,
    pub depth: usize,
    pub columns: usize,
    batches: Vec<usize>,
    a_batches: Vec<usize>,
    b_batches: Vec<usize>,
    /// Extents of the output.
    pub shape: Vec<usize>,
}

impl Product {
    /// Of two shapes, as NumPy's `matmul`.
    pub fn new(a: &[usize], b: &[usize]) -> Result<Self> {
        let mismatch = || {
            Error::new(
                ErrorKind::Shape,
                "",
                "A [...,M,K] and B [...,K,N]",
                format!("{a:?} and {b:?}"),
            )
        };
        let (a_batches, rows, depth) = match a {
            [] => return Err(mismatch()),
            [k] => (&[][..], 1, *k),
            [batches @ .., m, k] => (batches, *m, *k),
        };
        let (b_batches, b_depth, columns) = match b {
            [] => return Err(mismatch()),
            [k] => (&[][..], *k, 1),
            [batches @ .., k, n] => (batches, *k, *n),
        };
        if depth != b_depth {
            return Err(mismatch());
        }
        let batches = broadcast(a_batches, b_batches).ok_or_else(mismatch)?;
        let mut shape = batches.clone();
        if a.len() > 1 {
            shape.push(rows);
        }
        if b.len() > 1 {
            shape.push(columns);
        }
        Ok(Self {
            rows,
            depth,
            columns,
            a_batches: a_batches.to_vec(),
            b_batches: b_batches.to_vec(),
            batches,
            shape,
        })
    }

    /// Which matrix of an operand belongs to each batch of the output.
    fn sources(&self, operand: &[usize]) -> Vec<usize> {
        let mut sources = Vec::new();
        crate::spatial::for_each_place(&self.batches, |place| {
            let skipped = place.len() - operand.len();
            sources.push(
                operand
                    .iter()
                    .zip(&place[skipped..])
                    .fold(0, |at, (&extent, &p)| {
                        at * extent + if extent == 1 { 0 } else { p }
                    }),
            );
        });
        sources
    }

    /// Calls `multiply` with the matrices of each batch: A, B and the output.
    fn for_each<A, C>(
        &self,
        a: &[A],
        b: &[A],
        y: &mut [C],
        mut multiply: impl FnMut(&[A], &[A], &mut [C]) -> Result<()>,
    ) -> Result<()> {
        let (a_size, b_size) = (self.rows * self.depth, self.depth * self.columns);
        let size = self.rows * self.columns;
        let sources = self
            .sources(&self.a_batches)
            .into_iter()
            .zip(self.sources(&self.b_batches));
        for (n, (from_a, from_b)) in sources.enumerate() {
            multiply(
                &a[from_a * a_size..][..a_size],
                &b[from_b * b_size..][..b_size],
                &mut y[n * size..][..size],
            )?;
        }
        Ok(())
    }

    /// The product of `f64` elements: exact for integers below 2^53.
    pub fn multiply(&self, a: &[f64], b: &[f64]) -> Result<Vec<f64>> {
        let mut y = real::zeros(&self.shape)?;
        if y.is_empty() || self.depth == 0 {
            return Ok(y);
        }
        self.for_each(a, b, &mut y, |a, b, y| {
            let a = matrix(self.rows, self.depth, a)?;
            let b = matrix(self.depth, self.columns, b)?;
            let mut y = ArrayViewMut2::from_shape((self.rows, self.columns), y).map_err(mismatch)?;
            general_mat_mul(1.0, &a, &b, 0.0, &mut y);
            Ok(())
        })?;
        Ok(y)
    }

    /// The product of integers, wrapping around.
    fn multiply_integers(&self, a: &[i64], b: &[i64]) -> Result<Vec<i64>> {
        let mut y = vec![0i64; real::count(&self.shape)?];
        if y.is_empty() || self.depth == 0 {
            return Ok(y);
        }
        self.for_each(a, b, &mut y, |a, b, y| {
            for (a, y) in a.chunks_exact(self.depth).zip(y.chunks_exact_mut(self.columns)) {
                for (&a, b) in a.iter().zip(b.chunks_exact(self.columns)) {
                    for (y, &b) in y.iter_mut().zip(b) {
                        *y = y.wrapping_add(a.wrapping_mul(b));
                    }
                }
            }
            Ok(())
        })?;
        Ok(y)
    }
}

/// Extents that two shapes broadcast to, as in NumPy.
fn broadcast(a: &[usize], b: &[usize]) -> Option<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent = |shape: &[usize], n: usize| (n + shape.len()).checked_sub(rank).map_or(1, |n| shape[n]);
    (0..rank)
        .map(|n| match (extent(a, n), extent(b, n)) {
            (1, other) | (other, 1) => Some(other),
            (x, y) => (x == y).then_some(x),
        })
        .collect()
}

/// Elements of an integer tensor as their bits in an `i64`, which wraps around as they do.
fn bits(tensor: &Tensor) -> Result<Vec<i64>> {
    match tensor.elements::<u64>() {
        Ok(elements) => Ok(elements.iter().map(|&x| x as i64).collect()),
        Err(_) => tensor.to_i64(),
    }
}

/// `(A, B)`, as NumPy's `matmul`; integers wrap around.
pub(super) fn run_matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if a.dtype() != b.dtype() {
        return Err(Error::new(ErrorKind::Dtype, "", a.dtype(), b.dtype()));
    }
    let product = Product::new(a.shape(), b.shape())?;
    if a.dtype().is_float() {
        let y = product.multiply(&real::floats(a)?, &real::floats(b)?)?;
        return real::tensor(&product.shape, a.dtype(), y);
    }
    let y = product.multiply_integers(&bits(a)?, &bits(b)?)?;
    let shape = &product.shape;
    match a.dtype() {
        Dtype::I8 => Tensor::new(shape, y.iter().map(|&x| x as i8).collect::<Vec<_>>()),
        Dtype::I16 => Tensor::new(shape, y.iter().map(|&x| x as i16).collect::<Vec<_>>()),
        Dtype::I32 => Tensor::new(shape, y.iter().map(|&x| x as i32).collect::<Vec<_>>()),
        Dtype::I64 => Tensor::new(shape, y),
        Dtype::U8 => Tensor::new(shape, y.iter().map(|&x| x as u8).collect::<Vec<_>>()),
        Dtype::U16 => Tensor::new(shape, y.iter().map(|&x| x as u16).collect::<Vec<_>>()),
        Dtype::U32 => Tensor::new(shape, y.iter().map(|&x| x as u32).collect::<Vec<_>>()),
        Dtype::U64 => Tensor::new(shape, y.iter().map(|&x| x as u64).collect::<Vec<_>>()),
        other => Err(Error::new(ErrorKind::Dtype, "", "numbers", other)),
    }
}

/// Factors and layouts of `Gemm`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Factors {
    pub alpha: f32,
    pub beta: f32,
    pub transpose_a: bool,
    pub transpose_b: bool,
}

/// A stored matrix, transposed where it is stored so.
fn operand<'a>(shape: &[usize], elements: &'a [f64], transpose: bool) -> Result<ArrayView2<'a, f64>> {
    let &[rows, columns] = shape else {
        return Err(Error::new(ErrorKind::Shape, "", "a matrix", format!("{shape:?}")));
    };
    let view = matrix(rows, columns, elements)?;
    Ok(if transpose { view.reversed_axes() } else { view })
}

/// `alpha * A B + beta * C` of stored matrices, each with whether it is transposed, and the shape of the output.
pub(super) fn gemm(
    (a_shape, a, transpose_a): (&[usize], &[f64], bool),
    (b_shape, b, transpose_b): (&[usize], &[f64], bool),
    alpha: f64,
    c: Option<(&Tensor, f64)>,
) -> Result<(Vec<f64>, Vec<usize>)> {
    let left = operand(a_shape, a, transpose_a)?;
    let right = operand(b_shape, b, transpose_b)?;
    let ((rows, depth), (b_depth, columns)) = (left.dim(), right.dim());
    if depth != b_depth {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            "A [M,K] and B [K,N] after transposition",
            format!("[{rows},{depth}] and [{b_depth},{columns}]"),
        ));
    }
    let shape = [rows, columns];
    let mut values = real::zeros(&shape)?;
    if depth > 0 && !values.is_empty() {
        let mut y = ArrayViewMut2::from_shape((rows, columns), &mut values[..]).map_err(mismatch)?;
        general_mat_mul(alpha, &left, &right, 0.0, &mut y);
    }
    if let Some((c, beta)) = c {
        add_broadcast(&mut values, shape, beta, c)?;
    }
    Ok((values, shape.to_vec()))
}

/// `(A, B, C?)`: `alpha * A B + beta * C`.
pub(super) fn run_gemm(f: Factors, a: &Tensor, b: &Tensor, c: Option<&Tensor>) -> Result<Tensor> {
    let (values, shape) = gemm(
        (a.shape(), &real::reals(a), f.transpose_a),
        (b.shape(), &real::reals(b), f.transpose_b),
        f.alpha.into(),
        c.map(|c| (c, f.beta.into())),
    )?;
    real::tensor(&shape, a.dtype(), values)
}

/// Adds `beta * C`, C broadcast to the output.
fn add_broadcast(y: &mut [f64], [rows, columns]: [usize; 2], beta: f64, c: &Tensor) -> Result<()> {
    let (c_rows, c_columns) = match *c.shape() {
        [] => (1, 1),
        [n] => (1, n),
        [m, n] => (m, n),
        _ => (0, 0),
    };
    if !(c_rows == 1 || c_rows == rows) || !(c_columns == 1 || c_columns == columns) {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            format!("C that broadcasts to [{rows},{columns}]"),
            format!("{:?}", c.shape()),
        ));
    }
    let values = real::reals(c);
    for (n, y) in y.iter_mut().enumerate() {
        let row = if c_rows == 1 { 0 } else { n / columns };
        let column = if c_columns == 1 { 0 } else { n % columns };
        *y += beta * values[row * c_columns + column];
    }
    Ok(())
}
