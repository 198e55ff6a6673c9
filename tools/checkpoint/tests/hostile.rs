//! Damaged and hostile files are refused in little time and memory, and never end the program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use limbic_checkpoint::{Checkpoint, Error, ErrorKind, Result};
use proptest::prelude::*;
use support::{fixture, fixtures};

/// The system's allocator, which remembers the largest request.
struct Watch;

static LARGEST: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Watch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LARGEST.fetch_max(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        LARGEST.fetch_max(size, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static WATCH: Watch = Watch;

/// Largest single request that a file of a few kilobytes may cause: an expanded tensor's limit and some.
const MOST_BYTES: usize = 160 << 20;

/// Time that this thread ran, which a busy machine does not stretch; time on the clock where Linux does not tell.
fn running(start: Instant) -> Duration {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanoseconds = told.and_then(|line| line.split(' ').next()?.parse().ok());
    nanoseconds.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// Opens a file and reads all of it; panics and endless work fail the test.
fn read_all(bytes: &[u8]) -> Result<()> {
    let start = Instant::now();
    let before = running(start);
    let done = Checkpoint::from_bytes("file", bytes.to_vec()).and_then(|checkpoint| {
        let mut entries = checkpoint.tensors().iter();
        entries.try_for_each(|entry| checkpoint.read(&entry.name).map(drop))
    });
    let took = running(start).saturating_sub(before);
    assert!(took < Duration::from_secs(1), "{took:?}");
    let largest = LARGEST.load(Ordering::Relaxed);
    assert!(largest < MOST_BYTES, "a request of {largest} bytes");
    done
}

fn refused(bytes: &[u8]) -> Error {
    read_all(bytes).unwrap_err()
}

/// A zip archive of stored members.
fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (name, content) in members {
        let (mut entry, config) = writer.new_file(*name).start().unwrap();
        let mut data = config.wrap(&mut entry);
        data.write_all(content).unwrap();
        let (_, descriptor) = data.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

/// A PyTorch file of this pickle and one storage of 16 bytes.
fn torch(pickle: &[u8]) -> Vec<u8> {
    archive(&[("a/data.pkl", pickle), ("a/data/0", &[0; 16])])
}

/// A dictionary that holds one tensor over a storage of four floats.
fn tensor_pickle(offset: i32, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let mut pickle =
        b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\n"
            .to_vec();
    pickle.extend(b"X\x01\0\0\x000X\x03\0\0\0cpuK\x04tQJ");
    pickle.extend(offset.to_le_bytes());
    for numbers in [shape, strides] {
        pickle.push(b'(');
        for number in numbers {
            pickle.extend(b"\x8a\x08");
            pickle.extend(number.to_le_bytes());
        }
        pickle.push(b't');
    }
    pickle.extend(b"\x89ccollections\nOrderedDict\n)RtRs.");
    pickle
}

fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

#[test]
fn views_outside_their_storage_are_refused() {
    read_all(&torch(&tensor_pickle(0, &[2, 2], &[1, 2]))).unwrap();
    for (offset, shape, strides) in [
        (1, &[2, 2], &[2, 1]),
        (0, &[2, 2], &[3, 1]),
        (-1, &[2, 1], &[1, 1]),
        (0, &[2, -2], &[1, 1]),
        (0, &[2, 2], &[i64::MAX, i64::MAX]),
        (i32::MAX, &[1, 1], &[1, 1]),
    ] {
        let error = refused(&torch(&tensor_pickle(offset, shape, strides)));
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    }
    let error = refused(&torch(&tensor_pickle(0, &[2, 2], &[1])));
    assert!(error.to_string().contains("stride"), "{error}");
}

#[test]
fn shapes_of_two_to_the_sixty_are_refused() {
    for shape in [&[1 << 60][..], &[1 << 30, 1 << 30], &[1 << 62, 1 << 62, 0]] {
        let strides = vec![0; shape.len()];
        let error = refused(&torch(&tensor_pickle(0, shape, &strides)));
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    }
    let header = r#"{"w":{"dtype":"F32","shape":[1152921504606846976],"data_offsets":[0,0]}}"#;
    assert_eq!(refused(&safetensors(header, &[])).kind(), ErrorKind::Malformed);
    let mut npy = b"\x93NUMPY\x01\0\x60\0".to_vec();
    npy.extend(
        format!(
            "{:96}",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (1152921504606846976,)}"
        )
        .bytes(),
    );
    assert_eq!(refused(&npy).kind(), ErrorKind::Malformed);
    // An expanded scalar costs nothing in the file.
    let error = refused(&torch(&tensor_pickle(0, &[1 << 20, 1 << 10], &[0, 0])));
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
}

#[test]
fn safetensors_with_gaps_overlaps_or_tails_are_refused() {
    let one =
        |from: u64, to: u64| format!(r#"{{"w":{{"dtype":"F32","shape":[1],"data_offsets":[{from},{to}]}}}}"#);
    read_all(&safetensors(&one(0, 4), &[0; 4])).unwrap();
    for (header, bytes) in [
        (one(4, 8), 8),
        (one(0, 8), 8),
        (one(0, 4), 5),
        (one(0, 4), 3),
        (one(4, 0), 4),
    ] {
        assert_eq!(
            refused(&safetensors(&header, &vec![0; bytes])).kind(),
            ErrorKind::Malformed
        );
    }
    let overlap = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#;
    assert_eq!(
        refused(&safetensors(overlap, &[0; 6])).kind(),
        ErrorKind::Malformed
    );
    let twice = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    assert_eq!(refused(&safetensors(twice, &[0; 2])).kind(), ErrorKind::Name);
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert_eq!(refused(&safetensors(&deep, &[])).kind(), ErrorKind::Malformed);
}

#[test]
fn a_pickle_that_holds_itself_is_refused() {
    // A list, remembered, appended to itself.
    let error = refused(&torch(b"\x80\x02]q\0h\0a."));
    assert!(error.to_string().contains("inside itself"), "{error}");
    let error = refused(&torch(b"\x80\x02}q\0X\x01\0\0\0ah\0s."));
    assert!(error.to_string().contains("inside itself"), "{error}");
}

#[test]
fn pickles_that_grow_when_listed_are_refused() {
    // Sixty lists, each holding the one before twice: 2^60 values in a few hundred bytes.
    let mut pickle = b"\x80\x02]q\0".to_vec();
    for level in 0..60u8 {
        pickle.extend([b'0', b']', b'q', level + 1, b'h', level, b'a', b'h', level, b'a']);
    }
    pickle.push(b'.');
    assert_eq!(refused(&torch(&pickle)).kind(), ErrorKind::Limit);
    // The same with one long text.
    let mut pickle = b"\x80\x02X\0\0\x10\0".to_vec();
    pickle.extend(vec![b'x'; 1 << 20]);
    pickle.extend(b"q\0]");
    pickle.extend(b"h\0a".repeat(100_000));
    pickle.push(b'.');
    assert_eq!(refused(&torch(&pickle)).kind(), ErrorKind::Limit);
}

#[test]
fn deep_pickles_are_refused() {
    let mut lists = b"\x80\x02".to_vec();
    lists.extend(b"]".repeat(1000));
    lists.extend(b"a".repeat(999));
    lists.push(b'.');
    assert_eq!(refused(&torch(&lists)).kind(), ErrorKind::Limit);
    let mut marks = b"\x80\x02".to_vec();
    marks.extend(b"(".repeat(1_000_000));
    assert_eq!(refused(&torch(&marks)).kind(), ErrorKind::Limit);
    let mut values = b"\x80\x02".to_vec();
    values.extend(b"]".repeat(3_000_000));
    assert_eq!(refused(&torch(&values)).kind(), ErrorKind::Limit);
}

#[test]
fn nothing_in_a_pickle_is_run() {
    // What `pickle.loads` would hand to the shell.
    let checkpoint =
        Checkpoint::from_bytes("file", torch(b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R.")).unwrap();
    assert!(checkpoint.tensors().is_empty());
    assert_eq!(checkpoint.skipped()[0].what, "os.system");
}

#[test]
fn broken_pickles_are_refused_with_the_offset() {
    for pickle in [
        b"\x80\x02".as_slice(),
        b"\x80\x02.",
        b"\x80\x020.",
        b"\x80\x02h\x05.",
        b"\x80\x02t.",
        b"\x80\x02(K\x01d.",
        b"\x80\x02K\x01K\x02s.",
        b"\x80\x02\x8b\xff\xff\xff\xff.",
        b"\x80\x02X\xff\xff\xff\xffx.",
        b"\x80\x02\xff.",
    ] {
        let error = refused(&torch(pickle));
        assert_eq!(error.kind(), ErrorKind::Malformed, "{pickle:?}");
        assert!(error.place().contains("at byte"), "{error}");
    }
    assert_eq!(refused(&torch(b"\x80\x09N.")).kind(), ErrorKind::Unsupported);
    assert_eq!(refused(&torch(b"\x80\x05\x97.")).kind(), ErrorKind::Unsupported);
}

#[test]
fn a_missing_or_short_storage_is_refused() {
    let pickle = tensor_pickle(0, &[4], &[1]);
    for storage in [("a/data/1", &[0; 16][..]), ("a/data/0", &[0; 12])] {
        let error = refused(&archive(&[("a/data.pkl", &pickle), storage]));
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
        assert!(error.to_string().contains("storage a/data/0"), "{error}");
    }
}

#[test]
fn a_zip_bomb_is_not_inflated() {
    let member = |claimed: u32| {
        let mut packed = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        packed.write_all(&vec![0; 64 << 20]).unwrap();
        let packed = packed.finish().unwrap();
        let mut bytes = Vec::new();
        let sizes = [0u32, packed.len() as u32, claimed];
        let mut header = |signature: &[u8], made_by: &[u8], central: &[u8]| {
            bytes.extend(signature);
            bytes.extend(made_by);
            bytes.extend([20, 0, 0, 0, 8, 0, 0, 0, 0, 0]);
            sizes.iter().for_each(|size| bytes.extend(size.to_le_bytes()));
            bytes.extend([5, 0, 0, 0]);
            bytes.extend(central);
            bytes.extend(b"a.npy");
            if central.is_empty() {
                bytes.extend(&packed);
            }
            bytes.len() as u32
        };
        let start = header(b"PK\x03\x04", &[], &[]);
        let end = header(b"PK\x01\x02", &[20, 0], &[0; 14]);
        bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
        bytes.extend((end - start).to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    };
    // 64 MiB of zeroes are no array, whatever is claimed, and they are not unpacked to find that out.
    LARGEST.store(0, Ordering::Relaxed);
    for claimed in [1 << 10, 32 << 20, u32::MAX - 1] {
        let bytes = member(claimed);
        let error = Checkpoint::from_bytes("bomb", bytes).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    }
}

#[test]
fn members_that_share_bytes_are_refused() {
    let mut bytes = archive(&[("a.npy", b"same"), ("b.npy", b"more")]);
    // The second member's place in the directory becomes the first one's.
    let text = bytes
        .windows(4)
        .rposition(|bytes| bytes == b"PK\x01\x02")
        .unwrap();
    bytes[text + 42..text + 46].fill(0);
    let error = refused(&bytes);
    assert!(error.to_string().contains("overlap"), "{error}");
}

#[test]
fn hdf5_trees_that_hold_themselves_are_refused() {
    let whole = std::fs::read(fixture("old.h5")).unwrap();
    let trees: Vec<usize> = (0..whole.len() - 4)
        .filter(|&at| &whole[at..at + 4] == b"TREE")
        .collect();
    assert!(trees.len() >= 2, "{trees:?}");
    for at in trees {
        let mut bytes = whole.clone();
        // The node becomes an inner one whose children are all itself.
        bytes[at + 5] = 1;
        let group = bytes[at + 4] == 0;
        // Behind the head of 24 bytes: a key, a child, a key; a chunk's key has 8 bytes and 8 for each extent and one.
        let key = if group { 8 } else { 8 + 8 * 3 };
        bytes[at + 24 + key..at + 32 + key].copy_from_slice(&(at as u64).to_le_bytes());
        let error = refused(&bytes);
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    }
}

#[test]
fn every_truncation_is_refused_or_lists_less() {
    for name in fixtures() {
        let bytes = std::fs::read(fixture(&name)).unwrap();
        let step = (bytes.len() / 400).max(1);
        for end in (0..bytes.len()).step_by(step) {
            let _ = read_all(&bytes[..end]);
        }
        // A file that lost its last byte is never taken for whole, but for HDF5, which may end in unused space.
        if !name.ends_with(".h5") {
            read_all(&bytes[..bytes.len() - 1]).unwrap_err();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_never_panic(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), Just(0), Just(0xff)]), 1..6),
    ) {
        let names = fixtures();
        let mut bytes = std::fs::read(fixture(which.get::<String>(&names))).unwrap();
        for (at, value) in changes {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        let _ = read_all(&bytes);
    }
}
