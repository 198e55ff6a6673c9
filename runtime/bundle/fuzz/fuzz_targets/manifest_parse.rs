//! Any text is answered without a panic, and what is accepted can be written and read back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use limbic_bundle::Manifest;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(manifest) = Manifest::from_json(bytes) {
        let text = manifest.to_json().expect("a checked manifest");
        assert_eq!(Manifest::from_json(&text).expect("its own text"), manifest);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = Manifest::from_toml(text);
    }
});
