//! PyTorch's form before 1.6: never a panic, nor more memory than the file accounts for.
#![no_main]

mod read;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| read::all(data));
