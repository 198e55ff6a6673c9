//! The command line, as typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

/// Emotion and sentiment from text, sound and pictures, on your own machine.
#[derive(Debug, Parser)]
#[command(
    name = "limbic",
    version = env!("CARGO_PKG_VERSION"),
    long_version = crate::version::LONG.as_str(),
    arg_required_else_help = true,
    after_help = "Exit codes: 0 ok, 1 the check ran and said no, 2 usage or environment.\n\
                  stdout carries results, stderr progress and logs."
)]
pub struct Cli {
    /// Log more to stderr: -v what is loaded, -vv every step.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub verbose: u8,

    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the bundled models on the bundled samples of all three senses, then fuse the answers.
    Demo(Demo),
    /// Answer for texts, sound files and pictures; several senses are fused.
    Infer(Infer),
    /// Judge a bundle on labelled items and print its figures.
    Eval(Eval),
    /// Write the exact tensors a bundle's model gets, as a NumPy .npz.
    Preprocess(Preprocess),
    /// Show what a bundle holds (manifest, labels, preprocessing, operations, sizes, digests, licence, card), or a
    /// checkpoint (tensors, shapes, types, sizes, metadata).
    Inspect(Inspect),
    /// Put a model folder into one bundle file.
    Pack(Pack),
    /// Compile a bundle's networks for the engine and show the plans, step by step.
    Compile(Compile),
    /// Time a bundle's backends side by side, each in a process of its own.
    Bench(Bench),
    /// Time each step of a bundle's plan and say what share of the processor's peak it reaches.
    Profile(Profile),
    /// Run ONNX operator cases through a backend and count those that pass.
    Conformance(Conformance),
    /// Turn a trained checkpoint into a bundle, an ONNX file or a TFLite file.
    Convert(Convert),
    /// Compare two networks tensor by tensor.
    Compare(Compare),
    /// Quantize a bundle's network and prove that its answers hold.
    Quantize(Quantize),
    /// Print a completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

/// Which models answer, and how.
#[derive(Debug, Args)]
pub struct Models {
    /// Bundle to use; give one for each sense. Without it the three bundled models answer.
    #[arg(short, long, value_name = "FILE")]
    pub bundle: Vec<PathBuf>,

    /// Inference backend; it must be compiled in, see `limbic --version`.
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
}

/// `limbic demo`
#[derive(Debug, Args)]
pub struct Demo {
    /// Which models answer.
    #[command(flatten)]
    pub models: Models,

    /// One JSON event a line instead of the tables.
    #[arg(long)]
    pub json: bool,
}

/// `limbic infer`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    limbic infer --text \"What a lovely surprise!\"\n  \
    limbic infer --audio call.wav --timeline --json\n  \
    limbic infer --image portrait.jpg --region 40,30,180,180\n  \
    cat review.txt | limbic infer --text-file -")]
pub struct Infer {
    /// Text to read; may be given several times.
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub text: Vec<String>,

    /// File with a text in UTF-8, `-` for stdin; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub text_file: Vec<PathBuf>,

    /// WAV or FLAC file of any rate and channel count, `-` for stdin; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub audio: Vec<PathBuf>,

    /// PNG or JPEG file, `-` for stdin; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub image: Vec<PathBuf>,

    /// Where the face is in every picture: `x,y,width,height` in pixels, or `whole`. Without it the whole picture is
    /// taken for the face, and the answer says so.
    #[arg(long, value_name = "X,Y,W,H|whole")]
    pub region: Option<String>,

    /// For sound, print the event of every window before the file's summary.
    #[arg(long)]
    pub timeline: bool,

    /// Which models answer.
    #[command(flatten)]
    pub models: Models,

    /// One JSON event a line instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// `limbic eval`
#[derive(Debug, Args)]
#[command(
    after_help = "The CSV has a header line and a column `label` (several labels joined by `|`), and either\n  \
    input             a path relative to the CSV, or the text itself for a text model, or\n  \
    text,audio,image  any of the three for fused answers; an empty cell is a missing sense.\n\
    A column `region` (x,y,w,h or whole) says where the face is.\n\
    A `no_answer` counts as wrong. Rows that can't be read are listed and make the exit code 1."
)]
pub struct Eval {
    /// Bundle to judge; give one for each sense of a fused evaluation. Without it the bundled models are judged.
    #[arg(short, long, value_name = "FILE")]
    pub bundle: Vec<PathBuf>,

    /// Inference backend; it must be compiled in, see `limbic --version`.
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,

    /// CSV of labelled items.
    #[arg(short, long, value_name = "FILE")]
    pub data: PathBuf,

    /// Head to judge; without it the first whose labels hold all labels of the data. `emotion` and `sentiment` name the
    /// parts of a fused answer.
    #[arg(long, value_name = "NAME")]
    pub head: Option<String>,

    /// Let rows that can't be read pass without exit code 1; they are still listed and counted.
    #[arg(long)]
    pub skip_unreadable: bool,

    /// Judge at most this many rows, the first ones.
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,

    /// One JSON document instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// `limbic preprocess`
#[derive(Debug, Args)]
#[command(
    after_help = "The .npz has one array a model input tensor, rows stacked, and `row`: the 0-based number of the \
    input\neach row came from, as a long sound or text gives several windows. Text is padded to the model's window."
)]
pub struct Preprocess {
    /// Bundle, or the `model.toml` of a model that is not trained yet.
    #[arg(short, long, value_name = "FILE")]
    pub bundle: PathBuf,

    /// Sound files, pictures, or text files.
    #[arg(
        value_name = "INPUT",
        required_unless_present = "data",
        conflicts_with = "data"
    )]
    pub inputs: Vec<PathBuf>,

    /// CSV of items, as `limbic eval` reads it, instead of INPUT.
    #[arg(short, long, value_name = "FILE")]
    pub data: Option<PathBuf>,

    /// File to write.
    #[arg(short, long, value_name = "FILE.npz")]
    pub output: PathBuf,

    /// Where the face is in every picture, as for `limbic infer`.
    #[arg(long, value_name = "X,Y,W,H|whole")]
    pub region: Option<String>,

    /// What to do with items that a gate would answer with `no_answer`.
    #[arg(long, value_enum, default_value_t = Gated::Keep)]
    pub gated: Gated,

    /// Let inputs that can't be read pass without exit code 1; they are still listed and counted.
    #[arg(long)]
    pub skip_unreadable: bool,
}

/// What `preprocess` does with items without speech.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Gated {
    /// Write their tensors like any other.
    Keep,
    /// Leave them out and count them.
    Drop,
}

/// `limbic inspect`
#[derive(Debug, Args)]
pub struct Inspect {
    /// Bundle, ONNX or TFLite file, or checkpoint to show.
    #[arg(value_name = "BUNDLE|GRAPH|CHECKPOINT")]
    pub file: PathBuf,

    /// One JSON document instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// `limbic pack`
#[derive(Debug, Args)]
pub struct Pack {
    /// The `model.toml` of a model folder.
    pub model: PathBuf,

    /// Bundle file to write.
    #[arg(short, long, value_name = "FILE.limbic")]
    pub output: PathBuf,
}

/// `limbic compile`
#[derive(Debug, Args)]
#[command(
    after_help = "Plans are made of the quantized variants of a bundle, and of its float one where none is \
    quantized. A plan serves one signature at one size; its weights lie in packs that all sizes share. `pack`, \
    `convert` and `quantize` compile as well; this command shows what came of it, and -o compiles a bundle anew \
    with this release."
)]
pub struct Compile {
    /// Bundle whose networks are compiled.
    pub bundle: PathBuf,

    /// Bundle file to write, with the plans in place of those it has.
    #[arg(short, long, value_name = "FILE.limbic")]
    pub output: Option<PathBuf>,

    /// Leave out the graphs that other backends may do without; the bundle's identity stays the same.
    #[arg(long, requires = "output")]
    pub thin: bool,

    /// Print one JSON object a plan.
    #[arg(long)]
    pub json: bool,
}

/// `limbic bench`
#[derive(Debug, Args)]
#[command(
    after_help = "The processes take turns, a round each, so that a slow minute of the machine meets all of \
    them. Inputs are made up; times do not depend on them. Example:\n\n  \
    limbic bench --bundle models/face-small/face-small.limbic --backend engine,engine@scalar"
)]
pub struct Bench {
    /// Bundle to run.
    #[arg(long, value_name = "FILE.limbic")]
    pub bundle: PathBuf,

    /// Backends, by comma: those of the bundle without it. `engine@scalar` forces a lower instruction set.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub backend: Vec<String>,

    /// Concrete signature to run, such as `encode@64`; the last without it.
    #[arg(long, value_name = "NAME")]
    pub signature: Option<String>,

    /// Runs in a round.
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub runs: usize,

    /// Rounds.
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub rounds: usize,

    /// Threads of a run.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub threads: usize,

    /// Print one JSON object a backend.
    #[arg(long)]
    pub json: bool,

    /// Measure this backend here, told by the standard input.
    #[arg(long, hide = true, value_name = "NAME")]
    pub measure: Option<String>,
}

/// `limbic profile`
#[derive(Debug, Args)]
pub struct Profile {
    /// Bundle with plans.
    pub bundle: PathBuf,

    /// Concrete signature to run, such as `encode@64`; the last without it.
    #[arg(long, value_name = "NAME")]
    pub signature: Option<String>,

    /// Highest instruction set to use.
    #[arg(long, value_name = "NAME")]
    pub tier: Option<String>,

    /// Runs of each step.
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub runs: usize,

    /// Print one JSON object a step.
    #[arg(long)]
    pub json: bool,
}

/// `limbic conformance`
#[derive(Debug, Args)]
#[command(
    after_help = "A case is a folder with model.onnx and test_data_set_N/{input,output}_M.pb, as the ONNX project \
    publishes them.\nInputs that only say a shape or an attribute are bound as constants. Integers and truth values \
    must be equal;\nfloats may differ by 1e-7 + 1e-3 of the expected number, f16 by 1e-3 + 2e-3, bf16 by 1e-2 + 1.6e-2.\n\
    Exit code 1 if a case failed or broke off; unsupported cases are no failure."
)]
pub struct Conformance {
    /// Zip archive or folder of cases.
    #[arg(value_name = "CASES.zip|DIR")]
    pub cases: PathBuf,

    /// What runs them.
    #[arg(long, value_name = "NAME", default_value = "interpreter")]
    pub backend: String,

    /// Run only cases whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,

    /// One JSON object a case, then one with the counts, instead of text.
    #[arg(long)]
    pub json: bool,
}

/// `limbic convert`
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    a PyTorch state dict whose layers a file describes, compared with what PyTorch answered\n    \
    limbic convert net.safetensors --arch net.toml --golden golden.npz -o net.limbic\n  \
    an ONNX file, its free sizes bound, with preprocessing and labels\n    \
    limbic convert net.onnx --input pixels:1x3x64x64 --preprocess steps.toml --labels labels.txt -o net.limbic\n  \
    a TFLite or Keras file\n    \
    limbic convert net.tflite --golden golden.npz -o net.limbic\n\n\
    docs/convert.md explains each, and the layers of --arch FILE.toml.\n\
    Exit code 1: the golden outputs are not met; nothing is written.")]
pub struct Convert {
    /// Checkpoint: safetensors, PyTorch (.pt, .pth, .th, TorchScript), npz, Keras HDF5, TensorFlow, llama2.c; or a graph:
    /// ONNX, TFLite. Several files are one checkpoint in parts.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Architecture of a state dict: a name, or a TOML file of layers. Without it names and shapes decide.
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub arch: Option<String>,

    /// What stands before the architecture's names in the checkpoint, where it holds several state dicts.
    #[arg(long, value_name = "PREFIX")]
    pub prefix: Option<String>,

    /// `config.json` of the checkpoint; without it the one beside the checkpoint.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// Size of an input (`pixels:1x3x64x64`), or its fixed value (`sr=16000`); may be given several times.
    #[arg(long, value_name = "NAME:SHAPE|NAME=VALUE")]
    pub input: Vec<String>,

    /// State: an input and the output that becomes it in the next run. Pairs such as `state` and `stateN` are found by
    /// name.
    #[arg(long, value_name = "INPUT:OUTPUT")]
    pub state: Vec<String>,

    /// Preprocessing, heads and words about the model, with the keys of a `model.toml`; what it leaves out is filled in.
    #[arg(long, value_name = "FILE.toml")]
    pub preprocess: Option<PathBuf>,

    /// Labels of the first output: a file with one a line, or the name of a known label space.
    #[arg(long, value_name = "FILE|NAME")]
    pub labels: Option<String>,

    /// Inputs and outputs saved in the training framework, one array a tensor; they are compared and travel in the
    /// bundle.
    #[arg(long, value_name = "FILE.npz")]
    pub golden: Option<PathBuf>,

    /// Largest difference from the golden outputs, as a share of the largest of them.
    #[arg(long, value_name = "SHARE", default_value_t = 1e-4)]
    pub tolerance: f32,

    /// File to write: a bundle, or by its suffix `.onnx` or `.tflite`.
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,

    /// One JSON document instead of tables.
    #[arg(long)]
    pub json: bool,
}

/// `limbic quantize`
#[derive(Debug, Args)]
#[command(
    after_help = "The CSVs are those of `limbic eval`. Ranges come from --calib, choices, temperature and thresholds \
    from\n--tune, and --eval says whether the answers hold; --data is split into the three by digest.\n\
    A recipe is TOML: scheme, methods, options, float, block, sensitivity_inputs, [limits], [calibrators].\n\
    Exit code 1, and nothing written, where the answers on the eval set are not within the limits."
)]
pub struct Quantize {
    /// Bundle of the float network.
    pub bundle: PathBuf,

    /// Items whose tensors give the ranges; labels are not needed.
    #[arg(long, value_name = "FILE")]
    pub calib: Option<PathBuf>,

    /// Labelled items that choices are made on.
    #[arg(long, value_name = "FILE")]
    pub tune: Option<PathBuf>,

    /// Labelled items that judge the result, used for nothing else.
    #[arg(long, value_name = "FILE")]
    pub eval: Option<PathBuf>,

    /// One file of labelled items, split by digest, instead of the three.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["calib", "tune", "eval"])]
    pub data: Option<PathBuf>,

    /// Board to choose the scheme for: a name such as raspberry-pi-5, or a file that describes one.
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub board: Option<String>,

    /// Scheme: int8, int8-symmetric, dynamic, mixed, weights-int8, weights-int4 or f16; without it chosen by the
    /// board or the architecture.
    #[arg(long, value_name = "NAME")]
    pub scheme: Option<String>,

    /// Points of the metric that may be lost; 0.5 without it.
    #[arg(long, value_name = "POINTS")]
    pub max_drop: Option<f64>,

    /// Metric that is watched; without it accuracy, or macro F1 for a multi-label head.
    #[arg(long, value_enum)]
    pub metric: Option<QuantizeMetric>,

    /// Head that is judged; without it the first whose labels hold all labels of the data.
    #[arg(long, value_name = "NAME")]
    pub head: Option<String>,

    /// Recipe to follow; the command line comes before it.
    #[arg(long, value_name = "FILE.toml")]
    pub recipe: Option<PathBuf>,

    /// Calibration table to use instead of calibrating.
    #[arg(long, value_name = "FILE.txt")]
    pub table: Option<PathBuf>,

    /// Most items of the calibration set, the first ones.
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub calib_items: usize,

    /// Most items of the tune set and of the eval set, the first ones.
    #[arg(long, value_name = "N", default_value_t = usize::MAX, hide_default_value = true)]
    pub limit: usize,

    /// Write the calibration table here too.
    #[arg(long, value_name = "FILE.txt")]
    pub write_table: Option<PathBuf>,

    /// Write the quantized network as ONNX here too.
    #[arg(long, value_name = "FILE.onnx")]
    pub onnx: Option<PathBuf>,

    /// Write the quantized network as TFLite here too.
    #[arg(long, value_name = "FILE.tflite")]
    pub tflite: Option<PathBuf>,

    /// Bundle file to write.
    #[arg(short, long, value_name = "FILE.limbic")]
    pub output: PathBuf,

    /// Print the report as JSON.
    #[arg(long)]
    pub json: bool,
}

/// Metric that `quantize` watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum QuantizeMetric {
    /// Share of right answers.
    Accuracy,
    /// Mean recall over the labels.
    Uar,
    /// Mean F1 over the labels.
    MacroF1,
    /// F1 over all label decisions.
    MicroF1,
}

/// `limbic compare`
#[derive(Debug, Args)]
#[command(
    after_help = "A and B are bundles (FILE.limbic#VARIANT for another than the first variant), ONNX or TFLite files,\n\
    or a .npz of recorded tensors; networks run on the reference interpreter. Tensors are matched by name and size.\n\
    Without --data they run on the recorded inputs of a .npz, or on noise.\n\
    Exit code 1 where a tensor diverges or holds NaN or an infinity."
)]
pub struct Compare {
    /// What is taken for right.
    pub a: PathBuf,

    /// What is compared with it.
    pub b: PathBuf,

    /// CSV of items that a bundle's preprocessing makes inputs of.
    #[arg(short, long, value_name = "FILE")]
    pub data: Option<PathBuf>,

    /// Most inputs, the first ones.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub limit: usize,

    /// Least signal-to-noise ratio, in decibels, of a tensor that does not diverge.
    #[arg(long, value_name = "DB", default_value_t = 20.0)]
    pub least_snr: f64,

    /// Print the result as JSON.
    #[arg(long)]
    pub json: bool,
}
