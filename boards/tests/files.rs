//! Every board's file is sound, and a file that is not is refused by name.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use limbic_boards::{Board, Precision, Runtime};

#[test]
fn every_board_has_the_name_of_its_file_and_arithmetic_that_it_has() {
    for name in Board::names() {
        let board = Board::by_name(name).unwrap();
        assert_eq!(board.name, name);
        let runtime = board.accelerator.as_ref().map(|accelerator| accelerator.runtime);
        let precisions = [board.precision.convolutions, board.precision.transformers];
        // TensorRT has no zero points, and processors need none of its limits.
        let expected = match runtime {
            Some(Runtime::Tensorrt) => [Precision::Int8Symmetric, Precision::F16],
            None => [Precision::Int8, Precision::Dynamic],
        };
        assert!(
            precisions.iter().all(|p| expected.contains(p)),
            "{name}: {precisions:?}"
        );
    }
}

/// A board's file with one line replaced is refused with these words.
#[track_caller]
fn check_refused(line: &str, other: &str, words: &[&str]) {
    let text = include_str!("../raspberry-pi-5.toml");
    assert!(text.contains(line));
    let error = Board::parse(&text.replace(line, other)).unwrap_err().to_string();
    for word in words {
        assert!(error.contains(word), "no `{word}` in:\n{error}");
    }
}

#[test]
fn unknown_keys_and_values_out_of_range_are_refused_by_name() {
    check_refused("threads = 4", "threads = 4\nfans = 1", &["fans", "unknown field"]);
    check_refused("threads = 4", "threads = 5", &["threads", "1 to 4", "5"]);
    check_refused("cores = 4", "cores = 0", &["chip.cores", "0"]);
    check_refused("\"fp16\"", "\"neon\"", &["chip.features", "neon"]);
    check_refused("\"dynamic\"", "\"int3\"", &["int3", "int8-symmetric"]);
    check_refused(
        "name = \"raspberry-pi-5\"",
        "name = \"../pi\"",
        &["name", "../pi"],
    );
    check_refused("name = \"raspberry-pi-5\"", "", &["missing field `name`"]);
    let error = Board::by_name("abacus").unwrap_err().to_string();
    assert!(
        error.contains("abacus") && error.contains("jetson-nano"),
        "{error}"
    );
}
