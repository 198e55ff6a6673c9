//! Late fusion: one answer from whichever senses are present.
//!
//! Each head that has an answer gives one [`Opinion`]: an emotion head a distribution over the seven emotions, a
//! sentiment head a likelihood over the valence groups.
//! [`fuse`] joins them by a weighted logarithmic opinion pool
//! (Genest and Zidek 1986, "Combining probability distributions: a critique and an annotated bibliography").
//!
//! # Formula
//!
//! Let `E` be the emotion opinions and `S` the sentiment opinions that are present.
//! Opinion `k` in `E` has masses `p_k(e)` and unmapped mass `u_k`; `q_k(e) = p_k(e) / (1 - u_k)` is its answer
//! given that it lies in the common space.
//! `w_i` is the weight of the opinion's sense and role ([`SenseWeights`]), shared equally between the opinions of
//! that sense and role: ten faces weigh no more than one.
//!
//! ```text
//! log q(e) = sum_{k in E} a_k log max(q_k(e), f)  +  sum_{j in S} b_j log max(L_j(e), f)  -  log Z
//!
//! a_k    = w_k (1 - u_k) / sum_{i in E} w_i (1 - u_i)            these sum to one
//! b_j    = w_j / sum_{i in E or S} w_i
//! L_j(e) = sum_g P(g | e) l_j(g)
//! l_j(g) = G_j s_j(g) + v_j  for a group the head can name, 1 for one it cannot
//! u      = sum_{k in E} w_k u_k / sum_{k in E} w_k
//!
//! fused emotion e  = (1 - u) q(e)
//! fused unmapped   = u
//! fused valence g  = sum_{i in E or S} w_i s_i(g) / sum_{i in E or S} w_i      (and the same for its unmapped mass)
//! ```
//!
//! - The exponents `a_k` sum to one over the senses present, so a missing sense changes nothing but its own part
//!   and agreeing senses are not counted twice. What a sense could not place (`u_k`) takes weight from it.
//! - A likelihood updates a pool: `L_j` multiplies it, and pooling and updating commute when the `a_k` sum to one
//!   (Genest, McConway and Schervish 1986, "Characterization of externally Bayesian pooling operators").
//!   The exponent `b_j` below one discounts it, because a text's two heads read the same words.
//! - `s_j(g)` are a sentiment head's masses, `v_j` its unmapped mass and `G_j` the number of groups it can name.
//!   A head that gives each of its groups the same mass has `l = 1` everywhere and changes nothing, and a head
//!   without a "neutral" label says nothing for or against neutral.
//! - `P(g | e)` is [`FusionParams::valence_given_emotion`].
//! - The floor `f` is [`PROBABILITY_FLOOR`]: no zero of one source rules a label out.
//!   With one emotion opinion and no sentiment opinion nothing is pooled: the answer is that opinion, unchanged.
//! - Mass without a counterpart stays unmapped by its weighted mean, and is not renormalised away.
//! - The valence is a linear pool, because a head that cannot name a group must not veto it.
//!   With sentiment opinions alone there is no emotion: all emotion mass is unmapped.
//! - A multi-label head's masses are its normalised calibrated odds, see [`Prediction::to_common`].
//!
//! # Worked example
//!
//! A face of `joy 0.6, neutral 0.3, sadness 0.1` (weight 0.8), a voice of `sadness 0.5, neutral 0.3` and 0.2
//! unmapped (weight 0.5), and a text of `positive 0.9, negative 0.1` (weight 0.7, `l = (0.2, 1, 1.8)`).
//!
//! ```text
//! u = 0.5 * 0.2 / 1.3 = 0.0769        a_face = 0.8 / (0.8 + 0.4) = 0.6667, a_voice = 0.3333
//! b_text = 0.7 / 2.0 = 0.35           voice: q(sadness) = 0.5 / 0.8 = 0.625, q(neutral) = 0.375
//!
//!          face^0.6667  voice^0.3333  L                                   L^0.35   product  (1 - u) product / Z
//! joy      0.71138      0.04642       0.05*0.2 + 0.05*1 + 0.9*1.8 = 1.68  1.19911  0.03959  0.0751
//! neutral  0.44814      0.72112       0.1*0.2 + 0.8*1 + 0.1*1.8 = 1.00    1.00000  0.32317  0.6129
//! sadness  0.21544      0.85499       0.9*0.2 + 0.05*1 + 0.05*1.8 = 0.32  0.67112  0.12362  0.2345
//! ```
//!
//! The voice's joy is at the floor, `0.0001^0.3333 = 0.04642`.
//! The other four emotions are at the floor in face and voice and share 0.0006.
//! The valence is negative 0.2, neutral 0.195, positive 0.555 and 0.05 unmapped.
//! So: neutral with 0.61, between a smile and a sad voice, and the words are why joy is not last.

mod params;

pub use params::{FusionParams, FusionWeights, SenseWeights};

use crate::common_space::{CommonDistribution, Emotion, Sense, Valence, ValenceGroup};
use crate::label_space::{SpaceRole, row_problem};
use crate::prediction::{Prediction, PredictionKind};
use crate::{Error, ErrorKind, Result};

/// Least probability of a label in the pool, so that a zero of one source rules nothing out.
pub const PROBABILITY_FLOOR: f64 = 1e-4;

/// How far the sum of an opinion's masses may be from one.
pub(crate) const MASS_TOLERANCE: f64 = 1e-6;

/// What one head of one source says.
#[derive(Debug, Clone, PartialEq)]
pub struct Opinion {
    /// The source, as in its observation.
    pub source: String,
    /// Name of the head.
    pub head: String,
    /// The sense the source belongs to.
    pub sense: Sense,
    /// What it says.
    pub evidence: Evidence,
}

/// What an opinion says, by the kind of its label space.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Evidence {
    /// A distribution over the emotions.
    Emotion(CommonDistribution),
    /// A likelihood over the valence groups.
    Sentiment {
        /// The head's masses.
        valence: Valence,
        /// Which groups the head can name, in the order of [`ValenceGroup::ALL`].
        covered: [bool; 3],
    },
}

impl Opinion {
    /// The opinion in a prediction, or none: the head abstained, is a regression, or its labels say nothing about
    /// how something is felt.
    #[must_use]
    pub fn from_prediction(source: &str, sense: Sense, prediction: &Prediction) -> Option<Self> {
        if prediction.abstained() || matches!(prediction.kind(), PredictionKind::Regression { .. }) {
            return None;
        }
        let common = prediction.to_common()?;
        let evidence = match prediction.space().role() {
            SpaceRole::Emotion => Evidence::Emotion(common),
            SpaceRole::Sentiment => Evidence::Sentiment {
                valence: common.valence,
                covered: prediction.space().covered_valence(),
            },
            SpaceRole::Other => return None,
        };
        Some(Self {
            source: source.into(),
            head: prediction.head().into(),
            sense,
            evidence,
        })
    }

    fn valence(&self) -> Valence {
        match self.evidence {
            Evidence::Emotion(common) => common.valence,
            Evidence::Sentiment { valence, .. } => valence,
        }
    }

    fn is_emotion(&self) -> bool {
        matches!(self.evidence, Evidence::Emotion(_))
    }

    fn check(&self) -> Result<()> {
        let mut rows = vec![("valence", self.valence().all().to_vec())];
        if let Evidence::Emotion(common) = self.evidence {
            let mut row = common.emotions.to_vec();
            row.push(common.unmapped);
            rows.push(("emotions", row));
        }
        for (name, row) in rows {
            if let Some(problem) = row_problem(&row, MASS_TOLERANCE) {
                let subject = format!("{} ({})", self.source, self.head);
                let detail = format!("the {name} of its opinion: {problem}");
                return Err(Error::new(ErrorKind::InvalidDistribution, subject, detail));
            }
        }
        Ok(())
    }
}

/// What one source's head weighed in a fused answer.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceWeight {
    /// The source, as in its observation.
    pub source: String,
    /// Name of the head.
    pub head: String,
    /// The sense.
    pub sense: Sense,
    /// Exponent of the opinion in the pool of the emotions: `a_k`, or `b_j` for a sentiment head.
    pub emotion: f64,
    /// Share of the opinion in the pool of the valence groups.
    pub valence: f64,
}

/// One answer from several opinions.
#[derive(Debug, Clone, PartialEq)]
pub struct Fused {
    /// The pooled distribution.
    pub common: CommonDistribution,
    /// The likeliest emotion, see [`CommonDistribution::top`].
    pub top: Option<(Emotion, f64)>,
    /// The likeliest valence group, see [`Valence::top`].
    pub sentiment: Option<(ValenceGroup, f64)>,
    /// What each opinion weighed, in the order of the opinions.
    pub weights: Vec<SourceWeight>,
}

/// Pools opinions into one answer by the formula of this module; their order does not matter.
///
/// # Errors
/// [`ErrorKind::Empty`] without an opinion or when every present one has weight zero,
/// [`ErrorKind::InvalidDistribution`] for an opinion that is no distribution, [`ErrorKind::InvalidFusion`] for bad
/// parameters.
///
/// ```
/// use limbic_affect::{CommonDistribution, Emotion, Evidence, FusionParams, Opinion, Sense, Valence, fuse};
///
/// let opinion = |source: &str, sense, evidence| Opinion { source: source.into(), head: "h".into(), sense, evidence };
/// let valence = |negative, neutral, positive, unmapped| Valence { negative, neutral, positive, unmapped };
/// //                    anger disgust fear joy sadness surprise neutral
/// let face = CommonDistribution {
///     emotions: [0.0, 0.0, 0.0, 0.6, 0.1, 0.0, 0.3],
///     unmapped: 0.0,
///     valence: valence(0.1, 0.3, 0.6, 0.0),
/// };
/// let voice = CommonDistribution {
///     emotions: [0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.3],
///     unmapped: 0.2,
///     valence: valence(0.5, 0.3, 0.0, 0.2),
/// };
/// let text = Evidence::Sentiment { valence: valence(0.1, 0.0, 0.9, 0.0), covered: [true, false, true] };
/// let fused = fuse(
///     &[
///         opinion("face", Sense::Image, Evidence::Emotion(face)),
///         opinion("voice", Sense::Audio, Evidence::Emotion(voice)),
///         opinion("text", Sense::Text, text),
///     ],
///     FusionParams::builtin(),
/// )?;
/// let near = |a: f64, b: f64| (a - b).abs() < 5e-5;
/// let (emotion, probability) = fused.top.unwrap();
/// assert!(emotion == Emotion::Neutral && near(probability, 0.6129));
/// assert!(near(fused.common.emotions[Emotion::Joy.index()], 0.0751));
/// assert!(near(fused.common.emotions[Emotion::Sadness.index()], 0.2345));
/// assert!(near(fused.common.unmapped, 0.0769));
/// assert!(near(fused.common.valence.positive, 0.555));
/// assert!(near(fused.weights[2].emotion, 0.35));
/// # Ok::<(), limbic_affect::Error>(())
/// ```
pub fn fuse(opinions: &[Opinion], params: &FusionParams) -> Result<Fused> {
    params.check()?;
    for opinion in opinions {
        opinion.check()?;
    }
    let weights: Vec<f64> = opinions
        .iter()
        .map(|opinion| shared_weight(opinion, opinions, params))
        .collect();
    let total = sum(weights.iter().copied());
    if total <= 0.0 {
        let detail = format!("{} opinions of total weight {total}", opinions.len());
        return Err(Error::new(ErrorKind::Empty, "fusion", detail));
    }
    let weighted: Vec<(&Opinion, f64)> = opinions.iter().zip(weights).collect();

    let (emotions, unmapped, exponents) = pool_emotions(&weighted, total, params);
    let mut valence = [0.0; 4];
    for (index, mass) in valence.iter_mut().enumerate() {
        *mass = sum(weighted
            .iter()
            .filter_map(|(o, w)| o.valence().all().get(index).map(|s| w * s)))
            / total;
    }
    let common = CommonDistribution {
        emotions,
        unmapped,
        valence: Valence::from_all(valence),
    };
    let weights = weighted
        .iter()
        .zip(exponents)
        .map(|((opinion, weight), emotion)| SourceWeight {
            source: opinion.source.clone(),
            head: opinion.head.clone(),
            sense: opinion.sense,
            emotion,
            valence: weight / total,
        })
        .collect();
    Ok(Fused {
        common,
        top: common.top(),
        sentiment: common.valence.top(),
        weights,
    })
}

/// The weight of the opinion's sense and role, shared between the opinions of that sense and role.
fn shared_weight(opinion: &Opinion, opinions: &[Opinion], params: &FusionParams) -> f64 {
    let alike = opinions
        .iter()
        .filter(|other| other.sense == opinion.sense && other.is_emotion() == opinion.is_emotion())
        .count();
    let weights = params.weights.of(opinion.sense);
    let weight = if opinion.is_emotion() {
        weights.emotion
    } else {
        weights.sentiment
    };
    weight / alike as f64
}

/// The pooled emotions, their unmapped mass, and the exponent of each opinion.
fn pool_emotions(
    weighted: &[(&Opinion, f64)],
    total: f64,
    params: &FusionParams,
) -> ([f64; 7], f64, Vec<f64>) {
    let placed = || {
        weighted
            .iter()
            .filter_map(|(opinion, weight)| match opinion.evidence {
                Evidence::Emotion(common) => Some((common, *weight)),
                Evidence::Sentiment { .. } => None,
            })
    };
    let weight = sum(placed().map(|(_, weight)| weight));
    let mass = |common: &CommonDistribution| sum(common.emotions);
    let inside = sum(placed().map(|(common, weight)| weight * mass(&common)));
    let exponents: Vec<f64> = weighted
        .iter()
        .map(|(opinion, weight)| match &opinion.evidence {
            Evidence::Emotion(common) if inside > 0.0 => weight * mass(common) / inside,
            Evidence::Emotion(_) => 0.0,
            Evidence::Sentiment { .. } => weight / total,
        })
        .collect();
    if inside <= 0.0 {
        return ([0.0; 7], 1.0, exponents);
    }
    let unmapped = sum(placed().map(|(common, weight)| weight * common.unmapped)) / weight;

    let present: Vec<(Evidence, f64)> = weighted
        .iter()
        .zip(&exponents)
        .filter(|(_, exponent)| **exponent > 0.0)
        .map(|((opinion, _), exponent)| (opinion.evidence, *exponent))
        .collect();
    let pooled = match present.as_slice() {
        [(Evidence::Emotion(only), _)] => only.emotions.map(|p| p / mass(only)),
        several => {
            let logs = Emotion::ALL.map(|emotion| {
                sum(several.iter().map(|(evidence, exponent)| {
                    let value = match evidence {
                        Evidence::Emotion(common) => common
                            .emotions
                            .get(emotion.index())
                            .map_or(0.0, |p| p / mass(common)),
                        Evidence::Sentiment { valence, covered } => {
                            likelihood(emotion, valence, *covered, params)
                        }
                    };
                    exponent * value.max(PROBABILITY_FLOOR).ln()
                }))
            });
            let largest = logs.into_iter().fold(f64::NEG_INFINITY, f64::max);
            let pooled = logs.map(|log| (log - largest).exp());
            let normaliser = sum(pooled);
            pooled.map(|value| value / normaliser)
        }
    };
    (pooled.map(|q| (1.0 - unmapped) * q), unmapped, exponents)
}

/// `L(e)`: how well a sentiment head's masses fit the emotion; 1 where they say nothing.
fn likelihood(emotion: Emotion, valence: &Valence, covered: [bool; 3], params: &FusionParams) -> f64 {
    let groups = covered.iter().filter(|covered| **covered).count() as f64;
    let table = params
        .valence_given_emotion
        .get(&emotion)
        .map_or([0.0; 3], Valence::groups);
    let group = valence.groups().into_iter().zip(covered);
    sum(table.into_iter().zip(group).map(|(given, (mass, covered))| {
        given
            * if covered {
                groups * mass + valence.unmapped
            } else {
                1.0
            }
    }))
}

/// Sum in ascending order, so that the result does not depend on the order of the opinions.
fn sum(terms: impl IntoIterator<Item = f64>) -> f64 {
    let mut terms: Vec<f64> = terms.into_iter().collect();
    terms.sort_by(f64::total_cmp);
    terms.into_iter().sum()
}
