//! Walks over the coded data of a baseline JPEG without computing a pixel.
//!
//! A JPEG has no checksum, and decoders paint over what they cannot read. Damage nearly always shifts the bits, so that
//! a code that does not exist, a block of more than 64 values, data that end before the last block or go on behind it
//! betray it. Codes and structure are those of ITU T.81, annex F.2. Progressive scans are left to the decoder, and so
//! are pictures whose tables are missing.

use crate::error::{Error, ErrorKind, Result};

/// Longest codes of a value, in bits, with one bit more than T.81 needs, which some encoders use.
const MAX_DC_BITS: u8 = 12;
const MAX_AC_BITS: u8 = 11;

/// Bytes behind the last block that are taken for padding.
const MAX_PADDING: usize = 8;

const LOOKUP_BITS: u32 = 8;

/// A Huffman table.
struct Table {
    /// Length and value of the code that starts with the index's bits; length 0 when it is longer.
    lookup: [(u8, u8); 1 << LOOKUP_BITS],
    /// For each length, one more than its last code and the place of its first value less its first code.
    limits: [(u32, i32); 17],
    values: Vec<u8>,
}

impl Table {
    fn new(counts: &[u8; 16], values: &[u8]) -> Option<Self> {
        let mut table = Self {
            lookup: [(0, 0); 1 << LOOKUP_BITS],
            limits: [(0, 0); 17],
            values: values.to_vec(),
        };
        let (mut code, mut place) = (0_u32, 0_usize);
        for (length, &count) in (1_u32..).zip(counts) {
            let first = i32::try_from(place).ok()? - i32::try_from(code).ok()?;
            for _ in 0..count {
                let value = *values.get(place)?;
                if length <= LOOKUP_BITS {
                    let start = (code << (LOOKUP_BITS - length)) as usize;
                    let same = table
                        .lookup
                        .get_mut(start..start + (1 << (LOOKUP_BITS - length)))?;
                    same.fill((length as u8, value));
                }
                (code, place) = (code + 1, place + 1);
            }
            if code > 1 << length {
                return None;
            }
            *table.limits.get_mut(length as usize)? = (code, first);
            code <<= 1;
        }
        Some(table)
    }
}

/// Bits of coded data: stuffed zeros are left out, and a marker ends them.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    window: u64,
    count: u32,
}

/// Why a block could not be walked over.
enum Fault {
    Ended,
    BadCode,
    TooManyValues,
}

impl Bits<'_> {
    fn fill(&mut self) {
        while self.count <= 48 {
            let (byte, used) = match self.bytes.get(self.at..) {
                Some([0xFF, 0x00, ..]) => (0xFF, 2),
                Some([0xFF, ..]) | Some([]) | None => return,
                Some(&[byte, ..]) => (byte, 1),
            };
            self.at += used;
            self.window = self.window << 8 | u64::from(byte);
            self.count += 8;
        }
    }

    /// The next `count` bits (at most 16) without taking them; zeros stand behind the end.
    fn peek(&self, count: u32) -> u32 {
        let bits = if self.count >= count {
            self.window >> (self.count - count)
        } else {
            self.window << (count - self.count)
        };
        bits as u32 & ((1 << count) - 1)
    }

    fn skip(&mut self, count: u32) -> std::result::Result<(), Fault> {
        if self.count < count {
            self.fill();
        }
        self.count = self.count.checked_sub(count).ok_or(Fault::Ended)?;
        Ok(())
    }

    fn symbol(&mut self, table: &Table) -> std::result::Result<u8, Fault> {
        if self.count < 16 {
            self.fill();
        }
        if let Some(&(length, value)) = table
            .lookup
            .get(self.peek(LOOKUP_BITS) as usize)
            .filter(|code| code.0 > 0)
        {
            self.skip(length.into())?;
            return Ok(value);
        }
        for length in LOOKUP_BITS + 1..=16 {
            let code = self.peek(length);
            if let Some(&(limit, first)) = table.limits.get(length as usize).filter(|limit| code < limit.0) {
                self.skip(length)?;
                let place = code.checked_add_signed(first).ok_or(Fault::BadCode)?;
                debug_assert!(code < limit);
                return table.values.get(place as usize).copied().ok_or(Fault::BadCode);
            }
        }
        Err(if self.count < 16 {
            Fault::Ended
        } else {
            Fault::BadCode
        })
    }

    /// Drops the bits up to the next byte and returns how many whole bytes stand before the next marker.
    fn align(&mut self) -> usize {
        let mut bytes = (self.count / 8) as usize;
        self.count = 0;
        while !matches!(
            self.bytes.get(self.at..),
            Some([0xFF, 0x01..=0xFE, ..]) | Some([]) | None
        ) {
            bytes += 1;
            self.at += 1;
        }
        bytes
    }
}

#[derive(Clone, Copy)]
struct Component {
    id: u8,
    across: u32,
    down: u32,
}

struct Scans<'a> {
    bytes: &'a [u8],
    width: u32,
    height: u32,
    components: Vec<Component>,
    dc: [Option<Table>; 4],
    ac: [Option<Table>; 4],
    restart: u32,
}

/// Checks the scans of a JPEG whose markers the survey has walked over.
///
/// # Errors
/// [`ErrorKind::Malformed`] with the number of the unit (MCU) at which the data are wrong.
pub(super) fn verify(bytes: &[u8]) -> Result<()> {
    let mut scans = Scans {
        bytes,
        width: 0,
        height: 0,
        components: Vec::new(),
        dc: [const { None }; 4],
        ac: [const { None }; 4],
        restart: 0,
    };
    let mut at = 2;
    while let Some((marker, after)) = super::jpeg::next_marker(bytes, at) {
        at = after;
        match marker {
            0xD9 => break,
            0x00 | 0x01 | 0xD0..=0xD8 => continue,
            _ => {}
        }
        let Some(length) = bytes
            .get(at..at + 2)
            .map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])))
        else {
            break;
        };
        let body = bytes.get(at + 2..at + length).unwrap_or_default();
        at += length;
        let understood = match marker {
            0xC0 | 0xC1 => scans.read_frame(body),
            0xC4 => scans.read_tables(body),
            0xDD => body
                .first_chunk()
                .map(|&restart| scans.restart = u16::from_be_bytes(restart).into()),
            0xDA => match scans.walk(body, at)? {
                Some(end) => {
                    at = end;
                    Some(())
                }
                None => None,
            },
            // A progressive frame.
            0xC2 => None,
            _ => Some(()),
        };
        if understood.is_none() {
            return Ok(());
        }
    }
    Ok(())
}

impl Scans<'_> {
    fn read_frame(&mut self, body: &[u8]) -> Option<()> {
        let &[_, h1, h0, w1, w0, _, ref components @ ..] = body else {
            return None;
        };
        (self.height, self.width) = (
            u16::from_be_bytes([h1, h0]).into(),
            u16::from_be_bytes([w1, w0]).into(),
        );
        for &[id, sampling, _] in components.as_chunks().0 {
            let (across, down) = (u32::from(sampling >> 4), u32::from(sampling & 15));
            if !(1..=4).contains(&across) || !(1..=4).contains(&down) {
                return None;
            }
            self.components.push(Component { id, across, down });
        }
        Some(())
    }

    fn read_tables(&mut self, mut body: &[u8]) -> Option<()> {
        while let Some((&[class, ref counts @ ..], rest)) = body.split_first_chunk::<17>() {
            let total = counts.iter().map(|&count| usize::from(count)).sum();
            let (values, rest) = rest.split_at_checked(total)?;
            let tables = if class >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            *tables.get_mut(usize::from(class & 15))? = Some(Table::new(counts, values)?);
            body = rest;
        }
        Some(())
    }

    /// Walks over one scan from `start`; returns where it ends, or `None` when a part needed for it is missing.
    fn walk(&self, header: &[u8], start: usize) -> Result<Option<usize>> {
        let Some(blocks) = self.blocks_of_unit(header) else {
            return Ok(None);
        };
        let across = self
            .components
            .iter()
            .map(|component| component.across)
            .max()
            .unwrap_or(1);
        let down = self
            .components
            .iter()
            .map(|component| component.down)
            .max()
            .unwrap_or(1);
        let units = match blocks.as_slice() {
            // A scan of one component has only the blocks that its own samples need.
            [(component, ..)] => {
                let columns = (self.width * component.across).div_ceil(across).div_ceil(8);
                u64::from(columns) * u64::from((self.height * component.down).div_ceil(down).div_ceil(8))
            }
            _ => u64::from(self.width.div_ceil(8 * across)) * u64::from(self.height.div_ceil(8 * down)),
        };
        let mut bits = Bits {
            bytes: self.bytes,
            at: start,
            window: 0,
            count: 0,
        };
        for unit in 0..units {
            if self.restart > 0 && unit > 0 && unit.is_multiple_of(self.restart.into()) {
                let expected = 0xD0 + ((unit / u64::from(self.restart) - 1) % 8) as u8;
                let skipped = bits.align();
                if skipped > MAX_PADDING || bits.bytes.get(bits.at..bits.at + 2) != Some(&[0xFF, expected]) {
                    return Err(corrupt(unit, units, "a restart marker is missing"));
                }
                bits.at += 2;
            }
            for &(component, dc, ac) in &blocks {
                let count = if blocks.len() == 1 {
                    1
                } else {
                    component.across * component.down
                };
                for _ in 0..count {
                    let (Some(Some(dc)), Some(Some(ac))) = (self.dc.get(dc), self.ac.get(ac)) else {
                        return Ok(None);
                    };
                    walk_block(&mut bits, dc, ac).map_err(|fault| {
                        corrupt(
                            unit,
                            units,
                            match fault {
                                Fault::Ended => "the data end",
                                Fault::BadCode => "a code does not exist",
                                Fault::TooManyValues => "a block has more than 64 values",
                            },
                        )
                    })?;
                }
            }
        }
        let behind = bits.align();
        if behind > MAX_PADDING {
            return Err(corrupt(
                units,
                units,
                &format!("{behind} bytes of data follow the last unit"),
            ));
        }
        Ok(Some(bits.at))
    }

    /// The components of a scan with the numbers of their two tables.
    fn blocks_of_unit(&self, header: &[u8]) -> Option<Vec<(Component, usize, usize)>> {
        let (&count, rest) = header.split_first()?;
        let selectors = rest.get(..usize::from(count) * 2)?;
        selectors
            .as_chunks()
            .0
            .iter()
            .map(|&[id, tables]| {
                let component = self.components.iter().find(|component| component.id == id)?;
                Some((*component, usize::from(tables >> 4), usize::from(tables & 15)))
            })
            .collect()
    }
}

fn walk_block(bits: &mut Bits<'_>, dc: &Table, ac: &Table) -> std::result::Result<(), Fault> {
    let width = bits.symbol(dc)?;
    if width > MAX_DC_BITS {
        return Err(Fault::BadCode);
    }
    bits.skip(width.into())?;
    let mut values = 1;
    while values < 64 {
        let symbol = bits.symbol(ac)?;
        let (zeros, width) = (symbol >> 4, symbol & 15);
        match (zeros, width) {
            (15, 0) => values += 16,
            (_, 0) => return Ok(()),
            _ if width > MAX_AC_BITS => return Err(Fault::BadCode),
            _ => {
                values += u32::from(zeros) + 1;
                bits.skip(width.into())?;
            }
        }
        if values > 64 {
            return Err(Fault::TooManyValues);
        }
    }
    Ok(())
}

fn corrupt(unit: u64, units: u64, what: &str) -> Error {
    Error::new(
        ErrorKind::Malformed,
        format!("the JPEG's data are corrupt: {what} at unit {unit} of {units}"),
    )
}
