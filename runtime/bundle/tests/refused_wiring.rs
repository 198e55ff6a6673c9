//! Lies about programs, stages, heads and names: each is an error that names its place.

mod fixture;

use fixture::{IMAGE, TEXT, refused};
use limbic_bundle::{ErrorKind, Manifest};

#[test]
fn tensors_that_do_not_fit_their_heads_are_refused() {
    let shape = ErrorKind::Shape;
    refused(
        IMAGE,
        &[("dims = [1, 8]", "dims = [1, 7]")],
        shape,
        &["heads (emotion)", "emotion_logits", "[1, 8]", "[1, 7]"],
    );
    refused(
        IMAGE,
        &[("\"ferplus8\"", "\"ravdess7\"")],
        ErrorKind::Reference,
        &["ravdess7", "ferplus8"],
    );
    refused(IMAGE, &[("\"ferplus8\"", "\"ekman7\"")], shape, &["ekman7"]);
    refused(
        IMAGE,
        &[("\"emotion_logits\"\nkind", "\"pixels\"\nkind")],
        ErrorKind::Reference,
        &["pixels", "emotion_logits"],
    );
    refused(
        IMAGE,
        &[("temperature = 1.5", "temperature = 0.0")],
        ErrorKind::Parameter,
        &["heads (emotion)", "temperature"],
    );
    refused(
        IMAGE,
        &[("thresholds = [0.5]", "thresholds = [0.5, 0.5]")],
        ErrorKind::Parameter,
        &["heads (face)"],
    );
    refused(
        IMAGE,
        &[("label = \"face\"", "label = \"cat\"")],
        ErrorKind::Reference,
        &["gates[0].label", "cat", "face"],
    );
    refused(
        IMAGE,
        &[("min_probability = 0.5", "min_probability = 1.5")],
        ErrorKind::Parameter,
        &["min_probability", "1.5"],
    );
}

#[test]
fn programs_are_consistent() {
    let shape = ErrorKind::Shape;
    refused(
        IMAGE,
        &[("dims = [1, 8]", "dims = [1, 0]")],
        shape,
        &["emotion_logits", "0"],
    );
    refused(
        IMAGE,
        &[("dims = [1, 8]", "dims = [65536, 65536]")],
        ErrorKind::Limit,
        &["emotion_logits"],
    );
    refused(
        IMAGE,
        &[("dims = [1, 8]", "dims = [1, 1, 1, 1, 1, 1, 1, 1, 8]")],
        ErrorKind::Limit,
        &["dims", "9"],
    );
    refused(
        IMAGE,
        &[("\"face_logit\", role", "\"emotion_logits\", role")],
        ErrorKind::Duplicate,
        &["emotion_logits"],
    );
    refused(
        IMAGE,
        &[("role = \"output\"", "role = \"state\"")],
        ErrorKind::Parameter,
        &["emotion_logits", "next"],
    );
    refused(
        TEXT,
        &[("min = 2", "min = 3")],
        shape,
        &["attention_mask", "L (3..=128)", "L (2..=128)"],
    );
    refused(
        TEXT,
        &[("{ L = 64 }", "{ L = 256 }")],
        ErrorKind::Parameter,
        &["buckets[1].L", "256"],
    );
    refused(
        TEXT,
        &[("{ L = 64 }", "{ M = 64 }")],
        ErrorKind::Reference,
        &["M", "L"],
    );
    refused(
        TEXT,
        &[("{ L = 16 }", "{ L = 80 }")],
        ErrorKind::Parameter,
        &["buckets[1]"],
    );
    refused(
        TEXT,
        &[("name = \"encode\"", "name = \"encode@64\"")],
        ErrorKind::Parameter,
        &["encode@64"],
    );
}

#[test]
fn every_name_refers_to_something() {
    let reference = ErrorKind::Reference;
    refused(
        IMAGE,
        &[("input = \"face\"", "input = \"voice\"")],
        reference,
        &["stages[0].input", "voice", "face"],
    );
    refused(
        IMAGE,
        &[("program = \"net\"\nsig", "program = \"nut\"\nsig")],
        reference,
        &["stages[1].program", "nut"],
    );
    refused(
        IMAGE,
        &[("signature = \"main\"", "signature = \"side\"")],
        reference,
        &["stages[1].signature", "side", "main"],
    );
    refused(
        IMAGE,
        &[("head = \"face\"\n\n[[heads]]", "head = \"fate\"\n\n[[heads]]")],
        reference,
        &["stages[3].head", "fate"],
    );
    refused(
        IMAGE,
        &[("head = \"face\"\nlabel", "head = \"fate\"\nlabel")],
        reference,
        &["gates[0].head", "fate"],
    );
    refused(
        IMAGE,
        &[("program = \"net\", format", "program = \"nut\", format")],
        reference,
        &["variants[0]", "nut"],
    );
    refused(
        IMAGE,
        &[("tensors = [\"pixels\"]", "tensors = [\"picture\"]")],
        reference,
        &["pixels", "picture"],
    );
    let face_stage = "[[stages]]\nkind = \"head\"\nhead = \"face\"\n";
    refused(
        IMAGE,
        &[(face_stage, "")],
        reference,
        &["a stage for head \"face\""],
    );
    refused(
        IMAGE,
        &[("head = \"face\"\n\n[[heads]]", "head = \"emotion\"\n\n[[heads]]")],
        ErrorKind::Duplicate,
        &["stages[3]"],
    );
    refused(
        IMAGE,
        &[("[[stages]]\nkind = \"preprocess\"\ninput = \"face\"\n", "")],
        reference,
        &["pixels"],
    );
    let twice = "[[heads]]\nname = \"emotion\"\ntensor = \"face_logit\"";
    refused(
        IMAGE,
        &[("[[heads]]\nname = \"face\"\ntensor = \"face_logit\"", twice)],
        ErrorKind::Duplicate,
        &["heads[1]", "emotion"],
    );
}

#[test]
fn entry_names_stay_inside_the_bundle() {
    for path in [
        "../graph.onnx",
        "/graph.onnx",
        "a//b",
        "a/./b",
        "",
        "a\\\\b",
        "gr\u{e4}ph.onnx",
        "manifest.json",
    ] {
        let to = format!("path = \"{path}\" }}]");
        refused(
            IMAGE,
            &[("path = \"graph.onnx\" }]", &to)],
            ErrorKind::EntryName,
            &[],
        );
    }
}

#[test]
fn values_can_be_renamed_between_stages() {
    let renamed = IMAGE
        .replace("tensors = [\"pixels\"]", "tensors = [\"picture\"]")
        .replace("signature = \"main\"", "signature = \"main\"\ninputs = { pixels = \"picture\" }\noutputs = { face_logit = \"face_logits\" }")
        .replace("tensor = \"face_logit\"", "tensor = \"face_logits\"");
    Manifest::from_toml(&renamed).unwrap();
    refused(
        &renamed,
        &[("{ pixels = ", "{ pixel = ")],
        ErrorKind::Reference,
        &["stages[1].inputs", "pixel"],
    );
}

#[test]
fn two_programs_pass_values_on_by_name() {
    let second = r#"
[[programs]]
name = "head"
[[programs.signatures]]
name = "main"
tensors = [
    { name = "emotion_logits", role = "input", dtype = "f32", dims = [1, 8] },
    { name = "h", role = "state", dtype = "f32", dims = [1, 16], next = "h_next" },
    { name = "sharpened", role = "output", dtype = "f32", dims = [1, 8] },
]
[[stages]]
kind = "preprocess"
"#;
    let toml = IMAGE
        .replacen("[[stages]]\nkind = \"preprocess\"\n", second, 1)
        .replacen("[[stages]]\nkind = \"head\"", "[[stages]]\nkind = \"program\"\nprogram = \"head\"\nsignature = \"main\"\n[[stages]]\nkind = \"head\"", 1)
        .replacen("tensor = \"emotion_logits\"", "tensor = \"sharpened\"", 1)
        .replacen("path = \"graph.onnx\" }]", "path = \"graph.onnx\" }, { program = \"head\", format = \"onnx\", path = \"vocab.txt\" }]", 1);
    Manifest::from_toml(&toml).unwrap();
    let input = "name = \"emotion_logits\", role = \"input\", dtype = \"f32\", dims = [1, 8]";
    refused(
        &toml,
        &[(
            input,
            "name = \"emotion_logits\", role = \"input\", dtype = \"f32\", dims = [1, 9]",
        )],
        ErrorKind::Shape,
        &["stages[2]", "[1, 8]", "[1, 9]"],
    );
    let missing = "{ program = \"head\", format = \"onnx\", path = \"vocab.txt\" }";
    refused(
        &toml,
        &[(missing, "")],
        ErrorKind::Reference,
        &["variants[0].entries", "head"],
    );
}
