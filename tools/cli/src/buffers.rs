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

impl Buffers {
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
