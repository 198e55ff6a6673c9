//! The command line, as typed.

mod graph;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

pub use graph::{Compare, Conformance, Convert, Quantize, QuantizeMetric};

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

    /// ONNX Runtime's library, in place of the one that ORT_DYLIB_PATH names.
    #[cfg(feature = "ort")]
    #[arg(long, value_name = "FILE", global = true)]
    pub onnx_runtime: Option<PathBuf>,

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
    /// Load a bundle on a backend and run every signature once, so that what the backend builds or caches is there.
    Warm(Warm),
    /// List the boards that `quantize --board` knows, and say which one this machine is.
    Boards(Boards),
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

    /// Inference backend; it must be compiled in, see `limbic --version`. `engine@scalar` is the engine on a lower
    /// instruction set; `ort@cuda` needs that provider, `ort@cuda+cpu` lets the second stand in for it.
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,

    /// Threads of a network's run at most; answers are the same. Those that would not make it shorter are not started.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub threads: usize,
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

    /// Make flatbuffers for TensorFlow Lite of the same variants too, one for each signature.
    #[arg(long)]
    pub tflite: bool,

    /// Put this card in place of the bundle's: figures are known only when a bundle was judged.
    #[arg(long, value_name = "F.md", requires = "output")]
    pub card: Option<PathBuf>,

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

    /// Backends, by comma: those of the bundle without it. `engine@scalar` forces a lower instruction set,
    /// `ort#onnx-f16w` another variant than the backend's own.
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

    /// Threads of a run at most, by comma: each backend is measured with each number. The engine uses no more than this
    /// process may at a time, and one where more would not make a run shorter.
    #[arg(long, default_value = "1", value_name = "N", value_delimiter = ',')]
    pub threads: Vec<usize>,

    /// Print one JSON object a measurement.
    #[arg(long)]
    pub json: bool,

    /// Measure this backend here, told by the standard input.
    #[arg(long, hide = true, value_name = "NAME")]
    pub measure: Option<String>,
}

/// `limbic warm`
#[derive(Debug, Args)]
#[command(
    after_help = "TensorRT builds an engine for each network, which takes minutes on a small board; `warm` does it \
    ahead of the\nfirst answer. What it built is kept below $LIMBIC_CACHE, $XDG_CACHE_HOME or ~/.cache in \
    limbic/tensorrt, for this network,\nlibrary, driver and chip. Example:\n\n  \
    limbic warm models/face-small/face-small.limbic --backend ort@tensorrt"
)]
pub struct Warm {
    /// Bundle to load.
    pub bundle: PathBuf,

    /// Backend: `NAME`, `NAME@PROVIDER` or `NAME#VARIANT`; without it the first of the bundle's that is compiled in.
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,

    /// Print one JSON object a signature.
    #[arg(long)]
    pub json: bool,
}

/// `limbic boards`
#[derive(Debug, Args)]
pub struct Boards {
    /// Print one JSON object a board.
    #[arg(long)]
    pub json: bool,
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
