//! The host binary `limbic`.
#![forbid(unsafe_code)]

mod args;
mod buffers;
mod bundled;
mod cmd;
mod compiled;
mod convert;
mod dataset;
mod failure;
mod flatbuffers;
mod inputs;
mod metrics;
mod network;
mod npz;
mod opened;
mod show;
mod version;
mod whole_file;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

fn main() -> ExitCode {
    let cli = Cli::parse();
    let level = match cli.verbose {
        0 => log::LevelFilter::Warn,
        1 => log::LevelFilter::Info,
        2 => log::LevelFilter::Debug,
        _ => log::LevelFilter::Trace,
    };
    // Backends log every node they rewrite; that is theirs to show only when asked for everything.
    let others = if cli.verbose > 2 {
        level
    } else {
        log::LevelFilter::Warn
    };
    env_logger::Builder::new()
        .filter_level(others)
        .filter_module("limbic", level)
        .format_timestamp(None)
        .target(env_logger::Target::Stderr)
        .init();
    #[cfg(feature = "ort")]
    if let Some(library) = &cli.onnx_runtime {
        limbic::use_onnx_runtime(library);
    }
    let outcome = match cli.command {
        Command::Demo(args) => cmd::demo::run(&args),
        Command::Infer(args) => cmd::infer::run(&args),
        Command::Eval(args) => cmd::eval::run(&args),
        Command::Preprocess(args) => cmd::preprocess::run(&args),
        Command::Inspect(args) => cmd::inspect::run(&args),
        Command::Compare(args) => cmd::compare::run(&args),
        #[cfg(feature = "ort")]
        Command::Bench(args) => cmd::bench::run(&args, cli.onnx_runtime.as_deref()),
        #[cfg(not(feature = "ort"))]
        Command::Bench(args) => cmd::bench::run(&args, None),
        Command::Warm(args) => cmd::warm::run(&args),
        Command::Boards(args) => cmd::boards::run(&args),
        Command::Profile(args) => cmd::profile::run(&args),
        Command::Pack(args) => cmd::pack::run(&args),
        Command::Compile(args) => cmd::compile::run(&args),
        Command::Conformance(args) => cmd::conformance::run(&args),
        Command::Convert(args) => cmd::convert::run(&args),
        Command::Quantize(args) => cmd::quantize::run(&args),
        Command::Completions { shell } => cmd::completions::run(shell),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
