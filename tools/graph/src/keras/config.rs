//! A layer's configuration, read with its name in every error.

use serde_json::{Map, Value};

use crate::error::{Error, ErrorKind, Result};
use crate::op::Padding;

/// Most layers of a model, and most elements of a list in a configuration.
pub(super) const MOST: usize = 10_000;

/// A layer with its configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layer<'a> {
    /// Class, such as `Conv2D`.
    pub class: &'a str,
    pub name: &'a str,
    pub config: &'a Map<String, Value>,
    /// The whole entry.
    pub entry: &'a Map<String, Value>,
}

impl<'a> Layer<'a> {
    /// From `{"class_name": ..., "config": {...}}`.
    pub(super) fn new(entry: &'a Value) -> Result<Self> {
        let fault = |expected: &str| {
            let found: String = entry.to_string().chars().take(60).collect();
            Error::new(ErrorKind::Malformed, "model_config", expected, found)
        };
        let entry_map = entry.as_object().ok_or_else(|| fault("a layer"))?;
        let class = entry_map.get("class_name").and_then(Value::as_str);
        let class = class.ok_or_else(|| fault("a class_name"))?;
        let config = entry_map.get("config").and_then(Value::as_object);
        let config = config.ok_or_else(|| fault("a config"))?;
        let name = config
            .get("name")
            .or_else(|| entry_map.get("name"))
            .and_then(Value::as_str);
        Ok(Self {
            class,
            name: name.unwrap_or(class),
            config,
            entry: entry_map,
        })
    }

    pub(super) fn fault(
        &self,
        kind: ErrorKind,
        expected: impl std::fmt::Display,
        found: impl std::fmt::Display,
    ) -> Error {
        Error::new(
            kind,
            format!("layer {} ({})", self.name, self.class),
            expected,
            found,
        )
    }

    /// An error that joins the list of all that is not supported.
    pub(super) fn unsupported(&self, what: impl std::fmt::Display) -> Error {
        self.fault(ErrorKind::Unsupported, "layers that are known", what)
    }

    /// A setting that is there and not null.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.config.get(key).filter(|value| !value.is_null())
    }

    fn wrong(&self, key: &str, expected: &str, value: &Value) -> Error {
        let found: String = value.to_string().chars().take(60).collect();
        self.fault(ErrorKind::Malformed, format!("{key} to be {expected}"), found)
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>> {
        self.get(key)
            .map(|value| value.as_str().ok_or_else(|| self.wrong(key, "a string", value)))
            .transpose()
    }

    pub(super) fn flag(&self, key: &str, default: bool) -> Result<bool> {
        let Some(value) = self.get(key) else {
            return Ok(default);
        };
        value
            .as_bool()
            .ok_or_else(|| self.wrong(key, "true or false", value))
    }

    pub(super) fn real(&self, key: &str) -> Result<Option<f32>> {
        self.get(key).map(|value| self.real_of(key, value)).transpose()
    }

    /// A number, or a number inside what NumPy's arrays became.
    fn real_of(&self, key: &str, value: &Value) -> Result<f32> {
        let number = value.get("value").unwrap_or(value);
        number
            .as_f64()
            .map(|n| n as f32)
            .ok_or_else(|| self.wrong(key, "a number", value))
    }

    pub(super) fn int(&self, key: &str) -> Result<Option<i64>> {
        self.get(key)
            .map(|value| {
                value
                    .as_i64()
                    .ok_or_else(|| self.wrong(key, "a whole number", value))
            })
            .transpose()
    }

    /// A whole number above zero.
    pub(super) fn size(&self, key: &str) -> Result<Option<usize>> {
        self.get(key).map(|value| self.size_of(key, value)).transpose()
    }

    pub(super) fn size_of(&self, key: &str, value: &Value) -> Result<usize> {
        value
            .as_u64()
            .filter(|n| (1..1 << 31).contains(n))
            .and_then(|n| usize::try_from(n).ok())
            .ok_or_else(|| self.wrong(key, "a whole number above zero", value))
    }

    /// Sizes of `count` axes: a list, or one number for all.
    pub(super) fn sizes(&self, key: &str, count: usize) -> Result<Option<Vec<usize>>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let sizes = match value {
            Value::Array(list) => list
                .iter()
                .map(|n| self.size_of(key, n))
                .collect::<Result<Vec<_>>>()?,
            one => vec![self.size_of(key, one)?; count],
        };
        if sizes.len() != count {
            return Err(self.wrong(key, &format!("{count} numbers"), value));
        }
        Ok(Some(sizes))
    }

    /// Numbers of each axis as [`Layer::sizes`], 1 where none are given.
    pub(super) fn sizes_or_ones(&self, key: &str, count: usize) -> Result<Vec<usize>> {
        Ok(self.sizes(key, count)?.unwrap_or_else(|| vec![1; count]))
    }

    /// What is added around `axes` spatial axes.
    pub(super) fn padding(&self, axes: usize) -> Result<Padding> {
        match self.text("padding")?.unwrap_or("valid") {
            "valid" => Ok(Padding::Explicit(vec![0; 2 * axes])),
            "same" => Ok(Padding::SameUpper),
            other => Err(self.unsupported(format!("padding {other}"))),
        }
    }

    /// Whole numbers in a list.
    pub(super) fn ints(&self, key: &str) -> Result<Option<Vec<i64>>> {
        let Some(value) = self.get(key) else {
            return Ok(None);
        };
        let list = match value {
            Value::Array(list) if list.len() <= MOST => list.iter().map(Value::as_i64).collect(),
            Value::Number(one) => Some(vec![one.as_i64().unwrap_or(i64::MAX)]),
            _ => None,
        };
        list.map(Some)
            .ok_or_else(|| self.wrong(key, "whole numbers", value))
    }

    /// Pairs for `count` axes: `[[a, b], ...]`, `[a, ...]` for the same before and behind, or one number for all.
    pub(super) fn pairs(&self, key: &str, count: usize) -> Result<Vec<[i64; 2]>> {
        let Some(value) = self.get(key) else {
            return Ok(vec![[1, 1]; count]);
        };
        let number = |value: &Value| value.as_i64().filter(|n| (0..1 << 31).contains(n));
        let pair = |value: &Value| match value {
            Value::Array(two) => match &two[..] {
                [a, b] => Some([number(a)?, number(b)?]),
                _ => None,
            },
            one => number(one).map(|n| [n, n]),
        };
        let found: Option<Vec<[i64; 2]>> = match value {
            // Of one axis the pair stands alone.
            Value::Array(_) if count == 1 => pair(value).map(|pair| vec![pair]),
            Value::Array(list) if list.len() == count => list.iter().map(pair).collect(),
            Value::Array(_) => None,
            one => number(one).map(|n| vec![[n, n]; count]),
        };
        found.ok_or_else(|| self.wrong(key, &format!("pairs for {count} axes"), value))
    }

    /// Whether channels come before the spatial axes.
    pub(super) fn channels_first(&self) -> Result<bool> {
        match self.text("data_format")? {
            None | Some("channels_last") => Ok(false),
            Some("channels_first") => Ok(true),
            Some(other) => Err(self.unsupported(format!("data_format {other}"))),
        }
    }
}
