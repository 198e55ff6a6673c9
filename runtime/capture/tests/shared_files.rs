//! Real recordings and pictures, against symphonia and the `image` crate.
#![allow(clippy::unwrap_used)]

use limbic_capture::files::audio::AudioReader;
use limbic_capture::files::{FileKind, image};
use std::path::{Path, PathBuf};
use symphonia::core::codecs::CodecParameters;
use symphonia::core::codecs::audio::AudioDecoderOptions;
use symphonia::core::formats::{FormatOptions, probe::Hint};
use symphonia::core::io::MediaSourceStream;

/// At most this many files of a kind, spread over all of them.
const FILES: usize = 200;

/// Files below `folder` whose content is of one of `kinds`.
fn files(folder: &Path, kinds: &[FileKind]) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![folder.to_path_buf()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if FileKind::of_file(&path).is_ok_and(|kind| kinds.contains(&kind)) {
                found.push(path);
            }
        }
    }
    found.sort();
    let step = found.len().div_ceil(FILES).max(1);
    found.into_iter().step_by(step).collect()
}

fn by_symphonia(path: &Path) -> Vec<f32> {
    let stream = MediaSourceStream::new(Box::new(std::fs::File::open(path).unwrap()), Default::default());
    let probe = symphonia::default::get_probe();
    let mut format = probe
        .probe(&Hint::new(), stream, FormatOptions::default(), Default::default())
        .unwrap();
    let Some(CodecParameters::Audio(parameters)) = format.tracks()[0].codec_params.clone() else {
        panic!("{}: no sound", path.display());
    };
    let codecs = symphonia::default::get_codecs();
    let mut decoder = codecs
        .make_audio_decoder(&parameters, &AudioDecoderOptions::default())
        .unwrap();
    let (mut samples, mut chunk) = (Vec::new(), Vec::new());
    while let Some(packet) = format.next_packet().unwrap() {
        decoder
            .decode(&packet)
            .unwrap()
            .copy_to_vec_interleaved(&mut chunk);
        samples.extend_from_slice(&chunk);
    }
    samples
}

#[test]
fn recordings_are_read_as_symphonia_reads_them() {
    let Some(data) = limbic_tests::shared() else {
        return;
    };
    let recordings = files(&data, &[FileKind::Wav, FileKind::Flac]);
    for path in &recordings {
        let mut reader = AudioReader::open(path).unwrap();
        let (mut samples, mut chunk) = (Vec::new(), Vec::new());
        while reader.next_chunk(&mut chunk).unwrap().is_some() {
            samples.extend_from_slice(&chunk);
        }
        assert!(samples == by_symphonia(path), "{}", path.display());
    }
    println!("{} recordings are equal", recordings.len());
    assert!(!recordings.is_empty());
}

#[test]
fn pictures_are_read_as_the_image_crate_reads_them() {
    let Some(data) = limbic_tests::shared() else {
        return;
    };
    let pictures = files(&data, &[FileKind::Png, FileKind::Jpeg]);
    let mut largest = 0;
    for path in &pictures {
        let ours = image::open(path).unwrap();
        let theirs = ::image::ImageReader::open(path)
            .unwrap()
            .with_guessed_format()
            .unwrap()
            .decode()
            .unwrap();
        let theirs = match ours.channels().count() {
            1 => theirs.to_luma8().into_raw(),
            _ => theirs.to_rgb8().into_raw(),
        };
        assert_eq!(ours.pixels().len(), theirs.len(), "{}", path.display());
        let difference = ours
            .pixels()
            .iter()
            .zip(&theirs)
            .map(|(a, b)| a.abs_diff(*b))
            .max()
            .unwrap_or(0);
        largest = largest.max(difference);
        assert_eq!(difference, 0, "{}", path.display());
    }
    println!("{} pictures, largest difference {largest}", pictures.len());
    assert!(!pictures.is_empty());
}
