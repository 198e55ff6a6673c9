//! `limbic demo`

use std::process::ExitCode;

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use limbic::{Face, Sense};

use crate::args::Demo;
use crate::bundled;
use crate::inputs::{self, Place};
use crate::show::Printer;

/// Answers for the bundled samples of all senses, then fuses the first of each.
pub fn run(args: &Demo) -> Result<ExitCode> {
    let steps = 3 + bundled::SOUNDS.len() as u64;
    let progress =
        ProgressBar::new(steps + 1).with_style(ProgressStyle::with_template("{bar:24} {pos}/{len} {msg}")?);
    let step = |words: String| {
        progress.set_message(words);
        progress.inc(1);
    };

    step("loading the models".to_owned());
    let mut recognizer = bundled::open(&args.models)?;
    for place in recognizer.placements() {
        log::info!("{place}");
    }
    let mut answers = Vec::new();
    let mut to_fuse = Vec::new();
    if recognizer.takes(Sense::Text) {
        step(format!("reading {}", bundled::TEXT.name));
        let place = Place::Bytes(bundled::TEXT.name, bundled::TEXT.bytes);
        to_fuse.push(answers.len());
        answers.push(inputs::text_file(&mut recognizer, place)?);
    }
    if recognizer.takes(Sense::Audio) {
        for (index, sound) in bundled::SOUNDS.iter().enumerate() {
            step(format!("listening to {}", sound.name));
            let place = Place::Bytes(sound.name, sound.bytes);
            let answer = inputs::audio_file(&mut recognizer, place, |_| Ok(()))?;
            if index == 0 {
                to_fuse.push(answers.len());
            }
            answers.push(answer.summary);
        }
    }
    if recognizer.takes(Sense::Image) {
        step(format!("looking at {}", bundled::PICTURE.name));
        let place = Place::Bytes(bundled::PICTURE.name, bundled::PICTURE.bytes);
        to_fuse.push(answers.len());
        answers.push(inputs::image_file(&mut recognizer, place, Face::Whole)?);
    }
    progress.finish_and_clear();

    let mut printer = Printer::begin(args.json)?;
    for answer in &mut answers {
        printer.print(&mut answer.event)?;
    }
    let chosen: Vec<_> = to_fuse
        .into_iter()
        .filter_map(|index| answers.get(index))
        .collect();
    if chosen.iter().any(|answer| !answer.opinions.is_empty()) {
        printer.print(&mut recognizer.fuse(&chosen)?.event)?;
    }
    Ok(ExitCode::SUCCESS)
}
