//! The device binary `limbicd`: inputs in, events out as JSON lines.
#![forbid(unsafe_code)]

mod args;
mod bundles;
mod feed;
mod run;

use std::process::ExitCode;

use args::{Command, HELP};

fn main() -> ExitCode {
    let command = match args::parse(lexopt::Parser::from_env()) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("error: {error}\nhelp: `limbicd --help` lists the options");
            return ExitCode::from(2);
        }
    };
    match command {
        Command::Help => {
            print!("{HELP}");
            ExitCode::SUCCESS
        }
        Command::Version => {
            let features: Vec<&str> = [
                ("mic", cfg!(feature = "mic")),
                ("camera", cfg!(feature = "camera")),
                ("ort", cfg!(feature = "ort")),
                ("tflite", cfg!(feature = "tflite")),
            ]
            .into_iter()
            .filter_map(|(name, on)| on.then_some(name))
            .collect();
            println!(
                "limbicd {}\nfeatures: {}\nbackends: {}",
                env!("CARGO_PKG_VERSION"),
                features.join(" "),
                limbic::backends().join(" ")
            );
            ExitCode::SUCCESS
        }
        Command::Run(options) => {
            let others = if options.verbose > 1 {
                log::LevelFilter::Debug
            } else {
                log::LevelFilter::Warn
            };
            let own = if options.verbose > 0 {
                log::LevelFilter::Info.max(others)
            } else {
                others
            };
            env_logger::Builder::new()
                .filter_level(others)
                .filter_module("limbic", own)
                .format_timestamp(None)
                .init();
            match run::run(&options) {
                Ok(()) => ExitCode::SUCCESS,
                Err(error) => {
                    eprintln!("error: {error:#}");
                    ExitCode::from(2)
                }
            }
        }
    }
}
