//! Nodes of the file: their operators, versions and functions.

use std::collections::HashMap;

use super::attributes::{self, Arguments, Attributes};
use super::node::{Source, Step};
use super::{Frame, Importer, Named, check_opsets, is_standard, standard_opset};
use super::{array, causal, control, layer, loss, math, quant, recurrent, resample, signal};
use crate::error::{Error, ErrorKind, Result};
use crate::onnx::proto::{Function, NodeProto};
use crate::onnx::versions;

/// Functions inside functions.
const MAX_CALLS: usize = 32;

/// Gives the steps of the operators of a family, `None` for others.
type Family<'p> = fn(&mut Importer<'p>, &Source<'p>) -> Result<Option<Vec<Step>>>;

impl<'p> Importer<'p> {
    /// Takes one node.
    pub(super) fn node(&mut self, frame: &mut Frame<'p>, node: &'p NodeProto<'p>) -> Result<()> {
        let first = node.outputs.iter().find(|o| !o.is_empty()).copied();
        let base = [Some(node.name), first, Some(node.op_type)]
            .into_iter()
            .flatten()
            .find(|n| !n.is_empty());
        let name = self.node_name(&format!("{}{}", frame.prefix, base.unwrap_or("node")));
        let made = match self.lower(frame, node, &name) {
            Ok(made) => made,
            Err(e) if e.kind() == ErrorKind::Unsupported => {
                self.problems
                    .push(describe(node, standard_opset(frame.opsets), &name, &e));
                vec![Named::Unsupported; node.outputs.len()]
            }
            Err(e) => return Err(e.within(format!("node {name}"))),
        };
        for (output, made) in node.outputs.iter().zip(made) {
            if !output.is_empty() && frame.names.insert(output, made).is_some() {
                let place = format!("node {name}");
                return Err(Error::new(ErrorKind::Name, place, "values made once", output));
            }
        }
        Ok(())
    }

    /// What a node makes, output by output.
    fn lower(&mut self, frame: &Frame<'p>, node: &'p NodeProto<'p>, name: &str) -> Result<Vec<Named>> {
        let attributes = Attributes::new(&node.attributes, frame.arguments.as_ref());
        let function = self.function(node);
        let version = match function {
            Some(_) => 0,
            None => version(node, standard_opset(frame.opsets))?,
        };
        let mut inputs = Vec::with_capacity(node.inputs.len());
        let mut unsupported = false;
        for input in &node.inputs {
            inputs.push(match frame.names.get(input) {
                _ if input.is_empty() => None,
                Some(Named::Value(id)) => Some(*id),
                Some(Named::Absent) => None,
                Some(Named::Unsupported) => {
                    unsupported = true;
                    None
                }
                None => return Err(Error::new(ErrorKind::Order, "", "inputs made before", input)),
            });
        }
        if unsupported {
            return Ok(vec![Named::Unsupported; node.outputs.len()]);
        }
        let source = Source {
            name: name.to_owned(),
            op_type: node.op_type,
            version,
            inputs,
            outputs: node.outputs.iter().map(|o| !o.is_empty()).collect(),
            attributes,
        };
        if let Some(function) = function {
            return self.inline(frame, function, node, &source);
        }
        if source.op_type == "Constant" {
            let tensor = control::constant(&source, self.folder)?;
            let output = node.outputs.first().copied().unwrap_or_default();
            let id = self.constant(&format!("{}{output}", frame.prefix), tensor);
            return Ok(vec![Named::Value(id)]);
        }
        let steps = self.steps(frame, &source)?;
        if steps.is_empty() {
            return Ok(vec![Named::Unsupported; node.outputs.len()]);
        }
        if let Some(unread) = source.attributes.unread() {
            return Err(attributes::unsupported(unread, "none of this name", "one"));
        }
        self.place(frame, node, name, steps)
    }

    /// Adds the steps of a node under the names that the file has for its outputs.
    fn place(
        &mut self,
        frame: &Frame<'p>,
        node: &NodeProto<'p>,
        name: &str,
        steps: Vec<Step>,
    ) -> Result<Vec<Named>> {
        let names: Vec<Option<String>> = node
            .outputs
            .iter()
            .map(|o| (!o.is_empty()).then(|| format!("{}{o}", frame.prefix)))
            .collect();
        let mut made = vec![Named::Absent; names.len()];
        for (n, Step { op, inputs, outputs }) in steps.into_iter().enumerate() {
            let wanted = names.get(outputs.clone()).unwrap_or_default();
            if wanted.iter().all(Option::is_none) {
                continue;
            }
            let name = if n == 0 {
                name.to_owned()
            } else {
                self.node_name(name)
            };
            let ids = self.emit(&name, op, inputs, wanted)?;
            for (slot, id) in made.iter_mut().skip(outputs.start).zip(ids) {
                *slot = id.map_or(Named::Absent, Named::Value);
            }
        }
        Ok(made)
    }

    /// The operations that a node of the standard domain stands for; none where its branches are not supported.
    fn steps(&mut self, frame: &Frame<'p>, source: &Source<'p>) -> Result<Vec<Step>> {
        let families = [
            math::lower as Family<'p>,
            array::lower as Family<'p>,
            layer::lower as Family<'p>,
            quant::lower as Family<'p>,
            recurrent::lower as Family<'p>,
            resample::lower as Family<'p>,
            signal::lower as Family<'p>,
            loss::lower as Family<'p>,
            causal::lower as Family<'p>,
        ];
        for lower in families {
            if let Some(steps) = lower(self, source)? {
                return Ok(steps);
            }
        }
        if source.op_type == "If" {
            return control::branch(self, frame, source);
        }
        Err(refused(""))
    }

    fn function(&self, node: &NodeProto<'p>) -> Option<&'p Function<'p>> {
        self.model.functions.iter().find(|f| {
            let same_domain = f.domain == node.domain || is_standard(f.domain) && is_standard(node.domain);
            same_domain && f.name == node.op_type && f.overload == node.overload
        })
    }

    /// Writes a function out in place of a node.
    fn inline(
        &mut self,
        caller: &Frame<'p>,
        function: &'p Function<'p>,
        node: &NodeProto<'p>,
        source: &Source<'p>,
    ) -> Result<Vec<Named>> {
        if caller.calls >= MAX_CALLS {
            let expected = format!("at most {MAX_CALLS} functions inside each other");
            return Err(Error::new(ErrorKind::Limit, "", expected, "more"));
        }
        check_opsets(&function.opsets)?;
        let mut arguments: Arguments<'p> = function.defaults.iter().map(|a| (a.name, a)).collect();
        arguments.extend(source.attributes.arguments());
        let input = |n: usize| source.optional(n).map_or(Named::Absent, Named::Value);
        let names = function
            .inputs
            .iter()
            .enumerate()
            .map(|(n, name)| (*name, input(n)));
        let mut frame = Frame {
            names: names.collect::<HashMap<_, _>>(),
            opsets: &function.opsets,
            arguments: Some(arguments),
            prefix: format!("{}/", source.name),
            calls: caller.calls + 1,
        };
        let before = self.graph.values.len();
        for node in &function.nodes {
            self.node(&mut frame, node)?;
        }
        let mut made = Vec::with_capacity(node.outputs.len());
        for (output, inner) in node.outputs.iter().zip(&function.outputs) {
            let named = frame.names.get(inner).copied();
            let named =
                named.ok_or_else(|| Error::new(ErrorKind::Name, "", "an output of the function", inner))?;
            if let Named::Value(id) = named
                && id.0 >= before
                && !output.is_empty()
            {
                self.rename(id, &format!("{}{output}", caller.prefix));
            }
            made.push(named);
        }
        Ok(made)
    }
}

fn refused(expected: &str) -> Error {
    Error::new(ErrorKind::Unsupported, "", expected, "")
}

/// Version of a node's operator at an opset.
fn version(node: &NodeProto<'_>, opset: i64) -> Result<i64> {
    if !is_standard(node.domain) {
        return Err(refused(""));
    }
    let version = versions::since(node.op_type, opset).ok_or_else(|| refused(""))?;
    match control::REFUSED.binary_search(&node.op_type) {
        Ok(_) => Err(refused("")),
        Err(_) => Ok(version),
    }
}

/// One entry of the list of what is not supported: operator and version, node, and what of it, if not all.
fn describe(node: &NodeProto<'_>, opset: i64, name: &str, error: &Error) -> String {
    let operator = if is_standard(node.domain) {
        let version = versions::since(node.op_type, opset).unwrap_or(opset);
        format!("{}-{version}", node.op_type)
    } else {
        format!("{}::{}", node.domain, node.op_type)
    };
    let mut text = format!("{operator} (node {name})");
    if !error.found().is_empty() {
        text.push_str(": ");
        if !error.place().is_empty() {
            text.push_str(&format!("{}: ", error.place()));
        }
        text.push_str(error.found());
        if !error.expected().is_empty() {
            text.push_str(&format!(" instead of {}", error.expected()));
        }
    }
    text
}
