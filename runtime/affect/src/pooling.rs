//! Pooling of a long input's windows into one vector of logits.

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Result};

/// How the windows of a long sound or text become one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pooling {
    /// Arithmetic mean of the windows' logits.
    MeanLogits,
    /// Mean of the windows' logits, each weighted by its number of text tokens (without the marks around them).
    MeanLogitsByTokens,
}

/// Running pool of one head's logits over windows: constant memory for any number of them.
#[derive(Debug, Clone)]
pub struct LogitPool {
    rule: Pooling,
    sums: Vec<f64>,
    weight: f64,
    windows: u64,
}

impl LogitPool {
    /// An empty pool for vectors of `width` logits.
    #[must_use]
    pub fn new(rule: Pooling, width: usize) -> Self {
        Self {
            rule,
            sums: vec![0.0; width],
            weight: 0.0,
            windows: 0,
        }
    }

    /// Adds a window; `tokens` counts only under [`Pooling::MeanLogitsByTokens`].
    ///
    /// # Errors
    /// [`ErrorKind::Shape`] for another number of logits, [`ErrorKind::NonFinite`] for a NaN or infinite one; the
    /// pool is as before.
    pub fn push(&mut self, logits: &[f32], tokens: u32) -> Result<()> {
        if logits.len() != self.sums.len() {
            let detail = format!("{} logits, expected {}", logits.len(), self.sums.len());
            return Err(Error::new(ErrorKind::Shape, self.subject(), detail));
        }
        if let Some((index, value)) = logits.iter().enumerate().find(|(_, value)| !value.is_finite()) {
            let detail = format!("logit {index} is {value}");
            return Err(Error::new(ErrorKind::NonFinite, self.subject(), detail));
        }
        let weight = match self.rule {
            Pooling::MeanLogits => 1.0,
            Pooling::MeanLogitsByTokens => f64::from(tokens),
        };
        for (sum, &logit) in self.sums.iter_mut().zip(logits) {
            *sum += weight * f64::from(logit);
        }
        self.weight += weight;
        self.windows += 1;
        Ok(())
    }

    /// Number of windows so far.
    #[must_use]
    pub fn windows(&self) -> u64 {
        self.windows
    }

    /// The pooled logits of the windows so far.
    ///
    /// # Errors
    /// [`ErrorKind::Empty`] without a window, or when no window had a token to weigh it by.
    pub fn mean(&self) -> Result<Vec<f64>> {
        if self.weight <= 0.0 {
            let detail = format!("{} windows of total weight {}", self.windows, self.weight);
            return Err(Error::new(ErrorKind::Empty, self.rule_name(), detail));
        }
        Ok(self.sums.iter().map(|sum| sum / self.weight).collect())
    }

    fn rule_name(&self) -> &'static str {
        match self.rule {
            Pooling::MeanLogits => "mean_logits",
            Pooling::MeanLogitsByTokens => "mean_logits_by_tokens",
        }
    }

    fn subject(&self) -> String {
        format!("{} (window {})", self.rule_name(), self.windows)
    }
}
