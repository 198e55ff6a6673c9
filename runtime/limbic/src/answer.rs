//! From predictions to events.

use limbic_affect::{
    BundleRef, Clock, Dropped, Event, HeadAnswer, NoAnswer, NoAnswerReason, Observation, Opinion, Prediction,
    Region, SchemaVersion, Scope, SentimentAnswer, Truncated, observed_common,
};
use limbic_bundle::Gate;

use crate::model::Model;

/// An event and what fusion needs of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The event: an observation, a fused answer, or why there is none.
    pub event: Event,
    /// What each head that answered says to [`Recognizer::fuse`](crate::Recognizer::fuse); empty without an answer.
    pub opinions: Vec<Opinion>,
}

/// Where an input comes from and what happened to it before it got here; all of it is reported in the event.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The source as the user named it: a path or a URI, never the text itself.
    pub source: String,
    /// What the times of the event count.
    pub clock: Clock,
    /// Time of the input's start on that clock, in milliseconds.
    pub start_ms: u64,
    /// Invalid UTF-8 sequences that were replaced by U+FFFD.
    pub replaced: u64,
    /// Samples of a sound that the source lost.
    pub dropped_samples: u64,
    /// Frames of a camera that were passed over.
    pub dropped_frames: u64,
}

impl Origin {
    /// An origin with a name, nothing lost, and no clock.
    pub fn named(source: impl Into<String>) -> Self {
        Self {
            source: source.into(),
            clock: Clock::None,
            start_ms: 0,
            replaced: 0,
            dropped_samples: 0,
            dropped_frames: 0,
        }
    }

    /// The same origin on the clock of a file that starts at 0.
    #[must_use]
    pub fn on(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }
}

/// What is known of one observation beside its predictions.
#[derive(Debug, Clone)]
pub(crate) struct Context<'a> {
    pub(crate) origin: &'a Origin,
    pub(crate) scope: Scope,
    /// Start and end in milliseconds from the origin's start.
    pub(crate) span_ms: Option<(u64, u64)>,
    pub(crate) windows: Option<u64>,
    pub(crate) region: Option<Region>,
    pub(crate) truncated: u64,
    pub(crate) dropped_samples: u64,
    pub(crate) resampled_from_hz: Option<u32>,
    pub(crate) elapsed_ms: f64,
}

impl<'a> Context<'a> {
    pub(crate) fn item(origin: &'a Origin) -> Self {
        Self {
            origin,
            scope: Scope::Item,
            span_ms: None,
            windows: None,
            region: None,
            truncated: 0,
            dropped_samples: 0,
            resampled_from_hz: None,
            elapsed_ms: 0.0,
        }
    }

    fn times(&self) -> (Option<u64>, Option<u64>) {
        if self.origin.clock == Clock::None {
            return (None, None);
        }
        let (start, end) = self.span_ms.unwrap_or((0, 0));
        (
            Some(self.origin.start_ms + start),
            Some(self.origin.start_ms + end),
        )
    }

    fn dropped(&self) -> Option<Dropped> {
        let samples = self.origin.dropped_samples + self.dropped_samples;
        let frames = self.origin.dropped_frames;
        (samples > 0 || frames > 0).then_some(Dropped { samples, frames })
    }

    fn truncated(&self) -> Option<Truncated> {
        (self.truncated > 0).then_some(Truncated {
            tokens: self.truncated,
        })
    }

    fn replaced(&self) -> Option<u64> {
        (self.origin.replaced > 0).then_some(self.origin.replaced)
    }
}

/// The event of a model's predictions: an observation, or a `no_answer` when a gate or every head says so.
pub(crate) fn answer(model: &Model, context: &Context<'_>, predictions: Vec<Prediction>) -> Answer {
    if let Some((reason, detail)) = closed_gate(model, &predictions) {
        return no_answer(model, context, reason, detail, true);
    }
    let answering: Vec<Prediction> = predictions
        .into_iter()
        .filter(|prediction| !model.manifest().head_is_gate(prediction.head()))
        .collect();
    if !answering.is_empty() && answering.iter().all(Prediction::abstained) {
        let details: Vec<String> = answering
            .iter()
            .map(|prediction| {
                format!(
                    "{}: {} {:.3} is below what an answer needs",
                    prediction.head(),
                    prediction.top_label().unwrap_or("none"),
                    prediction.top_probability().unwrap_or(0.0)
                )
            })
            .collect();
        return no_answer(
            model,
            context,
            NoAnswerReason::BelowThreshold,
            details.join("; "),
            true,
        );
    }
    let common = observed_common(&answering);
    let (start_ms, end_ms) = context.times();
    let opinions = answering
        .iter()
        .filter_map(|prediction| Opinion::from_prediction(&context.origin.source, model.sense, prediction))
        .collect();
    let event = Event::Observation(Box::new(Observation {
        schema: SchemaVersion,
        seq: 0,
        start_ms,
        end_ms,
        clock: context.origin.clock,
        scope: context.scope,
        windows: context.windows,
        sense: model.sense,
        source: context.origin.source.clone(),
        bundle: bundle_ref(model),
        backend: model.backend.clone(),
        region: context.region,
        heads: answering.iter().map(HeadAnswer::from).collect(),
        common: common.map(Into::into),
        sentiment: common.and_then(|common| SentimentAnswer::from_valence(&common.valence)),
        truncated: context.truncated(),
        dropped: context.dropped(),
        replaced: context.replaced(),
        resampled_from_hz: context.resampled_from_hz,
        elapsed_ms: Some(context.elapsed_ms),
    }));
    Answer { event, opinions }
}

/// The event that says why there is no answer.
pub(crate) fn no_answer(
    model: &Model,
    context: &Context<'_>,
    reason: NoAnswerReason,
    detail: String,
    model_ran: bool,
) -> Answer {
    let (start_ms, end_ms) = context.times();
    let event = Event::NoAnswer(Box::new(NoAnswer {
        schema: SchemaVersion,
        seq: 0,
        start_ms,
        end_ms,
        clock: context.origin.clock,
        scope: context.scope,
        sense: model.sense,
        source: context.origin.source.clone(),
        bundle: bundle_ref(model),
        backend: model_ran.then(|| model.backend.clone()),
        region: context.region,
        reason,
        detail,
        truncated: context.truncated(),
        dropped: context.dropped(),
        replaced: context.replaced(),
        resampled_from_hz: context.resampled_from_hz,
        elapsed_ms: Some(context.elapsed_ms),
    }));
    Answer {
        event,
        opinions: Vec::new(),
    }
}

fn bundle_ref(model: &Model) -> BundleRef {
    BundleRef {
        name: model.manifest().name.clone(),
        identity: model.bundle().identity().to_owned(),
    }
}

/// The first gate on a head that closes, with the numbers that closed it.
fn closed_gate(model: &Model, predictions: &[Prediction]) -> Option<(NoAnswerReason, String)> {
    model.manifest().gates.iter().find_map(|gate| {
        let Gate::HeadProbability {
            head,
            label,
            min_probability,
            reason,
        } = gate
        else {
            return None;
        };
        let prediction = predictions.iter().find(|prediction| prediction.head() == head)?;
        let probability = *prediction
            .probabilities()
            .get(prediction.space().index_of(label)?)?;
        let least = f64::from(*min_probability);
        (probability < least).then(|| {
            (
                *reason,
                format!("{head}: {label} {probability:.3}, at least {least:.3} is needed"),
            )
        })
    })
}
