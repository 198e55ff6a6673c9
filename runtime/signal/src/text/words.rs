//! Cutting normalised text into words.

use super::category::is_punctuation;

/// The words of normalised text, as `BertPreTokenizer` of the HF `tokenizers` library cuts them: white space
/// separates and is dropped, each punctuation character is a word of its own.
///
/// # Example
/// ```
/// let words: Vec<&str> = limbic_signal::text::words("can't stop!").collect();
/// assert_eq!(words, ["can", "'", "t", "stop", "!"]);
/// ```
pub fn words(normalised: &str) -> impl Iterator<Item = &str> {
    normalised
        .split(char::is_whitespace)
        .flat_map(|run| Punctuated { rest: run })
}

/// Iterator over the words of a run without white space.
struct Punctuated<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Punctuated<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let first = self.rest.chars().next()?;
        let len = if is_punctuation(first) {
            first.len_utf8()
        } else {
            self.rest.find(is_punctuation).unwrap_or(self.rest.len())
        };
        let (word, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(word)
    }
}
