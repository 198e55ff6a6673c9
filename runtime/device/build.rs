//! Leaves the tables for unwinding out of the device binary: it never unwinds.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=without_unwinding.ld");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    // GNU's linker and LLVM's add such a script to their own; another one would be asked for by name.
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if is("PROFILE", "release") && is("CARGO_CFG_TARGET_OS", "linux") && !flags.contains("fuse-ld") {
        let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
        println!("cargo::rustc-link-arg-bins=-Wl,-T,{folder}/without_unwinding.ld");
    }
}
