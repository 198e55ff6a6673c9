//! Weights of least squared error of a layer's outputs: as real numbers, and as integers.

use ndarray::{Array1, Array2, ArrayView2, Axis, Slice};

/// `L` with `L L^T` the matrix, lower triangular; nothing for a matrix that is not positive definite.
pub(super) fn cholesky(matrix: &Array2<f64>) -> Option<Array2<f64>> {
    let size = matrix.nrows();
    let mut lower = Array2::<f64>::zeros((size, size));
    for row in 0..size {
        for column in 0..=row {
            let (left, right) = (lower.row(row), lower.row(column));
            let dot: f64 = left.iter().zip(right).take(column).map(|(a, b)| a * b).sum();
            let rest = matrix[[row, column]] - dot;
            lower[[row, column]] = if row == column {
                if !(rest > 0.0 && rest.is_finite()) {
                    return None;
                }
                rest.sqrt()
            } else {
                rest / lower[[column, column]]
            };
        }
    }
    Some(lower)
}

/// `X` with `L L^T X` the right side, `[K,M]`.
pub(super) fn solve(lower: &Array2<f64>, mut right: Array2<f64>) -> Array2<f64> {
    let size = lower.nrows();
    for row in 0..size {
        let (known, mut rest) = right.view_mut().split_at(Axis(0), row);
        let mut target = rest.row_mut(0);
        target -= &lower.row(row).slice_axis(Axis(0), Slice::from(..row)).dot(&known);
        target /= lower[[row, row]];
    }
    for row in (0..size).rev() {
        let (mut rest, known) = right.view_mut().split_at(Axis(0), row + 1);
        let mut target = rest.row_mut(row);
        target -= &lower
            .column(row)
            .slice_axis(Axis(0), Slice::from(row + 1..))
            .dot(&known);
        target /= lower[[row, row]];
    }
    right
}

/// Integers `q` from -127 to 127 that make `(v - q s)^T H (v - q s)` small for each output, `v` its column of `weights`
/// `[K,M]` and `s` its scale.
///
/// One input after the other is rounded, that of the greatest moment first, and what is lost is made up for by the
/// inputs that are still real: `GPTQ` of Frantar et al. (2022), which is Babai's nearest plane, so that one Cholesky
/// factor `H = R^T R` is enough: `q_j = round((v_j + sum_{i>j} R_ji / R_jj (v_i - q_i s)) / s)` from the last `j` down.
///
/// Nothing where `H` is not positive definite.
pub(super) fn round(
    moments: &Array2<f64>,
    weights: ArrayView2<'_, f64>,
    scales: &[f64],
) -> Option<Array2<i8>> {
    let size = moments.nrows();
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| moments[[a, a]].total_cmp(&moments[[b, b]]));
    let ordered = Array2::from_shape_fn((size, size), |(a, b)| moments[[order[a], order[b]]]);
    // Column j of L is row j of R.
    let lower = cholesky(&ordered)?;
    let outputs = weights.ncols();
    let mut lost = Array2::<f64>::zeros((size, outputs));
    let mut integers = Array2::<i8>::zeros((size, outputs));
    for place in (0..size).rev() {
        let owed: Array1<f64> = lower
            .column(place)
            .slice_axis(Axis(0), Slice::from(place + 1..))
            .dot(&lost.slice_axis(Axis(0), Slice::from(place + 1..)))
            / lower[[place, place]];
        for (output, &scale) in scales.iter().enumerate().take(outputs) {
            let weight = weights[[order[place], output]];
            let integer = ((weight + owed[output]) / scale)
                .round_ties_even()
                .clamp(-127.0, 127.0);
            integers[[order[place], output]] = integer as i8;
            lost[[place, output]] = weight - integer * scale;
        }
    }
    Some(integers)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moments of inputs that go together, and weights.
    fn problem(size: usize) -> (Array2<f64>, Array2<f64>) {
        let number = |n: usize| {
            let mixed = (n as u32).wrapping_mul(2_654_435_761);
            f64::from((mixed ^ (mixed >> 15)).wrapping_mul(2_246_822_519)) / f64::from(u32::MAX) - 0.5
        };
        let rows = Array2::from_shape_fn((4 * size, size), |(n, k)| {
            number(n * 31 + k) + 2.0 * number(10_000 + n)
        });
        let weights = Array2::from_shape_fn((size, 40), |(k, m)| number(5000 + 17 * k + m));
        (rows.t().dot(&rows), weights)
    }

    #[test]
    fn a_solution_times_the_matrix_is_the_right_side() {
        let (moments, weights) = problem(24);
        let lower = cholesky(&moments).unwrap();
        let difference = lower.dot(&lower.t()) - &moments;
        assert!(difference.iter().all(|d| d.abs() < 1e-9));
        let found = moments.dot(&solve(&lower, weights.clone())) - weights;
        assert!(found.iter().all(|d| d.abs() < 1e-8), "{found}");
    }

    #[test]
    fn integers_lose_less_of_the_outputs_than_the_nearest_ones() {
        let (moments, weights) = problem(24);
        let scales: Vec<f64> = (0..40).map(|m| 0.02 + 0.001 * f64::from(m)).collect();
        let cost = |integers: &Array2<i8>| -> f64 {
            let real = Array2::from_shape_fn(weights.dim(), |(k, m)| f64::from(integers[[k, m]]) * scales[m]);
            let lost = &weights - &real;
            (0..40)
                .map(|m| lost.column(m).dot(&moments.dot(&lost.column(m))))
                .sum()
        };
        let nearest = Array2::from_shape_fn(weights.dim(), |(k, m)| {
            (weights[[k, m]] / scales[m]).round_ties_even() as i8
        });
        let found = round(&moments, weights.view(), &scales).unwrap();
        assert!(
            cost(&found) < 0.6 * cost(&nearest),
            "{} {}",
            cost(&found),
            cost(&nearest)
        );
        let alone = Array2::from_diag(&Array1::from_elem(24, 2.0));
        assert_eq!(round(&alone, weights.view(), &scales).unwrap(), nearest);
    }

    #[test]
    fn moments_without_an_inverse_are_refused() {
        assert!(cholesky(&Array2::zeros((2, 2))).is_none());
        assert!(cholesky(&Array2::from_elem((2, 2), f64::NAN)).is_none());
    }
}
