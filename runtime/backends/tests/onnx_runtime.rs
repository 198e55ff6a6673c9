//! What is said of a library that is not ONNX Runtime's, and of providers that it lacks.
//!
//! A process uses one library, so each case is a process: this file runs its own test binary anew with the library in
//! the environment.
#![cfg(feature = "ort")]
#![allow(clippy::unwrap_used, reason = "a test ends here")]

mod driver;

use std::path::{Path, PathBuf};
use std::process::Command;

use limbic_backends::by_name;

/// The variable that names what a process asks for; without it [`answer`] does nothing.
const ASKED: &str = "LIMBIC_TEST_BACKEND";

/// Prints what becomes of the backend that [`ASKED`] names.
#[test]
#[ignore = "a part of the other tests"]
fn answer() {
    let Ok(name) = std::env::var(ASKED) else { return };
    match by_name(&name) {
        Ok(backend) => println!("answer: version {}", backend.version()),
        Err(error) => println!("answer: {:?} {error}", error.kind()),
    }
}

/// What a process says that asks for a backend with this library.
#[track_caller]
fn asked(backend: &str, library: &Path) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--ignored",
            "--exact",
            "answer",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(ASKED, backend)
        .env("ORT_DYLIB_PATH", library)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}\n{said}", output.status);
    let line = said.lines().find_map(|line| line.split_once("answer: "));
    line.unwrap_or_else(|| panic!("no answer:\n{said}")).1.to_owned()
}

#[track_caller]
fn check(backend: &str, library: &Path, words: &[&str]) {
    let said = asked(backend, library);
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
}

/// A shared library that the system's C compiler makes, which is there as it links Rust's programs.
fn made(folder: &Path, name: &str, source: &str) -> PathBuf {
    let (code, library) = (
        folder.join(format!("{name}.c")),
        folder.join(format!("lib{name}.so")),
    );
    std::fs::write(&code, source).unwrap();
    let compiler = Command::new("cc")
        .args(["-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&code)
        .output();
    let output = compiler.unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    library
}

#[test]
fn what_is_no_library_is_named_with_what_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let none = folder.path().join("libnone.so");
    check(
        "ort",
        &none,
        &["Library", "libnone.so", "ONNX Runtime", "No such file"],
    );
    check("ort", folder.path(), &["Library", "a folder"]);
    let text = folder.path().join("libtext.so");
    std::fs::write(&text, "not a library").unwrap();
    check("ort", &text, &["Library", "libtext.so", "no shared library"]);
    std::fs::write(&text, "").unwrap();
    check("ort", &text, &["Library", "no shared library"]);
    check("ort", Path::new(""), &["Library", "ORT_DYLIB_PATH"]);
}

#[test]
fn a_library_without_the_entry_is_never_run() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("ran");
    let source = format!(
        "#include <stdio.h>\n__attribute__((constructor)) static void start(void) {{ fclose(fopen({:?}, \"w\")); }}\n\
         int OrtGetApi(void) {{ return 0; }}\n",
        marker.display().to_string()
    );
    let library = made(folder.path(), "other", &source);
    check("ort", &library, &["Library", "libother.so", "OrtGetApiBase"]);
    assert!(!marker.exists(), "its constructor ran");
}

#[test]
fn a_library_of_another_version_is_named_with_the_one_that_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let source = |version: &str| {
        format!(
            "static const char *version(void) {{ return {version}; }}\n\
             static const void *api(unsigned wanted) {{ (void)wanted; return 0; }}\n\
             static const struct {{ const void *(*api)(unsigned); const char *(*version)(void); }} base = {{ api, version }};\n\
             const void *OrtGetApiBase(void) {{ return &base; }}\n"
        )
    };
    let old = made(folder.path(), "old", &source("\"1.9.0\""));
    check("ort", &old, &["Library", "libold.so", "1.9.0", "1.17 or newer"]);
    let none = made(folder.path(), "none", &source("0"));
    check("ort", &none, &["Library", "no version"]);
    let empty = made(
        folder.path(),
        "empty",
        "const void *OrtGetApiBase(void) { return 0; }\n",
    );
    check("ort", &empty, &["Library", "no table of functions"]);
}

#[test]
fn libraries_cut_short_and_of_other_processors_are_never_run() {
    let folder = tempfile::tempdir().unwrap();
    let source =
        "const void *OrtGetApiBase(void) { return 0; }\nstatic char room[100000] = {1};\nchar *end = room;\n";
    let library = made(folder.path(), "whole", source);
    let bytes = std::fs::read(library).unwrap();
    let cut = folder.path().join("libcut.so");
    for length in [4, 63, 64, 4096, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&cut, &bytes[..length]).unwrap();
        check("ort", &cut, &["Library", "libcut.so"]);
    }
    let mut other = bytes;
    // The processor's number in the header: 183 is aarch64, 62 x86-64.
    let number = if cfg!(target_arch = "aarch64") { 62 } else { 183 };
    other[18] = number;
    std::fs::write(&cut, &other).unwrap();
    check("ort", &cut, &["Library", "a library for", std::env::consts::ARCH]);
}

#[test]
fn a_real_library_says_its_version_and_which_providers_it_lacks() {
    if !driver::has_library("ort") {
        return;
    }
    let library = std::env::var("ORT_DYLIB_PATH").unwrap();
    let library = Path::new(&library);
    check("ort", library, &["version ONNX Runtime 1.", "(cpu)"]);
    check("ort@cpu", library, &["version ONNX Runtime 1."]);
    check("ort@gpu", library, &["UnknownBackend", "cuda", "gpu"]);
    let cuda = asked("ort@cuda", library);
    if cuda.contains("version") {
        println!("this library has CUDA, so nothing is refused");
    } else {
        assert!(cuda.contains("Provider") && cuda.contains("cpu"), "{cuda}");
        check(
            "ort@cuda+cpu",
            library,
            &["version ONNX Runtime 1.", "(cuda+cpu)"],
        );
    }
}
