//! llama2.c's first format: seven 32-bit integers, then `f32` tensors in a fixed order.

use limbic_graph::{Dtype, Error, ErrorKind, Result};

use crate::bytes::Cursor;
use crate::entry::{Contents, Entry};
use crate::safetensors::Packed;
use crate::source::Source;

/// Bytes of the header.
const HEADER_BYTES: u64 = 28;

/// The header's numbers.
#[derive(Debug, Clone, Copy)]
struct Config {
    dim: u64,
    hidden_dim: u64,
    layers: u64,
    heads: u64,
    kv_heads: u64,
    vocab_size: u64,
    seq_len: u64,
    /// Whether the classifier is the token embedding; the file says so by a positive `vocab_size`.
    shared_classifier: bool,
}

impl Config {
    fn parse(head: &[u8]) -> Option<Self> {
        let mut cursor = Cursor::new(head, "header");
        let mut number = || cursor.i32().ok();
        let (dim, hidden_dim, layers) = (number()?, number()?, number()?);
        let (heads, kv_heads, vocab_size, seq_len) = (number()?, number()?, number()?, number()?);
        let positive = |number: i32| u64::try_from(number).ok().filter(|&number| number > 0);
        let config = Self {
            dim: positive(dim)?,
            hidden_dim: positive(hidden_dim)?,
            layers: positive(layers)?,
            heads: positive(heads)?,
            kv_heads: positive(kv_heads)?,
            vocab_size: u64::from(vocab_size.unsigned_abs()),
            seq_len: positive(seq_len)?,
            shared_classifier: vocab_size > 0,
        };
        let divides = config.dim.is_multiple_of(config.heads) && config.heads.is_multiple_of(config.kv_heads);
        (divides && config.vocab_size > 0).then_some(config)
    }

    /// Names and shapes in file order. A tensor of all layers has the layer as its first extent.
    fn tensors(&self) -> Vec<(&'static str, Vec<u64>)> {
        let (dim, hidden, layers) = (self.dim, self.hidden_dim, self.layers);
        let head = dim / self.heads;
        let kv = head * self.kv_heads;
        let mut tensors = vec![
            ("token_embedding_table", vec![self.vocab_size, dim]),
            ("rms_att_weight", vec![layers, dim]),
            ("wq", vec![layers, dim, dim]),
            ("wk", vec![layers, kv, dim]),
            ("wv", vec![layers, kv, dim]),
            ("wo", vec![layers, dim, dim]),
            ("rms_ffn_weight", vec![layers, dim]),
            ("w1", vec![layers, hidden, dim]),
            ("w2", vec![layers, dim, hidden]),
            ("w3", vec![layers, hidden, dim]),
            ("rms_final_weight", vec![dim]),
            ("freq_cis_real", vec![self.seq_len, head / 2]),
            ("freq_cis_imag", vec![self.seq_len, head / 2]),
        ];
        if !self.shared_classifier {
            tensors.push(("wcls", vec![self.vocab_size, dim]));
        }
        tensors
    }

    fn file_bytes(&self) -> Option<u64> {
        self.tensors().iter().try_fold(HEADER_BYTES, |sum, (_, shape)| {
            let count = shape.iter().try_fold(4u64, |n, &extent| n.checked_mul(extent))?;
            sum.checked_add(count)
        })
    }
}

/// Whether a file begins with a header whose tensors fill the file exactly; the format has no magic number.
pub(crate) fn fits(head: &[u8], file_bytes: u64) -> bool {
    Config::parse(head).and_then(|config| config.file_bytes()) == Some(file_bytes)
}

/// Lists a file.
pub(crate) fn open(source: Source) -> Result<Contents> {
    let config = Config::parse(&source.head(HEADER_BYTES)?)
        .filter(|config| config.file_bytes() == Some(source.len()))
        .ok_or_else(|| {
            Error::new(
                ErrorKind::Malformed,
                source.name(),
                "a llama2.c header whose tensors fill the file",
                format!("{} bytes", source.len()),
            )
        })?;
    let mut at = HEADER_BYTES;
    let (mut entries, mut offsets) = (Vec::new(), Vec::new());
    for (name, shape) in config.tensors() {
        let shape = crate::elements::to_shape(name, shape)?;
        let entry = Entry::new(name.to_owned(), Dtype::F32, shape)?;
        offsets.push(at);
        at += entry.bytes;
        entries.push(entry);
    }
    let mut contents = Contents::new(entries, Packed { source, offsets });
    contents.metadata = [
        ("dim", config.dim),
        ("hidden_dim", config.hidden_dim),
        ("n_layers", config.layers),
        ("n_heads", config.heads),
        ("n_kv_heads", config.kv_heads),
        ("vocab_size", config.vocab_size),
        ("seq_len", config.seq_len),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_string()))
    .into();
    let shared = (
        "shared_classifier".to_owned(),
        config.shared_classifier.to_string(),
    );
    contents.metadata.push(shared);
    Ok(contents)
}
