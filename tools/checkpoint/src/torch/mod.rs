//! PyTorch's files: what a pickle says about tensors, and where their storages are.

mod flatten;
mod legacy;
mod view;
mod zip;

pub(crate) use legacy::{is_legacy, open as open_legacy};
pub(crate) use zip::{is_script, open as open_zip, root};
