//! Elements of every input and output of a signature, made up.

use anyhow::{Context, Result, bail};
use limbic_backends::{Elements, ElementsMut, Session, TensorView, TensorViewMut};
use limbic_bundle::{Dtype, Role, Signature, TensorSpec};

/// Elements of every input and output of a signature.
pub struct Buffers {
    inputs: Vec<(String, Vec<usize>, Held)>,
    outputs: Vec<(String, Vec<usize>, Held)>,
}

enum Held {
    F32(Vec<f32>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    I8(Vec<i8>),
    U8(Vec<u8>),
}

impl Held {
    /// Takes its elements from the front of little-endian bytes; what is left, or `None` if they are too few.
    fn fill<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        macro_rules! taken {
            ($elements:ident, $ty:ty) => {{
                let (own, rest) = bytes.split_at_checked($elements.len() * size_of::<$ty>())?;
                for (to, from) in $elements.iter_mut().zip(own.as_chunks().0) {
                    *to = <$ty>::from_le_bytes(*from);
                }
                rest
            }};
        }
        Some(match self {
            Self::F32(e) => taken!(e, f32),
            Self::I64(e) => taken!(e, i64),
            Self::I32(e) => taken!(e, i32),
            Self::I8(e) => taken!(e, i8),
            Self::U8(e) => taken!(e, u8),
        })
    }

    /// Appends its elements as little-endian bytes.
    fn append(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::F32(e) => bytes.extend(e.iter().flat_map(|x| x.to_le_bytes())),
            Self::I64(e) => bytes.extend(e.iter().flat_map(|x| x.to_le_bytes())),
            Self::I32(e) => bytes.extend(e.iter().flat_map(|x| x.to_le_bytes())),
            Self::I8(e) => bytes.extend(e.iter().flat_map(|x| x.to_le_bytes())),
            Self::U8(e) => bytes.extend(e),
        }
    }
}

impl Buffers {
    /// Takes the elements of all inputs, in their order, from the front of little-endian bytes; what is left.
    pub fn fill<'a>(&mut self, mut bytes: &'a [u8]) -> Result<&'a [u8]> {
        for (name, dims, held) in &mut self.inputs {
            let left = bytes.len();
            bytes = held
                .fill(bytes)
                .with_context(|| format!("{left} bytes are too few for {name} {dims:?}"))?;
        }
        Ok(bytes)
    }

    /// Appends the elements of all outputs, in their order, as little-endian bytes.
    pub fn append(&self, bytes: &mut Vec<u8>) {
        for (_, _, held) in &self.outputs {
            held.append(bytes);
        }
    }

    /// Inputs that look random and are the same in every process: reals from -1 to 1, integers 0 and 1.
    pub fn of(signature: &Signature) -> Result<Self> {
        let mut seed = 0x9e37_79b9_u32;
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 17;
            seed ^= seed << 5;
            seed
        };
        let mut held = |spec: &TensorSpec| -> Result<(String, Vec<usize>, Held)> {
            let dims = spec.fixed_dims().with_context(|| {
                format!(
                    "{}: {} has a free size, {}; choose a bucket with --signature",
                    signature.name,
                    spec.name,
                    spec.shape()
                )
            })?;
            let count: usize = dims.iter().product();
            let bits: Vec<u32> = (0..count).map(|_| next() >> 8).collect();
            let elements = match spec.dtype {
                Dtype::F32 => Held::F32(bits.iter().map(|b| (b % 2001) as f32 / 1000.0 - 1.0).collect()),
                Dtype::I64 => Held::I64(bits.iter().map(|b| i64::from(b % 2)).collect()),
                Dtype::I32 => Held::I32(bits.iter().map(|b| i32::from(b % 2 == 1)).collect()),
                Dtype::I8 => Held::I8(bits.iter().map(|b| *b as i8).collect()),
                Dtype::U8 => Held::U8(bits.iter().map(|b| *b as u8).collect()),
                other => bail!("{}: no made-up elements of {}", spec.name, other.name()),
            };
            Ok((spec.name.clone(), dims, elements))
        };
        let mut of = |role: Role| {
            let tensors = signature.tensors.iter().filter(|spec| spec.role == role);
            tensors.map(&mut held).collect::<Result<Vec<_>>>()
        };
        Ok(Self {
            inputs: of(Role::Input)?,
            outputs: of(Role::Output)?,
        })
    }

    /// Runs the signature on them.
    pub fn run(&mut self, session: &mut dyn Session, signature: &str) -> Result<()> {
        let inputs: Vec<TensorView<'_>> = self
            .inputs
            .iter()
            .map(|(name, dims, held)| TensorView {
                name,
                dims,
                elements: match held {
                    Held::F32(e) => Elements::F32(e),
                    Held::I64(e) => Elements::I64(e),
                    Held::I32(e) => Elements::I32(e),
                    Held::I8(e) => Elements::I8(e),
                    Held::U8(e) => Elements::U8(e),
                },
            })
            .collect();
        let mut outputs: Vec<TensorViewMut<'_>> = self
            .outputs
            .iter_mut()
            .map(|(name, dims, held)| TensorViewMut {
                name,
                dims,
                elements: match held {
                    Held::F32(e) => ElementsMut::F32(e),
                    Held::I64(e) => ElementsMut::I64(e),
                    Held::I32(e) => ElementsMut::I32(e),
                    Held::I8(e) => ElementsMut::I8(e),
                    Held::U8(e) => ElementsMut::U8(e),
                },
            })
            .collect();
        Ok(session.run(signature, &inputs, &mut outputs)?)
    }
}
