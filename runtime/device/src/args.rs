//! The command line.

use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};
use limbic_capture::InputUri;

/// What `--help` prints.
pub const HELP: &str = "\
limbicd: emotion and sentiment events from live inputs, one JSON object a line on stdout

Usage: limbicd run [OPTIONS]

Options:
  -i, --input URI      Input to run on; may be given several times [default: text:-]
                         replay:FILE       a sound, picture or text file, as if live
                         text:-            lines of standard input
                         mic:default       the default microphone (feature mic)
                         mic:NAME          a microphone by its name (feature mic)
                         v4l2:/dev/videoN  a camera (feature camera)
  -b, --bundle FILE    Bundle to use; one for each sense. Without it, the .limbic files of the first of these folders
                       that has any: $LIMBIC_BUNDLES, `bundles` beside the program, /usr/share/limbic/bundles,
                       and the folders below `models` in the current folder
      --backend NAME   Inference backend; required once named. With feature ort: `ort`, `ort@cuda`, `ort@tensorrt`, and
                       `ort@cuda+cpu` where the second may stand in for the first
      --threads N      Threads of a network's run at most; those that would not make it shorter are not started
                       [default: 1]
      --onnx-runtime FILE  ONNX Runtime's library, in place of the one in $ORT_DYLIB_PATH (feature ort)
      --pace PACE      How fast a file is replayed: `real` as it would come live, `fast` without waiting [default: real]
      --fuse-ms N      Fuse answers of different senses that came within N ms of each other; 0 never [default: 5000]
  -v, --verbose        Log what is loaded to stderr; -vv more
  -h, --help           Print this
  -V, --version        Print version, features and backends

Runs until every input has ended, or until SIGTERM or SIGINT; both end sound streams with their summary.
Exit codes: 0 ok, 2 usage or environment (an input that can't be opened or breaks, a bundle that is not sound).
";

/// What was asked for.
#[derive(Debug)]
pub enum Command {
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// `run`.
    Run(Options),
}

/// Options of `run`.
#[derive(Debug)]
pub struct Options {
    /// Inputs, at least one.
    pub inputs: Vec<InputUri>,
    /// Bundles; empty to look for them.
    pub bundles: Vec<PathBuf>,
    /// Backend that the user named.
    pub backend: Option<String>,
    /// Threads of a network's run at most.
    pub threads: usize,
    /// ONNX Runtime's library that the user named.
    #[cfg(feature = "ort")]
    pub onnx_runtime: Option<PathBuf>,
    /// Whether a replay waits as if live.
    pub paced: bool,
    /// Most time between answers that are fused, in milliseconds.
    pub fuse_ms: u64,
    /// Number of `-v`.
    pub verbose: u8,
}

/// Reads the command line.
pub fn parse(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut options = Options {
        inputs: Vec::new(),
        bundles: Vec::new(),
        backend: None,
        threads: 1,
        #[cfg(feature = "ort")]
        onnx_runtime: None,
        paced: true,
        fuse_ms: 5000,
        verbose: 0,
    };
    let mut run = false;
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            Arg::Short('v') | Arg::Long("verbose") => options.verbose = options.verbose.saturating_add(1),
            Arg::Short('i') | Arg::Long("input") => {
                let uri = parser.value()?.string()?;
                options
                    .inputs
                    .push(InputUri::parse(&uri).map_err(|error| lexopt::Error::Custom(error.into()))?);
            }
            Arg::Short('b') | Arg::Long("bundle") => options.bundles.push(parser.value()?.into()),
            Arg::Long("backend") => options.backend = Some(parser.value()?.string()?),
            #[cfg(feature = "ort")]
            Arg::Long("onnx-runtime") => options.onnx_runtime = Some(parser.value()?.into()),
            Arg::Long("threads") => options.threads = parser.value()?.parse()?,
            Arg::Long("fuse-ms") => options.fuse_ms = parser.value()?.parse()?,
            Arg::Long("pace") => {
                let pace = parser.value()?.string()?;
                options.paced = match pace.as_str() {
                    "real" => true,
                    "fast" => false,
                    _ => return Err(format!("--pace is `real` or `fast`, not `{pace}`").into()),
                };
            }
            Arg::Value(word) if !run && word == "run" => run = true,
            other => return Err(other.unexpected()),
        }
    }
    if !run {
        return Err("no command; there is `run`".into());
    }
    if options.inputs.is_empty() {
        options.inputs.push(InputUri::StandardInput);
    }
    Ok(Command::Run(options))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Command, String> {
        parse(Parser::from_args(args)).map_err(|error| error.to_string())
    }

    #[test]
    fn run_without_inputs_reads_lines() {
        let Ok(Command::Run(options)) = parsed(&["run", "-b", "a.limbic", "--pace=fast"]) else {
            panic!("run")
        };
        assert_eq!(options.inputs, [InputUri::StandardInput]);
        assert!(!options.paced);
        assert_eq!(options.bundles, [PathBuf::from("a.limbic")]);
    }

    #[test]
    fn wrong_words_are_named() {
        for (args, word) in [
            (&["run", "--input", "radio:1"][..], "radio"),
            (&["run", "--pace", "slow"], "slow"),
            (&["fly"], "fly"),
            (&[], "run"),
            (&["run", "--fuse-ms", "soon"], "soon"),
            (&["run", "--threads", "many"], "many"),
        ] {
            let error = parsed(args).unwrap_err();
            assert!(error.contains(word), "{args:?}: {error}");
        }
    }

    #[test]
    fn help_names_every_option() {
        for option in [
            "--input",
            "--bundle",
            "--backend",
            "--pace",
            "--fuse-ms",
            "--verbose",
            "--version",
        ] {
            assert!(HELP.contains(option), "{option}");
        }
    }
}
