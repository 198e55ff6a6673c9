//! The messages of an ONNX file, as parsed: nothing is checked but the wire format, elements stay in the file's bytes.

use std::cell::Cell;

use super::wire::{Fields, Wire};
use crate::error::{Error, ErrorKind, Result};

/// Messages and strings accepted in a file, so that a small file cannot make a large structure.
const MAX_ITEMS: usize = 1 << 21;

/// Graphs inside graphs.
const MAX_DEPTH: usize = 32;

/// What has been parsed so far.
#[derive(Debug, Default)]
pub(super) struct Budget {
    items: Cell<usize>,
    depth: Cell<usize>,
}

impl Budget {
    fn item(&self) -> Result<()> {
        self.items.set(self.items.get() + 1);
        if self.items.get() > MAX_ITEMS {
            return Err(limit(format!("at most {MAX_ITEMS} nodes, names and attributes")));
        }
        Ok(())
    }
}

fn limit(expected: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Limit, "", expected, "more")
}

/// A message that is parsed from its bytes.
trait Parse<'a>: Default {
    /// Takes one field; unknown ones are passed over.
    fn field(&mut self, number: u32, value: Wire<'a>, budget: &Budget) -> Result<()>;

    fn parse(bytes: &'a [u8], budget: &Budget) -> Result<Self> {
        let mut message = Self::default();
        message.extend(bytes, budget)?;
        Ok(message)
    }

    /// Joins the message with another part of it, as the format has it where a single message stands twice.
    fn extend(&mut self, bytes: &'a [u8], budget: &Budget) -> Result<()> {
        budget.item()?;
        let mut fields = Fields::new(bytes);
        while let Some((number, value)) = fields.next()? {
            self.field(number, value, budget)?;
        }
        Ok(())
    }
}

fn parse<'a, T: Parse<'a>>(value: Wire<'a>, budget: &Budget) -> Result<T> {
    T::parse(value.bytes()?, budget)
}

fn text<'a>(value: Wire<'a>, budget: &Budget) -> Result<&'a str> {
    budget.item()?;
    value.text()
}

/// `ModelProto`
#[derive(Debug, Default)]
pub(super) struct Model<'a> {
    pub ir_version: i64,
    pub producer: &'a str,
    pub producer_version: &'a str,
    pub opsets: Vec<Opset<'a>>,
    pub graph: Option<GraphProto<'a>>,
    pub functions: Vec<Function<'a>>,
}

impl<'a> Model<'a> {
    /// # Errors
    /// [`ErrorKind::Malformed`] or [`ErrorKind::Limit`].
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        Self::parse(bytes, &Budget::default())
    }
}

impl<'a> Parse<'a> for Model<'a> {
    fn field(&mut self, number: u32, value: Wire<'a>, budget: &Budget) -> Result<()> {
        match number {
            1 => self.ir_version = value.integer()?,
            2 => self.producer = value.text()?,
            3 => self.producer_version = value.text()?,
            7 => self
                .graph
                .get_or_insert_default()
                .extend(value.bytes()?, budget)?,
            8 => self.opsets.push(parse(value, budget)?),
            25 => self.functions.push(parse(value, budget)?),
            _ => {}
        }
        Ok(())
    }
}

/// `OperatorSetIdProto`
#[derive(Debug, Default, Clone)]
pub(super) struct Opset<'a> {
    pub domain: &'a str,
    pub version: i64,
}

impl<'a> Parse<'a> for Opset<'a> {
    fn field(&mut self, number: u32, value: Wire<'a>, _: &Budget) -> Result<()> {
        match number {
            1 => self.domain = value.text()?,
            2 => self.version = value.integer()?,
            _ => {}
        }
        Ok(())
    }
}

/// `FunctionProto`
#[derive(Debug, Default)]
pub(super) struct Function<'a> {
    pub name: &'a str,
    pub domain: &'a str,
    pub overload: &'a str,
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub defaults: Vec<Attribute<'a>>,
    pub nodes: Vec<NodeProto<'a>>,
    pub opsets: Vec<Opset<'a>>,
}

impl<'a> Parse<'a> for Function<'a> {
    fn field(&mut self, number: u32, value: Wire<'a>, budget: &Budget) -> Result<()> {
        match number {
            1 => self.name = value.text()?,
            4 => self.inputs.push(text(value, budget)?),
            5 => self.outputs.push(text(value, budget)?),
            7 => self.nodes.push(parse(value, budget)?),
            9 => self.opsets.push(parse(value, budget)?),
            10 => self.domain = value.text()?,
            11 => self.defaults.push(parse(value, budget)?),
            13 => self.overload = value.text()?,
            _ => {}
        }
        Ok(())
    }
}

/// `GraphProto`
#[derive(Debug, Default)]
pub(super) struct GraphProto<'a> {
    pub name: &'a str,
    pub nodes: Vec<NodeProto<'a>>,
    pub initializers: Vec<TensorProto<'a>>,
    /// Whether there are sparse ones.
    pub sparse_initializers: bool,
    pub inputs: Vec<ValueInfo<'a>>,
    pub outputs: Vec<ValueInfo<'a>>,
}

impl<'a> Parse<'a> for GraphProto<'a> {
    fn field(&mut self, number: u32, value: Wire<'a>, budget: &Budget) -> Result<()> {
        match number {
            1 => self.nodes.push(parse(value, budget)?),
            2 => self.name = value.text()?,
            5 => self.initializers.push(parse(value, budget)?),
            11 => self.inputs.push(parse(value, budget)?),
            12 => self.outputs.push(parse(value, budget)?),
            15 => self.sparse_initializers = true,
            _ => {}
        }
        Ok(())
    }
}

/// `NodeProto`
#[derive(Debug, Default)]
pub(super) struct NodeProto<'a> {
    pub name: &'a str,
    pub op_type: &'a str,
    pub domain: &'a str,
    pub overload: &'a str,
    pub inputs: Vec<&'a str>,
    pub outputs: Vec<&'a str>,
    pub attributes: Vec<Attribute<'a>>,
}

impl<'a> Parse<'a> for NodeProto<'a> {
    fn field(&mut self, number: u32, value: Wire<'a>, budget: &Budget) -> Result<()> {
        match number {
            1 => self.inputs.push(text(value, budget)?),
            2 => self.outputs.push(text(value, budget)?),
            3 => self.name = value.text()?,
            4 => self.op_type = value.text()?,
            5 => self.attributes.push(parse(value, budget)?),
            7 => self.domain = value.text()?,
            8 => self.overload = value.text()?,
            _ => {}
        }
        Ok(())
    }
}

/// `AttributeProto`
#[derive(Debug, Default)]
pub(super) struct Attribute<'a> {
    pub name: &'a str,
    /// In a function: the attribute of the calling node that this one is.
    pub reference: &'a str,
    /// `AttributeProto.AttributeType`; 0 in files older than IR version 2.
    pub kind: i64,
    pub float: f32,
    pub integer: i64,
    pub text: &'a [u8],
    pub tensor: Option<TensorProto<'a>>,
    pub graph: Option<Box<GraphProto<'a>>>,
    pub floats: Vec<f32>,
    pub integers: Vec<i64>,
    pub texts: Vec<&'a [u8]>,
}

impl<'a> Parse<'a> for Attribute<'a> {
    fn field(&mut self, number: u32, value: Wire<'a>, budget: &Budget) -> Result<()> {
        match number {
            1 => self.name = value.text()?,
            2 => self.float = value.float()?,
            3 => self.integer = value.integer()?,
            4 => self.text = value.bytes()?,
            5 => self.tensor = Some(parse(value, budget)?),
            6 => {
                if budget.depth.get() >= MAX_DEPTH {
                    return Err(limit(format!("at most {MAX_DEPTH} graphs inside each other")));
                }
                budget.depth.set(budget.depth.get() + 1);
                self.graph = Some(Box::new(parse(value, budget)?));
                budget.depth.set(budget.depth.get() - 1);
            }
            7 => value.floats(&mut self.floats)?,
            8 => value.integers(&mut self.integers)?,
            9 => {
                budget.item()?;
                self.texts.push(value.bytes()?);
            }
            20 => self.kind = value.integer()?,
            21 => self.reference = value.text()?,
            _ => {}
        }
        Ok(())
    }
}

/// `TensorProto`
#[derive(Debug, Default, Clone)]
pub(super) struct TensorProto<'a> {
    pub name: &'a str,
    pub dims: Vec<i64>,
    pub data_type: i64,
    pub raw: Option<&'a [u8]>,
    pub floats: Vec<f32>,
    /// `int32_data`, which also holds narrower types and the bits of 16-bit floats.
    pub i32s: Vec<i64>,
    pub i64s: Vec<i64>,
    pub doubles: Vec<f64>,
    /// `uint64_data`, which also holds `u32`; the bits.
    pub u64s: Vec<i64>,
    pub external: Vec<(&'a str, &'a str)>,
    /// 1 where the elements are in another file.
    pub location: i64,
}

impl<'a> TensorProto<'a> {
    /// A tensor in a file of its own.
    ///
    /// # Errors
    /// As [`Model::read`].
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self> {
        Self::parse(bytes, &Budget::default())
    }
}

impl<'a> Parse<'a> for TensorProto<'a> {
    fn field(&mut self, number: u32, value: Wire<'a>, budget: &Budget) -> Result<()> {
        match number {
            1 => value.integers(&mut self.dims)?,
            2 => self.data_type = value.integer()?,
            4 => value.floats(&mut self.floats)?,
            5 => value.integers(&mut self.i32s)?,
            7 => value.integers(&mut self.i64s)?,
            8 => self.name = value.text()?,
            9 => self.raw = Some(value.bytes()?),
            10 => value.doubles(&mut self.doubles)?,
            11 => value.integers(&mut self.u64s)?,
            13 => {
                let entry: Entry<'a> = parse(value, budget)?;
                self.external.push((entry.key, entry.value));
            }
            14 => self.location = value.integer()?,
            _ => {}
        }
        Ok(())
    }
}

/// `StringStringEntryProto`
#[derive(Debug, Default)]
struct Entry<'a> {
    key: &'a str,
    value: &'a str,
}

impl<'a> Parse<'a> for Entry<'a> {
    fn field(&mut self, number: u32, value: Wire<'a>, _: &Budget) -> Result<()> {
        match number {
            1 => self.key = value.text()?,
            2 => self.value = value.text()?,
            _ => {}
        }
        Ok(())
    }
}

/// `ValueInfoProto` of a tensor; other types leave `elem_type` 0.
#[derive(Debug, Default)]
pub(super) struct ValueInfo<'a> {
    pub name: &'a str,
    /// Field of `TypeProto` that is set: 1 for a tensor.
    pub kind: u32,
    pub elem_type: i64,
    /// `None` without a shape.
    pub dims: Option<Vec<DimProto<'a>>>,
}

/// One extent as written.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(super) enum DimProto<'a> {
    #[default]
    Unknown,
    Number(i64),
    Symbol(&'a str),
}

impl<'a> Parse<'a> for DimProto<'a> {
    fn field(&mut self, number: u32, value: Wire<'a>, _: &Budget) -> Result<()> {
        match number {
            1 => *self = Self::Number(value.integer()?),
            2 => *self = Self::Symbol(value.text()?),
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Parse<'a> for ValueInfo<'a> {
    fn field(&mut self, number: u32, value: Wire<'a>, budget: &Budget) -> Result<()> {
        match number {
            1 => self.name = value.text()?,
            2 => self.read_type(value.bytes()?, budget)?,
            _ => {}
        }
        Ok(())
    }
}

impl<'a> ValueInfo<'a> {
    fn read_type(&mut self, bytes: &'a [u8], budget: &Budget) -> Result<()> {
        let mut fields = Fields::new(bytes);
        while let Some((number, value)) = fields.next()? {
            // Field 6 is a note on the meaning; the others are the possible types.
            if number == 6 {
                continue;
            }
            self.kind = number;
            if number != 1 {
                continue;
            }
            let mut tensor = Fields::new(value.bytes()?);
            while let Some((number, value)) = tensor.next()? {
                match number {
                    1 => self.elem_type = value.integer()?,
                    2 => self.dims = Some(shape(value.bytes()?, budget)?),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn shape<'a>(bytes: &'a [u8], budget: &Budget) -> Result<Vec<DimProto<'a>>> {
    let mut dims = Vec::new();
    let mut fields = Fields::new(bytes);
    while let Some((number, value)) = fields.next()? {
        if number == 1 {
            dims.push(parse(value, budget)?);
        }
    }
    Ok(dims)
}
