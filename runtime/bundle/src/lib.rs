//! The one-file bundle: manifest, programs, assets, digests.
