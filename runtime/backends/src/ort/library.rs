//! ONNX Runtime's library: one a process, its version known before it is used.
#![allow(
    unsafe_code,
    reason = "what a library says of its version is behind two C functions"
)]

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use libloading::Library;
use ort::environment::Environment;
use ort::logging::LogLevel;

use crate::error::{Error, ErrorKind, Result};
use crate::library::Wanted;

/// Where everything of ONNX Runtime hangs.
const ENTRY: &str = "OrtGetApiBase";

/// What is looked for in the file.
pub(super) static WANTED: Wanted = Wanted {
    name: "ONNX Runtime",
    variable: "ORT_DYLIB_PATH",
    symbols: &[ENTRY],
    told: Mutex::new(None),
};

/// The library that this process uses.
static LOADED: Mutex<Option<&'static Runtime>> = Mutex::new(None);

/// ONNX Runtime, loaded.
pub(super) struct Runtime {
    pub(super) path: PathBuf,
    pub(super) version: String,
    pub(super) environment: Environment,
    /// Held, as the environment is its code's.
    _library: Library,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("path", &self.path)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// The library at the path that was told, loaded once.
pub(super) fn load() -> Result<&'static Runtime> {
    let path = WANTED.path()?;
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    let inspected = WANTED.inspect(&path)?;
    if let Some(runtime) = *loaded {
        if runtime.path == inspected {
            return Ok(runtime);
        }
        let expected = format!("{}, which this process uses already", runtime.path.display());
        return Err(Error::new(
            ErrorKind::Library,
            WANTED.name,
            expected,
            inspected.display(),
        ));
    }
    let runtime = open(inspected)?;
    log::info!("ONNX Runtime {} at {}", runtime.version, runtime.path.display());
    let runtime: &'static Runtime = Box::leak(Box::new(runtime));
    *loaded = Some(runtime);
    Ok(runtime)
}

fn open(path: PathBuf) -> Result<Runtime> {
    let refused = |expected: &str, found: &dyn std::fmt::Display| {
        Error::new(ErrorKind::Library, path.display().to_string(), expected, found)
    };
    // SAFETY: the file is a whole shared library for this machine that has ONNX Runtime's entry; a library runs code of
    // its own when it is loaded, which is what the user named it for.
    let library = unsafe { Library::new(&path) }.map_err(|error| refused("a library that loads", &error))?;
    let version = version(&library).map_err(|found| refused("a library that says its version", &found))?;
    if !serves(&version) {
        let expected = format!("ONNX Runtime 1.{} or newer", ort::MINOR_VERSION);
        return Err(refused(&expected, &format_args!("{version:?}")));
    }
    let builder = ort::init_from(&path).map_err(|error| refused("a library that `ort` takes", &error))?;
    let environment = builder
        .with_name("limbic")
        .with_telemetry(false)
        .with_logger(Arc::new(|level, category, _, _, message| {
            // Its errors come back as errors of a call; said here as well they would be said twice.
            let level = match level {
                LogLevel::Warning => log::Level::Info,
                LogLevel::Error | LogLevel::Fatal => log::Level::Debug,
                LogLevel::Verbose | LogLevel::Info => log::Level::Trace,
            };
            log::log!(level, "{category}: {message}");
        }))
        .build()
        .map_err(|error| refused("a library whose environment starts", &error))?;
    // What it says of each node costs time at every load, whoever listens.
    environment.set_log_level(LogLevel::Warning);
    Ok(Runtime {
        path,
        version,
        environment,
        _library: library,
    })
}

/// The version that a library says it has.
fn version(library: &Library) -> std::result::Result<String, String> {
    type Entry = unsafe extern "C" fn() -> *const ort::sys::OrtApiBase;
    // SAFETY: ONNX Runtime has had this function with this type since its first release.
    let entry: libloading::Symbol<'_, Entry> =
        unsafe { library.get(ENTRY.as_bytes()) }.map_err(|error| error.to_string())?;
    // SAFETY: it takes nothing and gives a table that lives as long as the library, or null.
    let base = unsafe { entry().as_ref() }.ok_or("no table of functions")?;
    // SAFETY: the table's two functions are there in every release; this one takes nothing.
    let text = unsafe { (base.GetVersionString)() };
    if text.is_null() {
        return Err("no version".to_owned());
    }
    // SAFETY: a text of the library that ends in 0 and lives as long as it.
    let text = unsafe { CStr::from_ptr(text) };
    Ok(text.to_string_lossy().into_owned())
}

/// Whether a version is new enough for the functions that are used.
fn serves(version: &str) -> bool {
    let mut parts = version.split('.').map(|part| part.parse::<u32>().ok());
    matches!((parts.next().flatten(), parts.next().flatten()), (Some(1), Some(minor)) if minor >= ort::MINOR_VERSION)
}

/// Uses the library at this path in place of the environment's.
pub(crate) fn tell(path: &Path) {
    let mut told = WANTED.told.lock().unwrap_or_else(PoisonError::into_inner);
    *told = Some(path.to_owned());
}

#[cfg(test)]
mod tests {
    use super::serves;

    #[test]
    fn versions_are_compared_as_numbers() {
        for (version, good) in [
            ("1.17.0", true),
            ("1.31.1", true),
            ("1.16.3", false),
            ("1.9.0", false),
            ("2.0.0", false),
            ("", false),
            ("1", false),
            ("1.x", false),
        ] {
            assert_eq!(serves(version), good, "{version:?}");
        }
    }
}
