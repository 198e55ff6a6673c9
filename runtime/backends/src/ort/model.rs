//! What an ONNX file says about itself before ONNX Runtime reads it: operators, sizes, and weights that lie elsewhere.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, ErrorKind, Result};

/// Graphs inside graphs, attributes and tensors included.
const DEPTH: usize = 64;

/// ONNX's number of 32-, 16- and 64-bit floats and of bfloat16.
const FLOATS: [u64; 4] = [1, 10, 11, 16];

/// ONNX's number of 16-bit floats.
const F16: u64 = 10;

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Model<'a> {
    /// Nodes by operator, those of inner graphs and functions included.
    pub(super) operators: BTreeMap<&'a str, usize>,
    /// Elements of the floating-point constants.
    pub(super) parameters: u64,
    /// Whether values are quantized by nodes of the graph.
    pub(super) is_quantized: bool,
    /// Whether a node other than a conversion takes a constant of 16-bit floats.
    pub(super) computes_in_f16: bool,
}

/// A message of Protocol Buffers, by its fields' numbers.
///
/// <https://protobuf.dev/programming-guides/encoding/>
#[derive(Debug, Clone, Copy)]
struct Message<'a>(&'a [u8]);

#[derive(Debug, Clone, Copy)]
enum Field<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Other,
}

impl<'a> Iterator for Message<'a> {
    /// Number and content of a field; nothing in place of the content where the rest is damaged.
    type Item = Option<(u64, Field<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Message<'a> {
    fn field(&mut self) -> Option<(u64, Field<'a>)> {
        let tag = self.number()?;
        let field = match tag & 7 {
            0 => Field::Number(self.number()?),
            1 => self.take(8).map(|_| Field::Other)?,
            2 => {
                let length = usize::try_from(self.number()?).ok()?;
                Field::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Field::Other)?,
            _ => return None,
        };
        Some((tag >> 3, field))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.take(1)?.first()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }
}

/// A constant.
#[derive(Debug, Default)]
struct Constant<'a> {
    name: &'a str,
    kind: u64,
    count: u64,
}

/// Walks a file.
struct Walk<'a, 'p> {
    program: &'p str,
    model: Model<'a>,
    halves: BTreeSet<&'a str>,
    /// Tensors that nodes other than conversions take.
    taken: BTreeSet<&'a str>,
    has_graph: bool,
}

impl<'a> Model<'a> {
    /// Reads what is needed.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] where it is no ONNX file, [`ErrorKind::UnsupportedFormat`] for weights in another file:
    /// ONNX Runtime would look for them from wherever the process happens to be.
    pub(super) fn read(program: &str, content: &'a [u8]) -> Result<Self> {
        let mut walk = Walk {
            program,
            model: Self::default(),
            halves: BTreeSet::new(),
            taken: BTreeSet::new(),
            has_graph: false,
        };
        for field in Message(content) {
            match walk.sound(field)? {
                (7, Field::Bytes(graph)) => {
                    walk.has_graph = true;
                    walk.graph(graph, 0)?;
                }
                // A function, whose nodes have the number 7.
                (25, Field::Bytes(function)) => walk.nodes(function, 7, 0)?,
                _ => {}
            }
        }
        if !walk.has_graph {
            return Err(walk.malformed("one without a graph"));
        }
        let Walk {
            mut model,
            halves,
            taken,
            ..
        } = walk;
        model.computes_in_f16 = halves.intersection(&taken).next().is_some();
        model.is_quantized = model.operators.contains_key("QuantizeLinear");
        Ok(model)
    }
}

impl<'a> Walk<'a, '_> {
    fn malformed(&self, found: &str) -> Error {
        Error::new(ErrorKind::Malformed, self.program, "an ONNX model", found)
    }

    fn sound(&self, field: Option<(u64, Field<'a>)>) -> Result<(u64, Field<'a>)> {
        field.ok_or_else(|| self.malformed("a file that ends or breaks inside of a field"))
    }

    fn text(&self, bytes: &'a [u8]) -> Result<&'a str> {
        str::from_utf8(bytes).map_err(|_| self.malformed("a name that is not UTF-8"))
    }

    fn graph(&mut self, graph: &'a [u8], depth: usize) -> Result<()> {
        if depth > DEPTH {
            return Err(self.malformed(&format!("graphs inside graphs, deeper than {DEPTH}")));
        }
        for field in Message(graph) {
            match self.sound(field)? {
                (5, Field::Bytes(tensor)) => self.constant(tensor)?,
                (15, Field::Bytes(sparse)) => self.sparse(sparse)?,
                _ => {}
            }
        }
        self.nodes(graph, 1, depth)
    }

    fn nodes(&mut self, message: &'a [u8], number: u64, depth: usize) -> Result<()> {
        for field in Message(message) {
            match self.sound(field)? {
                (found, Field::Bytes(node)) if found == number => self.node(node, depth)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn node(&mut self, node: &'a [u8], depth: usize) -> Result<()> {
        let (mut operator, mut inputs) = ("", Vec::new());
        for field in Message(node) {
            match self.sound(field)? {
                (1, Field::Bytes(name)) => inputs.push(self.text(name)?),
                (4, Field::Bytes(name)) => operator = self.text(name)?,
                (5, Field::Bytes(attribute)) => self.attribute(attribute, depth)?,
                _ => {}
            }
        }
        *self.model.operators.entry(operator).or_insert(0) += 1;
        if operator != "Cast" {
            self.taken.extend(inputs);
        }
        Ok(())
    }

    fn attribute(&mut self, attribute: &'a [u8], depth: usize) -> Result<()> {
        for field in Message(attribute) {
            match self.sound(field)? {
                (5 | 10, Field::Bytes(tensor)) => self.constant(tensor)?,
                (6 | 11, Field::Bytes(graph)) => self.graph(graph, depth + 1)?,
                (22 | 23, Field::Bytes(sparse)) => self.sparse(sparse)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn sparse(&mut self, sparse: &'a [u8]) -> Result<()> {
        for field in Message(sparse) {
            if let (1 | 2, Field::Bytes(tensor)) = self.sound(field)? {
                self.constant(tensor)?;
            }
        }
        Ok(())
    }

    fn constant(&mut self, tensor: &'a [u8]) -> Result<()> {
        let mut constant = Constant {
            count: 1,
            ..Constant::default()
        };
        let mut is_external = false;
        for field in Message(tensor) {
            match self.sound(field)? {
                (1, Field::Number(size)) => constant.count = constant.count.saturating_mul(size),
                (1, Field::Bytes(packed)) => {
                    let mut sizes = Message(packed);
                    while !sizes.0.is_empty() {
                        let size = sizes.number().ok_or_else(|| self.malformed("a size cut short"))?;
                        constant.count = constant.count.saturating_mul(size);
                    }
                }
                (2, Field::Number(kind)) => constant.kind = kind,
                (8, Field::Bytes(name)) => constant.name = self.text(name)?,
                (13, _) | (14, Field::Number(1)) => is_external = true,
                _ => {}
            }
        }
        if is_external {
            return Err(Error::new(
                ErrorKind::UnsupportedFormat,
                format!("{}: {}", self.program, constant.name),
                "weights inside the ONNX file",
                "weights in another file",
            ));
        }
        if FLOATS.contains(&constant.kind) {
            self.model.parameters = self.model.parameters.saturating_add(constant.count);
        }
        if constant.kind == F16 {
            self.halves.insert(constant.name);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    /// A field of bytes.
    fn field(number: u8, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![number << 3 | 2, u8::try_from(content.len()).unwrap()];
        bytes.extend(content);
        bytes
    }

    fn number(number: u8, value: u8) -> Vec<u8> {
        vec![number << 3, value]
    }

    fn model(graph: &[Vec<u8>]) -> Vec<u8> {
        field(7, &graph.concat())
    }

    fn tensor(name: &str, fields: &[Vec<u8>]) -> Vec<u8> {
        [field(8, name.as_bytes()), fields.concat()].concat()
    }

    #[test]
    fn operators_of_inner_graphs_are_counted() {
        let inner = field(1, &field(4, b"Add"));
        let branch = field(5, &field(6, &inner));
        let node = field(1, &[field(4, b"If"), branch].concat());
        let bytes = model(&[node, field(1, &field(4, b"Add"))]);
        let found = Model::read("m", &bytes).unwrap();
        assert_eq!(found.operators, BTreeMap::from([("Add", 2), ("If", 1)]));
    }

    #[test]
    fn halves_that_only_a_conversion_takes_are_no_arithmetic_in_them() {
        let weight = field(5, &tensor("w", &[number(2, 10), number(1, 3), number(1, 5)]));
        let uses = |operator: &[u8]| field(1, &[field(4, operator), field(1, b"w")].concat());
        for (operator, computes) in [(b"Cast".as_slice(), false), (b"MatMul", true)] {
            let bytes = model(&[weight.clone(), uses(operator)]);
            let found = Model::read("m", &bytes).unwrap();
            assert_eq!(found.computes_in_f16, computes);
            assert_eq!(found.parameters, 15);
        }
    }

    #[test]
    fn weights_in_another_file_are_refused_wherever_they_hang() {
        let outside = tensor("far", &[number(14, 1)]);
        let in_attribute = field(1, &field(5, &field(5, &outside)));
        for part in [field(5, &outside), in_attribute] {
            let bytes = model(&[part]);
            let error = Model::read("m", &bytes).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnsupportedFormat);
            assert!(error.to_string().contains("far"), "{error}");
        }
    }

    #[test]
    fn graphs_inside_graphs_without_end_are_refused() {
        fn wide(number: u8, content: &[u8]) -> Vec<u8> {
            let mut bytes = vec![number << 3 | 2];
            let mut rest = content.len();
            while rest >= 0x80 {
                bytes.push(rest as u8 & 0x7f | 0x80);
                rest >>= 7;
            }
            bytes.push(rest as u8);
            bytes.extend(content);
            bytes
        }
        let mut graph = Vec::new();
        for _ in 0..100_000 {
            graph = wide(1, &wide(5, &wide(6, &graph)));
            if graph.len() > 4000 {
                break;
            }
        }
        let error = Model::read("m", &wide(7, &graph)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{error}");
    }
}
