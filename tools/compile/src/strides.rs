//! Strided loops: fewest axes, the innermost one the densest.

use limbic_engine::step::AXES;
use limbic_graph::{Error, ErrorKind, Result};

/// Extents and the strides of each operand, as steps have them.
#[derive(Debug, PartialEq)]
pub(crate) struct Loops<const N: usize> {
    pub dims: [u32; AXES],
    pub strides: [[u32; AXES]; N],
}

/// Joins the axes that all operands can walk as one, and puts the densest of the last operand innermost.
pub(crate) fn loops<const N: usize>(dims: &[usize], strides: [&[usize]; N]) -> Result<Loops<N>> {
    let mut axes: Vec<(usize, [usize; N])> = dims
        .iter()
        .enumerate()
        .filter(|&(_, &dim)| dim != 1)
        .map(|(n, &dim)| (dim, strides.map(|s| s[n])))
        .collect();
    axes.sort_by_key(|(_, strides)| std::cmp::Reverse(strides[N - 1]));
    let mut joined: Vec<(usize, [usize; N])> = Vec::with_capacity(axes.len());
    for (dim, strides) in axes {
        match joined.last_mut() {
            Some((outer, outer_strides)) if (0..N).all(|n| outer_strides[n] == strides[n] * dim) => {
                *outer *= dim;
                *outer_strides = strides;
            }
            _ => joined.push((dim, strides)),
        }
    }
    if joined.len() > AXES {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "",
            format!("at most {AXES} axes that cannot be joined"),
            joined.len(),
        ));
    }
    let mut found = Loops {
        dims: [1; AXES],
        strides: [[0; AXES]; N],
    };
    let skipped = AXES - joined.len();
    for (n, (dim, strides)) in joined.into_iter().enumerate() {
        found.dims[skipped + n] = number(dim)?;
        for (to, from) in found.strides.iter_mut().zip(strides) {
            to[skipped + n] = number(from)?;
        }
    }
    Ok(found)
}

/// A number that a plan can hold.
pub(crate) fn number(n: usize) -> Result<u32> {
    u32::try_from(n).map_err(|_| Error::new(ErrorKind::Limit, "", "numbers of 32 bits", n))
}

/// Row-major strides.
pub(crate) fn row_major(dims: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; dims.len()];
    for n in (1..dims.len()).rev() {
        strides[n - 1] = strides[n] * dims[n].max(1);
    }
    strides
}

/// Strides of the same elements under other extents, where such strides exist.
pub(crate) fn reshaped(dims: &[usize], strides: &[usize], target: &[usize]) -> Option<Vec<usize>> {
    let old: Vec<(usize, usize)> = dims
        .iter()
        .copied()
        .zip(strides.iter().copied())
        .filter(|&(dim, _)| dim != 1)
        .collect();
    let mut found = vec![0; target.len()];
    let (mut from, mut to) = (0, 0);
    while from < old.len() {
        // The least run of old axes and of new axes with the same number of elements.
        let (mut last_from, mut old_count) = (from, old[from].0);
        let (mut last_to, mut new_count) = (to, *target.get(to)?);
        while old_count != new_count {
            if old_count < new_count {
                last_from += 1;
                old_count *= old.get(last_from)?.0;
            } else {
                last_to += 1;
                new_count *= target.get(last_to)?;
            }
        }
        for n in from..last_from {
            if old[n].1 != old[n + 1].1 * old[n + 1].0 {
                return None;
            }
        }
        let mut stride = old[last_from].1;
        for n in (to..=last_to).rev() {
            found[n] = stride;
            stride *= target[n];
        }
        (from, to) = (last_from + 1, last_to + 1);
    }
    target[to..].iter().all(|&dim| dim == 1).then_some(found)
}

/// Strides along extents that broadcast to `target`, which has at least as many.
pub(crate) fn broadcast(dims: &[usize], strides: &[usize], target: &[usize]) -> Vec<usize> {
    let skipped = target.len() - dims.len();
    let mut found = vec![0; target.len()];
    for n in 0..dims.len() {
        if dims[n] != 1 {
            found[skipped + n] = strides[n];
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_that_all_operands_walk_as_one_are_joined() {
        let found = loops(&[2, 1, 3, 4], [&[12, 12, 4, 1], &[24, 7, 8, 2]]).unwrap();
        assert_eq!(found.dims, [1, 1, 1, 1, 1, 24]);
        assert_eq!(found.strides, [[0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 0, 2]]);
    }

    #[test]
    fn the_densest_axis_of_the_last_operand_is_innermost() {
        let found = loops(&[3, 4], [&[4, 1], &[1, 3]]).unwrap();
        assert_eq!(found.dims, [1, 1, 1, 1, 4, 3]);
        assert_eq!(found.strides[0][4..], [1, 4]);
    }

    #[test]
    fn a_reshape_without_copy_keeps_every_element() {
        assert_eq!(reshaped(&[2, 3, 4], &[12, 4, 1], &[6, 4]), Some(vec![4, 1]));
        assert_eq!(reshaped(&[2, 3, 4], &[1, 2, 6], &[6, 4]), None);
        assert_eq!(
            reshaped(&[1, 8, 1, 1], &[99, 1, 99, 99], &[1, 8]),
            Some(vec![8, 1])
        );
        assert_eq!(
            reshaped(&[10, 12], &[16, 1], &[2, 5, 3, 4]),
            Some(vec![80, 16, 4, 1])
        );
    }
}
