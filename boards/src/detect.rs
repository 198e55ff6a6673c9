//! Which board a machine is, from what its system says.

use std::collections::BTreeSet;
use std::fs;

use crate::{Architecture, Board};

/// What Linux says of a machine; what it does not say is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// The instruction set.
    pub architecture: Option<Architecture>,
    /// `/proc/device-tree/compatible`: strings that each end in a zero byte, the most particular first.
    pub compatible: String,
    /// `/proc/device-tree/model`: a name for people.
    pub model: String,
    /// `/proc/cpuinfo`.
    pub cpuinfo: String,
    /// `AT_HWCAP` and `AT_HWCAP2` of the auxiliary vector, by which an aarch64 kernel names extensions.
    pub hwcap: [u64; 2],
}

/// A board that a machine was taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detected {
    /// The board.
    pub board: Board,
    /// What told it, in words.
    pub by: String,
    /// Features that the board's file promises and the machine does not say it has; the file or the kernel is wrong.
    pub missing: Vec<String>,
}

/// Extensions by the names of `std::arch`, as Linux writes them in `/proc/cpuinfo` of aarch64.
const AARCH64: [(&str, &str); 5] = [
    ("asimd", "neon"),
    ("asimdhp", "fp16"),
    ("asimddp", "dotprod"),
    ("i8mm", "i8mm"),
    ("sve", "sve"),
];

/// Extensions of aarch64 by word and bit of [`Facts::hwcap`], as the kernel's `asm/hwcap.h` numbers them.
const HWCAP: [(usize, u32, &str); 5] = [
    (0, 1, "neon"),
    (0, 10, "fp16"),
    (0, 20, "dotprod"),
    (1, 13, "i8mm"),
    (0, 22, "sve"),
];

/// Keys of the entries of an auxiliary vector that hold [`Facts::hwcap`].
const AUXILIARY: [u64; 2] = [16, 26];

impl Facts {
    /// Those of the machine that this program runs on.
    pub fn of_this_machine() -> Self {
        let text = |path: &str| {
            let bytes = fs::read(path).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        Self {
            architecture: match std::env::consts::ARCH {
                "aarch64" => Some(Architecture::Aarch64),
                "x86_64" => Some(Architecture::X86_64),
                _ => None,
            },
            compatible: text("/proc/device-tree/compatible"),
            model: text("/proc/device-tree/model"),
            cpuinfo: text("/proc/cpuinfo"),
            hwcap: hwcap(&fs::read("/proc/self/auxv").unwrap_or_default()),
        }
    }

    /// Extensions that every processor listed has, by the names of `std::arch`.
    fn features(&self) -> BTreeSet<String> {
        let lists = self.cpuinfo.lines().filter_map(|line| {
            let (key, words) = line.split_once(':')?;
            matches!(key.trim(), "flags" | "Features").then(|| {
                let words = words.split_whitespace();
                words.map(|word| self.feature(word)).collect::<BTreeSet<String>>()
            })
        });
        let listed = lists.reduce(|all, one| all.intersection(&one).cloned().collect());
        let mut features = listed.unwrap_or_default();
        if self.architecture == Some(Architecture::Aarch64) {
            let known = HWCAP
                .iter()
                .filter(|(word, bit, _)| self.hwcap.get(*word).is_some_and(|word| word & (1 << bit) != 0));
            features.extend(known.map(|(_, _, name)| (*name).to_owned()));
        }
        features
    }

    /// A word of `/proc/cpuinfo` as `std::arch` writes it.
    fn feature(&self, word: &str) -> String {
        match self.architecture {
            Some(Architecture::Aarch64) => {
                let known = AARCH64.iter().find(|(linux, _)| *linux == word);
                known.map_or(word, |(_, name)| name).to_owned()
            }
            _ => word.replace('_', ""),
        }
    }

    /// What a system calls its board, from the device tree or, as older kernels say it, from the processor's page.
    fn models(&self) -> impl Iterator<Item = &str> {
        let line = self.cpuinfo.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            (key.trim() == "Model").then_some(value)
        });
        let all = [Some(self.model.as_str()), line].into_iter().flatten();
        all.map(|text| text.trim_matches(|c: char| c == '\0' || c.is_whitespace()))
    }
}

/// The two words of an auxiliary vector of 64-bit entries; zeros where they are not there.
fn hwcap(vector: &[u8]) -> [u64; 2] {
    let word = |bytes: &[u8]| bytes.try_into().map(u64::from_ne_bytes).unwrap_or(0);
    AUXILIARY.map(|wanted| {
        let mut entries = vector.chunks_exact(16).map(|entry| entry.split_at(8));
        let found = entries.find(|(key, _)| word(key) == wanted);
        found.map_or(0, |(_, value)| word(value))
    })
}

/// The board that a machine is, out of these; nothing where none fits.
///
/// The first of the device tree's `compatible` strings that a board knows decides, then the beginning of its model. A
/// board without signs of its own fits every machine of its instruction set that has its features; of several the one
/// with the most features is taken.
pub fn detect(facts: &Facts, boards: &[Board]) -> Option<Detected> {
    let features = facts.features();
    let detected = |board: &Board, by: String| {
        let missing = board
            .chip
            .features
            .iter()
            .filter(|name| !features.contains(*name));
        Detected {
            board: board.clone(),
            by,
            missing: missing.cloned().collect(),
        }
    };
    let signs = || {
        boards
            .iter()
            .filter_map(|board| Some((board, board.detect.as_ref()?)))
    };
    for string in facts.compatible.split('\0').filter(|string| !string.is_empty()) {
        let known = signs().find(|(_, signs)| signs.compatible.iter().any(|own| own == string));
        if let Some((board, _)) = known {
            return Some(detected(
                board,
                format!("the device tree is compatible with {string}"),
            ));
        }
    }
    for model in facts.models() {
        let begins = |signs: &crate::Signs| signs.models.iter().any(|own| model.starts_with(own.as_str()));
        if let Some((board, _)) = signs().find(|(_, signs)| begins(signs)) {
            return Some(detected(board, format!("its model is {model}")));
        }
    }
    let plain = boards.iter().filter(|board| {
        board.detect.is_none()
            && Some(board.chip.architecture) == facts.architecture
            && board
                .chip
                .features
                .iter()
                .all(|feature| features.contains(feature))
    });
    let board = plain.max_by_key(|board| board.chip.features.len())?;
    let architecture = board.chip.architecture.name();
    let by = format!(
        "its processor is {architecture} with {}",
        board.chip.features.join(", ")
    );
    Some(detected(board, by))
}

#[cfg(test)]
mod tests {
    use super::hwcap;

    #[test]
    fn words_are_found_in_an_auxiliary_vector() {
        let entries: [u64; 8] = [6, 4096, 26, 1 << 13, 16, 2, 0, 0];
        let bytes: Vec<u8> = entries.iter().flat_map(|word| word.to_ne_bytes()).collect();
        assert_eq!(hwcap(&bytes), [2, 1 << 13]);
        assert_eq!(hwcap(&bytes[..20]), [0, 0]);
        assert_eq!(hwcap(&[]), [0, 0]);
    }
}
