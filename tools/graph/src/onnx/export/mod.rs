//! From a graph to the messages of a file at opset 17.

mod array;
mod attribute;
mod decompose;
mod layer;
mod math;
mod quantized;
mod recurrent;

use std::collections::{HashMap, HashSet};

use super::tensor::data_type;
use super::wire::Message;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::{Graph, Node, ValueId};
use crate::infer::infer;
use crate::op::{Op, Unary};
use crate::tensor::Tensor;
use crate::types::{Dim, TensorType};
use attribute::Attributes;
pub(super) use attribute::tensor;

/// Opset of the files that are written.
pub const WRITTEN_OPSET: i64 = 17;

/// Version of the file format that came with the opset.
const IR_VERSION: i64 = 8;

/// Protocol Buffers end here.
const MAX_BYTES: usize = i32::MAX as usize;

/// Writes a graph as an ONNX model at opset [`WRITTEN_OPSET`]; equal graphs give equal bytes.
///
/// Operations that came later are written as the operators they consist of. A quantized value stays an integer
/// tensor: each node that reads it gets a `DequantizeLinear` of its own and each node that makes it is followed by a
/// `QuantizeLinear`, quantized constants being integer initializers; runtimes fuse these into integer kernels. The
/// rounding of such a file is the runtime's, whatever [`Graph::rounding`] says.
///
/// # Errors
/// [`ErrorKind::Unsupported`] listing every node that has no form at this opset; [`ErrorKind::Limit`] above 2 GiB; those
/// of [`infer`] where operands do not fit.
pub fn write(graph: &Graph) -> Result<Vec<u8>> {
    // The extents of outputs are part of the file, and some operators can only be said where extents are known.
    let mut typed = graph.clone();
    infer(&mut typed)?;
    let mut exporter = Exporter::new(&typed, HashSet::new());
    let body = exporter.graph(&HashMap::new())?;
    if !exporter.problems.is_empty() {
        let expected = format!("operations that opset {WRITTEN_OPSET} can say");
        return Err(Error::unsupported(&graph.name, expected, exporter.problems));
    }
    let mut opset = Message::default();
    opset.text(1, "");
    opset.integer(2, WRITTEN_OPSET);
    let mut model = Message::default();
    model.integer(1, IR_VERSION);
    model.text(2, "limbic");
    model.text(3, env!("CARGO_PKG_VERSION"));
    model.message(7, body);
    model.message(8, opset);
    let bytes = model.into_bytes();
    if bytes.len() > MAX_BYTES {
        return Err(Error::new(
            ErrorKind::Limit,
            &graph.name,
            format!("at most {MAX_BYTES} bytes"),
            bytes.len(),
        ));
    }
    Ok(bytes)
}

/// A graph being written.
#[derive(Debug)]
struct Exporter<'g> {
    graph: &'g Graph,
    /// By [`ValueId`].
    names: Vec<String>,
    taken: HashSet<String>,
    body: Message,
    initializers: Vec<Message>,
    /// Names of scale and zero point of the quantized values used so far.
    scales: HashMap<ValueId, (String, String)>,
    problems: Vec<String>,
}

impl<'g> Exporter<'g> {
    fn new(graph: &'g Graph, taken: HashSet<String>) -> Self {
        Self {
            graph,
            names: Vec::new(),
            taken,
            body: Message::default(),
            initializers: Vec::new(),
            scales: HashMap::new(),
            problems: Vec::new(),
        }
    }

    /// The `GraphProto`; `captured` gives the names of inputs that belong to the graph around it.
    fn graph(&mut self, captured: &HashMap<ValueId, String>) -> Result<Message> {
        self.graph.check()?;
        for (n, value) in self.graph.values.iter().enumerate() {
            let name = match captured.get(&ValueId(n)) {
                Some(name) => name.clone(),
                None => self.unique(&value.name),
            };
            self.names.push(name);
        }
        let used = self.used_constants();
        for (n, value) in self.graph.values.iter().enumerate() {
            if let Some(tensor) = &value.constant
                && used.contains(&ValueId(n))
            {
                let name = self.name(ValueId(n));
                self.initializers.push(attribute::tensor(&name, tensor));
            }
        }
        for node in &self.graph.nodes {
            if let Err(e) = self.node(node) {
                if e.kind() != ErrorKind::Unsupported {
                    return Err(e.within(format!("node {}", node.name)));
                }
                self.problems.push(format!("{} (node {})", e.found(), node.name));
            }
        }
        let outputs = self.outputs()?;
        let mut message = std::mem::take(&mut self.body);
        message.text(
            2,
            if self.graph.name.is_empty() {
                "graph"
            } else {
                &self.graph.name
            },
        );
        for initializer in std::mem::take(&mut self.initializers) {
            message.message(5, initializer);
        }
        for id in self.graph.inputs.iter().filter(|id| !captured.contains_key(id)) {
            let info = self.value_info(&self.name(*id), &self.graph.value(*id).ty);
            message.message(11, info);
        }
        for output in outputs {
            message.message(12, output);
        }
        Ok(message)
    }

    /// The outputs. One that no node makes, or that is named twice, gets a node that copies it.
    fn outputs(&mut self) -> Result<Vec<Message>> {
        let producers = self.graph.producers();
        let mut seen = HashSet::new();
        let mut outputs = Vec::new();
        for &id in &self.graph.outputs {
            let mut name = self.name(id);
            if !producers.contains_key(&id) || !seen.insert(id) {
                let source = name;
                name = self.unique(&format!("{source}.output"));
                self.call("Identity", &[source], &[name.clone()], Vec::new());
            }
            outputs.push(self.value_info(&name, &self.graph.value(id).ty));
        }
        Ok(outputs)
    }

    /// The constants that something reads; one that a node makes all the same stays its output.
    fn used_constants(&self) -> HashSet<ValueId> {
        let nodes = self.graph.nodes.iter();
        let read = nodes.flat_map(|node| node.inputs.iter().flatten());
        let made = self.graph.producers();
        let used = read.chain(&self.graph.outputs).copied();
        used.filter(|id| !made.contains_key(id)).collect()
    }

    fn value_info(&self, name: &str, ty: &TensorType) -> Message {
        let mut tensor = Message::default();
        tensor.integer(1, data_type(ty.dtype));
        if let Some(dims) = &ty.dims {
            let mut shape = Message::default();
            for dim in dims {
                let mut message = Message::default();
                match dim {
                    Dim::Known(n) => message.integer(1, *n as i64),
                    Dim::Symbol(n) => {
                        let name = self.graph.symbols.get(*n).map_or("", |symbol| &symbol.name);
                        message.text(2, name);
                    }
                }
                shape.message(1, message);
            }
            tensor.message(2, shape);
        }
        let mut kind = Message::default();
        kind.message(1, tensor);
        let mut info = Message::default();
        info.text(1, name);
        info.message(2, kind);
        info
    }

    fn name(&self, id: ValueId) -> String {
        self.names.get(id.0).cloned().unwrap_or_default()
    }

    fn unique(&mut self, base: &str) -> String {
        let base = if base.is_empty() { "value" } else { base };
        let mut name = base.to_owned();
        let mut count = 1usize;
        while !self.taken.insert(name.clone()) {
            count += 1;
            name = format!("{base}_{count}");
        }
        name
    }

    /// Adds a `NodeProto`.
    fn call(&mut self, op_type: &str, inputs: &[String], outputs: &[String], attributes: Attributes) {
        let mut message = Message::default();
        let given = inputs
            .iter()
            .rposition(|name| !name.is_empty())
            .map_or(0, |n| n + 1);
        for name in inputs.iter().take(given) {
            message.text(1, name);
        }
        let wanted = outputs
            .iter()
            .rposition(|name| !name.is_empty())
            .map_or(0, |n| n + 1);
        for name in outputs.iter().take(wanted) {
            message.text(2, name);
        }
        // A node is named after what it makes, which is unique.
        if let Some(name) = outputs.iter().find(|name| !name.is_empty()) {
            message.text(3, name);
        }
        message.text(4, op_type);
        for (name, value) in attributes {
            message.message(5, attribute::attribute(name, value));
        }
        self.body.message(1, message);
    }

    /// Adds a node that makes one value of its own; gives the name.
    fn step(&mut self, base: &str, op_type: &str, inputs: &[&str], attributes: Attributes) -> String {
        let name = self.unique(base);
        let inputs: Vec<String> = inputs.iter().map(|&name| name.to_owned()).collect();
        self.call(op_type, &inputs, std::slice::from_ref(&name), attributes);
        name
    }

    /// Adds a constant; gives its name.
    fn constant(&mut self, base: &str, tensor: &Tensor) -> String {
        let name = self.unique(base);
        self.initializers.push(attribute::tensor(&name, tensor));
        name
    }

    /// Adds a constant of one element of a floating-point type.
    fn scalar(&mut self, base: &str, value: f64, dtype: Dtype) -> Result<String> {
        let tensor = match dtype {
            Dtype::F32 => Tensor::scalar(value as f32),
            Dtype::F16 => Tensor::scalar(half::f16::from_f64(value)),
            Dtype::Bf16 => Tensor::scalar(half::bf16::from_f64(value)),
            Dtype::F64 => Tensor::scalar(value),
            other => return Err(unsupported(format!("{base} of {other}"))),
        };
        Ok(self.constant(base, &tensor))
    }

    fn node(&mut self, node: &Node) -> Result<()> {
        if matches!(node.op, Op::Requantize) {
            return self.requantize(node);
        }
        let inputs = self.real_inputs(node)?;
        let (outputs, quantized) = self.real_outputs(node);
        let call = Call {
            node,
            inputs: &inputs,
            outputs: &outputs,
        };
        self.check_types(&call)?;
        if let Some((op_type, attributes)) = direct(self, &call)? {
            self.call(op_type, &inputs, &outputs, attributes);
        } else {
            decompose::write(self, &call)?;
        }
        for (id, real) in quantized {
            self.quantize(id, &real)?;
        }
        Ok(())
    }
}

/// A node on its way into the file.
#[derive(Debug, Clone, Copy)]
struct Call<'a> {
    node: &'a Node,
    /// Names, empty where one is left out.
    inputs: &'a [String],
    /// Names, empty where one is not wanted.
    outputs: &'a [String],
}

impl Call<'_> {
    fn input(&self, n: usize) -> &str {
        self.inputs.get(n).map_or("", String::as_str)
    }

    fn output(&self) -> &str {
        self.outputs.first().map_or("", String::as_str)
    }

    fn id(&self, n: usize) -> Option<ValueId> {
        self.node.inputs.get(n).copied().flatten()
    }
}

impl Exporter<'_> {
    /// What is known of an input; a quantized one is `f32` to the operation.
    fn input_type(&self, call: &Call<'_>, n: usize) -> Option<&TensorType> {
        Some(&self.graph.value(call.id(n)?).ty)
    }

    /// Type of the elements that the operation computes on.
    fn dtype(&self, call: &Call<'_>, n: usize) -> Dtype {
        match self.input_type(call, n) {
            Some(ty) if ty.quantization.is_none() => ty.dtype,
            _ => Dtype::F32,
        }
    }

    /// Refuses element types that an operator took on after this opset.
    fn check_types(&self, call: &Call<'_>) -> Result<()> {
        let dtype = self.dtype(call, 0);
        let (name, known) = match &call.node.op {
            Op::Unary(Unary::Celu { .. }) => ("Celu-28", dtype == Dtype::F32),
            Op::Unary(Unary::IsInf { .. }) => ("IsInf-20", matches!(dtype, Dtype::F32 | Dtype::F64)),
            Op::Unary(Unary::Elu { .. }) => ("Elu-22", dtype != Dtype::Bf16),
            Op::Reduce { .. } => ("Reduce-20", dtype != Dtype::Bool),
            Op::QLinearMatMul => ("QLinearMatMul-21 with scales", self.dtype(call, 1) == Dtype::F32),
            Op::Dequantize(_) => (
                "DequantizeLinear-21",
                matches!(dtype, Dtype::I8 | Dtype::U8 | Dtype::I32),
            ),
            _ => return Ok(()),
        };
        if known {
            Ok(())
        } else {
            Err(unsupported(format!("{name} of {dtype}")))
        }
    }

    /// The integers of an input that must be a constant.
    fn integers(&self, call: &Call<'_>, n: usize) -> Result<Option<Vec<i64>>> {
        let Some(id) = call.id(n) else { return Ok(None) };
        match self.graph.constant(id) {
            Some(tensor) => tensor.to_i64().map(Some),
            None => Err(unsupported(format!("an input {n} that is no constant"))),
        }
    }
}

/// The operator and attributes of an operation that opset 17 has as it is.
fn direct(exporter: &mut Exporter<'_>, call: &Call<'_>) -> Result<Option<(&'static str, Attributes)>> {
    if let Some(found) = math::direct(call) {
        return Ok(Some(found));
    }
    if let Some(found) = array::direct(exporter, call)? {
        return Ok(Some(found));
    }
    layer::direct(call)
}

/// Something that opset 17 cannot say.
fn unsupported(found: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Unsupported, "", "", found)
}
