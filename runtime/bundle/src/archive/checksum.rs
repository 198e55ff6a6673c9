//! Checksums: CRC-32 as zip archives carry it, SHA-256 as manifests do.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// CRC-32 of ISO 3309 (polynomial 0xEDB88320 reflected), as APPNOTE 4.4.7 of the zip format asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crc32(u32);

/// Remainders of each byte value; row `k` after `k` further zero bytes.
const TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0u32; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut value = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 {
                (value >> 1) ^ 0xEDB8_8320
            } else {
                value >> 1
            };
            bit += 1;
        }
        tables[0][byte] = value;
        byte += 1;
    }
    let mut row = 1;
    while row < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[row - 1][byte];
            tables[row][byte] = (before >> 8) ^ tables[0][(before & 0xFF) as usize];
            byte += 1;
        }
        row += 1;
    }
    tables
}

impl Crc32 {
    /// Checksum of a whole content.
    pub(crate) fn of(bytes: &[u8]) -> u32 {
        let mut crc = Self(u32::MAX);
        crc.update(bytes);
        !crc.0
    }

    fn update(&mut self, bytes: &[u8]) {
        let (blocks, rest) = bytes.as_chunks::<8>();
        for block in blocks {
            let low = self.0 ^ u32::from_le_bytes([block[0], block[1], block[2], block[3]]);
            let mixed = [low.to_le_bytes(), [block[4], block[5], block[6], block[7]]];
            self.0 = mixed
                .as_flattened()
                .iter()
                .zip(TABLES.iter().rev())
                .fold(0, |sum, (byte, table)| sum ^ table[usize::from(*byte)]);
        }
        for byte in rest {
            self.0 = (self.0 >> 8) ^ TABLES[0][usize::from(self.0 as u8 ^ byte)];
        }
    }
}

/// SHA-256 of a whole content as 64 lower-case hexadecimal digits.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a string cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32_has_the_check_value_of_its_catalogue_and_no_seams() {
        assert_eq!(Crc32::of(b"123456789"), 0xCBF4_3926);
        assert_eq!(Crc32::of(b""), 0);
        let bytes: Vec<u8> = (0..1000u32).map(|i| (i * 31 % 251) as u8).collect();
        let bitwise = |bytes: &[u8]| {
            let mut crc = u32::MAX;
            for byte in bytes {
                crc ^= u32::from(*byte);
                for _ in 0..8 {
                    crc = if crc & 1 == 1 {
                        (crc >> 1) ^ 0xEDB8_8320
                    } else {
                        crc >> 1
                    };
                }
            }
            !crc
        };
        for length in [1, 7, 8, 9, 63, 64, 1000] {
            assert_eq!(Crc32::of(&bytes[..length]), bitwise(&bytes[..length]));
        }
    }

    #[test]
    fn sha256_has_the_value_of_its_standard() {
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
