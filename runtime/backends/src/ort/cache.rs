//! Where TensorRT keeps what it built: a folder for each graph, library and graphics processor.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::ort::library::Runtime;
use crate::ort::provider::Provider;

/// Digits of the digest in a folder's name.
const DIGITS: usize = 32;

/// The folder for a graph, made if it is not there; nothing where there is no place for it, which is logged.
///
/// An engine serves only what it was built from: the graph's bytes (which the identity of its bundle stands for), the
/// library, the driver and the chip. A file `key.txt` in the folder says them.
pub(super) fn folder(runtime: &Runtime, provider: Provider, content: &[u8]) -> Option<PathBuf> {
    let Some(root) = root() else {
        log::warn!("neither LIMBIC_CACHE, XDG_CACHE_HOME nor HOME is set; what TensorRT builds is not kept");
        return None;
    };
    let key = key(content, &runtime.version, provider, &chip());
    let folder = root.join("limbic").join("tensorrt").join(name(&key));
    let written =
        std::fs::create_dir_all(&folder).and_then(|()| std::fs::write(folder.join("key.txt"), &key));
    match written {
        Ok(()) => Some(folder),
        Err(error) => {
            log::warn!("{}: {error}; what TensorRT builds is not kept", folder.display());
            None
        }
    }
}

fn root() -> Option<PathBuf> {
    let of = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    of("LIMBIC_CACHE")
        .or_else(|| of("XDG_CACHE_HOME"))
        .or_else(|| of("HOME").map(|home| home.join(".cache")))
}

/// Everything that an engine depends on, a line each.
fn key(content: &[u8], version: &str, provider: Provider, chip: &[(String, String)]) -> String {
    let digest: String = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let mut key = format!(
        "graph: {digest}\nONNX Runtime: {version}\nprovider: {}\n",
        provider.name()
    );
    for (name, value) in chip {
        key.push_str(&format!("{name}: {value}\n"));
    }
    key
}

fn name(key: &str) -> String {
    let digest: String = Sha256::digest(key)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    digest.chars().take(DIGITS).collect()
}

/// What the system tells of graphics processor and driver; a model of the one has one compute capability.
///
/// On a Jetson the release of its system fixes driver, CUDA and TensorRT.
fn chip() -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut add = |name: &str, text: Option<String>| {
        let text = text.unwrap_or_default().replace('\0', " ");
        if let Some(line) = text.lines().next().filter(|line| !line.trim().is_empty()) {
            found.push((name.to_owned(), line.trim().to_owned()));
        }
    };
    let read = |path: &str| std::fs::read_to_string(path).ok();
    add("driver", read("/proc/driver/nvidia/version"));
    add("system", read("/etc/nv_tegra_release"));
    add("board", read("/proc/device-tree/compatible"));
    add(
        "graphics processor",
        graphics(Path::new("/proc/driver/nvidia/gpus")),
    );
    found
}

/// Models of the graphics processors, sorted.
fn graphics(folder: &Path) -> Option<String> {
    let model = |path: PathBuf| -> Option<String> {
        let text = std::fs::read_to_string(path.join("information")).ok()?;
        let line = text.lines().find(|line| line.starts_with("Model:"))?;
        Some(line.trim_start_matches("Model:").trim().to_owned())
    };
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let mut models: Vec<String> = entries.filter_map(|entry| model(entry.path())).collect();
    models.sort();
    Some(models.join(", "))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn another_graph_library_provider_or_chip_has_another_folder() {
        let chip = |name: &str| vec![("graphics processor".to_owned(), name.to_owned())];
        let keys = [
            key(b"graph", "1.20.0", Provider::Tensorrt, &chip("Orin")),
            key(b"other", "1.20.0", Provider::Tensorrt, &chip("Orin")),
            key(b"graph", "1.20.1", Provider::Tensorrt, &chip("Orin")),
            key(b"graph", "1.20.0", Provider::Cuda, &chip("Orin")),
            key(b"graph", "1.20.0", Provider::Tensorrt, &chip("H200")),
        ];
        for (n, one) in keys.iter().enumerate() {
            assert_eq!(name(one).len(), DIGITS);
            for other in keys.iter().skip(n + 1) {
                assert_ne!(name(one), name(other));
            }
        }
        assert_eq!(
            key(b"graph", "1.20.0", Provider::Tensorrt, &chip("Orin")),
            keys[0],
            "the same things have the same folder"
        );
    }

    #[test]
    fn models_are_read_from_what_the_driver_writes() {
        let folder = tempfile::tempdir().unwrap();
        let gpu = folder.path().join("0000:01:00.0");
        std::fs::create_dir(&gpu).unwrap();
        std::fs::write(gpu.join("information"), "Model: \t\t NVIDIA H200\nIRQ: 7\n").unwrap();
        assert_eq!(graphics(folder.path()).unwrap(), "NVIDIA H200");
        assert_eq!(graphics(&folder.path().join("none")), None);
    }
}
