//! Models as graphs of layers.

use std::collections::HashMap;

use serde_json::Value;

use super::builder::Builder;
use super::config::{Layer, MOST};
use super::core;
use crate::contents::Counted;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::graph::ValueId;

/// Most models inside one another.
const MOST_DEPTH: usize = 16;

/// A model.
pub(super) struct Network<'a> {
    name: &'a str,
    layers: Vec<Member<'a>>,
    /// Layers that the model's inputs and outputs are.
    inputs: Vec<Place<'a>>,
    outputs: Vec<Place<'a>>,
}

/// A layer of a model.
struct Member<'a> {
    layer: Layer<'a>,
    /// The layer again, where it is a model.
    network: Option<Network<'a>>,
    /// Inputs of each time that it is applied.
    calls: Vec<Vec<Place<'a>>>,
}

/// An output of a layer: its name, which time it is applied, which of its outputs.
type Place<'a> = (&'a str, usize, usize);

/// Whether a layer is a model itself.
fn is_network(class: &str) -> bool {
    matches!(class, "Sequential" | "Model" | "Functional")
}

fn malformed(expected: &str, found: &Value) -> Error {
    let found: String = found.to_string().chars().take(60).collect();
    Error::new(ErrorKind::Malformed, "model_config", expected, found)
}

/// Name, element type and extents of an input; an extent that is open is `None`.
pub(super) type StatedInput = (String, Dtype, Vec<Option<usize>>);

impl<'a> Network<'a> {
    pub(super) fn new(entry: &'a Value) -> Result<Self> {
        Self::nested(entry, 0)
    }

    fn nested(entry: &'a Value, depth: usize) -> Result<Self> {
        if depth > MOST_DEPTH {
            let expected = format!("at most {MOST_DEPTH} models inside one another");
            return Err(Error::new(ErrorKind::Limit, "model_config", expected, "more"));
        }
        let class = entry.get("class_name").and_then(Value::as_str);
        let class = class.ok_or_else(|| malformed("a class_name", entry))?;
        let config = entry.get("config").ok_or_else(|| malformed("a config", entry))?;
        if !is_network(class) {
            let expected = "a Sequential or Functional model";
            return Err(Error::new(
                ErrorKind::Unsupported,
                "model_config",
                expected,
                class,
            ));
        }
        // Keras before 2.2.3 gave a Sequential's layers without a name around them.
        let list = config.get("layers").unwrap_or(config);
        let list = list.as_array().ok_or_else(|| malformed("layers", list))?;
        if list.len() > MOST {
            return Err(Error::new(
                ErrorKind::Limit,
                "model_config",
                format!("at most {MOST} layers"),
                list.len(),
            ));
        }
        let mut layers = Vec::with_capacity(list.len());
        for entry in list {
            layers.push(member(entry, depth)?);
        }
        let name = config.get("name").and_then(Value::as_str).unwrap_or("sequential");
        if class == "Sequential" {
            return Self::chain(name, layers);
        }
        Ok(Self {
            name,
            layers,
            inputs: places(config, "input_layers")?,
            outputs: places(config, "output_layers")?,
        })
    }

    /// A Sequential: each layer reads the one before.
    fn chain(name: &'a str, mut layers: Vec<Member<'a>>) -> Result<Self> {
        let Some(last) = layers.last() else {
            return Err(Error::new(ErrorKind::Malformed, "model_config", "layers", "none"));
        };
        let outputs = vec![(last.layer.name, 0, 0)];
        let mut before: Option<&str> = None;
        for member in &mut layers {
            member.calls = match before {
                Some(name) => vec![vec![(name, 0, 0)]],
                None if member.layer.class == "InputLayer" => Vec::new(),
                // The empty name stands for the model's own input.
                None => vec![vec![("", 0, 0)]],
            };
            before = Some(member.layer.name);
        }
        let inputs = match layers.first() {
            Some(first) if first.layer.class == "InputLayer" => vec![(first.layer.name, 0, 0)],
            _ => vec![("", 0, 0)],
        };
        Ok(Self {
            name,
            layers,
            inputs,
            outputs,
        })
    }

    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    /// Counts its layers by class, those of models inside it as well.
    pub(super) fn count(&self, counted: &mut Counted) {
        for member in &self.layers {
            match &member.network {
                Some(network) => network.count(counted),
                None => counted.add(member.layer.class, false),
            }
        }
    }

    /// Names of the layers that make its outputs.
    pub(super) fn output_names(&self) -> impl Iterator<Item = &'a str> {
        self.outputs.iter().map(|place| place.0)
    }

    /// Adds the model's inputs to the graph.
    pub(super) fn inputs(&self, builder: &mut Builder<'_>) -> Result<Vec<ValueId>> {
        let stated = self.stated_inputs()?.into_iter();
        Ok(stated
            .map(|(name, dtype, extents)| builder.input(&name, dtype, &extents))
            .collect())
    }

    /// The inputs as the layers state them.
    pub(super) fn stated_inputs(&self) -> Result<Vec<StatedInput>> {
        self.inputs
            .iter()
            .map(|place| {
                let member = match place.0 {
                    "" => self.layers.first(),
                    name => self.layers.iter().find(|member| member.layer.name == name),
                };
                let member = member
                    .ok_or_else(|| Error::new(ErrorKind::Name, "model_config", "an input layer", place.0))?;
                let layer = member.input();
                let (dtype, extents) = input_type(&layer)?;
                let name = if place.0.is_empty() {
                    format!("{}_input", layer.name)
                } else {
                    place.0.to_owned()
                };
                Ok((name, dtype, extents))
            })
            .collect()
    }

    /// Applies the model to values; `prefix` is the path of the model itself.
    pub(super) fn apply(
        &self,
        builder: &mut Builder<'_>,
        prefix: &str,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>> {
        let mut made: HashMap<(&str, usize), Vec<Option<ValueId>>> = HashMap::new();
        if inputs.len() != self.inputs.len() {
            let expected = format!("{} inputs of model {}", self.inputs.len(), self.name);
            return Err(Error::new(
                ErrorKind::Shape,
                "model_config",
                expected,
                inputs.len(),
            ));
        }
        for (place, value) in self.inputs.iter().zip(inputs) {
            made.insert((place.0, place.1), vec![Some(*value)]);
        }
        let mut waiting: Vec<(usize, usize)> = Vec::new();
        for (n, member) in self.layers.iter().enumerate() {
            waiting.extend((0..member.calls.len()).map(|call| (n, call)));
        }
        waiting.retain(|&(n, call)| !made.contains_key(&(self.layers[n].layer.name, call)));
        // Layers stand in the order of their depth, but nothing says they must.
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut still = Vec::new();
            for (n, call) in waiting {
                let member = &self.layers[n];
                let found: Option<Vec<Option<ValueId>>> = member.calls[call]
                    .iter()
                    .map(|&(name, call, output)| {
                        made.get(&(name, call)).map(|v| v.get(output).copied().flatten())
                    })
                    .collect();
                let Some(found) = found else {
                    still.push((n, call));
                    continue;
                };
                let outputs = member.apply(builder, prefix, found.into_iter().collect())?;
                // What a model makes on its own inputs counts as its first time.
                let before = usize::from(member.network.is_some());
                if call == 0 && before > 0 {
                    made.insert((member.layer.name, 0), outputs.clone());
                }
                made.insert((member.layer.name, call + before), outputs);
            }
            waiting = still;
            if waiting.len() == before {
                let name = self.layers[waiting[0].0].layer.name;
                let expected = "inputs that are made before";
                return Err(Error::new(
                    ErrorKind::Order,
                    format!("layer {name}"),
                    expected,
                    "a cycle or a missing layer",
                ));
            }
        }
        let mut outputs = Vec::with_capacity(self.outputs.len());
        for &(name, call, output) in &self.outputs {
            let value = made
                .get(&(name, call))
                .and_then(|values| values.get(output))
                .copied()
                .flatten();
            match value {
                Some(value) => outputs.push(value),
                None if !builder.unsupported.is_empty() => {}
                None => {
                    return Err(Error::new(
                        ErrorKind::Name,
                        "model_config",
                        "an output that a layer makes",
                        name,
                    ));
                }
            }
        }
        Ok(outputs)
    }
}

impl<'a> Member<'a> {
    /// The layer that states the input of a model which begins with this one.
    fn input(&self) -> Layer<'a> {
        match &self.network {
            Some(network) => network.layers.first().map_or(self.layer, Member::input),
            None => self.layer,
        }
    }

    /// Values that the layer makes; `None` behind a layer that is not known.
    fn apply(
        &self,
        builder: &mut Builder<'_>,
        prefix: &str,
        inputs: Option<Vec<ValueId>>,
    ) -> Result<Vec<Option<ValueId>>> {
        let layer = &self.layer;
        let path = if prefix.is_empty() {
            layer.name.to_owned()
        } else {
            format!("{prefix}/{}", layer.name)
        };
        let Some(inputs) = inputs else {
            // What it reads is not there; look whether it is known itself.
            if self.network.is_none() && !core::is_known(layer.class) {
                builder.unsupported.push(format!("{} ({path})", layer.class));
            }
            return Ok(Vec::new());
        };
        if let Some(network) = &self.network {
            let outputs = network.apply(builder, &path, &inputs)?;
            return Ok(outputs.into_iter().map(Some).collect());
        }
        builder.path.clone_from(&path);
        match core::apply(builder, layer, &inputs) {
            Ok(values) => {
                for value in values.iter().filter(|value| !inputs.contains(value)) {
                    builder.rename(*value, &path);
                }
                Ok(values.into_iter().map(Some).collect())
            }
            Err(e) if e.kind() == ErrorKind::Unsupported => {
                builder.unsupported.push(match e.found() {
                    "" => format!("{} ({path})", layer.class),
                    found => format!("{} with {found} ({path})", layer.class),
                });
                Ok(Vec::new())
            }
            Err(e) => Err(e),
        }
    }
}

fn member(entry: &Value, depth: usize) -> Result<Member<'_>> {
    let class = entry
        .get("class_name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let (layer, network) = if is_network(class) {
        let network = Network::nested(entry, depth + 1)?;
        let map = entry.as_object().ok_or_else(|| malformed("a layer", entry))?;
        let name = map.get("name").and_then(Value::as_str).unwrap_or(network.name);
        let layer = Layer {
            class,
            name,
            config: map,
            entry: map,
        };
        (layer, Some(network))
    } else {
        (Layer::new(entry)?, None)
    };
    let mut calls = Vec::new();
    if let Some(nodes) = layer.entry.get("inbound_nodes") {
        let nodes = nodes
            .as_array()
            .ok_or_else(|| malformed("inbound_nodes", nodes))?;
        for node in nodes.iter().take(MOST) {
            let list = node
                .as_array()
                .ok_or_else(|| malformed("an inbound node of Keras 2", node))?;
            calls.push(list.iter().map(place).collect::<Result<_>>()?);
        }
    }
    Ok(Member {
        layer,
        network,
        calls,
    })
}

/// The places of a list, or the one place that stands without a list.
fn places<'a>(config: &'a Value, key: &str) -> Result<Vec<Place<'a>>> {
    let list = config.get(key).and_then(Value::as_array);
    let list = list.ok_or_else(|| malformed(key, config))?;
    if list.first().is_some_and(Value::is_string) {
        return Ok(vec![place(config.get(key).unwrap_or(&Value::Null))?]);
    }
    list.iter().map(place).collect()
}

/// `[layer, call, output]`, sometimes with arguments behind.
fn place(value: &Value) -> Result<Place<'_>> {
    let fault = || malformed("[layer, call, output]", value);
    let [layer, call, output, arguments @ ..] = value.as_array().map(Vec::as_slice).ok_or_else(fault)? else {
        return Err(fault());
    };
    let plain = arguments
        .iter()
        .all(|value| value.as_object().is_none_or(|map| map.is_empty() || is_idle(map)));
    if !plain {
        let found = value.to_string().chars().take(80).collect::<String>();
        return Err(Error::new(
            ErrorKind::Unsupported,
            "model_config",
            "layers called without arguments",
            found,
        ));
    }
    let number = |value: &Value| value.as_u64().and_then(|n| usize::try_from(n).ok());
    Ok((
        layer.as_str().ok_or_else(fault)?,
        number(call).ok_or_else(fault)?,
        number(output).ok_or_else(fault)?,
    ))
}

/// Arguments that change nothing at inference.
fn is_idle(arguments: &serde_json::Map<String, Value>) -> bool {
    arguments
        .iter()
        .all(|(name, value)| value.is_null() || (name == "training" && value == &Value::Bool(false)))
}

/// Element type and extents of an input, from the layer that states it.
fn input_type(layer: &Layer<'_>) -> Result<(Dtype, Vec<Option<usize>>)> {
    let key = ["batch_input_shape", "batch_shape"]
        .into_iter()
        .find(|key| layer.get(key).is_some());
    let extents = match key {
        Some(key) => {
            let list = layer.get(key).and_then(Value::as_array);
            let list = list.ok_or_else(|| layer.fault(ErrorKind::Malformed, key, "another thing"))?;
            list.iter()
                .map(|n| {
                    if n.is_null() {
                        Ok(None)
                    } else {
                        layer.size_of(key, n).map(Some)
                    }
                })
                .collect::<Result<Vec<_>>>()?
        }
        None => match (layer.class, layer.size("input_length")?, layer.size("input_dim")?) {
            ("Embedding", length, _) => vec![None, length],
            (_, _, Some(size)) => vec![None, Some(size)],
            _ => return Err(layer.fault(ErrorKind::Malformed, "batch_input_shape", "none")),
        },
    };
    let dtype = match layer.text("dtype").unwrap_or(None) {
        None | Some("float32") => Dtype::F32,
        Some("int32") => Dtype::I32,
        Some("int64") => Dtype::I64,
        Some("uint8") => Dtype::U8,
        Some("float16") => Dtype::F16,
        Some("float64") => Dtype::F64,
        Some("bool") => Dtype::Bool,
        Some(other) => return Err(layer.unsupported(format!("dtype {other}"))),
    };
    Ok((dtype, extents))
}
