//! Bounds that keep a hostile file from costing memory or time.

/// Newest manifest format this release reads.
pub const FORMAT: u32 = 1;
/// Largest `manifest.json`, in bytes.
pub const MANIFEST_BYTES: u64 = 4 << 20;
/// Largest vocabulary, card or calibration file read from a model folder, in bytes.
#[cfg(feature = "source")]
pub const TEXT_FILE_BYTES: u64 = 64 << 20;
/// Most entries of a bundle.
pub const ENTRIES: usize = 4096;
/// Longest name of an entry, in bytes.
pub const ENTRY_NAME_BYTES: usize = 200;
/// Most inputs, programs, stages, heads, gates, variants, or signatures of a program.
pub const ITEMS: usize = 256;
/// Most weight packs of a plan.
pub const PACKS: usize = 8;
/// Most preprocessing steps of an input.
pub const STEPS: usize = 32;
/// Most axes of a tensor.
pub const AXES: usize = 8;
/// Most elements of a tensor.
pub const TENSOR_ELEMENTS: usize = 1 << 28;
