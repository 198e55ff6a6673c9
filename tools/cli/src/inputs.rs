//! Reading what the user named, and asking the recognizer about it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use limbic::{Answer, Clock, Face, Origin, Picture, Recognizer, Region};
use limbic_capture::files::{Limits, audio::AudioReader, image, text};

/// What an answer to a sound is made of.
#[derive(Debug)]
pub struct AudioAnswer {
    /// The answer for the whole file.
    pub summary: Answer,
    /// What was wrong with the file behind its good part.
    pub problem: Option<limbic_capture::Error>,
}

/// Where an input's bytes are.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// A file; `-` is stdin.
    File(&'a Path),
    /// Bytes inside the program, with a name.
    Bytes(&'a str, &'static [u8]),
}

impl Place<'_> {
    /// The name in events.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) if is_stdin(path) => "stdin".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Bytes(name, _) => (*name).to_owned(),
        }
    }
}

/// Picture files, the last of them kept: many rows of a data set may name regions of one sheet.
#[derive(Debug, Default)]
pub struct Pictures {
    last: Option<(PathBuf, Picture)>,
}

impl Pictures {
    /// The picture in a file.
    pub fn open(&mut self, path: &Path) -> Result<&Picture> {
        let kept = self.last.take().filter(|(last, _)| last == path);
        let (_, picture) = match kept {
            Some(kept) => self.last.insert(kept),
            None => self.last.insert((path.to_path_buf(), image::open(path)?)),
        };
        Ok(picture)
    }
}

/// Asks about a file of text.
pub fn text_file(recognizer: &mut Recognizer, place: Place<'_>) -> Result<Answer> {
    let name = place.name();
    let file = match place {
        Place::File(path) if is_stdin(path) => {
            text::from_reader(&name, std::io::stdin().lock(), &Limits::default())?
        }
        Place::File(path) => text::open(path)?,
        Place::Bytes(_, bytes) => text::decode(&name, bytes)?,
    };
    let mut origin = Origin::named(name);
    origin.replaced = file.invalid as u64;
    about(&origin.source.clone(), recognizer.text_from(&origin, &file.text))
}

/// Asks about a picture.
pub fn image_file(recognizer: &mut Recognizer, place: Place<'_>, face: Face) -> Result<Answer> {
    let name = place.name();
    let limits = Limits::default();
    let picture = match place {
        Place::File(path) if is_stdin(path) => image::from_reader(&name, std::io::stdin().lock(), &limits)?,
        Place::File(path) => image::open(path)?,
        Place::Bytes(_, bytes) => image::decode(&name, bytes, &limits)?,
    };
    about(
        &name,
        recognizer.image_from(&Origin::named(name.clone()), picture.view(), face),
    )
}

/// Asks about a sound, chunk by chunk; `each_window` gets every window's answer as soon as it is there.
pub fn audio_file(
    recognizer: &mut Recognizer,
    place: Place<'_>,
    mut each_window: impl FnMut(Answer) -> Result<()>,
) -> Result<AudioAnswer> {
    let name = place.name();
    let mut reader = open_audio(place)?;
    let origin = Origin::named(name.clone()).on(Clock::Stream);
    let mut session = about(
        &name,
        recognizer.audio_stream(&origin, reader.sample_rate_hz(), reader.channels()),
    )?;
    let mut samples = Vec::new();
    let mut problem = None;
    loop {
        match reader.next_chunk(&mut samples) {
            Ok(Some(_)) => {
                for answer in about(&name, recognizer.push(&mut session, &samples))? {
                    each_window(answer)?;
                }
            }
            Ok(None) => break,
            // What came before the cut is sound; the answer about it stands beside the error.
            Err(error) if error.kind() == limbic_capture::ErrorKind::Truncated => {
                problem = Some(error);
                break;
            }
            Err(error) => return Err(error.into()),
        }
    }
    let (rest, summary) = about(&name, recognizer.finish(session))?;
    for answer in rest {
        each_window(answer)?;
    }
    Ok(AudioAnswer { summary, problem })
}

/// Opens a sound for reading.
pub fn open_audio(place: Place<'_>) -> Result<AudioReader> {
    Ok(match place {
        Place::File(path) if is_stdin(path) => AudioReader::from_reader("stdin", std::io::stdin())?,
        Place::File(path) => AudioReader::open(path)?,
        Place::Bytes(name, bytes) => AudioReader::from_bytes(name, bytes.to_vec())?,
    })
}

/// Reads `x,y,w,h` or `whole`; `None` takes the whole picture and says that it was assumed.
pub fn parse_face(words: Option<&str>) -> Result<Face> {
    let Some(words) = words.map(str::trim) else {
        return Ok(Face::Assumed);
    };
    if words == "whole" {
        return Ok(Face::Whole);
    }
    let parts: Vec<&str> = words.split(',').map(str::trim).collect();
    let [x, y, w, h] = parts.as_slice() else {
        bail!("region `{words}`: expected `x,y,width,height` in pixels, or `whole`");
    };
    let number = |name: &str, word: &str| -> Result<i64> {
        word.parse()
            .map_err(|_| anyhow!("region `{words}`: {name} `{word}` is not a whole number"))
    };
    let (x, y) = (number("x", x)?, number("y", y)?);
    let (w, h) = (number("width", w)?, number("height", h)?);
    let context = || format!("region `{words}`: a number is too large or a size negative");
    Ok(Face::At(Region {
        x: i32::try_from(x).with_context(context)?,
        y: i32::try_from(y).with_context(context)?,
        w: u32::try_from(w).with_context(context)?,
        h: u32::try_from(h).with_context(context)?,
    }))
}

/// Whether the path means stdin.
pub fn is_stdin(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn about<T>(name: &str, result: limbic::Result<T>) -> Result<T> {
    result.with_context(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_are_four_numbers_or_whole() {
        assert_eq!(parse_face(None).unwrap(), Face::Assumed);
        assert_eq!(parse_face(Some("whole")).unwrap(), Face::Whole);
        assert_eq!(
            parse_face(Some(" 1,-2, 3,4")).unwrap(),
            Face::At(Region {
                x: 1,
                y: -2,
                w: 3,
                h: 4
            })
        );
        for bad in ["", "1,2,3", "1,2,3,x", "1,2,-3,4", "1,2,3,99999999999"] {
            let error = parse_face(Some(bad)).unwrap_err();
            assert!(error.to_string().contains("region"), "{error}");
        }
    }
}
