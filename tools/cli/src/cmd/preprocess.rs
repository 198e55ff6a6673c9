//! `limbic preprocess`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use limbic::pipeline::{AudioPipeline, AudioWindow, ImagePipeline, Pipeline, TextPipeline};
use limbic::{Face, Region};
use limbic_bundle::Package;
use limbic_capture::files::text;

use crate::args::{Gated, Preprocess};
use crate::dataset::{Broken, Dataset, Labels};
use crate::inputs::{self, Pictures, Place};
use crate::npz::NpzWriter;
use crate::{failure, show};

/// One item to preprocess.
struct Item {
    row: usize,
    line: Option<u64>,
    /// A path, or the text itself.
    content: Content,
    region: Option<String>,
}

enum Content {
    Path(PathBuf),
    Text(String),
}

/// Writes the tensors of every input; what can't be read is listed.
pub fn run(args: &Preprocess) -> Result<ExitCode> {
    let package = open(&args.bundle)?;
    let pipeline = Pipeline::of(package.as_ref())?;
    let (items, mut broken) = items(args, &pipeline)?;
    let total = items.len() + broken.len();
    let progress = ProgressBar::new(items.len() as u64)
        .with_style(ProgressStyle::with_template("{bar:32} {pos}/{len} {eta} left")?);
    let mut archive = NpzWriter::beside(&args.output);
    let mut counts = Counts::default();
    let mut pictures = Pictures::default();
    for item in &items {
        let outcome = match &pipeline {
            Pipeline::Image(pipeline) => picture(pipeline, item, &mut pictures, &mut archive),
            Pipeline::Audio(pipeline) => sound(pipeline, item, args.gated, &mut archive, &mut counts),
            Pipeline::Text(pipeline) => words(pipeline, item, &mut archive, &mut counts),
        };
        if let Err(error) = outcome {
            let input = match &item.content {
                Content::Path(path) => Some(path.display().to_string()),
                Content::Text(_) => None,
            };
            let error = failure::one_line(&error);
            broken.push(Broken {
                line: item.line.unwrap_or(item.row as u64 + 1),
                input,
                error,
            });
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    archive.write(&args.output)?;
    for problem in &broken {
        let input = problem
            .input
            .as_deref()
            .map(|input| format!(" {input}:"))
            .unwrap_or_default();
        eprintln!("can't read row {}:{input} {}", problem.line, problem.error);
    }
    show::print_line(&format!(
        "{}: {} of {total} inputs{}",
        args.output.display(),
        total - broken.len(),
        counts.words()
    ))?;
    let passed = broken.is_empty() || args.skip_unreadable;
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(failure::SAID_NO)
    })
}

#[derive(Debug, Default)]
struct Counts {
    without_window: usize,
    gated_windows: usize,
    truncated_tokens: usize,
}

impl Counts {
    fn words(&self) -> String {
        let mut words = String::new();
        for (count, what) in [
            (self.without_window, "too short for a window"),
            (self.gated_windows, "windows without speech left out"),
            (self.truncated_tokens, "tokens truncated"),
        ] {
            if count > 0 {
                words.push_str(&format!(", {count} {what}"));
            }
        }
        words
    }
}

/// A bundle, or the `model.toml` of a model folder.
fn open(path: &Path) -> Result<Box<dyn Package>> {
    let context = || format!("can't use {}", path.display());
    if path.extension().is_some_and(|extension| extension == "toml") {
        return Ok(Box::new(limbic_bundle::Source::open(path).with_context(context)?));
    }
    Ok(Box::new(limbic_bundle::Bundle::open(path).with_context(context)?))
}

fn items(args: &Preprocess, pipeline: &Pipeline) -> Result<(Vec<Item>, Vec<Broken>)> {
    let Some(data) = &args.data else {
        let items = args.inputs.iter().enumerate().map(|(row, path)| Item {
            row,
            line: None,
            content: Content::Path(path.clone()),
            region: args.region.clone(),
        });
        return Ok((items.collect(), Vec::new()));
    };
    let dataset = Dataset::read(data, Labels::Optional)?;
    let mut items = Vec::with_capacity(dataset.rows.len());
    for row in &dataset.rows {
        let cell = match pipeline {
            _ if !dataset.by_sense => &row.input,
            Pipeline::Text(_) => &row.text,
            Pipeline::Audio(_) => &row.audio,
            Pipeline::Image(_) => &row.image,
        };
        // A row without this sense has no tensors of it.
        let Some(cell) = cell else { continue };
        let content = match pipeline {
            Pipeline::Text(_) => Content::Text(cell.clone()),
            _ => Content::Path(dataset.path(cell)),
        };
        let region = row.region.clone().or_else(|| args.region.clone());
        items.push(Item {
            row: row.index,
            line: Some(row.line),
            content,
            region,
        });
    }
    Ok((items, dataset.broken))
}

fn picture(
    pipeline: &ImagePipeline,
    item: &Item,
    pictures: &mut Pictures,
    archive: &mut NpzWriter,
) -> Result<()> {
    let Content::Path(path) = &item.content else {
        bail!("a picture is a file")
    };
    let face = inputs::parse_face(item.region.as_deref())?;
    let picture = pictures.open(path)?;
    let region = match face {
        Face::At(region) => region,
        Face::Assumed | Face::Whole => Region::whole(picture.view()),
    };
    let tensor = pipeline.run(picture.view(), region)?;
    // The batch axis of one becomes the rows of the array.
    archive.push_f32(
        pipeline.tensor(),
        tensor.dims.get(1..).unwrap_or_default(),
        &tensor.values,
    )?;
    archive.push_i64("row", &[], &[item.row as i64])
}

fn sound(
    pipeline: &AudioPipeline,
    item: &Item,
    gated: Gated,
    archive: &mut NpzWriter,
    counts: &mut Counts,
) -> Result<()> {
    let Content::Path(path) = &item.content else {
        bail!("a sound is a file")
    };
    let mut reader = inputs::open_audio(Place::File(path))?;
    let mut stream = pipeline.stream(reader.sample_rate_hz(), reader.channels())?;
    // A file that breaks in the middle gives no rows at all.
    let mut windows: Vec<AudioWindow> = Vec::new();
    let mut samples = Vec::new();
    while reader.next_chunk(&mut samples)?.is_some() {
        stream.push(&samples, |window| {
            windows.push(window);
            Ok(())
        })?;
    }
    stream.finish(|window| {
        windows.push(window);
        Ok(())
    })?;
    counts.without_window += usize::from(windows.is_empty());
    for window in windows {
        if gated == Gated::Drop && window.speech.is_some_and(|speech| !speech.speech) {
            counts.gated_windows += 1;
            continue;
        }
        let mut dims = vec![1];
        dims.extend(window.features.dims);
        archive.push_f32(pipeline.tensor(), &dims, &window.features.values)?;
        archive.push_i64("row", &[], &[item.row as i64])?;
    }
    Ok(())
}

fn words(pipeline: &TextPipeline, item: &Item, archive: &mut NpzWriter, counts: &mut Counts) -> Result<()> {
    let read;
    let content = match &item.content {
        Content::Text(content) => content,
        Content::Path(path) => {
            read = text::open(path)?;
            &read.text
        }
    };
    let item_windows = pipeline.run(content)?;
    counts.truncated_tokens += item_windows.truncated;
    counts.without_window += usize::from(item_windows.windows.is_empty());
    let [ids, mask] = pipeline.tensors();
    let length = pipeline.window_length();
    for mut window in item_windows.windows {
        window.pad_to(length, pipeline.special());
        let wide = |values: &[u32]| values.iter().map(|value| i64::from(*value)).collect::<Vec<_>>();
        archive.push_i64(ids, &[length], &wide(&window.ids))?;
        archive.push_i64(mask, &[length], &wide(&window.mask))?;
        archive.push_i64("row", &[], &[item.row as i64])?;
    }
    Ok(())
}
