//! Parts of a step that can be made side by side: each writes a run of the output of its own.
//!
//! A part is a step of the same kernel with smaller extents, so that every instruction set makes parts without code for
//! it; each element is computed from the same numbers in the same order as in the whole step.

mod cost;
mod strided;
mod windows;

use super::Step;
use crate::span::Span;

/// Most parts of a step.
pub(crate) const MOST_PARTS: usize = 32;

/// Where a step can be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cuts {
    /// Places along the axis that is cut.
    count: u32,
    /// Places that stay together.
    grain: u32,
}

impl Cuts {
    /// Places of a part, from the first to behind the last; nothing may be in one.
    fn places(self, part: usize, parts: usize) -> [u32; 2] {
        let at = |part: usize| {
            let grains = u64::from(self.count.div_ceil(self.grain));
            let grain = grains * part as u64 / parts.max(1) as u64;
            (grain as u32).saturating_mul(self.grain).min(self.count)
        };
        [at(part), at(part + 1)]
    }

    /// Most parts that have a place each.
    fn most(self) -> usize {
        self.count.div_ceil(self.grain) as usize
    }
}

/// Bytes of an output from one place of an axis to another: those before the first belong to the first part, those
/// behind the last to the last one.
fn between(output: &Span, cuts: Cuts, [from, to]: [u32; 2], byte: impl Fn(u32) -> u32) -> Span {
    let begin = if from == 0 { 0 } else { byte(from) };
    let end = if to == cuts.count { output.bytes } else { byte(to) };
    Span {
        offset: output.offset + begin,
        bytes: end - begin,
    }
}

impl Step {
    /// How many parts of so many nanoseconds each it has where so many can be made at a time: 1 where it is too short or
    /// can't be cut.
    pub(crate) fn parts(&self, workers: usize, least: u64) -> usize {
        let most = workers.min(MOST_PARTS);
        let pay = match self.least_nanoseconds().checked_div(least) {
            Some(parts) => parts.min(most as u64) as usize,
            None => most,
        };
        if pay < 2 {
            return 1;
        }
        self.cuts().map_or(1, |cuts| cuts.most().min(pay))
    }

    /// Where it can be cut.
    fn cuts(&self) -> Option<Cuts> {
        match self {
            Self::Conv(step) => windows::conv_cuts(step),
            Self::Depthwise(step) => windows::depthwise_cuts(step),
            Self::Pool(step) => windows::pool_cuts(step),
            Self::Pack(step) => strided::pack_cuts(step),
            _ => strided::cuts(self),
        }
    }

    /// One of so many parts; nothing where it can't be cut.
    ///
    /// The spans of consecutive parts lie behind each other and are the output's together.
    pub(crate) fn part(&self, part: usize, parts: usize) -> Option<Self> {
        let cuts = self.cuts()?;
        let places = cuts.places(part, parts);
        if places[0] == places[1] {
            return None;
        }
        match self {
            Self::Conv(step) => windows::conv(step, cuts, places).map(Self::Conv),
            Self::Depthwise(step) => windows::depthwise(step, cuts, places).map(Self::Depthwise),
            Self::Pool(step) => windows::pool(step, cuts, places).map(Self::Pool),
            Self::Pack(step) => Some(Self::Pack(strided::pack(step, cuts, places))),
            _ => strided::part(self, cuts, places),
        }
    }
}
