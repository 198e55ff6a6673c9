//! The models and samples inside the binary.

use anyhow::Result;
use limbic::{Builder, Recognizer};

use crate::args::Models;

/// A sample of the demo.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// Its name in events and tables.
    pub name: &'static str,
    /// The file's bytes.
    pub bytes: &'static [u8],
}

macro_rules! from_repository {
    ($path:literal) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../", $path)).as_slice()
    };
}

/// A file at an address that is a multiple of 64, so that it is read in place.
#[cfg(feature = "bundled")]
#[repr(align(64))]
struct Aligned<T: ?Sized>(T);

#[cfg(feature = "bundled")]
macro_rules! bundle_from_repository {
    ($path:literal) => {{
        static FILE: &Aligned<[u8]> = &Aligned(*include_bytes!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../",
            $path
        )));
        &FILE.0
    }};
}

/// Bundles that answer when the user names none: one a sense.
#[cfg(feature = "bundled")]
pub const BUNDLES: [&[u8]; 3] = [
    bundle_from_repository!("models/text-small/text-small.limbic"),
    bundle_from_repository!("models/speech-small/speech-small.limbic"),
    bundle_from_repository!("models/face-small/face-small.limbic"),
];
#[cfg(not(feature = "bundled"))]
pub const BUNDLES: [&[u8]; 0] = [];

/// Text of the demo.
pub const TEXT: Sample = Sample {
    name: "samples/review.txt",
    bytes: from_repository!("samples/review.txt"),
};

/// Sounds of the demo.
pub const SOUNDS: [Sample; 2] = [
    Sample {
        name: "samples/good-news.wav",
        bytes: from_repository!("samples/good-news.wav"),
    },
    Sample {
        name: "samples/by-the-door.flac",
        bytes: from_repository!("samples/by-the-door.flac"),
    },
];

/// Picture of the demo.
pub const PICTURE: Sample = Sample {
    name: "samples/portrait.jpg",
    bytes: from_repository!("samples/portrait.jpg"),
};

/// Opens the models that the user named, or the bundled ones.
pub fn open(models: &Models) -> Result<Recognizer> {
    open_bundles(&models.bundle, models.backend.as_deref(), models.threads)
}

/// Opens bundle files, or the bundled models when there are none.
pub fn open_bundles(
    files: &[std::path::PathBuf],
    backend: Option<&str>,
    threads: usize,
) -> Result<Recognizer> {
    let mut builder: Builder = Recognizer::builder().threads(threads);
    if let Some(backend) = backend {
        builder = builder.backend(backend);
    }
    for file in files {
        builder = builder.bundle(file)?;
    }
    if files.is_empty() {
        for bytes in BUNDLES {
            builder = builder.bundle_bytes(bytes)?;
        }
    }
    Ok(builder.build()?)
}
