//! A stream of sound, window by window.

use std::collections::BTreeMap;
use std::time::Instant;

use limbic_affect::{LogitPool, NoAnswerReason, Scope, Sense};

use crate::answer::{self, Answer, Context, Origin};
use crate::error::{Error, Result};
use crate::model::{Data, Model, Value};
use crate::pipeline::{AudioEnd, AudioStream, AudioWindow, Pipeline};
use crate::recognizer::{millis_since, no_model};

/// A stream of sound that a [`Recognizer`](crate::Recognizer) listens to; memory is bounded by a window.
#[derive(Debug)]
pub struct AudioSession {
    origin: Origin,
    stream: AudioStream,
    min_ms: u32,
    pools: Vec<LogitPool>,
    resampled_from_hz: Option<u32>,
    windows: u64,
    speech_windows: u64,
    /// Why the last window without speech had none.
    last_silence: Option<String>,
    busy_ms: f64,
}

impl AudioSession {
    pub(crate) fn begin(model: &Model, origin: &Origin, rate_hz: u32, channels: usize) -> Result<Self> {
        let Pipeline::Audio(pipeline) = &model.pipeline else {
            return Err(no_model(Sense::Audio));
        };
        let stream = pipeline.stream(rate_hz, channels)?;
        Ok(Self {
            origin: origin.clone(),
            resampled_from_hz: stream.resamples().then_some(rate_hz),
            stream,
            min_ms: pipeline.min_ms(),
            pools: model.pools(),
            windows: 0,
            speech_windows: 0,
            last_silence: None,
            busy_ms: 0.0,
        })
    }

    /// Adds samples that the source lost; they are reported in every event from here on.
    pub fn add_dropped_samples(&mut self, samples: u64) {
        self.origin.dropped_samples += samples;
    }

    pub(crate) fn push(&mut self, model: &mut Model, interleaved: &[f32]) -> Result<Vec<Answer>> {
        let begin = Instant::now();
        let mut windows = Vec::new();
        self.stream.push(interleaved, |window| {
            windows.push(window);
            Ok(())
        })?;
        let answers = windows
            .into_iter()
            .map(|window| self.answer(model, window))
            .collect();
        self.busy_ms += millis_since(begin);
        answers
    }

    pub(crate) fn finish(mut self, model: &mut Model) -> Result<(Vec<Answer>, Answer)> {
        let begin = Instant::now();
        let mut windows = Vec::new();
        let end = self.take_stream(model)?.finish(|window| {
            windows.push(window);
            Ok(())
        })?;
        let answers = windows
            .into_iter()
            .map(|window| self.answer(model, window))
            .collect::<Result<Vec<_>>>()?;
        self.busy_ms += millis_since(begin);
        let summary = self.summary(model, end)?;
        Ok((answers, summary))
    }

    /// The stream, leaving an unused one of the same kind behind.
    fn take_stream(&mut self, model: &Model) -> Result<AudioStream> {
        let Pipeline::Audio(pipeline) = &model.pipeline else {
            return Err(no_model(Sense::Audio));
        };
        let unused = pipeline.stream(self.stream.input_hz(), 1)?;
        Ok(std::mem::replace(&mut self.stream, unused))
    }

    fn answer(&mut self, model: &mut Model, window: AudioWindow) -> Result<Answer> {
        let begin = Instant::now();
        self.windows += 1;
        let origin = self.origin.clone();
        let mut context = self.context(&origin, Scope::Window, (window.start_ms, window.end_ms));
        if let Some(speech) = window.speech.filter(|speech| !speech.speech) {
            let detail = format!(
                "{}: level {:.1} dBFS, voiced {} ms, level spread {:.1} dB, spectral change {:.1} dB",
                speech.reason,
                speech.level_dbfs,
                speech.voiced_ms,
                speech.level_spread_db,
                speech.spectral_change_db
            );
            self.last_silence = Some(detail.clone());
            context.elapsed_ms = millis_since(begin);
            return Ok(answer::no_answer(
                model,
                &context,
                NoAnswerReason::NoSpeech,
                detail,
                false,
            ));
        }
        self.speech_windows += 1;
        let Pipeline::Audio(pipeline) = &model.pipeline else {
            return Err(no_model(Sense::Audio));
        };
        let value = Value {
            dims: window.features.dims,
            data: Data::F32(window.features.values),
        };
        let logits = model.run(BTreeMap::from([(pipeline.tensor().to_owned(), value)]))?;
        for (pool, logits) in self.pools.iter_mut().zip(&logits) {
            pool.push(logits, 0).map_err(Error::head)?;
        }
        let predictions = model.predict_one(&logits)?;
        context.elapsed_ms = millis_since(begin);
        Ok(answer::answer(model, &context, predictions))
    }

    fn summary(&self, model: &Model, end: AudioEnd) -> Result<Answer> {
        let begin = Instant::now();
        let mut context = self.context(&self.origin, Scope::File, (0, end.length_ms));
        context.dropped_samples = end.dropped_samples;
        context.windows = Some(self.speech_windows);
        let none = |context: &Context<'_>, reason, detail| {
            Ok(answer::no_answer(model, context, reason, detail, false))
        };
        context.elapsed_ms = self.busy_ms;
        if end.too_short {
            let detail = format!(
                "{} ms of sound, at least {} ms are needed",
                end.length_ms, self.min_ms
            );
            return none(&context, NoAnswerReason::TooShort, detail);
        }
        if self.speech_windows == 0 {
            let last = self.last_silence.as_deref().unwrap_or("no window");
            let detail = format!("no speech in any of {} windows; the last: {last}", self.windows);
            return none(&context, NoAnswerReason::NoSpeech, detail);
        }
        let predictions = model.predict(&self.pools)?;
        context.elapsed_ms = self.busy_ms + millis_since(begin);
        Ok(answer::answer(model, &context, predictions))
    }

    fn context<'a>(&self, origin: &'a Origin, scope: Scope, span_ms: (u64, u64)) -> Context<'a> {
        let mut context = Context::item(origin);
        context.scope = scope;
        context.span_ms = Some(span_ms);
        context.resampled_from_hz = self.resampled_from_hz;
        context
    }
}
