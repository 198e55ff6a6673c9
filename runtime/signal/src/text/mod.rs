//! Text: normalisation, WordPiece and token windows.

mod params;

pub use params::{NormaliseTextParams, TokenWindowParams, WordPieceParams};
