//! Programs, their signatures and tensors.

use std::collections::BTreeMap;

use limbic_json::{Faults, Kind, Read, Value, choices, fields};
use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::limits;

/// A network that can be run under one or several signatures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ProgramSpec {
    /// Name, for stages and variants to refer to.
    pub name: String,
    /// The ways to run it.
    pub signatures: Vec<SignatureSpec>,
}

/// One way to run a program, with symbols in its shapes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SignatureSpec {
    /// Name, such as `main` or `encode`.
    pub name: String,
    /// The tensors that go in, come out, or stay between two runs.
    pub tensors: Vec<TensorSpec>,
    /// Values of the symbols that get a signature of their own; ascending. Without them symbols stay free.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub buckets: Vec<BTreeMap<String, usize>>,
}

/// A signature whose buckets are resolved: what a backend prepares and runs.
#[derive(Debug, Clone, PartialEq)]
pub struct Signature {
    /// Name with the bucket, such as `main` or `encode@64`.
    pub name: String,
    /// Name of the [`SignatureSpec`] it comes from.
    pub base: String,
    /// Values of the bound symbols; empty without buckets.
    pub bindings: BTreeMap<String, usize>,
    /// The tensors, bound symbols replaced by numbers.
    pub tensors: Vec<TensorSpec>,
    /// The tensors with their symbols, as the [`SignatureSpec`] has them.
    pub symbolic: Vec<TensorSpec>,
}

/// Name, type and shape of a tensor at the edge of a program.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorSpec {
    /// Name in the graph; of a state tensor, the graph's input.
    pub name: String,
    /// What it is for.
    pub role: Role,
    /// Type of the elements.
    pub dtype: Dtype,
    /// Size along each axis, outermost first.
    pub dims: Vec<Dim>,
    /// Meaning of the axes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// Scale of integer elements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quantization: Option<Quantization>,
    /// Of a state tensor: the graph's output that becomes its value for the next run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What a tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Given by the caller.
    Input,
    /// Given back to the caller.
    Output,
    /// Kept by the session from one run to the next; zeros at first.
    State,
}

impl Role {
    /// Name as the manifest writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::State => "state",
        }
    }
}

/// Type of a tensor's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Dtype {
    /// 32-bit float.
    F32,
    /// 16-bit float, IEEE 754 binary16.
    F16,
    /// 64-bit signed integer.
    I64,
    /// 32-bit signed integer.
    I32,
    /// 8-bit signed integer.
    I8,
    /// 8-bit unsigned integer.
    U8,
    /// Truth value, a byte each.
    Bool,
}

impl Dtype {
    /// Name as the manifest writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::I64 => "i64",
            Self::I32 => "i32",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::Bool => "bool",
        }
    }
}

/// Meaning of a tensor's axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// Batch, channel, row, column.
    Nchw,
    /// Batch, row, column, channel.
    Nhwc,
    /// Batch, time, channel.
    Ntc,
    /// Batch, time.
    Nt,
    /// Batch, channel.
    Nc,
}

/// Affine scale of integer elements: `real = scale * (stored - zero_point)`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantization {
    /// Scales: one, or one for each index of `axis`.
    pub scale: Vec<f32>,
    /// Stored values that stand for zero, as many as scales.
    pub zero_point: Vec<i32>,
    /// Axis of several scales.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub axis: Option<usize>,
}

/// Size along one axis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Dim {
    /// A number.
    Fixed(usize),
    /// A symbol that the runtime sets, within bounds.
    Symbol(Symbol),
}

/// A size that differs from run to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Symbol {
    /// Name, equal in every tensor where the size is the same.
    pub symbol: String,
    /// Least value.
    pub min: usize,
    /// Largest value.
    pub max: usize,
}

impl Dim {
    /// Largest value it can take.
    pub fn max(&self) -> usize {
        match self {
            Self::Fixed(size) => *size,
            Self::Symbol(symbol) => symbol.max,
        }
    }
}

impl std::fmt::Display for Dim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Fixed(size) => write!(f, "{size}"),
            Self::Symbol(Symbol { symbol, min, max }) => write!(f, "{symbol} ({min}..={max})"),
        }
    }
}

impl TensorSpec {
    /// The shape as text, such as `[1, L (2..=128)]`.
    pub fn shape(&self) -> String {
        let dims: Vec<String> = self.dims.iter().map(Dim::to_string).collect();
        format!("[{}]", dims.join(", "))
    }

    /// The shape as numbers, or nothing if it holds a symbol.
    pub fn fixed_dims(&self) -> Option<Vec<usize>> {
        self.dims
            .iter()
            .map(|dim| match dim {
                Dim::Fixed(size) => Some(*size),
                Dim::Symbol(_) => None,
            })
            .collect()
    }
}

impl ProgramSpec {
    /// The signature of this name, symbols unresolved.
    pub fn signature(&self, name: &str) -> Option<&SignatureSpec> {
        self.signatures.iter().find(|signature| signature.name == name)
    }

    /// All signatures with their buckets resolved, in order.
    pub fn concrete(&self) -> Vec<Signature> {
        self.signatures.iter().flat_map(SignatureSpec::concrete).collect()
    }
}

impl ProgramSpec {
    /// Names of all signatures with their buckets resolved, in the order of [`ProgramSpec::concrete`].
    pub fn concrete_names(&self) -> impl Iterator<Item = String> {
        self.signatures.iter().flat_map(SignatureSpec::concrete_names)
    }
}

impl SignatureSpec {
    fn concrete_names(&self) -> Vec<String> {
        if self.buckets.is_empty() {
            return vec![self.name.clone()];
        }
        self.buckets
            .iter()
            .map(|bindings| self.bound_name(bindings))
            .collect()
    }

    fn bound_name(&self, bindings: &BTreeMap<String, usize>) -> String {
        let values: Vec<String> = bindings.values().map(usize::to_string).collect();
        format!("{}@{}", self.name, values.join("x"))
    }

    /// One signature for each bucket, or a single one without buckets.
    pub fn concrete(&self) -> Vec<Signature> {
        if self.buckets.is_empty() {
            return vec![Signature {
                name: self.name.clone(),
                base: self.name.clone(),
                bindings: BTreeMap::new(),
                tensors: self.tensors.clone(),
                symbolic: self.tensors.clone(),
            }];
        }
        self.buckets.iter().map(|bindings| self.bind(bindings)).collect()
    }

    fn bind(&self, bindings: &BTreeMap<String, usize>) -> Signature {
        let mut tensors = self.tensors.clone();
        for dim in tensors.iter_mut().flat_map(|tensor| &mut tensor.dims) {
            if let Dim::Symbol(symbol) = dim
                && let Some(size) = bindings.get(&symbol.symbol)
            {
                *dim = Dim::Fixed(*size);
            }
        }
        Signature {
            name: self.bound_name(bindings),
            base: self.name.clone(),
            bindings: bindings.clone(),
            tensors,
            symbolic: self.tensors.clone(),
        }
    }

    /// Bounds of a symbol of this signature.
    pub fn symbol(&self, name: &str) -> Option<&Symbol> {
        self.tensors
            .iter()
            .flat_map(|tensor| &tensor.dims)
            .find_map(|dim| match dim {
                Dim::Symbol(symbol) if symbol.symbol == name => Some(symbol),
                _ => None,
            })
    }
}

/// Number of elements of a shape.
///
/// # Errors
/// [`ErrorKind::Limit`] naming `place` if it is over the limit of a tensor.
pub fn element_count(dims: impl IntoIterator<Item = usize>, place: &str) -> Result<usize> {
    let mut count = 1usize;
    for size in dims {
        count = count
            .checked_mul(size)
            .filter(|count| *count <= limits::TENSOR_ELEMENTS)
            .ok_or_else(|| {
                Error::new(
                    ErrorKind::Limit,
                    place,
                    format!("at most {} elements", limits::TENSOR_ELEMENTS),
                    "more",
                )
            })?;
    }
    Ok(count)
}

fields!(ProgramSpec { name, signatures });
fields!(SignatureSpec { name, tensors, buckets = Vec::new() });
fields!(TensorSpec { name, role, dtype, dims, layout = None, quantization = None, next = None });
choices!(Role { Input = "input", Output = "output", State = "state" });
choices!(Dtype {
    F32 = "f32",
    F16 = "f16",
    I64 = "i64",
    I32 = "i32",
    I8 = "i8",
    U8 = "u8",
    Bool = "bool",
});
choices!(Layout { Nchw = "nchw", Nhwc = "nhwc", Ntc = "ntc", Nt = "nt", Nc = "nc" });
fields!(Quantization { scale, zero_point, axis = None });
fields!(Symbol { symbol, min, max });

impl Read for Dim {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        match value.kind() {
            Kind::Number(_) => Self::Fixed(usize::read(value, faults)),
            Kind::Table(_) => Self::Symbol(Symbol::read(value, faults)),
            _ => {
                faults.unexpected(value, "a size or { symbol, min, max }");
                Self::Fixed(0)
            }
        }
    }
}
