//! The executor: steps one after the other, in memory and on threads that the caller lends.

use core::slice;
use core::sync::atomic::{AtomicU32, Ordering};

use crate::error::{Error, ErrorKind, Result};
use crate::kernels::{Tensors, run_step};
use crate::plan::{ARENA_ALIGNMENT, Plan, Role};
use crate::span::{Blob, Span};
use crate::step::{MOST_PARTS, Step};
use crate::workers::{Alone, Workers};

impl Plan<'_> {
    /// Sets the states of an arena to zeros.
    ///
    /// # Errors
    /// [`ErrorKind::Arena`] as [`Plan::run`].
    pub fn reset(&self, arena: &mut [u8]) -> Result<()> {
        self.check_arena(arena)?;
        for index in 0..self.ports() {
            let port = self.port(index)?;
            if port.role() == Role::State {
                bytes_mut(arena, port.span())?.fill(0);
            }
        }
        Ok(())
    }

    /// Runs all steps: reads the inputs from their spans of the arena, and leaves outputs and next states in theirs.
    ///
    /// # Errors
    /// [`ErrorKind::Arena`] if the memory is shorter than [`Plan::arena_bytes`] or not aligned to
    /// [`ARENA_ALIGNMENT`]; nothing has run then.
    pub fn run(&self, arena: &mut [u8]) -> Result<()> {
        self.run_with(arena, &Alone)
    }

    /// As [`Plan::run`], steps that are long enough being made in parts by the workers.
    ///
    /// Every number is the same as with one worker.
    ///
    /// # Errors
    /// As [`Plan::run`]; [`ErrorKind::Worker`] where a worker ended inside a part.
    pub fn run_with(&self, arena: &mut [u8], workers: &dyn Workers) -> Result<()> {
        self.check_arena(arena)?;
        let (count, least) = (workers.count(), workers.least_nanoseconds());
        for index in 0..self.steps() {
            let step = self.step(index)?;
            let parts = if count > 1 { step.parts(count, least) } else { 1 };
            if parts > 1 {
                self.run_parts(index, &step, parts, arena, workers)?;
            } else {
                self.run_whole(&step, arena)?;
            }
        }
        for index in 0..self.ports() {
            let port = self.port(index)?;
            if port.role() == Role::State {
                let (to, from) = (port.span(), port.next());
                let from = from.offset as usize..from.offset as usize + from.bytes as usize;
                arena.copy_within(from, to.offset as usize);
            }
        }
        Ok(())
    }

    /// Runs one step, for profiles.
    ///
    /// # Errors
    /// As [`Plan::run`].
    pub fn run_step(&self, index: usize, arena: &mut [u8]) -> Result<()> {
        self.check_arena(arena)?;
        self.run_whole(&self.step(index)?, arena)
    }

    /// Nanoseconds that a run can be shorter at most with so many workers, each part of a step taking so many at least,
    /// by the times of the fastest tier: whether it pays to lend them is the caller's to say.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] if the plan was not checked.
    pub fn spared_nanoseconds(&self, workers: usize, least: u64) -> Result<u64> {
        let mut spared = 0u64;
        for index in 0..self.steps() {
            let step = self.step(index)?;
            let (time, parts) = (step.least_nanoseconds(), step.parts(workers, least) as u64);
            spared = spared.saturating_add(time - time / parts.max(1));
        }
        Ok(spared)
    }

    fn check_arena(&self, arena: &[u8]) -> Result<()> {
        if arena.len() < self.arena_bytes() {
            return Err(Error::new(
                ErrorKind::Arena,
                "arena",
                0,
                self.arena_bytes() as u64,
                arena.len() as u64,
            ));
        }
        let misaligned = arena.as_ptr().addr() % ARENA_ALIGNMENT;
        if misaligned != 0 {
            return Err(Error::new(
                ErrorKind::Arena,
                "arena alignment",
                0,
                0,
                misaligned as u64,
            ));
        }
        Ok(())
    }

    fn blob(&self, blob: &Blob) -> &[u8] {
        // Nothing may lie at any address, and elements are read in place.
        if blob.bytes == 0 {
            return &[];
        }
        let begin = blob.offset as usize;
        let pack = self.packs().get(blob.pack as usize).copied().unwrap_or_default();
        pack.get(begin..begin + blob.bytes as usize).unwrap_or_default()
    }

    fn run_whole(&self, step: &Step, arena: &mut [u8]) -> Result<()> {
        let (tensors, output) = around(arena, step.output())?;
        let constant = |blob: &Blob| self.blob(blob);
        run_step(self.cpu(), step, &tensors, &constant, output);
        Ok(())
    }

    fn run_parts(
        &self,
        index: usize,
        step: &Step,
        parts: usize,
        arena: &mut [u8],
        workers: &dyn Workers,
    ) -> Result<()> {
        let span = step.output();
        let (tensors, output) = around(arena, span)?;
        let Some(output) = Cut::new(step, parts, span, output) else {
            return self.run_whole(step, arena);
        };
        let (begun, ended) = (AtomicU32::new(0), AtomicU32::new(0));
        let job = |part: usize| {
            let bit = 1u32.checked_shl(part as u32).unwrap_or(0);
            if part >= parts || begun.fetch_or(bit, Ordering::Relaxed) & bit != 0 {
                return;
            }
            if let Some(step) = step.part(part, parts) {
                // SAFETY: nobody else has begun this part.
                let output = unsafe { output.part(part) };
                run_step(
                    self.cpu(),
                    &step,
                    &tensors,
                    &|blob: &Blob| self.blob(blob),
                    output,
                );
            }
            ended.fetch_or(bit, Ordering::Release);
        };
        workers.run(parts, &job);
        // What nobody has begun.
        (0..parts).for_each(job);
        let ended = ended.load(Ordering::Acquire).count_ones();
        if ended as usize != parts {
            let (parts, ended) = (parts as u64, u64::from(ended));
            return Err(Error::new(
                ErrorKind::Worker,
                "parts of step",
                index,
                parts,
                ended,
            ));
        }
        Ok(())
    }
}

/// An output in runs of bytes that don't overlap, one for each part of a step.
struct Cut<'a> {
    output: *mut u8,
    /// Where each part begins, and where the last one ends.
    cuts: [usize; MOST_PARTS + 1],
    parts: usize,
    lent: core::marker::PhantomData<&'a mut [u8]>,
}

// SAFETY: it stands for disjoint slices, each lent to one thread by the contract of `part`.
unsafe impl Sync for Cut<'_> {}

impl<'a> Cut<'a> {
    /// Nothing where the parts' spans don't lie behind each other from the first byte of the output to its last.
    fn new(step: &Step, parts: usize, span: Span, output: &'a mut [u8]) -> Option<Self> {
        let mut cuts = [0; MOST_PARTS + 1];
        let mut end = 0;
        for (part, cut) in cuts.get_mut(1..=parts)?.iter_mut().enumerate() {
            let found = step.part(part, parts)?.output();
            if u64::from(found.offset) != u64::from(span.offset) + end as u64 {
                return None;
            }
            end += found.bytes as usize;
            *cut = end;
        }
        (end == output.len()).then_some(Self {
            output: output.as_mut_ptr(),
            cuts,
            parts,
            lent: core::marker::PhantomData,
        })
    }

    /// The bytes of a part; nothing for one that is not there.
    ///
    /// # Safety
    /// Nobody else holds the bytes of this part.
    #[allow(clippy::mut_from_ref, reason = "each part is lent to one thread")]
    unsafe fn part(&self, part: usize) -> &mut [u8] {
        if part >= self.parts {
            return &mut [];
        }
        let (begin, end) = (self.cuts[part], self.cuts[part + 1]);
        // SAFETY: cuts ascend and end with the output, so that parts are disjoint and inside it; the output is borrowed
        // as long as this lives.
        unsafe { slice::from_raw_parts_mut(self.output.add(begin), end - begin) }
    }
}

/// The output of a step, and the arena around it.
fn around(arena: &mut [u8], output: Span) -> Result<(Tensors<'_>, &mut [u8])> {
    let (before, rest) = arena
        .split_at_mut_checked(output.offset as usize)
        .ok_or_else(lost)?;
    let (output, behind) = rest
        .split_at_mut_checked(output.bytes as usize)
        .ok_or_else(lost)?;
    let tensors = Tensors {
        before,
        behind,
        behind_offset: before.len() + output.len(),
    };
    Ok((tensors, output))
}

fn lost() -> Error {
    Error::new(ErrorKind::Bounds, "output", 0, 0, 0)
}

fn bytes_mut(arena: &mut [u8], span: Span) -> Result<&mut [u8]> {
    let begin = span.offset as usize;
    arena.get_mut(begin..begin + span.bytes as usize).ok_or_else(lost)
}
