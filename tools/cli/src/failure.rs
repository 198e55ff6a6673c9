//! How the binary ends: exit codes and the last words on stderr.

use std::process::ExitCode;

/// The check ran and said no.
pub const SAID_NO: u8 = 1;

/// Usage or environment: a wrong option, a file that can't be read or written, a bundle that is not sound.
pub const ENVIRONMENT: u8 = 2;

/// What to do about a native library.
const LIBRARY: &str = "docs/backends.md says where the libraries come from; `--onnx-runtime FILE` names ONNX Runtime's, and \
     `ort@cuda+cpu` lets a second provider stand in for the first";

/// Prints an error with its causes and what to do next, and gives the exit code.
pub fn report(error: &anyhow::Error) -> ExitCode {
    if is_broken_pipe(error) {
        // `limbic … | head` is no failure.
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {}", one_line(error));
    if let Some(help) = help_for(error) {
        eprintln!("help: {help}");
    }
    ExitCode::from(ENVIRONMENT)
}

/// The error and its causes on one line; a cause that the line already ends with is not said twice.
pub fn one_line(error: &anyhow::Error) -> String {
    let mut line = String::new();
    for cause in error.chain() {
        let words = cause.to_string();
        if line.is_empty() {
            line = words;
        } else if !line.contains(&words) {
            line.push_str(": ");
            line.push_str(&words);
        }
    }
    line.replace(['\n', '\r'], " ")
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

fn help_for(error: &anyhow::Error) -> Option<&'static str> {
    use limbic::ErrorKind;
    // Where a command speaks to a backend itself.
    let native = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<limbic_backends::Error>());
    let native = native.is_some_and(|error| {
        use limbic_backends::ErrorKind::{Library, Provider};
        matches!(error.kind(), Library | Provider)
    });
    if native {
        return Some(LIBRARY);
    }
    error
        .chain()
        .find_map(|cause| match cause.downcast_ref::<limbic::Error>()?.kind() {
            ErrorKind::Bundle => Some(
                "`limbic inspect FILE` says what a bundle holds; fetch or pack it again if it is damaged",
            ),
            ErrorKind::Backend => Some("`limbic --version` lists the backends that are compiled in"),
            ErrorKind::Library => Some(LIBRARY),
            ErrorKind::NoModel => Some(
                "give a bundle for this sense with --bundle, or leave --bundle out to use the bundled models",
            ),
            ErrorKind::TwoModels => Some("give one bundle for each sense"),
            ErrorKind::Unsupported => {
                Some("the bundle asks for more than this version does; a newer limbic may do it")
            }
            _ => None,
        })
}
