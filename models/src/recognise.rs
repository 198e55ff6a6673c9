//! Which architecture a checkpoint is of.

use limbic_graph::{Error, ErrorKind, Graph, Result, infer};

use crate::network::Network;
use crate::weights::{Under, Weights};
use crate::{ARCHITECTURES, Architecture, Family, Settings};

/// Most places of a checkpoint where an architecture is tried.
const MOST_PREFIXES: usize = 64;

/// How well an architecture fits the names and shapes of a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// Name of the architecture.
    pub architecture: String,
    /// What stands before its names in the checkpoint, such as `model.`; often nothing.
    pub prefix: String,
    /// Parameters that are there with the right shape.
    pub found: usize,
    /// Parameters that are not there or of another shape, each with its shape.
    pub missing: Vec<String>,
    /// Tensors under the prefix that are not the architecture's.
    pub unexpected: Vec<String>,
}

impl Match {
    /// Whether everything is there and nothing else.
    pub fn fits(&self) -> bool {
        self.found > 0 && self.missing.is_empty() && self.unexpected.is_empty()
    }

    /// Share of the names that agree, in `0..=1`.
    pub fn score(&self) -> f64 {
        let all = self.found + self.missing.len() + self.unexpected.len();
        self.found as f64 / all.max(1) as f64
    }
}

/// The architecture of a name.
///
/// # Errors
/// [`ErrorKind::Name`] listing the names there are.
pub fn by_name(name: &str) -> Result<&'static Architecture> {
    ARCHITECTURES
        .iter()
        .find(|known| known.name == name)
        .ok_or_else(|| {
            let known: Vec<&str> = ARCHITECTURES.iter().map(|known| known.name).collect();
            Error::new(ErrorKind::Name, "architecture", known.join(", "), name)
        })
}

/// Tries every architecture on a checkpoint, under every prefix where it may begin; the best comes first.
///
/// Nothing is read but names and shapes.
pub fn recognise(weights: &dyn Weights) -> Vec<Match> {
    let all = ARCHITECTURES.iter();
    let mut found: Vec<Match> = all
        .flat_map(|architecture| recognise_as(architecture, weights))
        .collect();
    sort(&mut found);
    found
}

/// Tries one architecture on a checkpoint, under every prefix where it may begin; the best comes first.
///
/// A fit inside another fit is left out: of `bert.` and nothing, nothing is the wider one.
pub fn recognise_as(family: &dyn Family, weights: &dyn Weights) -> Vec<Match> {
    let (names, anchors) = (weights.names(), family.anchors());
    let mut prefixes: Vec<&str> = Vec::new();
    for name in &names {
        let anchored = anchors
            .iter()
            .filter_map(|anchor| name.strip_suffix(anchor.as_str()));
        for prefix in anchored.filter(|prefix| prefix.is_empty() || prefix.ends_with('.')) {
            if prefixes.len() < MOST_PREFIXES && !prefixes.contains(&prefix) {
                prefixes.push(prefix);
            }
        }
    }
    if prefixes.is_empty() {
        prefixes.push(shared_prefix(&names));
    }
    let mut found: Vec<Match> = prefixes
        .iter()
        .map(|prefix| attempt(family, weights, prefix))
        .collect();
    let fitting: Vec<String> = found
        .iter()
        .filter(|m| m.fits())
        .map(|m| m.prefix.clone())
        .collect();
    found.retain(|m| {
        !fitting
            .iter()
            .any(|wider| wider.len() < m.prefix.len() && m.prefix.starts_with(wider.as_str()))
    });
    sort(&mut found);
    found
}

fn sort(found: &mut [Match]) {
    found.sort_by(|a, b| b.score().total_cmp(&a.score()).then(b.found.cmp(&a.found)));
}

fn attempt(family: &dyn Family, weights: &dyn Weights, prefix: &str) -> Match {
    let under = Under::new(weights, prefix);
    let mut network = Network::new(family.name(), &under, false);
    // Nothing is read, so an error here is a shape that does not fit; the names that nothing asked for then show it.
    let _ = family.build(&mut network, &Settings::default());
    let (_, asked) = network.finish();
    Match {
        architecture: family.name().to_owned(),
        prefix: prefix.to_owned(),
        found: asked.found,
        missing: asked.missing,
        unexpected: asked.unexpected,
    }
}

/// The dotted prefix that all names have.
fn shared_prefix(names: &[String]) -> &str {
    let Some(first) = names.first() else { return "" };
    let mut length = 0;
    for (at, _) in first.match_indices('.') {
        let prefix = &first[..=at];
        if names.iter().all(|name| name.starts_with(prefix)) {
            length = at + 1;
        }
    }
    &first[..length]
}

/// Builds the graph of a checkpoint whose names begin with the architecture's own.
///
/// # Errors
/// [`ErrorKind::Name`] listing parameters that are missing or not the architecture's, what reading them gives, or what
/// shape inference finds.
pub fn build(family: &dyn Family, weights: &dyn Weights, settings: &Settings) -> Result<Graph> {
    let mut network = Network::new(family.name(), weights, true);
    family.build(&mut network, settings)?;
    finish(network, family.name())
}

/// The graph, if every parameter was there and none was left over.
fn finish(network: Network<'_>, name: &str) -> Result<Graph> {
    let (mut graph, asked) = network.finish();
    if !asked.missing.is_empty() {
        return Err(Error::new(
            ErrorKind::Name,
            format!("architecture {name}"),
            format!("parameters {}", asked.missing.join(", ")),
            "a checkpoint without them",
        ));
    }
    if !asked.unexpected.is_empty() {
        return Err(Error::new(
            ErrorKind::Name,
            format!("architecture {name}"),
            "no other parameters",
            asked.unexpected.join(", "),
        ));
    }
    graph.check()?;
    infer::infer(&mut graph)?;
    Ok(graph)
}
