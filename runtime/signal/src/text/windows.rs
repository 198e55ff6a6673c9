//! Cutting tokens into windows.

use super::{SpecialTokens, TokenWindowParams};
use crate::{Error, ErrorKind, Result};

/// A window of tokens between its two special tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenWindow {
    /// Token ids: cls, text tokens, sep. **Shape** `[text_tokens + 2]`.
    pub ids: Vec<u32>,
    /// 1 for each id; 0 for padding, which [`TokenWindow::pad_to`] appends. **Shape** as `ids`.
    pub mask: Vec<u32>,
    /// Index of the window's first text token in the text.
    pub start: usize,
    /// Number of text tokens.
    pub text_tokens: usize,
}

impl TokenWindow {
    /// Appends padding up to `length` ids; a window as long or longer stays as it is.
    pub fn pad_to(&mut self, length: usize, special: SpecialTokens) {
        if length > self.ids.len() {
            self.ids.resize(length, special.pad);
            self.mask.resize(length, 0);
        }
    }
}

/// The windows of a text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenWindows {
    /// Windows in the order of the text, without padding. Text without tokens has none.
    pub windows: Vec<TokenWindow>,
    /// Text tokens at the text's end that no window holds.
    pub truncated: usize,
}

/// Cuts text tokens into windows of at most `length - 2`, one every `stride` tokens, each between cls and sep.
///
/// Window `k` holds the text tokens `k * stride .. k * stride + length - 2`, and the last one ends where the text
/// ends or is the `max_windows`-th; what follows it is counted as truncated.
///
/// # Errors
/// [`ErrorKind::Parameter`] when `length` is under 3, `stride` is not in `1..=length - 2`, or `max_windows` is zero.
///
/// # Example
/// ```
/// use limbic_signal::text::{SpecialTokens, TokenWindowParams, windows};
/// let special = SpecialTokens { unknown: 1, cls: 2, sep: 3, pad: 0 };
/// let params = TokenWindowParams { length: 4, stride: 2, max_windows: 2 };
/// let cut = windows(&[10, 11, 12, 13, 14], special, &params)?;
/// assert_eq!(cut.windows[1].ids, [2, 12, 13, 3]);
/// assert_eq!(cut.truncated, 1);
/// # Ok::<(), limbic_signal::Error>(())
/// ```
pub fn windows(ids: &[u32], special: SpecialTokens, params: &TokenWindowParams) -> Result<TokenWindows> {
    let parameter =
        |subject, expected: String, found| Error::new(ErrorKind::Parameter, subject, expected, found);
    let room = match params.length.checked_sub(2) {
        Some(room) if room > 0 => room,
        _ => {
            return Err(parameter(
                "token_window@1 length",
                "at least 3".into(),
                params.length,
            ));
        }
    };
    if !(1..=room).contains(&params.stride) {
        return Err(parameter(
            "token_window@1 stride",
            format!("1 to {room}"),
            params.stride,
        ));
    }
    if params.max_windows == 0 {
        return Err(parameter("token_window@1 max_windows", "at least 1".into(), 0));
    }
    let (room, stride, max_windows) = (room as usize, params.stride as usize, params.max_windows as usize);
    let mut cut = TokenWindows::default();
    let mut end = 0;
    while end < ids.len() && cut.windows.len() < max_windows {
        let start = cut.windows.len() * stride;
        end = start.saturating_add(room).min(ids.len());
        let text = ids.get(start..end).unwrap_or_default();
        let mut window = Vec::with_capacity(text.len() + 2);
        window.push(special.cls);
        window.extend_from_slice(text);
        window.push(special.sep);
        cut.windows.push(TokenWindow {
            mask: vec![1; window.len()],
            ids: window,
            start,
            text_tokens: text.len(),
        });
    }
    cut.truncated = ids.len() - end;
    Ok(cut)
}
