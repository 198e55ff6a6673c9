//! Models made field by field, as other writers make them.

mod hostile;
mod reader;
mod writer;

use std::collections::HashMap;

use crate::error::{Error, Result};
use crate::graph::Graph;
use crate::onnx::export::tensor as tensor_message;
use crate::onnx::wire::Message;
use crate::tensor::Tensor;
use crate::{interpret, onnx};

/// A `NodeProto`; its attributes are added by the functions below.
struct Node(Message);

fn node(op_type: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    let mut message = Message::default();
    for input in inputs {
        message.text(1, input);
    }
    for output in outputs {
        message.text(2, output);
    }
    message.text(4, op_type);
    Node(message)
}

impl Node {
    fn named(mut self, name: &str) -> Self {
        self.0.text(3, name);
        self
    }

    fn domain(mut self, domain: &str) -> Self {
        self.0.text(7, domain);
        self
    }

    fn attribute(mut self, name: &str, kind: i64, fill: impl FnOnce(&mut Message)) -> Self {
        let mut message = Message::default();
        message.text(1, name);
        fill(&mut message);
        message.integer(20, kind);
        self.0.message(5, message);
        self
    }

    fn int(self, name: &str, value: i64) -> Self {
        self.attribute(name, 2, |m| m.integer(3, value))
    }

    fn float(self, name: &str, value: f32) -> Self {
        self.attribute(name, 1, |m| m.float(2, value))
    }

    fn text(self, name: &str, value: &str) -> Self {
        self.attribute(name, 3, |m| m.text(4, value))
    }

    fn ints(self, name: &str, values: &[i64]) -> Self {
        self.attribute(name, 7, |m| values.iter().for_each(|&v| m.integer(8, v)))
    }

    fn floats(self, name: &str, values: &[f32]) -> Self {
        self.attribute(name, 6, |m| values.iter().for_each(|&v| m.float(7, v)))
    }

    fn graph(self, name: &str, graph: Message) -> Self {
        self.attribute(name, 5, |m| m.message(6, graph))
    }
}

/// A `ValueInfoProto`; an extent is a number or a name.
fn info(name: &str, data_type: i64, dims: &[&str]) -> Message {
    let mut shape = Message::default();
    for dim in dims {
        let mut message = Message::default();
        match dim.parse::<i64>() {
            Ok(number) => message.integer(1, number),
            Err(_) => message.text(2, dim),
        }
        shape.message(1, message);
    }
    let mut tensor = Message::default();
    tensor.integer(1, data_type);
    tensor.message(2, shape);
    let mut kind = Message::default();
    kind.message(1, tensor);
    let mut info = Message::default();
    info.text(1, name);
    info.message(2, kind);
    info
}

/// A `GraphProto`.
fn graph(nodes: Vec<Node>, inputs: Vec<Message>, outputs: &[&str], constants: &[(&str, Tensor)]) -> Message {
    let mut graph = Message::default();
    for node in nodes {
        graph.message(1, node.0);
    }
    graph.text(2, "g");
    for (name, tensor) in constants {
        graph.message(5, tensor_message(name, tensor));
    }
    for input in inputs {
        graph.message(11, input);
    }
    for output in outputs {
        let mut info = Message::default();
        info.text(1, output);
        graph.message(12, info);
    }
    graph
}

/// A `ModelProto`.
fn model(opset: i64, graph: Message) -> Message {
    let mut id = Message::default();
    id.integer(2, opset);
    let mut model = Message::default();
    model.integer(1, 8);
    model.message(8, id);
    model.message(7, graph);
    model
}

/// Reads a model of one node with one input `x` of `f32`.
fn read_one(opset: i64, node: Node, dims: &[&str], outputs: &[&str]) -> Result<Graph> {
    let graph = graph(vec![node], vec![info("x", 1, dims)], outputs, &[]);
    onnx::read(&model(opset, graph).into_bytes(), None)
}

/// Answers of a model of one node to one input.
fn answers(opset: i64, node: Node, shape: &[usize], input: Vec<f32>, outputs: &[&str]) -> Vec<Tensor> {
    let dims: Vec<String> = shape.iter().map(usize::to_string).collect();
    let dims: Vec<&str> = dims.iter().map(String::as_str).collect();
    let graph = read_one(opset, node, &dims, outputs).unwrap();
    interpret::run(&graph, &[Tensor::new(shape, input).unwrap()]).unwrap()
}

/// What a model is refused for.
fn refusal(bytes: &[u8]) -> Error {
    onnx::read_bound(bytes, None, &HashMap::new()).unwrap_err()
}
