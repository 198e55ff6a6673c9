//! Places of buffers in one arena, by the times at which they live.

use limbic_graph::{Error, ErrorKind, Result};

/// Alignment of buffers.
const ALIGNMENT: usize = 64;

/// A buffer and the steps between which it must keep its bytes, both included.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    pub bytes: usize,
    pub first: usize,
    pub last: usize,
}

/// Offsets of the buffers, and the bytes of an arena that holds them: the largest first, each at the lowest place that
/// is free while it lives.
pub(crate) fn plan(lives: &[Life]) -> Result<(Vec<u32>, u32)> {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|&n| (std::cmp::Reverse(lives[n].bytes), lives[n].first));
    let mut offsets = vec![0usize; lives.len()];
    let mut placed: Vec<usize> = Vec::with_capacity(lives.len());
    let mut total = 0;
    for n in order {
        let life = lives[n];
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&other| lives[other].first <= life.last && life.first <= lives[other].last)
            .map(|&other| (offsets[other], offsets[other] + lives[other].bytes))
            .collect();
        taken.sort_unstable();
        let mut at = 0usize;
        for (begin, end) in taken {
            if at + life.bytes <= begin {
                break;
            }
            at = at.max(end.next_multiple_of(ALIGNMENT));
        }
        offsets[n] = at;
        total = total.max(at + life.bytes);
        placed.push(n);
    }
    let limit = |n: usize| {
        u32::try_from(n)
            .map_err(|_| Error::new(ErrorKind::Limit, "arena", "at most 4 GiB", format!("{n} bytes")))
    };
    let offsets = offsets.into_iter().map(limit).collect::<Result<Vec<u32>>>()?;
    Ok((offsets, limit(total.next_multiple_of(ALIGNMENT))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_that_live_at_the_same_time_do_not_overlap() {
        let mut state = 1u32;
        let mut random = |limit: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % limit
        };
        let lives: Vec<Life> = (0..200)
            .map(|_| {
                let first = random(50) as usize;
                Life {
                    bytes: 1 + random(5000) as usize,
                    first,
                    last: first + random(9) as usize,
                }
            })
            .collect();
        let (offsets, total) = plan(&lives).unwrap();
        for a in 0..lives.len() {
            assert!(offsets[a] as usize + lives[a].bytes <= total as usize);
            assert_eq!(offsets[a] % 64, 0);
            for b in 0..a {
                let together = lives[a].first <= lives[b].last && lives[b].first <= lives[a].last;
                let apart = offsets[a] as usize + lives[a].bytes <= offsets[b] as usize
                    || offsets[b] as usize + lives[b].bytes <= offsets[a] as usize;
                assert!(!together || apart, "{a} and {b}");
            }
        }
    }

    #[test]
    fn a_chain_needs_its_two_largest_neighbours() {
        let life = |bytes, first| Life {
            bytes,
            first,
            last: first + 1,
        };
        let (_, total) = plan(&[life(128, 0), life(256, 1), life(64, 2), life(128, 3)]).unwrap();
        assert_eq!(total, 384);
    }
}
