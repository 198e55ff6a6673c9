//! One answer from several.

use std::time::Instant;

use limbic_affect::{
    Clock, Event, FusedEvent, FusedSource, FusionParams, MissingSense, SchemaVersion, SentimentAnswer,
};

use crate::answer::Answer;
use crate::error::{Error, Result};
use crate::recognizer::millis_since;

/// Joins the answers of several inputs into one; inputs without an answer are listed as missing.
///
/// The pool is [`limbic_affect::fuse`]; the event's number is 0 until it gets one. Times are given when all answers
/// are on one running clock.
///
/// # Errors
/// [`ErrorKind::Head`](crate::ErrorKind::Head) when none of them has an answer.
pub fn fuse(answers: &[&Answer], params: &FusionParams) -> Result<Answer> {
    let begin = Instant::now();
    let opinions: Vec<_> = answers
        .iter()
        .flat_map(|answer| answer.opinions.iter().cloned())
        .collect();
    let fused = limbic_affect::fuse(&opinions, params).map_err(Error::head)?;
    let mut event = FusedEvent {
        schema: SchemaVersion,
        seq: 0,
        start_ms: None,
        end_ms: None,
        clock: Clock::None,
        observations: Vec::new(),
        sources: FusedSource::list(&fused),
        missing: Vec::new(),
        common: fused.common.into(),
        top: fused.top.map(|(emotion, _)| emotion),
        probability: fused.top.map(|(_, probability)| probability),
        sentiment: fused
            .sentiment
            .map(|(label, probability)| SentimentAnswer { label, probability }),
        elapsed_ms: None,
    };
    let mut spans = Vec::new();
    for answer in answers {
        match &answer.event {
            Event::Observation(seen) => {
                event.observations.push(seen.seq);
                spans.push((seen.clock, seen.start_ms, seen.end_ms));
            }
            Event::NoAnswer(none) => event.missing.push(MissingSense {
                source: none.source.clone(),
                sense: none.sense,
                reason: none.reason,
                detail: none.detail.clone(),
            }),
            Event::Fused(_) => {}
        }
    }
    if spans.iter().all(|(clock, _, _)| *clock == Clock::Monotonic) {
        event.clock = Clock::Monotonic;
        event.start_ms = spans.iter().filter_map(|(_, start, _)| *start).min();
        event.end_ms = spans.iter().filter_map(|(_, _, end)| *end).max();
    }
    event.elapsed_ms = Some(millis_since(begin));
    Ok(Answer {
        event: Event::Fused(Box::new(event)),
        opinions: Vec::new(),
    })
}
