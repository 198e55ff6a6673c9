//! Attributes and tensors being written.

use crate::onnx::tensor::{data_type, to_bytes};
use crate::onnx::wire::Message;
use crate::tensor::Tensor;

/// Value of an attribute.
#[derive(Debug)]
pub(super) enum Value {
    Int(i64),
    Float(f32),
    Text(String),
    Ints(Vec<i64>),
    Floats(Vec<f32>),
    Texts(Vec<&'static str>),
    Tensor(Tensor),
    Graph(Message),
}

/// Attributes of a node, in the order in which they are written.
pub(super) type Attributes = Vec<(&'static str, Value)>;

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(value.into())
    }
}

impl From<f32> for Value {
    fn from(value: f32) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<&[i64]> for Value {
    fn from(value: &[i64]) -> Self {
        Self::Ints(value.to_vec())
    }
}

impl From<&[usize]> for Value {
    fn from(value: &[usize]) -> Self {
        Self::Ints(value.iter().map(|&n| n as i64).collect())
    }
}

/// An `AttributeProto`.
pub(super) fn attribute(name: &str, value: Value) -> Message {
    let mut message = Message::default();
    message.text(1, name);
    let kind = match value {
        Value::Float(value) => {
            message.float(2, value);
            1
        }
        Value::Int(value) => {
            message.integer(3, value);
            2
        }
        Value::Text(value) => {
            message.text(4, &value);
            3
        }
        Value::Tensor(value) => {
            message.message(5, tensor("", &value));
            4
        }
        Value::Graph(value) => {
            message.message(6, value);
            5
        }
        Value::Floats(values) => {
            for value in values {
                message.float(7, value);
            }
            6
        }
        Value::Ints(values) => {
            for value in values {
                message.integer(8, value);
            }
            7
        }
        Value::Texts(values) => {
            for value in values {
                message.text(9, value);
            }
            8
        }
    };
    message.integer(20, kind);
    message
}

/// A `TensorProto`; without a name inside an attribute.
pub(in crate::onnx) fn tensor(name: &str, tensor: &Tensor) -> Message {
    let mut message = Message::default();
    for &extent in tensor.shape() {
        message.integer(1, extent as i64);
    }
    message.integer(2, data_type(tensor.dtype()));
    if !name.is_empty() {
        message.text(8, name);
    }
    message.bytes(9, &to_bytes(tensor.storage()));
    message
}
