//! The way from serde's formats, for host tools and tests.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::read::Read;
use crate::value::{Kind, Value};

/// Reads a type from any format of serde.
///
/// # Errors
/// What the format or the type refuses.
pub fn through_value<'de, T: Read, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    value
        .to()
        .map_err(|fault| D::Error::custom(fault.path_only(&value)))
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::new(0, Kind::Bool(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::new(0, Kind::Number(value.to_string().into())))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::new(0, Kind::Number(value.to_string().into())))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::new(0, Kind::Number(format!("{value:?}").into())))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::new(0, Kind::Text(value.into())))
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::new(0, Kind::Null))
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::new(0, Kind::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element()? {
            items.push(item);
        }
        Ok(Value::new(0, Kind::List(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries: Vec<(Box<str>, Value)> = Vec::new();
        while let Some((key, value)) = access.next_entry::<String, Value>()? {
            if entries.iter().any(|(known, _)| **known == *key) {
                return Err(A::Error::custom(format!("a key stands twice: `{key}`")));
            }
            entries.push((key.into(), value));
        }
        Ok(Value::new(0, Kind::Table(entries)))
    }
}
