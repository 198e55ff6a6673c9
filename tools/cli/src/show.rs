//! Tables for people and JSON lines for machines, on stdout.

use std::io::Write;

use anyhow::Result;
use limbic::Event;
use limbic_affect::{FusedEvent, HeadAnswer, NoAnswer, Observation, Region};

/// Columns of the table of answers, with their widths.
const COLUMNS: [(&str, usize); 5] = [
    ("source", 27),
    ("answer", 31),
    ("p", 4),
    ("sentiment", 13),
    ("time", 8),
];

/// Prints events and numbers them in the order they are printed.
#[derive(Debug)]
pub struct Printer {
    json: bool,
    next_seq: u64,
}

impl Printer {
    /// Begins the output: a JSON object a line, or a table with a head.
    pub fn begin(json: bool) -> Result<Self> {
        if !json {
            let cells: Vec<String> = COLUMNS
                .iter()
                .map(|(name, width)| format!("{name:width$}"))
                .collect();
            print_line(format!("{:6}{}", "sense", cells.join(" ")).trim_end())?;
            let rules: Vec<String> = COLUMNS.iter().map(|(_, width)| "-".repeat(*width)).collect();
            print_line(&format!("{:6}{}", "-----", rules.join(" ")))?;
        }
        Ok(Self { json, next_seq: 0 })
    }

    /// Gives an event its number and prints it.
    pub fn print(&mut self, event: &mut Event) -> Result<()> {
        event.set_seq(self.next_seq);
        self.next_seq += 1;
        if self.json {
            return print_line(&serde_json::to_string(event)?);
        }
        match event {
            Event::Observation(seen) => observation(seen),
            Event::NoAnswer(none) => no_answer(none),
            Event::Fused(fused) => fused_answer(fused),
        }
    }
}

/// Prints a line on stdout; a closed pipe is an error and not a panic.
pub fn print_line(line: &str) -> Result<()> {
    writeln!(std::io::stdout().lock(), "{line}")?;
    Ok(())
}

fn observation(seen: &Observation) -> Result<()> {
    // A head over valence groups stands in the sentiment column already.
    let main = seen
        .heads
        .iter()
        .find(|head| seen.sentiment.is_none() || !head.label_space.starts_with("sentiment"))
        .or(seen.heads.first());
    let (answer, probability) = main.map_or_else(|| ("-".to_owned(), None), answer_of);
    row(
        seen.sense.name(),
        &place(&seen.source, seen.start_ms, seen.end_ms),
        &answer,
        probability,
        seen.sentiment
            .map(|sentiment| (sentiment.label.name(), sentiment.probability)),
        seen.elapsed_ms,
    )?;
    let mut notes = Vec::new();
    if let Some(Region::Whole { assumed: true }) = seen.region {
        notes.push("region: whole (assumed)".to_owned());
    }
    if let Some(truncated) = seen.truncated {
        notes.push(format!("truncated: {} tokens", truncated.tokens));
    }
    if let Some(dropped) = seen.dropped {
        for (count, what) in [(dropped.samples, "samples"), (dropped.frames, "frames")] {
            if count > 0 {
                notes.push(format!("dropped: {count} {what}"));
            }
        }
    }
    if let Some(replaced) = seen.replaced {
        notes.push(format!("{replaced} invalid UTF-8 sequences replaced"));
    }
    if let Some(rate) = seen.resampled_from_hz {
        notes.push(format!("resampled from {rate} Hz"));
    }
    note(&notes)
}

fn no_answer(none: &NoAnswer) -> Result<()> {
    row(
        none.sense.name(),
        &place(&none.source, none.start_ms, none.end_ms),
        &format!("no answer: {}", none.reason.name()),
        None,
        None,
        none.elapsed_ms,
    )?;
    let mut notes = vec![none.detail.clone()];
    if let Some(Region::Whole { assumed: true }) = none.region {
        notes.push("region: whole (assumed)".to_owned());
    }
    note(&notes)
}

fn fused_answer(fused: &FusedEvent) -> Result<()> {
    let senses: Vec<String> = {
        let mut names: Vec<&str> = fused.sources.iter().map(|source| source.sense.name()).collect();
        names.dedup();
        names.into_iter().map(str::to_owned).collect()
    };
    row(
        "fused",
        &senses.join(" + "),
        fused
            .top
            .map_or("none (mostly unmapped)", limbic_affect::Emotion::name),
        fused.probability,
        fused
            .sentiment
            .map(|sentiment| (sentiment.label.name(), sentiment.probability)),
        fused.elapsed_ms,
    )?;
    let mut notes: Vec<String> = fused
        .sources
        .iter()
        .filter(|source| source.emotion_weight > 0.0)
        .map(|source| {
            format!(
                "{} {} weighs {:.2}",
                source.sense.name(),
                source.head,
                source.emotion_weight
            )
        })
        .collect();
    notes.extend(
        fused
            .missing
            .iter()
            .map(|missing| format!("{} missing: {}", missing.sense.name(), missing.reason.name())),
    );
    note(&notes)
}

fn answer_of(head: &HeadAnswer) -> (String, Option<f64>) {
    match head.selected.as_slice() {
        [] => (
            head.top.clone().unwrap_or_else(|| "-".to_owned()),
            head.probability,
        ),
        selected => {
            let mut names: Vec<&str> = selected.iter().map(String::as_str).collect();
            // The likeliest first: its probability is the one in the next column.
            if let Some(top) = &head.top {
                names.retain(|name| name != top);
                names.insert(0, top);
            }
            (names.join(", "), head.probability)
        }
    }
}

fn place(source: &str, start_ms: Option<u64>, end_ms: Option<u64>) -> String {
    match (start_ms, end_ms) {
        (Some(start), Some(end)) => format!("{source} {:.1}-{:.1}s", start as f64 / 1e3, end as f64 / 1e3),
        _ => source.to_owned(),
    }
}

fn row(
    sense: &str,
    source: &str,
    answer: &str,
    probability: Option<f64>,
    sentiment: Option<(&str, f64)>,
    elapsed_ms: Option<f64>,
) -> Result<()> {
    let probability = probability.map_or_else(|| "-".to_owned(), |p| format!("{p:.2}"));
    let sentiment = sentiment.map_or_else(|| "-".to_owned(), |(label, p)| format!("{label} {p:.2}"));
    let time = elapsed_ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
    let cells = [source, answer, &probability, &sentiment, &time];
    let cells: Vec<String> = cells
        .iter()
        .zip(COLUMNS)
        .map(|(cell, (_, width))| format!("{:width$}", shorten(cell, width)))
        .collect();
    print_line(format!("{sense:6}{}", cells.join(" ")).trim_end())
}

fn note(notes: &[String]) -> Result<()> {
    if notes.is_empty() {
        Ok(())
    } else {
        print_line(&format!("      {}", notes.join("; ")))
    }
}

/// A long name keeps its end, which tells files apart.
fn shorten(text: &str, width: usize) -> String {
    let count = text.chars().count();
    if count <= width {
        return text.to_owned();
    }
    let tail: String = text.chars().skip(count + 1 - width).collect();
    format!("…{tail}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_keep_their_end() {
        assert_eq!(shorten("samples/review.txt", 28), "samples/review.txt");
        let short = shorten("a/very/long/way/to/the/file/review.txt", 12);
        assert_eq!((short.as_str(), short.chars().count()), ("…/review.txt", 12));
    }
}
