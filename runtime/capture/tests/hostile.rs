//! Random and mutated bytes into the file readers: never a panic, never more memory than the limits allow.
#![allow(clippy::unwrap_used)]

mod fixtures;

use fixtures::bytes;
use limbic_capture::files::audio::AudioReader;
use limbic_capture::files::{Limits, image, text};
use proptest::prelude::*;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// Counts what one thread holds and the most it held.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

// SAFETY: every call goes to the system allocator unchanged; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller's contract is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller's contract is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most bytes that `work` held beyond what was there before.
fn peak(work: impl FnOnce()) -> isize {
    let before = HELD.get();
    MOST.set(before);
    work();
    MOST.get() - before
}

const PIXELS: u64 = 100_000;

fn limits() -> Limits {
    Limits {
        picture_bytes: 1 << 20,
        picture_pixels: PIXELS,
        text_bytes: 1 << 20,
    }
}

/// Feeds the bytes to every reader; returns the most memory one of them took.
fn feed(bytes: &[u8]) -> isize {
    let audio = peak(|| {
        let Ok(mut reader) = AudioReader::from_bytes("input", bytes.to_vec()) else {
            return;
        };
        let (mut samples, mut chunks) = (Vec::new(), 0);
        while let Ok(Some(frames)) = reader.next_chunk(&mut samples) {
            assert_eq!(samples.len(), frames * reader.channels());
            assert!(samples.iter().all(|sample| sample.is_finite()));
            chunks += 1;
            assert!(chunks <= bytes.len(), "a chunk takes at least a byte");
        }
    });
    let picture = peak(|| {
        if let Ok(picture) = image::decode("input", bytes, &limits()) {
            assert!(u64::from(picture.width()) * u64::from(picture.height()) <= PIXELS);
        }
    });
    let text = peak(|| {
        let _ = text::decode("input", bytes);
    });
    audio.max(picture).max(text)
}

/// Twice the file and 16 bytes a pixel, or one chunk of the most channels; a few MiB of tables and scratch beside.
const MOST_BYTES: isize = 24 << 20;

const SEEDS: &[&str] = &[
    "s16.wav",
    "f64.wav",
    "extensible.wav",
    "rf64.wav",
    "mono8.flac",
    "six16.flac",
    "rgba.png",
    "palette.png",
    "adam7.png",
    "grey16.png",
    "turned6.png",
    "j444.jpg",
    "j420.jpg",
    "progressive.jpg",
    "restart.jpg",
    "cmyk.jpg",
    "turned6.jpg",
];

/// Makes the checksums of a PNG right again, so that a change reaches the code behind them.
fn mend_png(file: &mut [u8]) {
    let mut at = 8;
    while let Some(length) = file
        .get(at..at + 4)
        .map(|b| u32::from_be_bytes(b.try_into().unwrap()) as usize)
    {
        let Some(body) = at
            .checked_add(8)
            .and_then(|start| file.get(at + 4..start.checked_add(length)?))
        else {
            return;
        };
        let sum = crc32(body).to_be_bytes();
        let Some(place) = file.get_mut(at + 8 + length..at + 12 + length) else {
            return;
        };
        place.copy_from_slice(&sum);
        at += 12 + length;
    }
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| {
            if crc & 1 == 1 {
                crc >> 1 ^ 0xEDB8_8320
            } else {
                crc >> 1
            }
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_behind_each_magic_number(
        magic in prop::sample::select(vec![
            &b"RIFF\xFF\xFF\0\0WAVEfmt \x10\0\0\0"[..], b"RF64\xFF\xFF\xFF\xFFWAVEds64\x1C\0\0\0", b"fLaC\0\0\0\x22",
            b"fLaC\x80\0\0\x22\x10\0\x10\0\0\0\0\0\0\0\x03\xE8\x00\xF0\0\0\0\0", b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR",
            b"\xFF\xD8\xFF\xDB\0\x43", b"\xFF\xD8\xFF\xE1\0\x40Exif\0\0II*\0", b"\xFF\xFE", b"",
        ]),
        rest in prop::collection::vec(any::<u8>(), 0..600),
    ) {
        let most = feed(&[magic, &rest].concat());
        prop_assert!(most < MOST_BYTES, "{most} bytes");
    }

    #[test]
    fn mutated_files(
        seed in prop::sample::select(SEEDS),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        in_header in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
        mend in any::<bool>(),
    ) {
        let mut file = bytes(seed);
        let reach = if in_header { file.len().min(120) } else { file.len() };
        for (at, value) in &changes {
            let at = at.index(reach);
            file[at] = *value;
        }
        if mend && seed.ends_with("png") {
            mend_png(&mut file);
        }
        if let Some(cut) = cut {
            let length = cut.index(file.len());
            file.truncate(length);
        }
        let most = feed(&file);
        prop_assert!(most < MOST_BYTES, "{seed}: {most} bytes");
    }
}

#[test]
fn the_memory_counter_counts() {
    assert!(peak(|| drop(std::hint::black_box(vec![1_u8; 1 << 20]))) >= 1 << 20);
}
