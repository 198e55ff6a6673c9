//! The pickle of a PyTorch file, with one storage beside it: never a panic, nor more memory than its limits.
#![no_main]

mod read;

use std::io::Write;

use libfuzzer_sys::fuzz_target;

/// The pickle as a file of PyTorch's holds it.
fn archive(pickle: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut writer = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, content) in [("a/data.pkl", pickle), ("a/data/0", &[0; 256])] {
        let (mut entry, config) = writer.new_file(name).start().ok()?;
        let mut data = config.wrap(&mut entry);
        data.write_all(content).ok()?;
        let (_, descriptor) = data.finish().ok()?;
        entry.finish(descriptor).ok()?;
    }
    writer.finish().ok()?;
    Some(bytes)
}

fuzz_target!(|data: &[u8]| {
    if let Some(bytes) = archive(data) {
        read::all(&bytes);
    }
});
