//! Native libraries that a backend loads while running, looked at before the system may run any of their code.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use object::read::elf::{ElfFile32, ElfFile64};
use object::{Architecture, FileKind, Object, ObjectKind, ObjectSegment, ObjectSymbol, ReadCache};

use crate::error::{Error, ErrorKind, Result};

/// What a backend needs of a library.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// Name of the library, for messages.
    pub(crate) name: &'static str,
    /// Environment variable with its path.
    pub(crate) variable: &'static str,
    /// Functions that it must have.
    pub(crate) symbols: &'static [&'static str],
    /// A path that the program was told, in place of the variable's.
    pub(crate) told: Mutex<Option<PathBuf>>,
}

impl Wanted {
    /// Path of the library as the program was told it, or as the environment has it.
    pub(crate) fn path(&self) -> Result<PathBuf> {
        let told = self.told.lock().ok().and_then(|told| told.clone());
        let named = told.or_else(|| std::env::var_os(self.variable).map(PathBuf::from));
        named.filter(|path| !path.as_os_str().is_empty()).ok_or_else(|| {
            let expected = format!("the path of its library in {}", self.variable);
            Error::new(ErrorKind::Library, self.name, expected, "none")
        })
    }

    /// Checks a file without running anything of it, and gives its absolute path.
    ///
    /// A constructor of a strange library runs as soon as it is loaded, and one that was cut short ends the process
    /// when a page behind the cut is touched; so neither is left to the system's loader.
    pub(crate) fn inspect(&self, path: &Path) -> Result<PathBuf> {
        let refused = |found: String| {
            let expected = format!("{}'s library for {}", self.name, std::env::consts::ARCH);
            Error::new(ErrorKind::Library, path.display().to_string(), expected, found)
        };
        let absolute = path.canonicalize().map_err(|error| refused(error.to_string()))?;
        let file = File::open(&absolute).map_err(|error| refused(error.to_string()))?;
        let metadata = file.metadata().map_err(|error| refused(error.to_string()))?;
        if !metadata.is_file() {
            return Err(refused("a folder or device".to_owned()));
        }
        if cfg!(target_os = "linux") {
            let cache = ReadCache::new(file);
            let fit = match FileKind::parse(&cache) {
                Ok(FileKind::Elf32) => ElfFile32::<object::Endianness, _>::parse(&cache)
                    .map_err(|error| format!("a damaged library: {error}"))
                    .and_then(|file| self.fits(&file, metadata.len())),
                Ok(FileKind::Elf64) => ElfFile64::<object::Endianness, _>::parse(&cache)
                    .map_err(|error| format!("a damaged library: {error}"))
                    .and_then(|file| self.fits(&file, metadata.len())),
                _ => Err("no shared library of this system".to_owned()),
            };
            fit.map_err(refused)?;
        }
        Ok(absolute)
    }

    fn fits<'data>(&self, file: &impl Object<'data>, length: u64) -> std::result::Result<(), String> {
        let expected = match std::env::consts::ARCH {
            "x86_64" => Some(Architecture::X86_64),
            "aarch64" => Some(Architecture::Aarch64),
            "arm" => Some(Architecture::Arm),
            _ => None,
        };
        let found = file.architecture();
        if expected.is_some_and(|expected| expected != found) {
            return Err(format!("a library for {found:?}"));
        }
        if file.kind() != ObjectKind::Dynamic {
            return Err(format!("a file of kind {:?}", file.kind()));
        }
        for segment in file.segments() {
            let (start, size) = segment.file_range();
            let end = start.saturating_add(size);
            if end > length {
                return Err(format!("{length} bytes of a library of at least {end}"));
            }
        }
        for wanted in self.symbols {
            let defined = |name: &str| {
                let mut symbols = file.dynamic_symbols();
                symbols.any(|symbol| symbol.is_definition() && symbol.name() == Ok(name))
            };
            if !defined(wanted) {
                return Err(format!("a library without the function {wanted}"));
            }
        }
        Ok(())
    }
}
