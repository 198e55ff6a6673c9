//! Commands that take graphs in: converting, quantizing, comparing.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

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

    /// What runs them: interpreter, engine, or a backend that is compiled in, such as tract or ort.
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

    /// Items whose tensors give the ranges; labels are not needed. May be given several times, as --tune and --eval
    /// may: each a CSV as for `eval`, or a .npz of tensors as `preprocess` writes it.
    #[arg(long, value_name = "FILE")]
    pub calib: Vec<PathBuf>,

    /// Items that choices are made on.
    #[arg(long, value_name = "FILE")]
    pub tune: Vec<PathBuf>,

    /// Items that judge the result, used for nothing else. A set judges the heads that have its labels; without labels
    /// it judges by equal answers alone.
    #[arg(long, value_name = "FILE")]
    pub eval: Vec<PathBuf>,

    /// One file of items, split by digest, instead of the three uses.
    #[arg(short, long, value_name = "FILE", conflicts_with_all = ["calib", "tune", "eval"])]
    pub data: Option<PathBuf>,

    /// Board to choose the scheme for: a name such as raspberry-pi-5 (`limbic boards` lists them), a file that describes
    /// one, or `auto` for the board that this machine is.
    #[arg(long, value_name = "NAME|FILE.toml|auto")]
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

    /// The only head that is judged; without it every head that a set has labels of, and those of gates.
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
    after_help = "A and B are bundles, ONNX or TFLite files, or a .npz of recorded tensors. Networks run on the reference\n\
    interpreter; FILE.limbic#VARIANT names another than the first variant, FILE.limbic@BACKEND runs a bundle on a\n\
    backend that is compiled in (`limbic --version`), of which the outputs are seen. Tensors are matched by name and size.\n\
    Without --data they run on the recorded inputs of a .npz, one run for each row, or on noise.\n\
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
