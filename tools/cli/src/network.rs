//! A bundle's network as a graph, and items of a data set as its inputs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use limbic::pipeline::{Pipeline, TextPipeline};
use limbic::{Face, Region};
use limbic_bundle::{Bundle, Dim, GraphFormat, Role, Signature, Stage};
use limbic_checkpoint::Checkpoint;
use limbic_graph::{Dtype, Graph, Tensor};
use sha2::{Digest, Sha256};

use crate::dataset::Dataset;
use crate::inputs::{self, Pictures, Place};

/// The only program of a bundle, and how raw inputs become its tensors.
#[derive(Debug)]
pub struct Network {
    /// The graph of the variant, symbols with the manifest's bounds.
    pub graph: Graph,
    /// Nothing for a bundle that holds a network alone.
    pipeline: Option<Pipeline>,
    signatures: Vec<Signature>,
    /// For each input of the graph the name of the tensor that preprocessing makes.
    feeds: Vec<String>,
    /// For each output of the graph the name under which heads read it.
    pub values: Vec<String>,
}

/// One item of a data set.
#[derive(Debug, Clone)]
pub struct Item {
    /// Line of the file it begins on.
    pub line: u64,
    /// True labels.
    pub labels: Vec<String>,
    content: Content,
    region: Option<String>,
}

#[derive(Debug, Clone)]
enum Content {
    Path(PathBuf),
    Text(String),
    /// What goes into the network, in the order of its inputs.
    Tensors(Vec<Tensor>),
}

/// Inputs of one run.
#[derive(Debug, Clone)]
pub struct Window {
    /// In the order of the graph's inputs.
    pub tensors: Vec<Tensor>,
    /// Text tokens it holds; 1 for other inputs.
    pub tokens: u32,
}

impl Network {
    /// Reads the graph of a variant; without a name that of the first one that has a graph.
    pub fn open(bundle: &Bundle, variant: Option<&str>) -> Result<Self> {
        let manifest = bundle.manifest();
        let [program] = manifest.programs.as_slice() else {
            bail!(
                "{} programs; a bundle of one is supported",
                manifest.programs.len()
            );
        };
        let names: Vec<&str> = manifest
            .variants
            .iter()
            .map(|variant| variant.name.as_str())
            .collect();
        let variant = manifest
            .variants
            .iter()
            .find(|own| match variant {
                Some(name) => own.name == name,
                None => own.entries.iter().all(|entry| entry.format == GraphFormat::Onnx),
            })
            .with_context(|| format!("the bundle has the variants {}", names.join(", ")))?;
        let entry = variant
            .entries
            .iter()
            .find(|entry| entry.program == program.name)
            .with_context(|| format!("variant {} has no entry for {}", variant.name, program.name))?;
        let mut graph = limbic_graph::onnx::read(bundle.entry(&entry.path)?, None)
            .with_context(|| format!("can't read {}", entry.path))?;
        let signatures = program.concrete();
        bound_symbols(&mut graph, &signatures)?;
        // A bundle that holds a network alone has no stages: its tensors are called as the graph calls them.
        let none = std::collections::BTreeMap::new();
        let (inputs, outputs) = manifest
            .stages
            .iter()
            .find_map(|stage| match stage {
                Stage::Program { inputs, outputs, .. } => Some((inputs, outputs)),
                _ => None,
            })
            .unwrap_or((&none, &none));
        let names = |ids: &[limbic_graph::ValueId]| -> Vec<String> {
            ids.iter().map(|id| graph.value(*id).name.clone()).collect()
        };
        let mapped = |names: Vec<String>, map: &std::collections::BTreeMap<String, String>| {
            names
                .into_iter()
                .map(|name| map.get(&name).cloned().unwrap_or(name))
                .collect()
        };
        let feeds = mapped(names(&graph.inputs), inputs);
        let values = mapped(names(&graph.outputs), outputs);
        Ok(Self {
            pipeline: (!manifest.inputs.is_empty())
                .then(|| Pipeline::of(bundle))
                .transpose()?,
            signatures,
            feeds,
            values,
            graph,
        })
    }

    /// The items of a data set that this network's sense has.
    pub fn items(&self, dataset: &Dataset) -> Vec<Item> {
        let cell = |row: &crate::dataset::Row| match &self.pipeline {
            _ if !dataset.by_sense => row.input.clone(),
            Some(Pipeline::Text(_)) => row.text.clone(),
            Some(Pipeline::Audio(_)) => row.audio.clone(),
            Some(Pipeline::Image(_)) => row.image.clone(),
            None => None,
        };
        let item = |row: &crate::dataset::Row| {
            let cell = cell(row)?;
            Some(Item {
                line: row.line,
                labels: row.labels.clone(),
                content: match &self.pipeline {
                    Some(Pipeline::Text(_)) => Content::Text(cell),
                    _ => Content::Path(dataset.path(&cell)),
                },
                region: row.region.clone(),
            })
        };
        dataset.rows.iter().filter_map(item).collect()
    }

    /// The rows of recorded tensors: an array for each input, by its name in the graph or the manifest, rows along its
    /// first axis.
    pub fn recorded(&self, path: &Path) -> Result<Vec<Item>> {
        let context = || format!("can't use {}", path.display());
        let file = Checkpoint::open(path).with_context(context)?;
        let mut rows: Vec<Vec<Tensor>> = Vec::new();
        for (n, (id, feed)) in self.graph.inputs.iter().zip(&self.feeds).enumerate() {
            let value = self.graph.value(*id);
            let entry = file
                .tensors()
                .iter()
                .find(|entry| entry.name == value.name || entry.name == *feed)
                .with_context(|| format!("{} has no array {feed}", path.display()))?;
            let array = file.read(&entry.name).with_context(context)?;
            let count = array.shape().first().copied().unwrap_or(0);
            if n == 0 {
                rows.resize(count, Vec::new());
            } else if rows.len() != count {
                bail!(
                    "{}: {feed} has {count} rows, expected {}",
                    path.display(),
                    rows.len()
                );
            }
            for (row, slot) in rows.iter_mut().enumerate() {
                slot.push(
                    row_of(&array, row, value.ty.shape())
                        .with_context(|| format!("{}: row {row} of {feed}", path.display()))?,
                );
            }
        }
        let item = |(n, tensors)| Item {
            line: n as u64 + 1,
            labels: Vec::new(),
            content: Content::Tensors(tensors),
            region: None,
        };
        Ok(rows.into_iter().enumerate().map(item).collect())
    }

    /// The windows of an item, as the recognizer cuts and pads them; none for one that is too short.
    pub fn windows(&self, item: &Item, pictures: &mut Pictures) -> Result<Vec<Window>> {
        self.cut(item, pictures)
            .with_context(|| format!("line {}", item.line))
    }

    fn cut(&self, item: &Item, pictures: &mut Pictures) -> Result<Vec<Window>> {
        if let Content::Tensors(tensors) = &item.content {
            return Ok(vec![Window {
                tensors: tensors.clone(),
                tokens: 1,
            }]);
        }
        let pipeline = self.pipeline.as_ref().context(
            "the bundle has no preprocessing; give tensors in a .npz, one array an input, rows along its first axis",
        )?;
        match (pipeline, &item.content) {
            (Pipeline::Image(pipeline), Content::Path(path)) => {
                let picture = pictures.open(path)?;
                let region = match inputs::parse_face(item.region.as_deref())? {
                    Face::At(region) => region,
                    Face::Assumed | Face::Whole => Region::whole(picture.view()),
                };
                let tensor = pipeline.run(picture.view(), region)?;
                Ok(vec![self.float_window(tensor.values)?])
            }
            (Pipeline::Audio(pipeline), Content::Path(path)) => {
                let mut reader = inputs::open_audio(Place::File(path))?;
                let mut stream = pipeline.stream(reader.sample_rate_hz(), reader.channels())?;
                let mut features = Vec::new();
                let mut samples = Vec::new();
                while reader.next_chunk(&mut samples)?.is_some() {
                    stream.push(&samples, |window| {
                        features.push(window.features.values);
                        Ok(())
                    })?;
                }
                stream.finish(|window| {
                    features.push(window.features.values);
                    Ok(())
                })?;
                features
                    .into_iter()
                    .map(|values| self.float_window(values))
                    .collect()
            }
            (Pipeline::Text(pipeline), Content::Text(text)) => {
                let item = pipeline.run(text)?;
                item.windows
                    .into_iter()
                    .map(|window| self.token_window(pipeline, window))
                    .collect()
            }
            _ => bail!("the item is of another sense than the bundle"),
        }
    }

    /// A window of one float tensor in the shape that the signature states.
    fn float_window(&self, values: Vec<f32>) -> Result<Window> {
        let signature = self.signatures.first().context("the program has no signature")?;
        let spec = signature
            .tensors
            .iter()
            .find(|tensor| tensor.role == Role::Input)
            .context("the program has no input")?;
        let dims = spec
            .fixed_dims()
            .with_context(|| format!("input {} has no fixed shape", spec.name))?;
        Ok(Window {
            tensors: vec![Tensor::new(&dims, values)?],
            tokens: 1,
        })
    }

    fn token_window(
        &self,
        pipeline: &TextPipeline,
        mut window: limbic_signal::text::TokenWindow,
    ) -> Result<Window> {
        let mut buckets: Vec<usize> = self
            .signatures
            .iter()
            .flat_map(|signature| signature.bindings.values().copied())
            .filter(|&length| length >= window.ids.len())
            .collect();
        buckets.sort_unstable();
        if let Some(&length) = buckets.first() {
            window.pad_to(length, pipeline.special());
        }
        let tensor = |values: &[u32]| {
            let wide: Vec<i64> = values.iter().map(|&value| value.into()).collect();
            Tensor::new(&[1, values.len()], wide)
        };
        let [ids, _] = pipeline.tensors();
        let tensors = self
            .feeds
            .iter()
            .map(|name| tensor(if name == ids { &window.ids } else { &window.mask }))
            .collect::<limbic_graph::Result<_>>()?;
        Ok(Window {
            tensors,
            tokens: u32::try_from(window.text_tokens).unwrap_or(u32::MAX),
        })
    }
}

/// One row of an array, in the shape of the network's input; where that is not fixed, a batch of one.
pub fn row_of(array: &Tensor, row: usize, shape: Option<Vec<usize>>) -> Result<Tensor> {
    let mut extents = array.shape().to_vec();
    if let Some(first) = extents.first_mut() {
        *first = 1;
    }
    let count: usize = extents.iter().product();
    let shape = shape.unwrap_or(extents);
    Ok(match array.dtype() {
        Dtype::F32 => {
            let values = array.elements::<f32>()?.chunks(count.max(1)).nth(row);
            Tensor::new(&shape, values.context("no such row")?.to_vec())?
        }
        Dtype::I64 => {
            let values = array.elements::<i64>()?.chunks(count.max(1)).nth(row);
            Tensor::new(&shape, values.context("no such row")?.to_vec())?
        }
        other => bail!("its elements are {other}; f32 and i64 are read"),
    })
}

/// Gives the graph's symbols the bounds that the manifest states.
fn bound_symbols(graph: &mut Graph, signatures: &[Signature]) -> Result<()> {
    let specs: Vec<_> = signatures
        .iter()
        .flat_map(|signature| &signature.symbolic)
        .collect();
    let inputs: Vec<_> = graph.inputs.iter().map(|id| graph.value(*id).clone()).collect();
    for value in inputs {
        let spec = specs
            .iter()
            .find(|spec| spec.name == value.name)
            .with_context(|| format!("the manifest has no tensor {}", value.name))?;
        for (dim, stated) in value.ty.dims.iter().flatten().zip(&spec.dims) {
            if let (limbic_graph::Dim::Symbol(n), Dim::Symbol(stated)) = (dim, stated)
                && let Some(symbol) = graph.symbols.get_mut(*n)
            {
                (symbol.min, symbol.max) = (stated.min, stated.max);
            }
        }
    }
    Ok(())
}

/// SHA-256 of an item's tensors: equal for items that are equal to the network, whatever their files are called.
pub fn digest(windows: &[Window]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for tensor in windows.iter().flat_map(|window| &window.tensors) {
        for extent in tensor.shape() {
            hash.update((*extent as u64).to_le_bytes());
        }
        match (tensor.elements::<f32>(), tensor.to_i64()) {
            (Ok(values), _) => values.iter().for_each(|value| hash.update(value.to_le_bytes())),
            (_, Ok(values)) => values.iter().for_each(|value| hash.update(value.to_le_bytes())),
            _ => {}
        }
    }
    hash.finalize().into()
}
