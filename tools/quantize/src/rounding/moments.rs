//! What a layer's inputs have in common over the calibration set.

use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Second moments of a layer's inputs, and of inputs with the outputs that the layer should make of them.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    /// `sum x x^T`, `[K,K]`.
    pub inputs: Array2<f64>,
    /// `sum x y^T`, `[K,M]`.
    pub outputs: Array2<f64>,
    input_sums: Array1<f64>,
    output_sums: Array1<f64>,
    /// Rows taken in.
    pub count: usize,
}

impl Moments {
    /// Of `inputs` numbers to `outputs` numbers, nothing taken in.
    pub fn new(inputs: usize, outputs: usize) -> Self {
        Self {
            inputs: Array2::zeros((inputs, inputs)),
            outputs: Array2::zeros((inputs, outputs)),
            input_sums: Array1::zeros(inputs),
            output_sums: Array1::zeros(outputs),
            count: 0,
        }
    }

    /// Takes in rows `[n,K]` and the outputs wanted for them `[n,M]`.
    pub fn add(&mut self, rows: ArrayView2<'_, f64>, wanted: ArrayView2<'_, f64>) {
        general_mat_mul(1.0, &rows.t(), &rows, 1.0, &mut self.inputs);
        general_mat_mul(1.0, &rows.t(), &wanted, 1.0, &mut self.outputs);
        self.input_sums += &rows.sum_axis(Axis(0));
        self.output_sums += &wanted.sum_axis(Axis(0));
        self.count += rows.nrows();
    }

    /// Mean of each input and of each output.
    pub fn means(&self) -> (Array1<f64>, Array1<f64>) {
        let count = self.count.max(1) as f64;
        (&self.input_sums / count, &self.output_sums / count)
    }

    /// Makes the moments those about the means: a bias takes care of the means.
    pub fn centre(&mut self) {
        let (inputs, outputs) = self.means();
        let column = inputs.view().insert_axis(Axis(1));
        let count = self.count as f64;
        general_mat_mul(
            -count,
            &column,
            &inputs.view().insert_axis(Axis(0)),
            1.0,
            &mut self.inputs,
        );
        general_mat_mul(
            -count,
            &column,
            &outputs.view().insert_axis(Axis(0)),
            1.0,
            &mut self.outputs,
        );
    }
}
