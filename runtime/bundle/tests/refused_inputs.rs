//! Lies about steps, parameters and what preprocessing gives: each is an error that names its place.

mod fixture;

use fixture::{AUDIO, IMAGE, TEXT, refused};
use limbic_bundle::ErrorKind;

#[test]
fn unknown_things_are_refused_by_name_with_what_is_known() {
    let unknown = ErrorKind::UnknownStep;
    refused(
        IMAGE,
        &[("grey@1", "grey@2")],
        unknown,
        &["inputs[0].steps[1]", "grey@2", "grey@1", "token_window@1"],
    );
    refused(IMAGE, &[("layout@1", "sharpen@1")], unknown, &["sharpen@1"]);
    let unsupported = ErrorKind::Unsupported;
    let ring = "kind = \"ring\"\ntensor = \"x\"\nlength = 16";
    refused(
        IMAGE,
        &[("kind = \"preprocess\"", ring)],
        unsupported,
        &["stages[0].kind", "ring", "preprocess, program, head"],
    );
    refused(
        IMAGE,
        &[("kind = \"preprocess\"", "kind = \"host\"")],
        unsupported,
        &["host"],
    );
    refused(
        IMAGE,
        &[("kind = \"softmax\"", "kind = \"embedding\"")],
        unsupported,
        &["heads[0].kind", "embedding"],
    );
    let verbaliser = "kind = { verbaliser = { token_ids = [1] } }";
    refused(
        IMAGE,
        &[("kind = \"softmax\"", verbaliser)],
        unsupported,
        &["verbaliser", "cosine"],
    );
    refused(
        IMAGE,
        &[("head_probability@1", "weather@1")],
        unsupported,
        &["gates[0].gate", "weather@1"],
    );
    let syntax = ErrorKind::Syntax;
    refused(
        IMAGE,
        &[("margin = 0.1", "margin = 0.1, colour = 1")],
        syntax,
        &["colour"],
    );
    refused(IMAGE, &[("margin = 0.1", "")], syntax, &["margin"]);
    refused(IMAGE, &[("version = ", "edition = ")], syntax, &["edition"]);
    refused(
        IMAGE,
        &[("input = \"face\"", "input = \"face\"\noutput = \"x\"")],
        syntax,
        &["output"],
    );
    refused(
        IMAGE,
        &[("reason = \"no_face\"", "reason = \"bad_mood\"")],
        syntax,
        &["bad_mood", "no_face"],
    );
    refused(
        IMAGE,
        &[("precision = \"f32\"", "precision = \"f33\"")],
        syntax,
        &["f33", "f16_weights"],
    );
    refused(IMAGE, &[("format = 1", "format = \"one\"")], syntax, &["format"]);
    let listed = "[[entries]]\npath = \"a\"\nsha256 = \"b\"\nbytes = 1\n[[variants]]";
    refused(IMAGE, &[("[[variants]]", listed)], syntax, &["entries"]);
}

#[test]
fn a_newer_format_is_told_from_a_wrong_one() {
    refused(
        IMAGE,
        &[("format = 1", "format = 2")],
        ErrorKind::NewerFormat,
        &["format 2", "(1)", "update limbic"],
    );
    refused(
        IMAGE,
        &[("format = 1", "format = 0")],
        ErrorKind::Syntax,
        &["format"],
    );
    refused(
        IMAGE,
        &[("format = 1", "format = 9\nfuture = true")],
        ErrorKind::NewerFormat,
        &["format 9"],
    );
}

#[test]
fn shapes_that_preprocessing_does_not_give_are_refused() {
    let shape = ErrorKind::Shape;
    refused(
        IMAGE,
        &[("width = 48", "width = 64")],
        shape,
        &["tensor pixels", "[1, 1, 40, 64]", "[1, 1, 40, 48]"],
    );
    let colour = "{ step = \"grey@1\", weights = \"itu601_pil\" },";
    refused(
        IMAGE,
        &[(colour, "")],
        shape,
        &["[1, 3, 40, 48]", "[1, 1, 40, 48]"],
    );
    refused(
        IMAGE,
        &[("order = \"nchw\"", "order = \"nhwc\"")],
        shape,
        &["layout nhwc", "nchw"],
    );
    refused(
        IMAGE,
        &[(
            "role = \"input\", dtype = \"f32\"",
            "role = \"input\", dtype = \"u8\"",
        )],
        shape,
        &["f32", "u8"],
    );
    refused(
        AUDIO,
        &[("297, 64", "298, 64")],
        shape,
        &["features", "297, 64", "298, 64"],
    );
    refused(AUDIO, &[("mels = 64", "mels = 80")], shape, &["297, 80"]);
    refused(
        AUDIO,
        &[("length_ms = 3000", "length_ms = 2990")],
        shape,
        &["296, 64"],
    );
    refused(
        AUDIO,
        &[("[1, 1, 297, 64]", "[2, 1, 297, 64]")],
        shape,
        &["[2, 1, 297, 64]"],
    );
    refused(
        AUDIO,
        &[
            ("length_ms = 3000", "length_ms = 20"),
            ("min_ms = 500", "min_ms = 10"),
        ],
        shape,
        &["512", "320"],
    );
    refused(
        AUDIO,
        &[("sample_rate_hz = 16000", "sample_rate_hz = 8000")],
        shape,
        &["16000", "8000", "resample@1"],
    );
    refused(
        TEXT,
        &[("length = 64", "length = 65")],
        shape,
        &["token_ids", "up to 65", "2 buckets"],
    );
    refused(
        TEXT,
        &[("dtype = \"i64\"", "dtype = \"i32\"")],
        shape,
        &["i64", "i32"],
    );
    let scale = "mean = [0.5, 0.5]";
    refused(IMAGE, &[("mean = [0.5]", scale)], shape, &["scale@1 mean", "2"]);
}

#[test]
fn steps_stand_in_their_order_and_fit_their_modality() {
    let order = ErrorKind::StepOrder;
    refused(
        IMAGE,
        &[(
            "step = \"grey@1\", weights = \"itu601_pil\"",
            "step = \"mono@1\", mix = \"mean\"",
        )],
        order,
        &["mono@1", "image"],
    );
    let (crop, grey) = (
        "{ step = \"crop@1\", margin = 0.1 },",
        "{ step = \"grey@1\", weights = \"itu601_pil\" },",
    );
    refused(
        IMAGE,
        &[(crop, ""), (grey, "GREY CROP"), ("GREY", grey), ("CROP", crop)],
        order,
        &["steps[1]", "crop@1"],
    );
    refused(IMAGE, &[(crop, grey)], order, &["steps[1]", "grey@1"]);
    refused(
        IMAGE,
        &[("    { step = \"layout@1\", order = \"nchw\" },\n", "")],
        order,
        &["layout@1"],
    );
    let resample = "step = \"resample@1\"\nrate_hz = 16000\nzero_crossings = 6\nrolloff = 0.99\nwindow = \"hann\"\n[[inputs.steps]]\n";
    refused(AUDIO, &[(resample, "")], order, &["resample@1"]);
    refused(
        TEXT,
        &[(
            "tensors = [\"token_ids\", \"attention_mask\"]",
            "tensors = [\"token_ids\"]",
        )],
        ErrorKind::Shape,
        &["inputs[0].tensors", "2"],
    );
}

/// A speech gate between resampling and windows.
const GATE: &str = "rolloff = 0.99
window = \"hann\"
[[inputs.steps]]
step = \"speech_gate@1\"
sample_rate_hz = 16000
frame_ms = 64
hop_ms = 16
min_level_dbfs = -65.0
min_pitch_hz = 60.0
max_pitch_hz = 600.0
min_periodicity = 0.4
max_tone_share = 0.95
min_speech_ms = 160
min_spectral_change_db = 2.5
min_level_spread_db = 2.5
";

#[test]
fn a_speech_gate_is_checked_like_any_step() {
    let gated = AUDIO.replacen("rolloff = 0.99\nwindow = \"hann\"\n", GATE, 1);
    limbic_bundle::Manifest::from_toml(&gated).unwrap();
    refused(
        &gated,
        &[("sample_rate_hz = 16000", "sample_rate_hz = 8000")],
        ErrorKind::Shape,
        &["speech_gate@1", "8000"],
    );
    refused(
        &gated,
        &[("min_periodicity = 0.4", "min_periodicity = 4.0")],
        ErrorKind::Parameter,
        &["inputs[0].steps[2]", "min_periodicity"],
    );
    refused(
        &gated,
        &[("hop_ms = 16", "hop_ms = 0")],
        ErrorKind::Parameter,
        &["hop_ms"],
    );
}

#[test]
fn parameters_out_of_range_are_refused() {
    let parameter = ErrorKind::Parameter;
    refused(
        IMAGE,
        &[("width = 48", "width = 0")],
        parameter,
        &["resize@1 width", "0"],
    );
    refused(
        IMAGE,
        &[("width = 48", "width = 1000000000")],
        parameter,
        &["resize@1 width"],
    );
    refused(
        IMAGE,
        &[("margin = 0.1", "margin = nan")],
        parameter,
        &["crop@1 margin", "NaN"],
    );
    refused(
        IMAGE,
        &[("std = [0.25]", "std = [0.0]")],
        parameter,
        &["scale@1 std"],
    );
    refused(
        AUDIO,
        &[("fft_size = 512", "fft_size = 2000000000")],
        parameter,
        &["log_mel@1 fft_size"],
    );
    refused(
        AUDIO,
        &[("rate_hz = 16000", "rate_hz = 10")],
        parameter,
        &["resample@1 rate_hz"],
    );
    refused(
        AUDIO,
        &[("length_ms = 3000", "length_ms = 4000000000")],
        parameter,
        &["window@1 length_ms"],
    );
    refused(
        AUDIO,
        &[("min_std = 0.1", "min_std = 0.0")],
        parameter,
        &["min_std"],
    );
    refused(
        TEXT,
        &[("stride = 62", "stride = 63")],
        parameter,
        &["stride", "62"],
    );
    refused(
        TEXT,
        &[("length = 64", "length = 2")],
        parameter,
        &["token_window@1 length"],
    );
    refused(
        TEXT,
        &[("max_share = 0.5", "max_share = -0.5")],
        parameter,
        &["max_share"],
    );
    refused(
        TEXT,
        &[("\"mean_logits_by_tokens\"", "\"none\"")],
        parameter,
        &["pooling"],
    );
    refused(
        AUDIO,
        &[("\"mean_logits\"", "\"mean_logits_by_tokens\"")],
        parameter,
        &["pooling"],
    );
    refused(IMAGE, &[("\"none\"", "\"mean_logits\"")], parameter, &["pooling"]);
    refused(
        IMAGE,
        &[("name = \"tiny-face\"", "name = \"Tiny Face\"")],
        parameter,
        &["Tiny Face"],
    );
    refused(
        IMAGE,
        &[("license = \"MIT\"", "license = \" \"")],
        parameter,
        &["license"],
    );
}
