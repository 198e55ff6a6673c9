//! Bits of a byte stream, most significant first, with the two checksums of FLAC.

use super::read_full;
use crate::error::{Error, ErrorKind, Result};
use std::io::Read;

const BUFFER_BYTES: usize = 1 << 16;

/// CRC-8 with polynomial x^8 + x^2 + x + 1, as in RFC 9639, section 9.1.8.
const CRC8: [u8; 256] = crc8_table();

/// CRC-16 with polynomial x^16 + x^15 + x^2 + 1, as in RFC 9639, section 9.3.
const CRC16: [u16; 256] = crc16_table();

const fn crc8_table() -> [u8; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = index as u8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x80 != 0 {
                crc << 1 ^ 0x07
            } else {
                crc << 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

const fn crc16_table() -> [u16; 256] {
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut crc = (index as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 != 0 {
                crc << 1 ^ 0x8005
            } else {
                crc << 1
            };
            bit += 1;
        }
        table[index] = crc;
        index += 1;
    }
    table
}

/// Reads bits, and never a byte ahead of the last bit asked for, so that the checksums end where a field ends.
pub(super) struct BitReader<R> {
    input: R,
    buffer: Box<[u8]>,
    next: usize,
    filled: usize,
    position: u64,
    /// The low `bits` bits are read but not yet given.
    window: u64,
    bits: u32,
    crc8: u8,
    crc16: u16,
}

impl<R: Read> BitReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            next: 0,
            filled: 0,
            position: 0,
            window: 0,
            bits: 0,
            crc8: 0,
            crc16: 0,
        }
    }

    /// Bytes read so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Whether no byte is left.
    pub(super) fn at_end(&mut self) -> Result<bool> {
        if self.next == self.filled {
            self.filled = read_full(&mut self.input, &mut self.buffer)?;
            self.next = 0;
        }
        Ok(self.filled == 0)
    }

    /// Starts both checksums again. The reader must be at a byte's edge.
    pub(super) fn start_checksums(&mut self) {
        (self.crc8, self.crc16) = (0, 0);
    }

    /// Checksums of the bytes since [`BitReader::start_checksums`].
    pub(super) fn checksums(&self) -> (u8, u16) {
        (self.crc8, self.crc16)
    }

    fn load_byte(&mut self) -> Result<()> {
        if self.next == self.filled && self.at_end()? {
            return Err(Error::new(
                ErrorKind::Truncated,
                format!("the file ends at byte {}", self.position),
            ));
        }
        let byte = self.buffer.get(self.next).copied().unwrap_or(0);
        self.next += 1;
        self.position += 1;
        self.window = self.window << 8 | u64::from(byte);
        self.bits += 8;
        self.crc8 = CRC8[usize::from(self.crc8 ^ byte)];
        self.crc16 = self.crc16 << 8 ^ CRC16[usize::from((self.crc16 >> 8) as u8 ^ byte)];
        Ok(())
    }

    /// The next `count` bits (0..=48) as an unsigned number.
    pub(super) fn unsigned(&mut self, count: u32) -> Result<u64> {
        debug_assert!(count <= 48);
        while self.bits < count {
            self.load_byte()?;
        }
        self.bits -= count;
        Ok(self.window >> self.bits & ((1 << count) - 1))
    }

    /// The next `count` bits (0..=48) as a number in two's complement.
    pub(super) fn signed(&mut self, count: u32) -> Result<i64> {
        let value = self.unsigned(count)? as i64;
        let unused = 64 - count.max(1);
        Ok(value << unused >> unused)
    }

    /// The number of zero bits before the next one bit.
    pub(super) fn unary(&mut self) -> Result<u64> {
        let mut zeros = 0;
        loop {
            if self.bits == 0 {
                self.load_byte()?;
            }
            let rest = self.window & ((1 << self.bits) - 1);
            let run = rest.leading_zeros() - (64 - self.bits);
            zeros += u64::from(run);
            self.bits -= run;
            if rest != 0 {
                self.bits -= 1;
                return Ok(zeros);
            }
        }
    }

    /// Drops the bits up to the next byte's edge.
    pub(super) fn align(&mut self) {
        self.bits = 0;
    }

    /// Reads over `count` bytes from a byte's edge.
    pub(super) fn skip_bytes(&mut self, count: u64) -> Result<()> {
        for _ in 0..count {
            self.load_byte()?;
            self.bits = 0;
        }
        Ok(())
    }
}
