//! What a head answers, and its way into the common space.

use std::sync::Arc;

use crate::common_space::{CommonDistribution, Valence};
use crate::label_space::{LabelSpace, SpaceRole};

/// Least distance of a probability from zero and from one when its odds are taken, so that they are finite.
pub const ODDS_CLAMP: f64 = 1e-6;

/// How to read a prediction's numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum PredictionKind {
    /// Probabilities of labels of which one holds; they sum to one.
    Exclusive,
    /// A probability for each label by itself.
    MultiLabel {
        /// Least probability of each selected label.
        thresholds: Vec<f64>,
    },
    /// Values of continuous quantities.
    Regression {
        /// How many of the values lay outside the range and were clamped to it.
        clamped: usize,
    },
}

/// A head's answer over its label space.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    head: Arc<str>,
    space: Arc<LabelSpace>,
    kind: PredictionKind,
    numbers: Vec<f64>,
    selected: Vec<usize>,
    top: Option<usize>,
    abstained: bool,
}

impl Prediction {
    /// `numbers` has one entry a label.
    pub(crate) fn new(
        head: Arc<str>,
        space: Arc<LabelSpace>,
        kind: PredictionKind,
        numbers: Vec<f64>,
        abstain_below: f64,
    ) -> Self {
        let all = || numbers.iter().copied().enumerate();
        let (selected, top) = match &kind {
            PredictionKind::Exclusive => {
                let top = first_largest(all());
                (top.into_iter().collect(), top)
            }
            PredictionKind::MultiLabel { thresholds } => {
                let share = || {
                    all()
                        .zip(thresholds)
                        .map(|((index, p), threshold)| (index, p / threshold))
                };
                let mut selected: Vec<usize> = share()
                    .filter(|(_, share)| *share >= 1.0)
                    .map(|(index, _)| index)
                    .collect();
                if selected.is_empty() && space.exhaustive() {
                    selected.extend(first_largest(share()));
                }
                let top = first_largest(all().filter(|(index, _)| selected.contains(index)));
                let top = top.or_else(|| first_largest(all()));
                (selected, top)
            }
            PredictionKind::Regression { .. } => (Vec::new(), None),
        };
        let abstained = top
            .and_then(|top| numbers.get(top))
            .is_some_and(|&p| p < abstain_below);
        Self {
            head,
            space,
            kind,
            numbers,
            selected,
            top,
            abstained,
        }
    }

    /// Name of the head.
    #[must_use]
    pub fn head(&self) -> &str {
        &self.head
    }

    /// The label space.
    #[must_use]
    pub fn space(&self) -> &Arc<LabelSpace> {
        &self.space
    }

    /// How to read the numbers.
    #[must_use]
    pub fn kind(&self) -> &PredictionKind {
        &self.kind
    }

    /// Probability of each label in order, `0..=1`; none for a regression.
    #[must_use]
    pub fn probabilities(&self) -> &[f64] {
        match self.kind {
            PredictionKind::Regression { .. } => &[],
            _ => &self.numbers,
        }
    }

    /// Value of each quantity in order, within the head's range; none for other heads.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        match self.kind {
            PredictionKind::Regression { .. } => &self.numbers,
            _ => &[],
        }
    }

    /// Positions of the labels the head says hold, ascending.
    ///
    /// Exclusive: the top label.
    /// Multi-label: each label whose probability reaches its threshold; if none does and the space is exhaustive,
    /// the one label whose probability is the largest share of its threshold, and otherwise none.
    #[must_use]
    pub fn selected(&self) -> &[usize] {
        &self.selected
    }

    /// Names of the [`Prediction::selected`] labels.
    pub fn selected_labels(&self) -> impl Iterator<Item = &str> {
        self.selected.iter().filter_map(|&index| self.space.name(index))
    }

    /// Position of the likeliest selected label, or of the likeliest label where none is selected; none for a
    /// regression. Of equal labels the first is taken.
    #[must_use]
    pub fn top(&self) -> Option<usize> {
        self.top
    }

    /// Name of the [`Prediction::top`] label.
    #[must_use]
    pub fn top_label(&self) -> Option<&str> {
        self.top.and_then(|top| self.space.name(top))
    }

    /// Probability of the [`Prediction::top`] label.
    #[must_use]
    pub fn top_probability(&self) -> Option<f64> {
        self.top.and_then(|top| self.probabilities().get(top)).copied()
    }

    /// Whether the top probability is below the head's `abstain_below`: there is no answer then.
    #[must_use]
    pub fn abstained(&self) -> bool {
        self.abstained
    }

    /// The prediction in the common space, by the label space's map; none for a regression.
    ///
    /// Exclusive probabilities go through the map as they are.
    /// Multi-label ones enter as normalised calibrated odds `o_i / sum_j o_j` with `o_i = p_i / (1 - p_i)` and
    /// `p_i` kept [`ODDS_CLAMP`] away from 0 and 1: for independent labels this is the probability of label `i`
    /// given that exactly one label holds. Where the space is not exhaustive, "no label" takes part with odds 1
    /// and its mass is unmapped.
    #[must_use]
    pub fn to_common(&self) -> Option<CommonDistribution> {
        let (masses, none_holds) = match self.kind {
            PredictionKind::Exclusive => (self.numbers.clone(), 0.0),
            PredictionKind::MultiLabel { .. } => self.normalised_odds(),
            PredictionKind::Regression { .. } => return None,
        };
        let mut emotions = [0.0; 7];
        let mut unmapped = none_holds;
        let mut valence = [0.0, 0.0, 0.0, none_holds];
        for (label, mass) in self.space.labels().iter().zip(masses) {
            for (sum, share) in emotions.iter_mut().zip(label.emotions.emotions()) {
                *sum += mass * share;
            }
            unmapped += mass * label.emotions.unmapped;
            for (sum, share) in valence.iter_mut().zip(label.valence.all()) {
                *sum += mass * share;
            }
        }
        Some(CommonDistribution {
            emotions,
            unmapped,
            valence: Valence::from_all(valence),
        })
    }

    /// Mass of each label, and of "no label"; together they sum to one.
    fn normalised_odds(&self) -> (Vec<f64>, f64) {
        let odds: Vec<f64> = self
            .numbers
            .iter()
            .map(|p| p.clamp(ODDS_CLAMP, 1.0 - ODDS_CLAMP))
            .map(|p| p / (1.0 - p))
            .collect();
        let none = if self.space.exhaustive() { 0.0 } else { 1.0 };
        let sum = odds.iter().sum::<f64>() + none;
        (odds.into_iter().map(|odds| odds / sum).collect(), none / sum)
    }
}

fn first_largest(numbers: impl Iterator<Item = (usize, f64)>) -> Option<usize> {
    numbers
        .fold(None, |best: Option<(usize, f64)>, next| match best {
            Some(best) if best.1 >= next.1 => Some(best),
            _ => Some(next),
        })
        .map(|(index, _)| index)
}

/// The answer of one observation's heads in the common space, or none when no head says anything in it.
///
/// The emotions are the first emotion head's and the valence the first sentiment head's, where there is one; an
/// abstained head is passed over. A model with a sentiment head alone has all its emotion mass unmapped.
#[must_use]
pub fn observed_common(predictions: &[Prediction]) -> Option<CommonDistribution> {
    let first = |role| {
        predictions
            .iter()
            .find(|prediction| !prediction.abstained() && prediction.space().role() == role)
            .and_then(Prediction::to_common)
    };
    match (first(SpaceRole::Emotion), first(SpaceRole::Sentiment)) {
        (Some(emotion), Some(sentiment)) => Some(CommonDistribution {
            valence: sentiment.valence,
            ..emotion
        }),
        (emotion, sentiment) => emotion.or(sentiment),
    }
}
