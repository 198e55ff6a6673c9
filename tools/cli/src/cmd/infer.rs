//! `limbic infer`

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use limbic::{Answer, Origin, Sense};

use crate::args::Infer;
use crate::inputs::{self, Place};
use crate::show::Printer;
use crate::{bundled, failure};

/// Answers for every input in the order text, sound, picture; with several senses, fuses them at the end.
pub fn run(args: &Infer) -> Result<ExitCode> {
    let inputs_given = args.text.len() + args.text_file.len() + args.audio.len() + args.image.len();
    if inputs_given == 0 {
        bail!("nothing to answer for; give --text, --text-file, --audio or --image (`limbic infer --help`)");
    }
    let from_stdin = [&args.text_file, &args.audio, &args.image]
        .into_iter()
        .flatten()
        .filter(|path| inputs::is_stdin(path))
        .count();
    if from_stdin > 1 {
        bail!("{from_stdin} inputs are `-`; stdin can be read once");
    }
    let face = inputs::parse_face(args.region.as_deref())?;
    let mut recognizer = bundled::open(&args.models)?;
    let progress = ProgressBar::new_spinner().with_style(ProgressStyle::with_template("{spinner} {msg}")?);
    let mut run = Run {
        printer: Printer::begin(args.json)?,
        answers: Vec::new(),
        failed: 0,
        progress,
    };

    for (index, text) in args.text.iter().enumerate() {
        let origin = Origin::named(format!("text:{}", index + 1));
        run.take(
            &origin.source,
            recognizer.text_from(&origin, text).map_err(Into::into),
        )?;
    }
    for path in &args.text_file {
        let place = Place::File(path);
        run.take(&place.name(), inputs::text_file(&mut recognizer, place))?;
    }
    for path in &args.audio {
        let place = Place::File(path);
        let name = place.name();
        run.progress.set_message(format!("listening to {name}"));
        let answer = inputs::audio_file(&mut recognizer, place, |mut window| {
            run.progress.tick();
            if args.timeline {
                run.print(&mut window)
            } else {
                Ok(())
            }
        });
        match answer {
            Ok(answer) => {
                run.take(&name, Ok(answer.summary))?;
                if let Some(problem) = answer.problem {
                    run.fail(&name, &problem.into());
                }
            }
            Err(error) => run.fail(&name, &error),
        }
    }
    for path in &args.image {
        let place = Place::File(path);
        run.take(&place.name(), inputs::image_file(&mut recognizer, place, face))?;
    }
    run.progress.finish_and_clear();

    let answered: Vec<&Answer> = run.answers.iter().collect();
    if senses_of(&answered) > 1 && answered.iter().any(|answer| !answer.opinions.is_empty()) {
        let mut fused = recognizer.fuse(&answered).context("can't fuse")?;
        run.printer.print(&mut fused.event)?;
    }
    Ok(if run.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(failure::ENVIRONMENT)
    })
}

struct Run {
    printer: Printer,
    answers: Vec<Answer>,
    failed: usize,
    progress: ProgressBar,
}

impl Run {
    /// Shows an answer, or says what is wrong with this input; the others go on.
    fn take(&mut self, name: &str, answer: Result<Answer>) -> Result<()> {
        match answer {
            Ok(mut answer) => {
                self.print(&mut answer)?;
                self.answers.push(answer);
            }
            Err(error) => self.fail(name, &error),
        }
        Ok(())
    }

    /// Prints an event in front of the progress line.
    fn print(&mut self, answer: &mut Answer) -> Result<()> {
        self.progress.suspend(|| self.printer.print(&mut answer.event))
    }

    fn fail(&mut self, name: &str, error: &anyhow::Error) {
        self.failed += 1;
        let words = failure::one_line(error);
        let prefix = if words.contains(name) {
            String::new()
        } else {
            format!("{name}: ")
        };
        self.progress.suspend(|| eprintln!("error: {prefix}{words}"));
    }
}

fn senses_of(answers: &[&Answer]) -> usize {
    let sense_of = |answer: &&Answer| match &answer.event {
        limbic::Event::Observation(event) => Some(event.sense),
        limbic::Event::NoAnswer(event) => Some(event.sense),
        limbic::Event::Fused(_) => None,
    };
    Sense::ALL
        .iter()
        .filter(|sense| answers.iter().any(|answer| sense_of(answer) == Some(**sense)))
        .count()
}
