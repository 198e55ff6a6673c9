//! What a pipeline needs of a model, whether it is packed or not.

use std::borrow::Cow;

use crate::bundle::Bundle;
use crate::error::Result;
use crate::manifest::Manifest;

/// A model: a manifest and the contents it names.
pub trait Package {
    /// The manifest, already checked.
    fn manifest(&self) -> &Manifest;

    /// Content of an entry.
    ///
    /// # Errors
    /// If there is none of that name, or it cannot be read.
    fn entry(&self, path: &str) -> Result<Cow<'_, [u8]>>;

    /// SHA-256 of the manifest; nothing for a model folder, which is not fixed yet.
    fn identity(&self) -> Option<&str>;
}

impl Package for Bundle {
    fn manifest(&self) -> &Manifest {
        self.manifest()
    }

    fn entry(&self, path: &str) -> Result<Cow<'_, [u8]>> {
        self.entry(path).map(Cow::Borrowed)
    }

    fn identity(&self) -> Option<&str> {
        Some(self.identity())
    }
}
