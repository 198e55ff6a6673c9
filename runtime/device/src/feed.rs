//! One input on its own thread: pieces in, answers out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;

use anyhow::{Context, Result};
use limbic::{Answer, AudioSession, Clock, Face, Origin, Recognizer};
use limbic_capture::Dropped;
use limbic_capture::source::{Captured, ClockKind, Content, Pace, Source, Step, SystemClock};

/// Longest time a source waits before the stop flag is looked at again, in milliseconds.
const WAIT_MS: u64 = 100;

/// Runs a source to its end, or until `stop` is set; a sound stream then ends with its summary.
pub fn feed(
    mut source: Box<dyn Source>,
    mut recognizer: Recognizer,
    clock: &SystemClock,
    stop: &AtomicBool,
    answers: &Sender<Answer>,
) -> Result<()> {
    let name = source.name().to_owned();
    let mut piece = Captured::default();
    let mut session: Option<AudioSession> = None;
    let mut reported = Dropped::default();
    let outcome: Result<()> = loop {
        if stop.load(Ordering::Relaxed) {
            break Ok(());
        }
        match source.next(clock, WAIT_MS, &mut piece) {
            Ok(Step::Got) => {}
            Ok(Step::Idle) => continue,
            Ok(Step::End) => break Ok(()),
            Err(error) => break Err(error.into()),
        }
        let mut origin = Origin::named(name.clone()).on(clock_of(piece.clock));
        origin.start_ms = piece.start_ms;
        // A source counts from its start; an event says what was lost since the one before it.
        origin.replaced = piece.dropped.invalid_text - reported.invalid_text;
        origin.dropped_frames = piece.dropped.images - reported.images;
        match &piece.content {
            Content::Nothing => {}
            Content::Text(text) => send(answers, recognizer.text_from(&origin, text)?),
            Content::Image(picture) => send(
                answers,
                recognizer.image_from(&origin, picture.view(), Face::Assumed)?,
            ),
            Content::Audio {
                samples,
                sample_rate_hz,
                channels,
            } => {
                let open = match &mut session {
                    Some(open) => open,
                    None => session.insert(recognizer.audio_stream(&origin, *sample_rate_hz, *channels)?),
                };
                open.add_dropped_samples(piece.dropped.audio_frames - reported.audio_frames);
                if piece.dropped.audio_xruns > reported.audio_xruns {
                    log::warn!(
                        "{name}: the sound driver lost sound {} times",
                        piece.dropped.audio_xruns
                    );
                }
                for answer in recognizer.push(open, samples)? {
                    send(answers, answer);
                }
            }
        }
        reported = piece.dropped;
    };
    // What was heard before a source broke is answered all the same.
    if let Some(session) = session {
        let (windows, summary) = recognizer.finish(session)?;
        for answer in windows {
            send(answers, answer);
        }
        send(answers, summary);
    }
    outcome.with_context(|| name)
}

/// Opens an input and says what sense it gives.
pub fn open(uri: &limbic_capture::InputUri, paced: bool) -> Result<Box<dyn Source>> {
    let pace = if paced { Pace::RealTime } else { Pace::Unpaced };
    uri.open(pace).with_context(|| format!("can't open {uri}"))
}

fn clock_of(clock: ClockKind) -> Clock {
    match clock {
        ClockKind::Media => Clock::Stream,
        ClockKind::Monotonic => Clock::Monotonic,
    }
}

/// The receiver lives until every sender is gone, so sending cannot fail while anyone could see it.
fn send(answers: &Sender<Answer>, answer: Answer) {
    let _ = answers.send(answer);
}
