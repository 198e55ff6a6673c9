//! JSON into a tree of values, and checked types out of it, in little machine code.
//!
//! A device binary counts its bytes, and a reader that is derived for each type is machine code for each type. Here a
//! text becomes a tree of [`Value`]s once; a type takes its fields from the tree by name. An unknown, a missing and a
//! doubled key are refused, and an error says where it stands, as a path and as a line.
//!
//! ```
//! struct Size {
//!     width: u32,
//!     height: u32,
//! }
//! limbic_json::fields!(Size { width, height = 1 });
//!
//! let size: Size = limbic_json::from_slice(br#"{"width": 3}"#).unwrap();
//! assert_eq!((size.width, size.height), (3, 1));
//! let error = limbic_json::from_slice::<Size>(br#"{"width": 3, "depth": 2}"#).err().unwrap();
//! assert_eq!(
//!     error.to_string(),
//!     "unknown field `depth`, expected one of `width`, `height` at line 1 column 1"
//! );
//! ```
#![forbid(unsafe_code)]
#![deny(missing_docs)]

mod declare;
mod deserialize;
mod error;
mod parse;
mod read;
mod value;

pub use deserialize::through_value;
pub use error::{Error, Fault, Faults};
pub use read::{Fields, Read, Record};
pub use value::{Kind, Value};

/// Reads a type from the text of a JSON document.
///
/// # Errors
/// What the text or the type refuses, with path, line and column.
pub fn from_slice<T: Read>(text: &[u8]) -> Result<T, Error> {
    let value = Value::from_json(text)?;
    value.to().map_err(|fault| fault.locate(&value, text))
}
