//! The container: what is written can be read, by others too, and nothing damaged is accepted.
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod fixture;

use std::fs;

use fixture::{AUDIO, IMAGE, TEXT, bundle, folder, source};
use limbic_bundle::{Bundle, BundleWriter, ErrorKind, MANIFEST_ENTRY, Manifest, Package, Source};
use proptest::prelude::*;

#[test]
fn a_packed_folder_opens_with_the_same_contents() {
    for toml in [IMAGE, AUDIO, TEXT] {
        let (folder, source) = source(toml);
        let output = folder.path().join("model.limbic");
        let identity = source.pack(&output).unwrap();
        let opened = Bundle::open(&output).unwrap();
        assert_eq!(opened.identity(), identity);
        assert_eq!(opened.identity().len(), 64);
        for info in opened.entries() {
            assert!(info.present);
            assert_eq!(
                opened.entry(&info.entry.path).unwrap(),
                source.entry(&info.entry.path).unwrap()
            );
        }
        let mut manifest = opened.manifest().clone();
        assert_eq!(manifest.entries.len(), manifest.files().len());
        manifest.entries.clear();
        assert_eq!(&manifest, source.manifest());
        let packages: [&dyn Package; 2] = [&opened, &source];
        for package in packages {
            assert_eq!(package.entry("card.md").unwrap().as_ref(), b"# A card\n");
        }
        assert_eq!(Bundle::open_installed(&output).unwrap().identity(), identity);
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let (first, _) = bundle(IMAGE);
    let (second, _) = bundle(IMAGE);
    assert_eq!(first, second);
    let (folder, source) = source(IMAGE);
    let output = folder.path().join("model.limbic");
    fs::write(&output, b"an older bundle").unwrap();
    source.pack(&output).unwrap();
    assert_eq!(fs::read(&output).unwrap(), first);
    let beside: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(
        beside.len(),
        7,
        "five files, model.toml and the bundle, and nothing half-written: {beside:?}"
    );
}

#[test]
fn another_zip_reader_finds_stored_aligned_entries() {
    let (bytes, _) = bundle(IMAGE);
    let ours = Bundle::from_bytes(bytes.clone()).unwrap();
    let archive = rawzip::ZipArchive::from_slice(&bytes).unwrap();
    let mut names = Vec::new();
    let mut entries = archive.entries();
    while let Some(header) = entries.next_entry().unwrap() {
        assert_eq!(header.compression_method(), rawzip::CompressionMethod::STORE);
        let name = String::from_utf8(header.file_path().as_ref().to_vec()).unwrap();
        let entry = archive.get_entry(header.wayfinder()).unwrap();
        assert_eq!(entry.compressed_data_range().0 % 64, 0, "{name} is not aligned");
        let mut content = Vec::new();
        std::io::Read::read_to_end(&mut entry.verifying_reader(entry.data()), &mut content).unwrap();
        if name != MANIFEST_ENTRY {
            assert_eq!(content, ours.entry(&name).unwrap());
        }
        names.push(name);
    }
    assert_eq!(
        names,
        [
            "manifest.json",
            "card.md",
            "LICENSE",
            "graph.onnx",
            "metrics.json"
        ]
    );
}

#[test]
fn a_thin_bundle_keeps_its_identity() {
    let (bytes, identity) = bundle(IMAGE);
    let whole = Bundle::from_bytes(bytes.clone()).unwrap();
    assert_eq!(whole.to_thin_bytes(|_| true).unwrap(), bytes);
    let thin = Bundle::from_bytes(whole.to_thin_bytes(|_| false).unwrap()).unwrap();
    assert_eq!(thin.identity(), identity);
    let present: Vec<_> = thin
        .entries()
        .filter(|info| info.present)
        .map(|info| &info.entry.path)
        .collect();
    assert_eq!(present, ["card.md", "LICENSE", "graph.onnx"]);
    assert_eq!(
        thin.entry("metrics.json").unwrap_err().kind(),
        ErrorKind::EntryAbsent
    );
    let error = thin.entry("other.json").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reference);
    assert!(error.to_string().contains("graph.onnx"), "{error}");
}

#[test]
fn every_single_changed_byte_is_found() {
    for toml in [IMAGE, TEXT] {
        let (bytes, _) = bundle(toml);
        for at in 0..bytes.len() {
            for mask in [0x01, 0x80, 0xFF] {
                let mut changed = bytes.clone();
                changed[at] ^= mask;
                let error = Bundle::from_bytes(changed).expect_err("a changed bundle was accepted");
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn every_cut_is_found() {
    let (bytes, _) = bundle(IMAGE);
    for length in 0..bytes.len() {
        assert!(
            Bundle::from_bytes(bytes[..length].to_vec()).is_err(),
            "the first {length} bytes were accepted"
        );
        assert!(
            Bundle::from_bytes(bytes[length.max(1)..].to_vec()).is_err(),
            "all after {length} was accepted"
        );
    }
    for more in [1, 22, 1000] {
        let mut longer = bytes.clone();
        longer.extend(std::iter::repeat_n(0, more));
        assert!(Bundle::from_bytes(longer).is_err());
    }
}

#[test]
fn a_changed_content_is_named_with_both_digests() {
    let (mut bytes, _) = bundle(IMAGE);
    let at = bytes.windows(6).position(|window| window == b"# A ca").unwrap();
    let expected = Bundle::from_bytes(bytes.clone()).unwrap().manifest().entries[0]
        .sha256
        .clone();
    bytes[at] = b'!';
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("changed.limbic");
    fs::write(&path, &bytes).unwrap();
    let error = Bundle::open(&path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Digest);
    let text = error.to_string();
    assert!(
        text.contains("changed.limbic: card.md") && text.contains(&expected),
        "{text}"
    );
    assert_eq!(text.matches("SHA-256").count(), 2, "{text}");
    let installed = Bundle::open_installed(&path).unwrap();
    assert_eq!(installed.verify().unwrap_err().kind(), ErrorKind::Digest);
}

/// Overwrites a field of the directory entry of `name`, counted from the entry's start.
fn with_directory_field(bytes: &[u8], name: &str, field: usize, value: &[u8]) -> Vec<u8> {
    let mut changed = bytes.to_vec();
    let at = bytes
        .windows(46 + name.len())
        .rposition(|window| window.starts_with(b"PK\x01\x02") && window.ends_with(name.as_bytes()))
        .unwrap();
    changed[at + field..at + field + value.len()].copy_from_slice(value);
    changed
}

#[test]
fn hostile_directories_are_refused_by_name() {
    let (bytes, _) = bundle(IMAGE);
    let refused = |changed: Vec<u8>, kind: ErrorKind, place: &str| {
        let error = Bundle::from_bytes(changed).unwrap_err();
        assert_eq!(
            (error.kind(), error.place().contains(place)),
            (kind, true),
            "{error}"
        );
    };
    let field = |field, value: &[u8]| with_directory_field(&bytes, "LICENSE", field, value);
    refused(field(8, &1u16.to_le_bytes()), ErrorKind::Encrypted, "LICENSE");
    refused(field(10, &8u16.to_le_bytes()), ErrorKind::Compressed, "LICENSE");
    refused(field(20, &u32::MAX.to_le_bytes()), ErrorKind::Zip64, "LICENSE");
    refused(field(42, &u32::MAX.to_le_bytes()), ErrorKind::Zip64, "LICENSE");
    refused(field(42, &0u32.to_le_bytes()), ErrorKind::Archive, "LICENSE");
    refused(
        field(42, &0x7FFF_FFFFu32.to_le_bytes()),
        ErrorKind::Archive,
        "LICENSE",
    );
    let sizes = [0x00FF_FFFFu32.to_le_bytes(), 0x00FF_FFFFu32.to_le_bytes()].concat();
    refused(field(20, &sizes), ErrorKind::Archive, "LICENSE");
    refused(field(46, b"../LICE"), ErrorKind::EntryName, "../LICE");
    refused(field(46, b"/ICENSE"), ErrorKind::EntryName, "/ICENSE");
    refused(field(46, b"LI\\CENS"), ErrorKind::EntryName, "LI");
    refused(
        field(46, b"LI\xFFCENS"),
        ErrorKind::EntryName,
        "directory entry 2",
    );
    refused(field(46, b"card.md"), ErrorKind::Duplicate, "card.md");
    let end = bytes.len() - 22;
    let with_end = |field: usize, value: &[u8]| {
        let mut changed = bytes.clone();
        changed[end + field..end + field + value.len()].copy_from_slice(value);
        changed
    };
    refused(
        with_end(10, &u16::MAX.to_le_bytes()),
        ErrorKind::Zip64,
        "end record",
    );
    refused(
        with_end(16, &u32::MAX.to_le_bytes()),
        ErrorKind::Zip64,
        "end record",
    );
    refused(
        with_end(12, &1u32.to_le_bytes()),
        ErrorKind::Archive,
        "end record",
    );
    refused(with_end(8, &[4, 0, 4, 0]), ErrorKind::Archive, "directory");
    refused(
        b"PK\x05\x06".iter().copied().chain([0; 18]).collect(),
        ErrorKind::NotABundle,
        "archive",
    );
}

/// A bundle with this text as its manifest and no other entry, in the writer's own layout.
fn with_manifest(text: &[u8]) -> Vec<u8> {
    let crc = {
        let mut crc = u32::MAX;
        for byte in text {
            crc ^= u32::from(*byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 {
                    (crc >> 1) ^ 0xEDB8_8320
                } else {
                    crc >> 1
                };
            }
        }
        !crc
    };
    let (name, length) = (MANIFEST_ENTRY.as_bytes(), (text.len() as u32).to_le_bytes());
    let mut bytes = b"PK\x03\x04\x0a\0\0\0\0\0\0\0\x21\0".to_vec();
    for field in [crc.to_le_bytes(), length, length] {
        bytes.extend(field);
    }
    let extra = 64u16 - 30 - name.len() as u16;
    bytes.extend([name.len() as u8, 0, extra as u8, 0]);
    bytes.extend(name);
    bytes.extend([0x35, 0xD9, extra as u8 - 4, 0, 64, 0]);
    bytes.resize(64, 0);
    bytes.extend(text);
    let directory = (bytes.len() as u32).to_le_bytes();
    bytes.extend(b"PK\x01\x02\x0a\0\x0a\0\0\0\0\0\0\0\x21\0");
    for field in [crc.to_le_bytes(), length, length] {
        bytes.extend(field);
    }
    bytes.extend([name.len() as u8, 0]);
    bytes.extend([0; 16]);
    bytes.extend(name);
    bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    bytes.extend((46 + name.len() as u32).to_le_bytes());
    bytes.extend(directory);
    bytes.extend([0, 0]);
    bytes
}

#[test]
fn manifests_are_bounded_and_versioned() {
    let kind = |text: &[u8]| Bundle::from_bytes(with_manifest(text)).unwrap_err();
    let error = kind(b"{\"format\": 7, \"what\": \"a later release knows\"}");
    assert_eq!(error.kind(), ErrorKind::NewerFormat);
    let text = error.to_string();
    assert!(
        text.contains("format 7") && text.contains("(1)") && text.contains("update limbic"),
        "{text}"
    );
    assert_eq!(kind(b"{\"format\": 0}").kind(), ErrorKind::Syntax);
    assert_eq!(kind(b"{}").kind(), ErrorKind::Syntax);
    assert_eq!(kind(b"not json").kind(), ErrorKind::Syntax);
    let deep = "[".repeat(100_000);
    assert_eq!(kind(deep.as_bytes()).kind(), ErrorKind::Syntax);
    let huge = vec![b' '; (4 << 20) + 1];
    assert_eq!(kind(&huge).kind(), ErrorKind::Limit);
    let (bytes, _) = bundle(IMAGE);
    let manifest = Bundle::from_bytes(bytes).unwrap().manifest().to_json().unwrap();
    let error = kind(&manifest);
    assert_eq!(
        (error.kind(), error.place()),
        (ErrorKind::EntryMissing, "card.md"),
        "{error}"
    );
}

#[test]
fn opening_says_which_file_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Bundle::open(&folder.path().join("none.limbic")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::Io);
    assert!(missing.to_string().contains("none.limbic"), "{missing}");
    let empty = folder.path().join("empty.limbic");
    fs::write(&empty, b"").unwrap();
    for path in [empty.as_path(), folder.path()] {
        let error = Bundle::open(path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotABundle, "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
    }
}

#[test]
fn writing_refuses_what_the_manifest_does_not_name() {
    let mut writer = BundleWriter::new(Manifest::from_toml(IMAGE).unwrap());
    assert_eq!(
        writer.add("stray.bin", vec![]).unwrap_err().kind(),
        ErrorKind::Reference
    );
    writer.add("card.md", vec![1]).unwrap();
    assert_eq!(
        writer.add("card.md", vec![2]).unwrap_err().kind(),
        ErrorKind::Duplicate
    );
    let error = writer.to_bytes().unwrap_err();
    assert_eq!(
        (error.kind(), error.place()),
        (ErrorKind::EntryMissing, "LICENSE")
    );
    let (folder, path) = folder(IMAGE);
    fs::remove_file(folder.path().join("graph.onnx")).unwrap();
    let output = folder.path().join("model.limbic");
    fs::write(&output, b"before").unwrap();
    let error = Source::open(&path).unwrap().pack(&output).unwrap_err();
    assert!(error.to_string().contains("graph.onnx"), "{error}");
    assert_eq!(fs::read(&output).unwrap(), b"before");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_answered_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Bundle::from_bytes(bytes).is_err());
    }

    #[test]
    fn several_changes_at_once_are_found(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let (bytes, _) = bundle(AUDIO);
        let mut changed = bytes.clone();
        for (at, value) in &changes {
            let at = at.index(changed.len());
            changed[at] = *value;
        }
        prop_assume!(changed != bytes);
        prop_assert!(Bundle::from_bytes(changed).is_err());
    }

    #[test]
    fn spliced_parts_are_found(from in any::<proptest::sample::Index>(), to in any::<proptest::sample::Index>(), length in 1usize..300) {
        let (bytes, _) = bundle(AUDIO);
        let (from, to) = (from.index(bytes.len()), to.index(bytes.len()));
        let mut changed = bytes.clone();
        let length = length.min(bytes.len() - from.max(to));
        changed[to..to + length].copy_from_slice(&bytes[from..from + length]);
        prop_assume!(changed != bytes);
        prop_assert!(Bundle::from_bytes(changed).is_err());
    }
}
