//! The executor: steps one after the other, in memory that the caller lends.

use crate::error::{Error, ErrorKind, Result};
use crate::kernels::{Tensors, run_step};
use crate::plan::{ARENA_ALIGNMENT, Plan, Role};
use crate::span::{Blob, Span};

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
        self.check_arena(arena)?;
        for index in 0..self.steps() {
            self.run_checked(index, arena)?;
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
        self.run_checked(index, arena)
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

    fn run_checked(&self, index: usize, arena: &mut [u8]) -> Result<()> {
        let step = self.step(index)?;
        let output = step.output();
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
        let constant = |blob: &Blob| self.blob(blob);
        run_step(self.cpu(), &step, &tensors, &constant, output);
        Ok(())
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Bounds, "output", 0, 0, 0)
}

fn bytes_mut(arena: &mut [u8], span: Span) -> Result<&mut [u8]> {
    let begin = span.offset as usize;
    arena.get_mut(begin..begin + span.bytes as usize).ok_or_else(lost)
}
