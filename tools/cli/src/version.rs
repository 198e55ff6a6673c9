//! What `--version` says beside the number.

use std::sync::LazyLock;

/// Version, formats, compiled-in backends and features.
pub static LONG: LazyLock<String> = LazyLock::new(|| {
    let features: Vec<&str> = [
        ("bundled", cfg!(feature = "bundled")),
        ("engine", cfg!(feature = "engine")),
        ("tract", cfg!(feature = "tract")),
        ("ort", cfg!(feature = "ort")),
        ("tflite", cfg!(feature = "tflite")),
    ]
    .into_iter()
    .filter_map(|(name, on)| on.then_some(name))
    .collect();
    format!(
        "{}\nevent schema 1, bundle format 1\nfeatures: {}\nbackends: {}",
        env!("CARGO_PKG_VERSION"),
        features.join(" "),
        limbic::backends().join(" ")
    )
});
