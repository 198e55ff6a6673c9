//! Text to token windows.

use limbic_bundle::{Input, Package, Step};
use limbic_signal::text::{
    self, NormaliseTextParams, SpecialTokens, TokenWindow, TokenWindowParams, WordPiece,
};

use crate::error::{Error, ErrorKind, Result};

/// The steps from a text to windows of token ids.
#[derive(Debug)]
pub struct TextPipeline {
    tensors: [String; 2],
    normalise: NormaliseTextParams,
    tokeniser: WordPiece,
    window: TokenWindowParams,
}

/// A text as the model sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct TextItem {
    /// Windows in the order of the text, unpadded; none for a text without tokens.
    pub windows: Vec<TokenWindow>,
    /// Tokens at the text's end that no window holds.
    pub truncated: usize,
    /// Words that are not punctuation.
    pub words: usize,
    /// Words that are not in the vocabulary and cannot be built from it.
    pub unknown_words: usize,
}

impl TextPipeline {
    pub(super) fn new(input: &Input, package: &dyn Package) -> Result<Self> {
        let [ids, mask] = input.tensors.as_slice() else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "input {}: {} tensors; a text gives ids and mask",
                    input.name,
                    input.tensors.len()
                ),
            ));
        };
        let [
            Step::NormaliseText(normalise),
            Step::WordPiece(pieces),
            Step::TokenWindow(window),
        ] = input.steps.as_slice()
        else {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "input {}: a text takes normalise_text@1, wordpiece@1 and token_window@1",
                    input.name
                ),
            ));
        };
        let bytes = package.entry(&pieces.vocabulary).map_err(Error::bundle)?;
        let vocabulary = std::str::from_utf8(&bytes).map_err(|error| {
            Error::new(
                ErrorKind::Unsupported,
                format!("vocabulary {} is not UTF-8", pieces.vocabulary),
            )
            .because(error)
        })?;
        Ok(Self {
            tensors: [ids.clone(), mask.clone()],
            normalise: normalise.clone(),
            tokeniser: WordPiece::new(vocabulary, pieces).map_err(Error::preprocess)?,
            window: window.clone(),
        })
    }

    /// Names of the tensors that the model gets: ids and mask.
    pub fn tensors(&self) -> [&str; 2] {
        [&self.tensors[0], &self.tensors[1]]
    }

    /// Tokens of the longest window, special tokens included.
    pub fn window_length(&self) -> usize {
        self.window.length as usize
    }

    /// Ids of the special tokens.
    pub fn special(&self) -> SpecialTokens {
        self.tokeniser.special()
    }

    /// Runs the steps on a text.
    ///
    /// # Errors
    /// [`ErrorKind::Preprocess`] with the step's own words.
    pub fn run(&self, text: &str) -> Result<TextItem> {
        let encoding = self.tokeniser.encode(&text::normalise(text, &self.normalise));
        let cut = text::windows(&encoding.ids, self.tokeniser.special(), &self.window)
            .map_err(Error::preprocess)?;
        Ok(TextItem {
            windows: cut.windows,
            truncated: cut.truncated,
            words: encoding.words.saturating_sub(encoding.punctuation_words),
            unknown_words: encoding.unknown_words,
        })
    }
}
