//! From a pickle's nested containers to a list of tensors with paths.

use limbic_graph::{Error, ErrorKind, Result};

use super::view::{View, rebuild};
use crate::entry::Skipped;
use crate::pickle::{Pickle, Ref, Value};

/// Deepest nesting of containers.
const MAX_DEPTH: usize = 64;

/// Most values looked at. Shared containers are cheap to write and dear to list.
const MAX_VISITS: usize = 1 << 20;

/// Most bytes of all names and texts together.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// What a pickle holds.
#[derive(Debug, Default)]
pub(crate) struct Flat {
    /// Tensors under their paths, in the order of the pickle.
    pub(crate) tensors: Vec<(String, View)>,
    /// Numbers and texts under their paths.
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) skipped: Vec<Skipped>,
}

/// Lists the tensors of a pickle; paths begin with `prefix`.
///
/// # Errors
/// [`ErrorKind::Malformed`] for a container inside itself and for views outside their storages, [`ErrorKind::Limit`].
pub(crate) fn flatten(pickle: &Pickle, file: &str, prefix: &str) -> Result<Flat> {
    let mut walk = Walk {
        pickle,
        flat: Flat::default(),
        ancestors: Vec::new(),
        visits: 0,
        text_bytes: 0,
    };
    walk.visit(pickle.root, prefix)
        .map_err(|error| error.within(file))?;
    // A file may hold one tensor and no container.
    if let [(name, _)] = walk.flat.tensors.as_mut_slice()
        && name.is_empty()
    {
        *name = "tensor".to_owned();
    }
    Ok(walk.flat)
}

struct Walk<'a> {
    pickle: &'a Pickle,
    flat: Flat,
    /// Containers around the current value.
    ancestors: Vec<Ref>,
    visits: usize,
    text_bytes: usize,
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

impl<'a> Walk<'a> {
    /// Counts values and bytes of text against the limits.
    fn charge(&mut self, path: &str, visits: usize, text_bytes: usize) -> Result<()> {
        self.visits = self.visits.saturating_add(visits);
        self.text_bytes = self.text_bytes.saturating_add(text_bytes);
        if self.visits > MAX_VISITS || self.text_bytes > MAX_TEXT_BYTES || self.ancestors.len() > MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::Limit,
                path.get(..64).unwrap_or(path),
                format!(
                    "at most {MAX_VISITS} values, {MAX_TEXT_BYTES} bytes of names and {MAX_DEPTH} levels"
                ),
                "more",
            ));
        }
        Ok(())
    }

    fn visit(&mut self, at: Ref, path: &str) -> Result<()> {
        self.charge(path, 1, path.len())?;
        if self.ancestors.contains(&at) {
            return Err(Error::new(
                ErrorKind::Malformed,
                path,
                "a tree",
                "a container inside itself",
            ));
        }
        self.ancestors.push(at);
        let pickle = self.pickle;
        let done = match pickle.get(at) {
            Value::None => Ok(()),
            Value::Dict(items) => self.items(items, path),
            Value::List(items) | Value::Tuple(items) => self.list(items, path),
            Value::Call { .. } => self.call(at, path),
            Value::Global { module, name } => self.skip(path, format!("{module}.{name}")),
            Value::Persistent(_) => self.skip(path, "a storage without a tensor".to_owned()),
            Value::Set(_) => self.skip(path, "a set".to_owned()),
            Value::Bytes(bytes) => self.skip(path, format!("{} bytes", bytes.len())),
            Value::Long(bytes) => self.skip(path, format!("an integer of {} bytes", bytes.len())),
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_) => {
                let text = self.scalar_text(at, path)?;
                self.flat
                    .metadata
                    .extend(text.map(|text| (path.to_owned(), text)));
                Ok(())
            }
        };
        self.ancestors.pop();
        done
    }

    fn skip(&mut self, path: &str, what: String) -> Result<()> {
        self.charge(path, 0, what.len())?;
        self.flat.skipped.push(Skipped {
            path: path.to_owned(),
            what,
        });
        Ok(())
    }

    /// A number or a text in words, its length counted.
    fn scalar_text(&mut self, at: Ref, path: &str) -> Result<Option<String>> {
        let text = match self.pickle.get(at) {
            Value::Bool(value) => value.to_string(),
            Value::Int(value) => value.to_string(),
            Value::Float(value) => value.to_string(),
            Value::Text(value) => {
                self.charge(path, 0, value.len())?;
                value.clone()
            }
            _ => return Ok(None),
        };
        Ok(Some(text))
    }

    fn items(&mut self, items: &'a [(Ref, Ref)], path: &str) -> Result<()> {
        for &(key, value) in items {
            match self.pickle.get(key) {
                Value::Text(name) => self.visit(value, &join(path, name))?,
                Value::Int(number) => self.visit(value, &join(path, &number.to_string()))?,
                _ => self.skip(
                    path,
                    "an item whose key is neither a text nor an integer".to_owned(),
                )?,
            }
        }
        Ok(())
    }

    fn list(&mut self, items: &'a [Ref], path: &str) -> Result<()> {
        // Numbers in a row, such as an optimizer's betas, are one line and not one each.
        let scalar = |&item: &Ref| {
            matches!(
                self.pickle.get(item),
                Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_)
            )
        };
        if !items.is_empty() && items.iter().all(scalar) {
            let mut texts = Vec::new();
            for &item in items {
                self.charge(path, 1, 0)?;
                texts.extend(self.scalar_text(item, path)?);
            }
            self.flat
                .metadata
                .push((path.to_owned(), format!("[{}]", texts.join(", "))));
            return Ok(());
        }
        for (index, &item) in items.iter().enumerate() {
            self.visit(item, &join(path, &index.to_string()))?;
        }
        Ok(())
    }

    /// Module and name of what would be called; old files refer to a class from outside, with its source.
    fn callable(&self, at: Ref) -> Option<(&'a str, &'a str)> {
        let pickle = self.pickle;
        match pickle.get(at) {
            Value::Persistent(id) => pickle.items(*id)?.get(1).and_then(|&class| pickle.global(class)),
            _ => pickle.global(at),
        }
    }

    fn call(&mut self, at: Ref, path: &str) -> Result<()> {
        let pickle = self.pickle;
        let Value::Call {
            callable,
            arguments,
            state,
            items,
        } = pickle.get(at)
        else {
            return Ok(());
        };
        let arguments = pickle.items(*arguments).unwrap_or_default();
        let Some((module, name)) = self.callable(*callable) else {
            return self.skip(path, "a call of something without a name".to_owned());
        };
        match (module, name) {
            ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3") => {
                match rebuild(pickle, path, name, arguments)? {
                    Ok(view) => self.flat.tensors.push((path.to_owned(), view)),
                    Err(what) => self.skip(path, what)?,
                }
                Ok(())
            }
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state")
            | ("torch", "Size")
            | ("torch.nn.parameter", "Parameter" | "Buffer") => self.first(arguments, path),
            // A tensor of a subclass: its function, its class, the function's arguments, attributes.
            ("torch._tensor", "_rebuild_from_type_v2") => self.subclass(arguments, path),
            ("collections", "OrderedDict" | "defaultdict") => {
                // Python 2 gives the items as a list of pairs.
                if let Some(pairs) = arguments.first().and_then(|&first| pickle.items(first)) {
                    for &pair in pairs {
                        match pickle.items(pair) {
                            Some(&[key, value]) => match pickle.text(key) {
                                Some(key) => self.visit(value, &join(path, key))?,
                                None => self.skip(path, "an item whose key is no text".to_owned())?,
                            },
                            _ => return Err(Error::new(ErrorKind::Malformed, path, "pairs", "other items")),
                        }
                    }
                }
                self.items(items, path)
            }
            ("torch.jit._pickle", function)
                if function.starts_with("build_") || function == "restore_type_tag" =>
            {
                self.first(arguments, path)
            }
            _ => self.object(module, name, *state, path),
        }
    }

    fn first(&mut self, arguments: &[Ref], path: &str) -> Result<()> {
        match arguments.first() {
            Some(&first) => self.visit(first, path),
            None => Ok(()),
        }
    }

    fn subclass(&mut self, arguments: &[Ref], path: &str) -> Result<()> {
        let pickle = self.pickle;
        if let [function, _class, inner, ..] = arguments
            && let Some(("torch._utils", name)) = pickle.global(*function)
            && name.starts_with("_rebuild_tensor")
            && let Some(inner) = pickle.items(*inner)
        {
            match rebuild(pickle, path, name, inner)? {
                Ok(view) => self.flat.tensors.push((path.to_owned(), view)),
                Err(what) => self.skip(path, what)?,
            }
            return Ok(());
        }
        self.skip(path, "a tensor of a class of its own".to_owned())
    }

    /// An object of some class: a module's tensors are listed, anything else is skipped.
    fn object(&mut self, module: &str, name: &str, state: Option<Ref>, path: &str) -> Result<()> {
        let pickle = self.pickle;
        let Some(Value::Dict(attributes)) = state.map(|state| pickle.get(state)) else {
            return self.skip(path, format!("{module}.{name}"));
        };
        // A scripted module's attributes are its parameters and its submodules.
        if module.starts_with("__torch__") {
            return self.items(attributes, path);
        }
        let parts: Vec<Ref> = ["_parameters", "_buffers", "_modules"]
            .iter()
            .filter_map(|part| attributes.iter().find(|(key, _)| pickle.text(*key) == Some(part)))
            .map(|&(_, value)| value)
            .collect();
        if parts.len() < 3 {
            return self.skip(path, format!("{module}.{name}"));
        }
        parts.into_iter().try_for_each(|part| self.visit(part, path))
    }
}
