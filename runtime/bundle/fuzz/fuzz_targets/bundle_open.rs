//! Any bytes are answered without a panic, and what is accepted is exactly what the writer would write.
#![no_main]

use libfuzzer_sys::fuzz_target;
use limbic_bundle::Bundle;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(bundle) = Bundle::from_bytes(bytes.to_vec()) {
        assert_eq!(bundle.to_thin_bytes(|_| true).expect("an opened bundle"), bytes);
    }
});
