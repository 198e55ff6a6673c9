//! Scaled dot-product attention, as ONNX `Attention`.

use ndarray::ArrayViewMut2;
use ndarray::linalg::general_mat_mul;

use super::convolution::{matrix, mismatch};
use super::real;
use crate::error::{Error, ErrorKind, Result};
use crate::interpret::Call;
use crate::op::Attention;
use crate::tensor::{Storage, Tensor};

/// Queries, keys or values as `[batch, heads, length, size]`.
struct Heads {
    shape: [usize; 4],
    values: Vec<f64>,
}

impl Heads {
    /// Of `[batch, heads, length, size]`, or of `[batch, length, heads * size]` with a number of heads.
    fn new(name: &str, tensor: &Tensor, heads: Option<usize>) -> Result<Self> {
        let values = real::floats(tensor)?;
        let refused = || {
            Error::new(
                ErrorKind::Shape,
                name,
                format!("[batch,heads,length,size], or [batch,length,heads*size] with heads ({heads:?})"),
                format!("{:?}", tensor.shape()),
            )
        };
        match *tensor.shape() {
            [batch, heads, length, size] => Ok(Self {
                shape: [batch, heads, length, size],
                values,
            }),
            [batch, length, width] => {
                let heads = heads.filter(|&n| n > 0 && width % n == 0).ok_or_else(refused)?;
                let size = width / heads;
                let mut sorted = Vec::with_capacity(values.len());
                for n in 0..batch * heads {
                    let (batch, head) = (n / heads, n % heads);
                    for place in 0..length {
                        let row = (batch * length + place) * width + head * size;
                        sorted.extend_from_slice(&values[row..][..size]);
                    }
                }
                Ok(Self {
                    shape: [batch, heads, length, size],
                    values: sorted,
                })
            }
            _ => Err(refused()),
        }
    }

    /// These behind those of a cache.
    fn behind(self, name: &str, past: Option<&Tensor>) -> Result<Self> {
        let Some(past) = past else { return Ok(self) };
        let past = Self::new(name, past, None)?;
        let ([b, h, before, s], [batch, heads, length, size]) = (past.shape, self.shape);
        if [b, h, s] != [batch, heads, size] {
            return Err(Error::new(
                ErrorKind::Shape,
                name,
                format!("[{batch},{heads},length,{size}]"),
                format!("{:?}", past.shape),
            ));
        }
        let mut values = Vec::with_capacity(real::count(&[batch, heads, before + length, size])?);
        for n in 0..batch * heads {
            values.extend_from_slice(&past.values[n * before * size..][..before * size]);
            values.extend_from_slice(&self.values[n * length * size..][..length * size]);
        }
        Ok(Self {
            shape: [batch, heads, before + length, size],
            values,
        })
    }

    /// The matrix `[length, size]` of a head.
    fn head(&self, batch: usize, head: usize) -> &[f64] {
        let [_, heads, length, size] = self.shape;
        &self.values[(batch * heads + head) * length * size..][..length * size]
    }

    fn tensor(&self, dtype: crate::dtype::Dtype) -> Result<Tensor> {
        real::tensor(&self.shape, dtype, self.values.clone())
    }
}

/// What is added to the scores: 0, minus infinity or the numbers of a mask.
struct Bias {
    mask: Option<(Vec<f64>, Vec<usize>, usize)>,
    causal: bool,
    /// Keys before the first query, for each batch.
    offsets: Vec<i64>,
    /// Keys that are no padding, for each batch.
    valid: Option<Vec<i64>>,
}

impl Bias {
    fn new(a: &Attention, call: &Call<'_>, scores: [usize; 4]) -> Result<Self> {
        let [batch, heads, queries, keys] = scores;
        let mask = call
            .optional(3)
            .map(|mask| {
                let width = mask.shape().last().copied().unwrap_or(1);
                if width > keys {
                    return Err(Error::new(
                        ErrorKind::Shape,
                        "mask",
                        format!("at most {keys} keys"),
                        format!("{:?}", mask.shape()),
                    ));
                }
                let values = match mask.storage() {
                    Storage::Bool(bits) => bits
                        .iter()
                        .map(|&seen| if seen { 0.0 } else { f64::NEG_INFINITY })
                        .collect(),
                    _ => real::floats(mask)?,
                };
                // Keys behind a mask that is shorter than them are not seen.
                Ok((
                    values,
                    real::places(mask.shape(), &[batch, heads, queries, width])?,
                    width,
                ))
            })
            .transpose()?;
        let valid = call.optional(6).map(Tensor::to_i64).transpose()?;
        if let Some(valid) = &valid
            && valid.len() != batch
        {
            return Err(Error::new(
                ErrorKind::Shape,
                "nonpad lengths",
                format!("[{batch}]"),
                valid.len(),
            ));
        }
        let past = call.optional(4).and_then(|past| past.shape().get(2).copied());
        let offsets = (0..batch)
            .map(|n| match (past, &valid) {
                (Some(past), _) => past as i64,
                (None, Some(valid)) => valid[n].saturating_sub(queries as i64),
                (None, None) => 0,
            })
            .collect();
        Ok(Self {
            mask,
            causal: a.causal,
            offsets,
            valid,
        })
    }

    fn of(&self, batch: usize, row: usize, query: usize, key: usize) -> f64 {
        let unseen = self.causal && key as i64 > (query as i64).saturating_add(self.offsets[batch])
            || self
                .valid
                .as_ref()
                .is_some_and(|valid| key as i64 >= valid[batch]);
        match &self.mask {
            _ if unseen => f64::NEG_INFINITY,
            None => 0.0,
            Some((_, _, width)) if key >= *width => f64::NEG_INFINITY,
            Some((values, places, width)) => values[places[row * width + key]],
        }
    }
}

/// `(Q, K, V, mask?, past_key?, past_value?, nonpad?) -> (Y, present_key, present_value, scores)`.
pub(super) fn run(a: &Attention, call: Call<'_>) -> Result<Vec<Tensor>> {
    let dtype = call.input(0)?.dtype();
    let q = Heads::new("Q", call.input(0)?, a.query_heads)?;
    let k = Heads::new("K", call.input(1)?, a.key_heads)?.behind("past key", call.optional(4))?;
    let v = Heads::new("V", call.input(2)?, a.key_heads)?.behind("past value", call.optional(5))?;
    let [batch, heads, queries, size] = q.shape;
    let [_, key_heads, keys, _] = k.shape;
    let value_size = v.shape[3];
    let fits = k.shape == [batch, key_heads, keys, size]
        && v.shape[..3] == [batch, key_heads, keys]
        && key_heads > 0
        && heads % key_heads == 0;
    if !fits {
        return Err(Error::new(
            ErrorKind::Shape,
            "",
            format!(
                "K and V for queries {:?}, their heads a divisor of {heads}",
                q.shape
            ),
            format!("{:?} and {:?}", k.shape, v.shape),
        ));
    }
    let shape = [batch, heads, queries, keys];
    let bias = Bias::new(a, &call, shape)?;
    let scale = a.scale.map_or(1.0 / (size as f64).sqrt(), f64::from);
    let mut y = real::zeros(&[batch, heads, queries, value_size])?;
    let mut shown = real::zeros(&shape)?;
    for n in 0..batch * heads {
        let (b, key_head) = (n / heads, n % heads / (heads / key_heads));
        let scores = &mut shown[n * queries * keys..][..queries * keys];
        if scores.is_empty() {
            continue;
        }
        let mut product = ArrayViewMut2::from_shape((queries, keys), &mut *scores).map_err(mismatch)?;
        let key = matrix(keys, size, k.head(b, key_head))?;
        general_mat_mul(
            scale,
            &matrix(queries, size, q.head(b, n % heads))?,
            &key.t(),
            0.0,
            &mut product,
        );
        let mut weights = scores.to_vec();
        for (query, row) in weights.chunks_exact_mut(keys).enumerate() {
            let scores = &mut scores[query * keys..][..keys];
            weigh(a, row, scores, |key| bias.of(b, n * queries + query, query, key));
        }
        let y = &mut y[n * queries * value_size..][..queries * value_size];
        let mut y = ArrayViewMut2::from_shape((queries, value_size), y).map_err(mismatch)?;
        let value = matrix(keys, value_size, v.head(b, key_head))?;
        general_mat_mul(1.0, &matrix(queries, keys, &weights)?, &value, 0.0, &mut y);
    }
    let y = if call.input(0)?.rank() == 3 {
        let mut joined = Vec::with_capacity(y.len());
        for n in 0..batch * queries {
            for head in 0..heads {
                let row = ((n / queries * heads + head) * queries + n % queries) * value_size;
                joined.extend_from_slice(&y[row..][..value_size]);
            }
        }
        real::tensor(&[batch, queries, heads * value_size], dtype, joined)?
    } else {
        real::tensor(&[batch, heads, queries, value_size], dtype, y)?
    };
    Ok(vec![
        y,
        k.tensor(call.input(1)?.dtype())?,
        v.tensor(call.input(2)?.dtype())?,
        real::tensor(&shape, dtype, shown)?,
    ])
}

/// Scores of a query to weights that sum to 1, or to 0 where it sees no key; `shown` is what the fourth output holds.
fn weigh(a: &Attention, row: &mut [f64], shown: &mut [f64], bias: impl Fn(usize) -> f64) {
    if a.softcap > 0.0 {
        let cap = f64::from(a.softcap);
        row.iter_mut().for_each(|x| *x = cap * (*x / cap).tanh());
    }
    if a.score_output == 1 {
        shown.copy_from_slice(row);
    }
    let mut seen = false;
    for (key, x) in row.iter_mut().enumerate() {
        let bias = bias(key);
        seen |= bias != f64::NEG_INFINITY;
        *x += bias;
    }
    if a.score_output == 2 {
        shown.copy_from_slice(row);
    }
    let greatest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if seen && greatest > f64::NEG_INFINITY {
        row.iter_mut().for_each(|x| *x = (*x - greatest).exp());
        let sum: f64 = row.iter().sum();
        row.iter_mut().for_each(|x| *x /= sum);
    } else {
        row.fill(0.0);
    }
    if a.score_output == 3 {
        shown.copy_from_slice(row);
    }
}
