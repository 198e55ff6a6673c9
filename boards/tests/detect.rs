//! Boards are told from what Linux says on them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use limbic_boards::{Architecture, Board, Detected, Facts, detect};

fn found(facts: &Facts) -> Option<Detected> {
    detect(facts, &Board::all().unwrap())
}

/// Strings as a device tree holds them.
fn strings(all: &[&str]) -> String {
    all.iter().flat_map(|one| [one, "\0"]).collect()
}

/// What `/proc/cpuinfo` says of cores of aarch64.
fn cores(features: &str, part: &str, count: usize) -> String {
    let core = |n: usize| {
        format!(
            "processor\t: {n}\nBogoMIPS\t: 108.00\nFeatures\t: {features}\nCPU implementer\t: 0x41\n\
             CPU architecture: 8\nCPU part\t: {part}\n\n"
        )
    };
    (0..count).map(core).collect()
}

const A72: &str = "fp asimd evtstrm crc32 cpuid";
const A76: &str =
    "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp";

fn aarch64(compatible: &[&str], model: &str, cpuinfo: String) -> Facts {
    Facts {
        architecture: Some(Architecture::Aarch64),
        compatible: strings(compatible),
        model: model.to_owned(),
        cpuinfo,
        hwcap: [0, 0],
    }
}

#[track_caller]
fn check(facts: &Facts, name: &str, by: &str) {
    let found = found(facts).unwrap();
    assert_eq!(found.board.name, name);
    assert!(found.by.contains(by), "{}", found.by);
    assert!(found.missing.is_empty(), "{:?}", found.missing);
}

#[test]
fn boards_are_told_by_their_device_trees() {
    let pi4 = aarch64(
        &["raspberrypi,4-model-b", "brcm,bcm2711"],
        "Raspberry Pi 4 Model B Rev 1.4\0",
        cores(A72, "0xd08", 4),
    );
    check(&pi4, "raspberry-pi-4", "raspberrypi,4-model-b");
    let pi5 = aarch64(
        &["raspberrypi,5-model-b", "brcm,bcm2712"],
        "Raspberry Pi 5 Model B Rev 1.0\0",
        cores(A76, "0xd0b", 4),
    );
    check(&pi5, "raspberry-pi-5", "raspberrypi,5-model-b");
    let orin = aarch64(
        &[
            "nvidia,p3768-0000+p3767-0005",
            "nvidia,p3767-0005",
            "nvidia,tegra234",
        ],
        "NVIDIA Jetson Orin Nano Developer Kit\0",
        cores(A76, "0xd42", 6),
    );
    check(&orin, "jetson-orin-nano", "nvidia,p3767-0005");
    let nano = aarch64(
        &[
            "nvidia,p3449-0000-b00+p3448-0000-b00",
            "nvidia,jetson-nano",
            "nvidia,tegra210",
        ],
        "NVIDIA Jetson Nano Developer Kit\0",
        cores("fp asimd evtstrm aes pmull sha1 sha2 crc32", "0xd07", 4),
    );
    check(&nano, "jetson-nano", "nvidia,jetson-nano");
}

#[test]
fn a_model_in_words_tells_a_board_where_the_tree_says_nothing() {
    let mut pi = aarch64(
        &[],
        "Raspberry Pi Compute Module 4 Rev 1.0\0",
        cores(A72, "0xd08", 4),
    );
    check(&pi, "raspberry-pi-4", "Compute Module 4");
    pi.model.clear();
    pi.cpuinfo.push_str("Model\t\t: Raspberry Pi 4 Model B Rev 1.1\n");
    check(&pi, "raspberry-pi-4", "Raspberry Pi 4 Model B");
}

#[test]
fn a_neighbour_of_the_same_chip_is_not_taken_for_a_board() {
    let nx = aarch64(
        &[
            "nvidia,p3768-0000+p3767-0000",
            "nvidia,p3767-0000",
            "nvidia,tegra234",
        ],
        "NVIDIA Jetson Orin NX Engineering Reference Developer Kit\0",
        cores(A76, "0xd42", 8),
    );
    assert_eq!(found(&nx), None);
    let pi3 = aarch64(
        &["raspberrypi,3-model-b", "brcm,bcm2837"],
        "Raspberry Pi 3 Model B Rev 1.2\0",
        cores("fp asimd evtstrm crc32 cpuid", "0xd03", 4),
    );
    assert_eq!(found(&pi3), None);
    assert_eq!(found(&Facts::default()), None);
}

#[test]
fn processors_without_a_tree_are_told_by_their_extensions() {
    let x86 = |flags: &str| Facts {
        architecture: Some(Architecture::X86_64),
        cpuinfo: format!("processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: {flags}\n"),
        ..Facts::default()
    };
    let plain = "fpu sse sse2 ssse3 avx avx2 fma";
    check(&x86(plain), "x86-64", "x86-64");
    let vnni = format!("{plain} avx512f avx512bw avx512vl avx512_vnni");
    check(&x86(&vnni), "x86-64-avx512vnni", "avx512vnni");
    let mut mixed = x86(&vnni);
    mixed
        .cpuinfo
        .push_str("\nprocessor\t: 1\nflags\t\t: fpu sse sse2\n");
    check(&mixed, "x86-64", "x86-64");
}

#[test]
fn extensions_that_the_file_promises_and_the_kernel_does_not_name_are_reported() {
    let mut pi5 = aarch64(&["raspberrypi,5-model-b"], "", cores(A72, "0xd08", 4));
    assert_eq!(found(&pi5).unwrap().missing, ["fp16", "dotprod"]);
    // The auxiliary vector says it as well.
    pi5.hwcap = [1 << 10 | 1 << 20, 0];
    assert!(found(&pi5).unwrap().missing.is_empty());
}
