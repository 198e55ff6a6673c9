//! Data sets apart from each other, by the digests of their items.

use std::collections::BTreeMap;

use crate::error::{Error, ErrorKind, Result};

/// What an item of a single file is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// Ranges.
    Calibration,
    /// Choices, temperature and thresholds.
    Tune,
    /// The last word.
    Eval,
}

/// The part of an item by its SHA-256: a fifth for calibration, three tenths to tune, half to judge.
///
/// Equal items are in one part wherever they stand.
pub fn part_of(digest: &[u8; 32]) -> Part {
    let [a, b, c, d, ..] = *digest;
    match u32::from_be_bytes([a, b, c, d]) % 10 {
        0 | 1 => Part::Calibration,
        2..=4 => Part::Tune,
        _ => Part::Eval,
    }
}

/// Checks that no item is in two of the named sets.
///
/// # Errors
/// [`ErrorKind::Data`] naming the sets and how many items they share.
pub fn check_disjoint(sets: &[(&str, &[[u8; 32]])]) -> Result<()> {
    let mut seen: BTreeMap<&[u8; 32], usize> = BTreeMap::new();
    for (n, (name, digests)) in sets.iter().enumerate() {
        let mut shared: BTreeMap<usize, usize> = BTreeMap::new();
        for digest in *digests {
            let first = *seen.entry(digest).or_insert(n);
            if first != n {
                *shared.entry(first).or_insert(0) += 1;
            }
        }
        if let Some((first, count)) = shared.into_iter().next() {
            return Err(Error::new(
                ErrorKind::Data,
                format!("sets {} and {name}", sets[first].0),
                "no item in both",
                format!("{count} items by digest"),
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_a_fifth_three_tenths_and_a_half() {
        let mut counts = BTreeMap::new();
        for n in 0..10_000u32 {
            let mut digest = [0; 32];
            digest[..4].copy_from_slice(&n.wrapping_mul(2_654_435_761).to_be_bytes());
            *counts.entry(part_of(&digest)).or_insert(0) += 1;
        }
        for (part, wanted) in [
            (Part::Calibration, 2000i32),
            (Part::Tune, 3000),
            (Part::Eval, 5000),
        ] {
            assert!((counts[&part] - wanted).abs() < 150, "{counts:?}");
        }
    }

    #[test]
    fn an_item_in_two_sets_is_refused_with_their_names() {
        let (a, b, c) = ([1; 32], [2; 32], [3; 32]);
        assert!(check_disjoint(&[("calib", &[a, a]), ("tune", &[b]), ("eval", &[c])]).is_ok());
        let error = check_disjoint(&[("calib", &[a]), ("tune", &[b]), ("eval", &[c, b])]).unwrap_err();
        assert_eq!(error.place(), "sets tune and eval");
    }
}
