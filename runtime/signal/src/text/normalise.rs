//! Normalisation before tokens are cut.

use super::NormaliseTextParams;
use super::category::{is_dropped, is_ideograph, is_not_decomposed};
use super::decompose::push_without_marks;

/// Normalises text as `BertNormalizer` of the HF `tokenizers` library does, in its order.
///
/// 1. `clean`: drops NUL, U+FFFD, control, format and private-use characters; any other white space becomes a space.
/// 2. `split_cjk`: puts a space on both sides of each CJK ideograph.
/// 3. `strip_accents`: decomposes canonically (NFD) and drops combining marks (category Mn).
/// 4. `lower`: lower case, character by character (a final sigma becomes `σ`, `ß` stays).
///
/// # Example
/// ```
/// use limbic_signal::text::{NormaliseTextParams, normalise};
/// let params = NormaliseTextParams { clean: true, split_cjk: true, lower: true, strip_accents: true };
/// assert_eq!(normalise("Ça\tva? 好", &params), "ca va?  好 ");
/// ```
#[inline(never)]
pub fn normalise(text: &str, params: &NormaliseTextParams) -> String {
    let mut text = text.to_owned();
    if params.clean {
        text = clean(&text);
    }
    if params.split_cjk {
        text = split_ideographs(&text);
    }
    if params.strip_accents {
        text = strip_accents(&text);
    }
    if params.lower {
        text = text.chars().flat_map(char::to_lowercase).collect();
    }
    text
}

fn clean(text: &str) -> String {
    text.chars()
        .filter(|&c| !is_dropped(c))
        .map(|c| if c.is_whitespace() { ' ' } else { c })
        .collect()
}

fn split_ideographs(text: &str) -> String {
    let mut split = String::with_capacity(text.len());
    for c in text.chars() {
        if is_ideograph(c) {
            split.extend([' ', c, ' ']);
        } else {
            split.push(c);
        }
    }
    split
}

fn strip_accents(text: &str) -> String {
    let mut stripped = String::with_capacity(text.len());
    for part in text.split_inclusive(is_not_decomposed) {
        let young = part.chars().next_back().filter(|&c| is_not_decomposed(c));
        let old = young.map_or(part, |c| part.strip_suffix(c).unwrap_or(part));
        push_without_marks(old, &mut stripped);
        stripped.extend(young);
    }
    stripped
}
