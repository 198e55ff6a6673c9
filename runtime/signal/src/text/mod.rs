//! Text: decoding, normalisation, WordPiece and token windows.

mod category;
mod decode;
mod decompose;
mod decompositions;
mod normalise;
mod params;
mod ranges;
mod windows;
mod wordpiece;
mod words;

pub use decode::decode_lossy_counted;
pub use normalise::normalise;
pub use params::{NormaliseTextParams, TokenWindowParams, WordPieceParams};
pub use windows::{TokenWindow, TokenWindows, windows};
pub use wordpiece::{Encoding, SpecialTokens, WordPiece};
pub use words::words;
