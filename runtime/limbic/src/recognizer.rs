//! The recognizer: one model a sense, answers and their fusion.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use limbic_affect::{Clock, FusionParams, NoAnswerReason, Region as EventRegion, Sense};
use limbic_bundle::{Bundle, Manifest};
use limbic_signal::image::{PictureView, Region};
use limbic_signal::text::TokenWindow;

use crate::answer::{self, Answer, Context, Origin};
use crate::error::{Error, ErrorKind, Result};
use crate::fusion;
use crate::model::{Data, Model, Value, sense_of};
use crate::pipeline::{Pipeline, TextPipeline};
use crate::stream::AudioSession;

/// Opens bundles and answers for texts, pictures and sound.
///
/// Holds at most one bundle a sense. Answers are numbered in the order they are given.
#[derive(Debug)]
pub struct Recognizer {
    pub(crate) models: Vec<Model>,
    fusion: FusionParams,
    next_seq: u64,
}

/// Collects bundles and settings for a [`Recognizer`].
#[derive(Debug, Default)]
pub struct Builder {
    bundles: Vec<Bundle>,
    backend: Option<String>,
    threads: usize,
    fusion: Option<FusionParams>,
}

/// Where in a picture the face is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// Nobody said; the whole picture is taken, and the event says `assumed`.
    Assumed,
    /// The whole picture is the face.
    Whole,
    /// A rectangle of pixels.
    At(Region),
}

impl Builder {
    /// Adds a bundle file; its digests are checked.
    ///
    /// # Errors
    /// [`ErrorKind::Bundle`] when the file can't be read or is not sound.
    pub fn bundle(self, path: impl AsRef<Path>) -> Result<Self> {
        Ok(self.opened(Bundle::open(path.as_ref()).map_err(Error::bundle)?))
    }

    /// Adds a bundle that is part of the program; its digests are checked.
    ///
    /// # Errors
    /// [`ErrorKind::Bundle`] when the bytes are no sound bundle.
    pub fn bundle_bytes(self, bytes: &'static [u8]) -> Result<Self> {
        Ok(self.opened(Bundle::from_bytes(bytes).map_err(Error::bundle)?))
    }

    /// Adds a bundle that was opened elsewhere.
    #[must_use]
    pub fn opened(mut self, bundle: Bundle) -> Self {
        self.bundles.push(bundle);
        self
    }

    /// Requires this backend instead of the first of the bundle's that is compiled in.
    #[must_use]
    pub fn backend(mut self, name: impl Into<String>) -> Self {
        self.backend = Some(name.into());
        self
    }

    /// Lets each network run on so many threads at most, the caller's included; without it on the caller's alone.
    ///
    /// Answers are the same. Threads that would not make a network's run shorter are not started.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Weights and valence table of the fusion, instead of the built-in ones.
    #[must_use]
    pub fn fusion(mut self, params: FusionParams) -> Self {
        self.fusion = Some(params);
        self
    }

    /// Loads the models.
    ///
    /// # Errors
    /// [`ErrorKind::TwoModels`] for two bundles of one sense, [`ErrorKind::NoModel`] for no bundle at all,
    /// [`ErrorKind::Backend`] and [`ErrorKind::Unsupported`] when a model can't be run here.
    pub fn build(self) -> Result<Recognizer> {
        let mut models: Vec<Model> = Vec::new();
        for bundle in self.bundles {
            let other = sense_of(bundle.manifest())
                .and_then(|sense| models.iter().find(|model| model.sense == sense));
            if let Some(other) = other {
                return Err(Error::new(
                    ErrorKind::TwoModels,
                    format!(
                        "bundles {} and {} both take {}; give one",
                        other.manifest().name,
                        bundle.manifest().name,
                        other.sense.name()
                    ),
                ));
            }
            models.push(Model::open(bundle, self.backend.as_deref(), self.threads.max(1))?);
        }
        if models.is_empty() {
            return Err(Error::new(ErrorKind::NoModel, "no bundle was given"));
        }
        let fusion = self.fusion.unwrap_or_else(|| FusionParams::builtin().clone());
        fusion.check().map_err(Error::head)?;
        Ok(Recognizer {
            models,
            fusion,
            next_seq: 0,
        })
    }
}

impl Recognizer {
    /// Opens one bundle.
    ///
    /// # Errors
    /// As [`Builder::bundle`] and [`Builder::build`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::builder().bundle(path)?.build()
    }

    /// Begins a recognizer of several bundles.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Manifests of the opened bundles, with the sense each takes.
    pub fn manifests(&self) -> impl Iterator<Item = (Sense, &Manifest)> {
        self.models.iter().map(|model| (model.sense, model.manifest()))
    }

    /// Whether a bundle for the sense is open.
    pub fn takes(&self, sense: Sense) -> bool {
        self.models.iter().any(|model| model.sense == sense)
    }

    /// Which program of which bundle runs where, for people.
    pub fn placements(&self) -> Vec<String> {
        self.models
            .iter()
            .flat_map(|model| {
                let name = &model.manifest().name;
                model
                    .placements()
                    .into_iter()
                    .map(move |(program, place)| format!("{name}/{program}: {place}"))
            })
            .collect()
    }

    /// Reads a text.
    ///
    /// # Errors
    /// [`ErrorKind::NoModel`] without a text bundle; else as [`Recognizer::text_from`].
    pub fn text(&mut self, text: &str) -> Result<Answer> {
        self.text_from(&Origin::named("text"), text)
    }

    /// Reads a text whose origin is reported in the event.
    ///
    /// # Errors
    /// [`ErrorKind::NoModel`], [`ErrorKind::Preprocess`], [`ErrorKind::Backend`], [`ErrorKind::Head`].
    pub fn text_from(&mut self, origin: &Origin, text: &str) -> Result<Answer> {
        let begin = Instant::now();
        let model = self.model_mut(Sense::Text)?;
        let Pipeline::Text(pipeline) = &model.pipeline else {
            return Err(no_model(Sense::Text));
        };
        let item = pipeline.run(text)?;
        let mut context = Context::item(origin);
        context.truncated = item.truncated as u64;
        if item.words == 0 || item.windows.is_empty() {
            context.elapsed_ms = millis_since(begin);
            let answer = answer::no_answer(
                model,
                &context,
                NoAnswerReason::TooShort,
                "the text has no word".into(),
                false,
            );
            return Ok(self.number(answer));
        }
        if let Some((most, reason)) = model.max_unknown_share() {
            let share = item.unknown_words as f64 / item.words as f64;
            if share > most {
                context.elapsed_ms = millis_since(begin);
                let detail = format!(
                    "{} of {} words are unknown to the model, at most {:.0} % are answered",
                    item.unknown_words,
                    item.words,
                    most * 100.0
                );
                let answer = answer::no_answer(model, &context, reason, detail, false);
                return Ok(self.number(answer));
            }
        }
        let mut pools = model.pools();
        for window in &item.windows {
            let values = token_values(model, window.clone())?;
            let logits = model.run(values)?;
            let tokens = u32::try_from(window.text_tokens).unwrap_or(u32::MAX);
            for (pool, logits) in pools.iter_mut().zip(&logits) {
                pool.push(logits, tokens).map_err(Error::head)?;
            }
        }
        context.windows = Some(item.windows.len() as u64);
        let predictions = model.predict(&pools)?;
        context.elapsed_ms = millis_since(begin);
        let answer = answer::answer(model, &context, predictions);
        Ok(self.number(answer))
    }

    /// Looks at the face in a picture.
    ///
    /// # Errors
    /// As [`Recognizer::image_from`].
    pub fn image(&mut self, picture: PictureView<'_>, face: Face) -> Result<Answer> {
        self.image_from(&Origin::named("image"), picture, face)
    }

    /// Looks at the face in a picture whose origin is reported in the event.
    ///
    /// # Errors
    /// [`ErrorKind::NoModel`], [`ErrorKind::Preprocess`] (a region outside the picture), [`ErrorKind::Backend`],
    /// [`ErrorKind::Head`].
    pub fn image_from(&mut self, origin: &Origin, picture: PictureView<'_>, face: Face) -> Result<Answer> {
        let begin = Instant::now();
        let model = self.model_mut(Sense::Image)?;
        let Pipeline::Image(pipeline) = &model.pipeline else {
            return Err(no_model(Sense::Image));
        };
        let (region, reported) = match face {
            Face::Assumed => (Region::whole(picture), EventRegion::Whole { assumed: true }),
            Face::Whole => (Region::whole(picture), EventRegion::Whole { assumed: false }),
            Face::At(region) => (region, reported_region(region, picture)?),
        };
        let tensor = pipeline.run(picture, region)?;
        let values = BTreeMap::from([(
            pipeline.tensor().to_owned(),
            Value {
                dims: tensor.dims,
                data: Data::F32(tensor.values),
            },
        )]);
        let logits = model.run(values)?;
        let predictions = model.predict_one(&logits)?;
        let mut context = Context::item(origin);
        context.region = Some(reported);
        context.elapsed_ms = millis_since(begin);
        let answer = answer::answer(model, &context, predictions);
        Ok(self.number(answer))
    }

    /// Listens to a whole sound of interleaved samples in `-1..=1` and gives its summary.
    ///
    /// # Errors
    /// As [`Recognizer::push`].
    pub fn audio(&mut self, interleaved: &[f32], rate_hz: u32, channels: usize) -> Result<Answer> {
        let origin = Origin::named("audio").on(Clock::Stream);
        let mut session = self.audio_stream(&origin, rate_hz, channels)?;
        self.push(&mut session, interleaved)?;
        Ok(self.finish(session)?.1)
    }

    /// Begins a stream of interleaved sound.
    ///
    /// # Errors
    /// [`ErrorKind::NoModel`] without a sound bundle, [`ErrorKind::Preprocess`] for a rate or a number of channels that
    /// can't be taken.
    pub fn audio_stream(&self, origin: &Origin, rate_hz: u32, channels: usize) -> Result<AudioSession> {
        AudioSession::begin(self.model(Sense::Audio)?, origin, rate_hz, channels)
    }

    /// Takes the next samples of a stream and gives an answer for each window they complete.
    ///
    /// The answers do not depend on how the stream was cut into chunks.
    ///
    /// # Errors
    /// [`ErrorKind::Preprocess`] for samples that are no sound, [`ErrorKind::Backend`], [`ErrorKind::Head`].
    pub fn push(&mut self, session: &mut AudioSession, interleaved: &[f32]) -> Result<Vec<Answer>> {
        let answers = session.push(self.model_mut(Sense::Audio)?, interleaved)?;
        Ok(answers.into_iter().map(|answer| self.number(answer)).collect())
    }

    /// Ends a stream: the answer of a last, padded window if there is one, and the summary of the whole stream.
    ///
    /// # Errors
    /// As [`Recognizer::push`].
    pub fn finish(&mut self, session: AudioSession) -> Result<(Vec<Answer>, Answer)> {
        let (answers, summary) = session.finish(self.model_mut(Sense::Audio)?)?;
        let answers = answers.into_iter().map(|answer| self.number(answer)).collect();
        Ok((answers, self.number(summary)))
    }

    /// Joins the answers of several inputs into one, see [`fuse`](crate::fuse).
    ///
    /// # Errors
    /// [`ErrorKind::Head`] when none of them has an answer.
    pub fn fuse(&mut self, answers: &[&Answer]) -> Result<Answer> {
        let fused = fusion::fuse(answers, &self.fusion)?;
        Ok(self.number(fused))
    }

    fn model(&self, sense: Sense) -> Result<&Model> {
        self.models
            .iter()
            .find(|model| model.sense == sense)
            .ok_or_else(|| no_model(sense))
    }

    fn model_mut(&mut self, sense: Sense) -> Result<&mut Model> {
        self.models
            .iter_mut()
            .find(|model| model.sense == sense)
            .ok_or_else(|| no_model(sense))
    }

    fn number(&mut self, mut answer: Answer) -> Answer {
        answer.event.set_seq(self.next_seq);
        self.next_seq += 1;
        answer
    }
}

/// The tensors of a token window, padded to the smallest length that the program runs at.
fn token_values(model: &Model, mut window: TokenWindow) -> Result<BTreeMap<String, Value>> {
    let Pipeline::Text(pipeline) = &model.pipeline else {
        return Err(no_model(Sense::Text));
    };
    if let Some(length) = model
        .token_buckets()
        .into_iter()
        .find(|length| *length >= window.ids.len())
    {
        window.pad_to(length, pipeline.special());
    }
    Ok(token_tensors(pipeline, &window))
}

pub(crate) fn token_tensors(pipeline: &TextPipeline, window: &TokenWindow) -> BTreeMap<String, Value> {
    let [ids, mask] = pipeline.tensors();
    let value = |elements: &[u32]| Value {
        dims: vec![1, elements.len()],
        data: Data::I64(elements.iter().map(|element| i64::from(*element)).collect()),
    };
    BTreeMap::from([
        (ids.to_owned(), value(&window.ids)),
        (mask.to_owned(), value(&window.mask)),
    ])
}

/// The part of a region that lies in the picture.
fn reported_region(region: Region, picture: PictureView<'_>) -> Result<EventRegion> {
    let clamp = |start: i32, extent: u32, limit: u32| -> (i64, i64) {
        let (start, limit) = (i64::from(start), i64::from(limit));
        (start.clamp(0, limit), (start + i64::from(extent)).clamp(0, limit))
    };
    let (left, right) = clamp(region.x, region.w, picture.width());
    let (top, bottom) = clamp(region.y, region.h, picture.height());
    let pixels = |value: i64| u32::try_from(value).unwrap_or(0);
    if left >= right || top >= bottom {
        return Err(Error::new(
            ErrorKind::Preprocess,
            format!(
                "region {},{},{},{} holds no pixel of a {}x{} picture",
                region.x,
                region.y,
                region.w,
                region.h,
                picture.width(),
                picture.height()
            ),
        ));
    }
    Ok(EventRegion::Box {
        x: pixels(left),
        y: pixels(top),
        w: pixels(right - left),
        h: pixels(bottom - top),
    })
}

pub(crate) fn no_model(sense: Sense) -> Error {
    Error::new(
        ErrorKind::NoModel,
        format!("no opened bundle takes {}", sense.name()),
    )
}

pub(crate) fn millis_since(begin: Instant) -> f64 {
    begin.elapsed().as_secs_f64() * 1e3
}
