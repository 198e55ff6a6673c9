//! Every tier against the scalar one, over random geometry.

mod geometry;
mod guarded;
mod pixels;
mod runs;
mod windows;

use std::vec;
use std::vec::Vec;

use self::guarded::Guarded;
use super::{Tensors, floats, run_step};
use crate::cpu::Cpu;
use crate::span::{Blob, Span};
use crate::step::*;

fn random_bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let bytes = (0..count).map(|_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    });
    bytes.collect()
}

/// Small numbers of both signs.
fn random_floats(seed: u64, count: usize) -> Vec<u8> {
    let bytes = random_bytes(seed, count);
    bytes
        .iter()
        .flat_map(|&b| (f32::from(b.cast_signed()) / 64.0).to_le_bytes())
        .collect()
}

/// Memory for a step: inputs before the output, which comes last, each at a multiple of 64 bytes.
#[derive(Default)]
struct Case {
    arena: Vec<u8>,
    pack: Vec<u8>,
    /// Where the last input ends.
    inputs: usize,
}

impl Case {
    /// An input.
    fn span(&mut self, bytes: &[u8]) -> Span {
        let offset = self.arena.len().next_multiple_of(64);
        self.arena.resize(offset, 0);
        self.arena.extend(bytes);
        self.inputs = self.arena.len();
        Span {
            offset: offset as u32,
            bytes: bytes.len() as u32,
        }
    }

    /// The output.
    fn output(&mut self, bytes: u32) -> Span {
        let offset = self.arena.len().next_multiple_of(64);
        self.arena.resize(offset + bytes as usize, 0);
        Span {
            offset: offset as u32,
            bytes,
        }
    }

    fn blob(&mut self, bytes: &[u8]) -> Blob {
        let offset = self.pack.len().next_multiple_of(64);
        self.pack.resize(offset, 0);
        self.pack.extend(bytes);
        Blob {
            pack: 0,
            offset: offset as u32,
            bytes: bytes.len() as u32,
        }
    }

    /// What each tier writes, the scalar one first.
    fn outputs(&self, step: &Step) -> Vec<Vec<u8>> {
        let cpus = Cpu::detect().tiers().collect::<Vec<_>>();
        let found = cpus.into_iter().rev().map(|cpu| {
            self.made(step, &|step, tensors, constant, output| {
                run_step(cpu, step, tensors, constant, output);
            })
        });
        found.collect()
    }

    /// What a kernel writes, whole and in parts; pages behind inputs, weights, output and each part of it can't be
    /// touched.
    fn made(&self, step: &Step, kernel: Kernel<'_>) -> Vec<u8> {
        let pack = Guarded::new(&self.pack);
        let packs = [pack.get()];
        let limits = Limits {
            arena: self.arena.len() as u32,
            packs: &packs,
        };
        step.check(&limits).unwrap();
        let constant = |blob: &Blob| &packs[0][blob.offset as usize..][..blob.bytes as usize];
        let output = step.output();
        let inputs = Guarded::new(&self.arena[..self.inputs]);
        let tensors = Tensors {
            before: inputs.get(),
            behind: &[],
            behind_offset: output.end() as usize,
        };
        let mut out = Guarded::new(&vec![0; output.bytes as usize]);
        kernel(step, &tensors, &constant, out.get_mut());
        for workers in 2..6 {
            let parts = in_parts(step, workers, |part, out| kernel(part, &tensors, &constant, out));
            assert!(parts.is_none_or(|parts| parts == out.get()), "{workers} parts");
        }
        out.get().to_vec()
    }
}

/// Runs a step on tensors and constants.
type Kernel<'a> = &'a dyn for<'b> Fn(&Step, &Tensors<'b>, &dyn Fn(&Blob) -> &'b [u8], &mut [u8]);

/// What the parts of a step write, made from the last to the first; nothing where it can't be cut.
fn in_parts(step: &Step, workers: usize, run: impl Fn(&Step, &mut [u8])) -> Option<Vec<u8>> {
    let parts = step.parts(workers, 0);
    if parts == 1 {
        return None;
    }
    let output = step.output();
    let mut end = output.end();
    let mut whole = vec![0; output.bytes as usize];
    for n in (0..parts).rev() {
        let part = step.part(n, parts).unwrap();
        let span = part.output();
        assert_eq!(span.end(), end, "part {n} of {parts}");
        end = span.offset.into();
        let mut out = Guarded::new(&vec![0; span.bytes as usize]);
        run(&part, out.get_mut());
        whole[(span.offset - output.offset) as usize..][..span.bytes as usize].copy_from_slice(out.get());
    }
    assert_eq!(end, u64::from(output.offset));
    Some(whole)
}

/// Integers are equal; floats differ by rounding only.
fn assert_same(outputs: &[Vec<u8>], float: bool) {
    for other in &outputs[1..] {
        if !float {
            assert_eq!(&outputs[0], other);
            continue;
        }
        for (n, (a, b)) in floats(&outputs[0]).iter().zip(floats(other)).enumerate() {
            let near = a == b || (a - b).abs() <= 1e-4 * a.abs().max(1.0) || (a.is_nan() && b.is_nan());
            assert!(near, "place {n}: {a} and {b}");
        }
    }
}
