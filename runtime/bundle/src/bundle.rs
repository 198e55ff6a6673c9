//! Opening a bundle and reading its entries.

use std::collections::BTreeMap;
use std::path::Path;

use crate::archive::{Crc32, Member, members, sha256_hex};
use crate::bytes::Bytes;
use crate::error::{Error, ErrorKind, Result};
use crate::limits;
use crate::manifest::{Entry, MANIFEST_ENTRY, Manifest};

/// A model in one file: its manifest and the entries it lists.
///
/// # Example
/// ```no_run
/// let bundle = limbic_bundle::Bundle::open("face-small.limbic".as_ref())?;
/// println!("{} {}", bundle.manifest().name, bundle.identity());
/// let card = bundle.entry(&bundle.manifest().card)?;
/// # Ok::<(), limbic_bundle::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Bundle {
    bytes: Bytes,
    manifest: Manifest,
    identity: String,
    /// Where the manifest lies.
    #[cfg(feature = "write")]
    first: Member,
    /// Where each entry lies; those a thin bundle lacks are not there.
    members: BTreeMap<String, Member>,
}

/// An entry and whether this file holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryInfo<'a> {
    /// What the manifest says about it.
    pub entry: &'a Entry,
    /// Whether the file holds it; only optional ones can be absent.
    pub present: bool,
}

impl Bundle {
    /// Maps a bundle and checks all of it: structure, manifest, and the digest of every entry.
    ///
    /// # Errors
    /// [`ErrorKind::Io`] if the file cannot be read, otherwise what is wrong with it; each error names the file.
    pub fn open(path: &Path) -> Result<Self> {
        let bundle = Self::open_installed(path)?;
        bundle.verify().map_err(|error| error.within(path.display()))?;
        Ok(bundle)
    }

    /// Maps a bundle whose digests were checked when it was installed, and checks structure and manifest only.
    ///
    /// # Errors
    /// As [`Bundle::open`], but for [`ErrorKind::Digest`].
    pub fn open_installed(path: &Path) -> Result<Self> {
        Self::read(Bytes::map(path)?).map_err(|error| error.within(path.display()))
    }

    /// Checks a bundle in memory, digests included.
    ///
    /// # Errors
    /// As [`Bundle::open`].
    pub fn from_bytes(bytes: impl Into<Bytes>) -> Result<Self> {
        let bundle = Self::read(bytes.into())?;
        bundle.verify()?;
        Ok(bundle)
    }

    fn read(bytes: Bytes) -> Result<Self> {
        let members = members(&bytes)?;
        let first = members
            .first()
            .filter(|first| first.name == MANIFEST_ENTRY)
            .ok_or_else(|| {
                let found = members.first().map_or("no entry", |first| first.name.as_str());
                Error::new(ErrorKind::NotABundle, "first entry", MANIFEST_ENTRY, found)
            })?;
        let text = content(&bytes, first)?;
        if text.len() as u64 > limits::MANIFEST_BYTES {
            let expected = format!("at most {} bytes", limits::MANIFEST_BYTES);
            return Err(Error::new(ErrorKind::Limit, MANIFEST_ENTRY, expected, text.len()));
        }
        checksum(first, text)?;
        let manifest = Manifest::from_json(text)?;
        let identity = sha256_hex(text);
        listed(&manifest, members.get(1..).unwrap_or_default())?;
        #[cfg(feature = "write")]
        let first = first.clone();
        let members = members
            .into_iter()
            .skip(1)
            .map(|member| (member.name.clone(), member))
            .collect();
        Ok(Self {
            bytes,
            manifest,
            identity,
            #[cfg(feature = "write")]
            first,
            members,
        })
    }

    /// The manifest, already checked.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the manifest, which lists every entry's digest: 64 hexadecimal digits that name the content.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    #[cfg(feature = "write")]
    pub(crate) fn manifest_bytes(&self) -> Result<&[u8]> {
        content(&self.bytes, &self.first)
    }

    /// Content of an entry.
    ///
    /// # Errors
    /// [`ErrorKind::EntryAbsent`] for an optional entry this bundle was made without, [`ErrorKind::Reference`] for a
    /// name the manifest does not list.
    pub fn entry(&self, path: &str) -> Result<&[u8]> {
        if let Some(member) = self.members.get(path) {
            return content(&self.bytes, member);
        }
        if self.manifest.entries.iter().any(|entry| entry.path == path) {
            return Err(Error::new(
                ErrorKind::EntryAbsent,
                path,
                "the whole bundle",
                "a thin one",
            ));
        }
        let known = self.manifest.entries.iter().map(|entry| entry.path.as_str());
        Err(crate::check::dangling("entry".to_owned(), path, known))
    }

    /// Content of an entry, to be held without the bundle; it begins at an address that is a multiple of 64.
    ///
    /// # Errors
    /// As [`Bundle::entry`].
    pub fn shared_entry(&self, path: &str) -> Result<Bytes> {
        let content = self.entry(path)?;
        let member = self.members.get(path);
        let part = member.and_then(|member| self.bytes.part(member.content.clone()));
        // The same range was in bounds a line above.
        Ok(part.unwrap_or_else(|| Bytes::from(content.to_vec())))
    }

    /// Every entry the manifest lists, in order.
    pub fn entries(&self) -> impl Iterator<Item = EntryInfo<'_>> {
        let present = |entry: &Entry| self.members.contains_key(&entry.path);
        self.manifest.entries.iter().map(move |entry| EntryInfo {
            entry,
            present: present(entry),
        })
    }

    /// Compares every entry with its digest.
    ///
    /// # Errors
    /// [`ErrorKind::Digest`] naming the first entry that differs, with both digests.
    pub fn verify(&self) -> Result<()> {
        for entry in &self.manifest.entries {
            let Some(member) = self.members.get(&entry.path) else {
                continue;
            };
            let found = content(&self.bytes, member)?;
            let digest = sha256_hex(found);
            if digest != entry.sha256 {
                let expected = format!("SHA-256 {}", entry.sha256);
                return Err(Error::new(
                    ErrorKind::Digest,
                    &entry.path,
                    expected,
                    format!("SHA-256 {digest}"),
                ));
            }
            checksum(member, found)?;
        }
        Ok(())
    }
}

fn content<'a>(bytes: &'a Bytes, member: &Member) -> Result<&'a [u8]> {
    bytes.get(member.content.clone()).ok_or_else(|| {
        let expected = format!("bytes {} to {}", member.content.start, member.content.end);
        Error::new(
            ErrorKind::Archive,
            &member.name,
            expected,
            format!("an end at byte {}", bytes.len()),
        )
    })
}

fn checksum(member: &Member, content: &[u8]) -> Result<()> {
    let found = Crc32::of(content);
    if found != member.crc {
        let expected = format!("CRC-32 {:08x}", member.crc);
        return Err(Error::new(
            ErrorKind::Digest,
            &member.name,
            expected,
            format!("CRC-32 {found:08x}"),
        ));
    }
    Ok(())
}

/// Checks that the file holds the manifest's entries, in its order, and none other.
fn listed(manifest: &Manifest, members: &[Member]) -> Result<()> {
    let mut members = members.iter().peekable();
    for entry in &manifest.entries {
        match members.next_if(|member| member.name == entry.path) {
            Some(member) if member.content.len() as u64 == entry.bytes => {}
            Some(member) => {
                let expected = format!("{} bytes", entry.bytes);
                return Err(Error::new(
                    ErrorKind::Digest,
                    &entry.path,
                    expected,
                    member.content.len(),
                ));
            }
            None if entry.optional => {}
            None => {
                let found = members.peek().map_or("none", |member| member.name.as_str());
                return Err(Error::new(
                    ErrorKind::EntryMissing,
                    &entry.path,
                    "this entry next",
                    found,
                ));
            }
        }
    }
    match members.next() {
        Some(stray) => Err(Error::new(
            ErrorKind::EntryUnlisted,
            &stray.name,
            "only entries the manifest lists",
            "this one",
        )),
        None => Ok(()),
    }
}
