//! Weight packs.

use std::collections::HashMap;

use limbic_engine::Blob;
use limbic_engine::step::{BLOCK, GROUP_BYTES, first_channel};
use limbic_graph::Result;

use crate::strides::number;

/// Alignment of blobs.
const ALIGNMENT: usize = 64;

/// A pack in the making; equal blobs are kept once.
#[derive(Debug, Default)]
pub(crate) struct Pack {
    pub bytes: Vec<u8>,
    known: HashMap<Vec<u8>, Blob>,
}

impl Pack {
    /// Adds a blob.
    pub fn add(&mut self, bytes: Vec<u8>) -> Result<Blob> {
        if let Some(blob) = self.known.get(&bytes) {
            return Ok(*blob);
        }
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
        let blob = Blob {
            pack: 0,
            offset: number(self.bytes.len())?,
            bytes: number(bytes.len())?,
        };
        number(self.bytes.len() + bytes.len())?;
        self.bytes.extend_from_slice(&bytes);
        self.known.insert(bytes, blob);
        Ok(blob)
    }

    /// Adds numbers for the channels of whole blocks, 0 where there is no channel.
    pub fn add_f32(&mut self, numbers: &[f32]) -> Result<Blob> {
        self.add(blocks(numbers).flat_map(f32::to_le_bytes).collect())
    }

    /// As [`Pack::add_f32`].
    pub fn add_i32(&mut self, numbers: &[i32]) -> Result<Blob> {
        self.add(blocks(numbers).flat_map(i32::to_le_bytes).collect())
    }
}

/// Numbers of channels, block by block.
fn blocks<T: Copy + Default>(numbers: &[T]) -> impl Iterator<Item = T> {
    let channels = numbers.len();
    (0..channels.div_ceil(BLOCK)).flat_map(move |block| {
        let first = first_channel(block, channels);
        (first..first + BLOCK).map(|channel| numbers.get(channel).copied().unwrap_or_default())
    })
}

/// A matrix `[outputs][rows][columns][channels]` whose rows of taps lie in runs.
#[derive(Debug)]
pub(crate) struct Kernel<'a, T> {
    pub elements: &'a [T],
    pub outputs: usize,
    pub rows: usize,
    pub columns: usize,
    pub channels: usize,
    /// Elements from a tap of a run to the next.
    pub pixel: usize,
    /// Whether a run holds a row of taps, else one tap.
    pub whole: bool,
}

impl<T: Copy + Default> Kernel<'_, T> {
    /// Groups of four bytes of a run, an element being `size` bytes.
    pub fn groups(&self, size: usize) -> usize {
        let taps = if self.whole { self.columns } else { 1 };
        // Behind the last tap's channels nothing is read.
        ((taps - 1) * self.pixel + self.channels).div_ceil(4 / size)
    }

    /// Packed `[blocks][runs][groups][16][4 bytes]`.
    pub fn packed<const SIZE: usize>(&self, bytes: impl Fn(T) -> [u8; SIZE]) -> Vec<u8> {
        let (groups, each) = (self.groups(SIZE), 4 / SIZE);
        let runs = if self.whole { 1 } else { self.columns };
        let blocks = self.outputs.div_ceil(BLOCK);
        let mut found = Vec::with_capacity(blocks * self.rows * runs * groups * GROUP_BYTES);
        for block in 0..blocks {
            for row in 0..self.rows {
                for run in 0..runs {
                    for place in (0..groups).map(|group| group * each) {
                        for lane in 0..BLOCK {
                            for element in place..place + each {
                                // A run of one tap does not reach its neighbour, however near that is.
                                let (tap, channel) = if self.whole {
                                    (element / self.pixel, element % self.pixel)
                                } else {
                                    (run, element)
                                };
                                let w = self.element(
                                    first_channel(block, self.outputs) + lane,
                                    row,
                                    tap,
                                    channel,
                                );
                                found.extend(bytes(w));
                            }
                        }
                    }
                }
            }
        }
        found
    }

    fn element(&self, output: usize, row: usize, column: usize, channel: usize) -> T {
        if output >= self.outputs || column >= self.columns || channel >= self.channels {
            return T::default();
        }
        let at = ((output * self.rows + row) * self.columns + column) * self.channels + channel;
        self.elements.get(at).copied().unwrap_or_default()
    }
}
