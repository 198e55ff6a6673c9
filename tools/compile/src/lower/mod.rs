//! From nodes to steps.

mod arrange;
mod axis;
mod channels;
mod compose;
mod computed;
mod convolution;
mod elementwise;
mod fixed;
mod joined;
mod known;
mod movement;
mod numbers;
mod pool;
mod product;
mod recurrent;
mod recurrent_weights;
mod reduction;
mod resample;
mod rotary;
mod rows;
mod tail;
mod transposed;
mod typed;

use std::collections::{BTreeMap, HashMap};

use limbic_engine::Span;
use limbic_engine::step::{Copy, Fill, Function, Step};
use limbic_graph::op::Padding;
use limbic_graph::{Error, ErrorKind, Graph, Node, NodeId, Op, Result, Tensor, ValueId};

use crate::pack::Pack;
use crate::place::{Border, Kind, Placed};
use crate::strides::{loops, number};

/// Steps whose spans name buffers by number instead of offset.
#[derive(Debug)]
pub(crate) struct Lowered {
    pub steps: Vec<(Step, String)>,
    /// Bytes of each buffer.
    pub buffers: Vec<usize>,
    /// Buffer of each input of the graph.
    pub inputs: Vec<usize>,
    /// Buffer of each output of the graph.
    pub outputs: Vec<usize>,
}

/// Nodes that a message names for each reason.
const NAMED: usize = 4;

/// Lowers every node, in order; weights go into the pack.
pub(crate) fn lower(graph: &Graph, pack: &mut Pack) -> Result<Lowered> {
    let mut lowering = Lowering::new(graph, pack)?;
    let inputs = lowering.place_inputs()?;
    let mut missing: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for n in 0..graph.nodes.len() {
        if lowering.fused[n] || !lowering.is_ready(n) {
            continue;
        }
        let node = &graph.nodes[n];
        match lowering.lower_node(n) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::Unsupported => {
                let place = if e.place().is_empty() {
                    String::new()
                } else {
                    format!("{}: ", e.place())
                };
                let (op, expected, found) = (op_name(&node.op), e.expected(), e.found());
                let reason = format!("{op} ({place}expected {expected}, found {found})");
                missing.entry(reason).or_default().push(&node.name);
            }
            Err(e) => return Err(e.within(format!("node {}", node.name))),
        }
    }
    if !missing.is_empty() {
        let reasons = missing.into_iter().map(|(reason, nodes)| {
            let named = nodes.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
            match nodes.len().saturating_sub(NAMED) {
                0 => format!("{reason} of {named}"),
                rest => format!("{reason} of {named} and {rest} more"),
            }
        });
        return Err(Error::new(
            ErrorKind::Unsupported,
            format!("graph {}", graph.name),
            "operations that the engine has",
            reasons.collect::<Vec<_>>().join("; "),
        ));
    }
    let outputs = lowering.place_outputs()?;
    Ok(Lowered {
        steps: lowering.steps,
        buffers: lowering.buffers,
        inputs,
        outputs,
    })
}

/// Name of an operation without its parameters.
fn op_name(op: &Op) -> String {
    let text = format!("{op:?}");
    match op {
        Op::Unary(_) | Op::Binary(_) => text,
        _ => text.split([' ', '(', '{']).next().unwrap_or_default().to_owned(),
    }
}

/// What the lowering of nodes knows and makes.
pub(crate) struct Lowering<'g> {
    graph: &'g Graph,
    consumers: HashMap<ValueId, Vec<NodeId>>,
    placed: Vec<Option<Placed>>,
    /// Nodes that became part of an earlier step.
    fused: Vec<bool>,
    /// Border that the readers of each value need.
    borders: Vec<Border>,
    steps: Vec<(Step, String)>,
    buffers: Vec<usize>,
    pack: &'g mut Pack,
    /// Values whose rows are there as integers.
    rows: HashMap<ValueId, rows::Rows>,
    /// Functions that the steps compute which quantize the rows of a value; the value is placed as their input is.
    postponed: HashMap<ValueId, (Function, f32, f32)>,
    /// Name of the node at hand.
    name: String,
}

impl<'g> Lowering<'g> {
    fn new(graph: &'g Graph, pack: &'g mut Pack) -> Result<Self> {
        let mut borders = vec![[0; 4]; graph.values.len()];
        for node in &graph.nodes {
            let (Op::Conv(c), Some(Some(input))) = (&node.op, node.inputs.first()) else {
                continue;
            };
            let needed = convolution::border(graph, node, c)?;
            for (most, needed) in borders[input.0].iter_mut().zip(needed) {
                *most = needed.max(*most);
            }
        }
        Ok(Self {
            graph,
            consumers: graph.consumers(),
            placed: vec![None; graph.values.len()],
            fused: vec![false; graph.nodes.len()],
            borders,
            steps: Vec::new(),
            buffers: Vec::new(),
            pack,
            rows: HashMap::new(),
            postponed: HashMap::new(),
            name: String::new(),
        })
    }

    fn lower_node(&mut self, n: usize) -> Result<()> {
        let node = &self.graph.nodes[n];
        self.name.clone_from(&node.name);
        if self.place_empty(n)? || self.place_known(n)? {
            return Ok(());
        }
        let node = &self.graph.nodes[n];
        let empty = |id: &ValueId| {
            self.graph.constant(*id).is_none() && self.shape(*id).is_ok_and(|shape| shape.contains(&0))
        };
        let joined = matches!(node.op, Op::Concat { .. } | Op::Pad { .. });
        if !joined && node.inputs.iter().flatten().any(empty) {
            return Err(unsupported("inputs with elements", "an empty one"));
        }
        match &node.op {
            Op::Conv(c) => self.convolution(node, c),
            Op::Gemm {
                alpha,
                beta,
                transpose_a,
                transpose_b,
            } => self.gemm(node, [*alpha, *beta], [*transpose_a, *transpose_b]),
            Op::MatMul => self.matmul(node),
            Op::DynamicMatMul => self.dynamic_product(node),
            Op::Pool(_) | Op::GlobalPool(_) => self.pool(node),
            Op::Unary(_) | Op::Clip => self.unary(node),
            Op::Requantize => self.requantize(node),
            Op::Cast { .. } => self.cast(node),
            Op::Binary(function) => self.binary(node, *function),
            Op::Identity => self.identity(node),
            Op::Reshape { .. } | Op::Flatten { .. } | Op::Squeeze | Op::Unsqueeze => self.reshape(node),
            Op::Transpose { permutation } => self.transpose(node, permutation),
            Op::Concat { axis } => self.concat(node, *axis),
            Op::Slice => self.slice(node),
            Op::Gather(mode) => self.gather(node, *mode),
            Op::Reduce { function, .. } => self.reduce(node, *function),
            Op::Recurrent(recurrent) => self.recurrent(node, recurrent),
            Op::RotaryEmbedding(rotary) => self.rotary(node, rotary),
            Op::InstanceNormalization { epsilon } => self.group_normalization(node, None, *epsilon),
            Op::GroupNormalization { epsilon, groups } => {
                self.group_normalization(node, Some(*groups), *epsilon)
            }
            Op::Softmax { axis } => self.softmax(node, *axis),
            Op::LayerNormalization { axis, epsilon } => self.normalize(node, *axis, *epsilon, true),
            Op::RmsNormalization { axis, epsilon } => self.normalize(node, *axis, *epsilon, false),
            Op::ConvTranspose(c) => self.convolution_transposed(node, c),
            Op::Variadic(function) => self.variadic(node, *function),
            Op::Compare(function) => self.compare(node, *function),
            Op::Logic(function) => self.logic(node, *function),
            Op::Where => self.choose(node),
            Op::LogSoftmax { axis } => self.log_softmax(node, *axis),
            Op::LpNormalization { axis, p } => self.lp_normalize(node, *axis, *p),
            Op::ArgExtreme {
                max,
                axis,
                select_last,
                ..
            } => self.arg_extreme(node, *max, *axis, *select_last),
            Op::Cumulative {
                product,
                exclusive,
                reverse,
            } => self.cumulative(node, [*product, *exclusive, *reverse]),
            Op::Expand => self.expand(node),
            Op::Tile => self.tile(node),
            Op::Split { axis } => self.split(node, *axis),
            Op::Pad { mode } => self.pad(node, *mode),
            Op::Trilu { upper } => self.triangle(node, *upper),
            Op::DepthToSpace { block, crd } => self.depth_to_space(node, *block, *crd),
            Op::SpaceToDepth { block, crd } => self.space_to_depth(node, *block, *crd),
            Op::Resize(r) => self.resize(node, r),
            Op::BatchNormalization { epsilon } => self.batch_normalize(node, *epsilon),
            Op::Quantize(q) => self.quantize_linear(node, q.axis, q.block),
            Op::Dequantize(q) => self.dequantize_linear(node, q.axis, q.block),
            Op::BitCast { .. } => self.bit_cast(node),
            Op::MatMulInteger => self.matmul_integer(node),
            Op::QLinearMatMul => self.matmul_quantized(node),
            Op::ConvInteger(c) => self.convolution_integer(node, c),
            Op::DynamicQuantize => self.dynamic_quantize(node),
            _ => Err(unsupported("an operation with a kernel", "none")),
        }
    }

    /// Whether all inputs of a node that are not constants are placed; they are not where their maker was refused.
    fn is_ready(&self, n: usize) -> bool {
        let inputs = self.graph.nodes[n].inputs.iter().flatten();
        inputs
            .copied()
            .all(|id| self.graph.constant(id).is_some() || self.placed[id.0].is_some())
    }

    fn input_id(&self, node: &Node, n: usize) -> Result<ValueId> {
        let id = node.inputs.get(n).copied().flatten();
        id.ok_or_else(|| Error::new(ErrorKind::Name, "", format!("input {n}"), "none"))
    }

    /// The first output.
    fn output_id(&self, node: &Node) -> Result<ValueId> {
        let id = node.outputs.first().copied().flatten();
        id.ok_or_else(|| Error::new(ErrorKind::Name, "", "an output", "none"))
    }

    /// An input that may be left out.
    fn constant(&self, node: &Node, n: usize) -> Result<Option<&'g Tensor>> {
        let Some(id) = node.inputs.get(n).copied().flatten() else {
            return Ok(None);
        };
        let found = self.graph.constant(id);
        found
            .map(Some)
            .ok_or_else(|| unsupported(format!("a constant as input {n}"), "a computed one"))
    }

    /// Extents of a value.
    fn shape(&self, id: ValueId) -> Result<Vec<usize>> {
        let value = self.graph.value(id);
        value.ty.shape().ok_or_else(|| {
            Error::new(
                ErrorKind::Shape,
                format!("value {}", value.name),
                "extents that are numbers",
                &value.ty,
            )
        })
    }

    fn kind(&self, id: ValueId) -> Result<Kind> {
        Kind::of(&self.graph.value(id).ty)
    }

    /// An input as it is placed; a constant is loaded.
    fn operand(&mut self, node: &Node, n: usize) -> Result<Placed> {
        let id = self.input_id(node, n)?;
        if let Some(placed) = &self.placed[id.0] {
            return Ok(placed.clone());
        }
        let tensor = self.graph.constant(id).ok_or_else(|| {
            Error::new(
                ErrorKind::Order,
                "",
                "an input made before",
                &self.graph.value(id).name,
            )
        })?;
        let placed = self.load(tensor)?;
        self.placed[id.0] = Some(placed.clone());
        Ok(placed)
    }

    fn buffer(&mut self) -> usize {
        self.buffers.push(0);
        self.buffers.len() - 1
    }

    fn step(&mut self, step: impl Into<Step>) {
        self.steps.push((step.into(), self.name.clone()));
    }

    /// A row-major place.
    fn row_major(&mut self, kind: Kind, dims: &[usize]) -> Placed {
        let placed = Placed::row_major(self.buffer(), kind, dims);
        self.buffers[placed.buffer] = placed.bytes;
        placed
    }

    /// A place with channels last; the border is not filled.
    fn channels_last(&mut self, kind: Kind, dims: &[usize], border: Border) -> Placed {
        let placed = Placed::channels_last(self.buffer(), kind, dims, border);
        self.buffers[placed.buffer] = placed.bytes;
        placed
    }

    /// A place for an output that a step writes element by element: as an operand lies, or as its readers want it, its
    /// border filled.
    fn place_like(&mut self, id: ValueId, like: &Placed) -> Result<Placed> {
        let (dims, kind) = (self.shape(id)?, self.kind(id)?);
        let spatial = matches!(dims.len(), 3 | 4);
        let last = like.dims.len() == dims.len() && spatial && like.strides[1] == 1 && like.dims[1] > 1;
        let border = self.borders[id.0];
        if !(spatial && (last || self.is_convolved(id))) {
            return Ok(self.row_major(kind, &dims));
        }
        let placed = self.channels_last(kind, &dims, border);
        self.fill_border(&placed)?;
        Ok(placed)
    }

    fn is_convolved(&self, id: ValueId) -> bool {
        let readers = self.consumers.get(&id).map(Vec::as_slice).unwrap_or_default();
        readers
            .iter()
            .any(|n| matches!(self.graph.nodes[n.0].op, Op::Conv(_)))
    }

    fn fill_border(&mut self, placed: &Placed) -> Result<()> {
        if placed.border != [0; 4] {
            let value = match placed.kind {
                Kind::U8(affine) => affine.zero.cast_unsigned(),
                Kind::F32 | Kind::Plain(_) => 0,
            };
            let output = placed.span()?;
            self.step(Fill { value, output });
        }
        Ok(())
    }

    /// Copies elements between places of equal extents, bytes combined with `flip` by exclusive or.
    fn copy(&mut self, from: &Placed, to: &Placed, flip: u32) -> Result<()> {
        if from.count() == 0 {
            return Ok(());
        }
        let found = loops(&from.dims, [&from.strides, &to.strides])?;
        self.step(Copy {
            size: number(from.kind.size())?,
            flip,
            reversed: 0,
            dims: found.dims,
            input: from.strided(found.strides[0])?,
            output: to.strided(found.strides[1])?,
        });
        Ok(())
    }

    /// The same value row-major, copied if it is not.
    fn contiguous(&mut self, placed: Placed) -> Result<Placed> {
        if placed.is_row_major() {
            return Ok(placed);
        }
        let to = self.row_major(placed.kind, &placed.dims);
        self.copy(&placed, &to, 0)?;
        Ok(to)
    }

    fn place_inputs(&mut self) -> Result<Vec<usize>> {
        let mut buffers = Vec::new();
        for &id in &self.graph.inputs {
            let value = self.graph.value(id);
            "input".clone_into(&mut self.name);
            let dims = self.shape(id)?;
            let kind = self
                .kind(id)
                .map_err(|e| e.within(format!("input {}", value.name)))?;
            let mut placed = self.row_major(kind, &dims);
            buffers.push(placed.buffer);
            if value.ty.dtype == limbic_graph::Dtype::I8 && matches!(kind, Kind::U8(_)) {
                let flipped = self.row_major(kind, &dims);
                self.copy(&placed, &flipped, 0x80)?;
                placed = flipped;
            }
            self.placed[id.0] = Some(placed);
        }
        Ok(buffers)
    }

    fn place_outputs(&mut self) -> Result<Vec<usize>> {
        let mut buffers = Vec::new();
        for &id in &self.graph.outputs {
            let value = self.graph.value(id);
            "output".clone_into(&mut self.name);
            let placed = match (&self.placed[id.0], &value.constant) {
                (Some(placed), _) => placed.clone(),
                (None, Some(tensor)) => self.load(tensor)?,
                (None, None) => {
                    return Err(Error::new(
                        ErrorKind::Order,
                        "outputs",
                        "values that a node makes",
                        &value.name,
                    ));
                }
            };
            let flipped = value.ty.dtype == limbic_graph::Dtype::I8 && matches!(placed.kind, Kind::U8(_));
            let made = self
                .steps
                .iter()
                .any(|(step, _)| step.output().offset as usize == placed.buffer);
            if flipped
                || !made
                || placed.start != 0
                || !placed.is_row_major()
                || buffers.contains(&placed.buffer)
            {
                let to = self.row_major(placed.kind, &placed.dims);
                self.copy(&placed, &to, if flipped { 0x80 } else { 0 })?;
                buffers.push(to.buffer);
            } else {
                buffers.push(placed.buffer);
            }
        }
        Ok(buffers)
    }

    /// Part of a place's buffer from its front.
    fn exact(placed: &Placed) -> Result<Span> {
        Ok(Span {
            bytes: number(placed.count() * placed.kind.size())?,
            ..placed.span()?
        })
    }
}

/// Something that the engine lacks.
fn unsupported(expected: impl std::fmt::Display, found: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Unsupported, "", expected, found)
}

/// Elements before and behind each spatial axis.
fn paddings(
    padding: &Padding,
    input: &[usize],
    output: &[usize],
    kernel: &[usize],
    steps: (&[usize], &[usize]),
) -> (Vec<usize>, Vec<usize>) {
    let axes = input.len();
    let (strides, dilations) = steps;
    let total = |n: usize| {
        let window = (kernel[n] - 1) * dilations[n] + 1;
        ((output[n] - 1) * strides[n] + window).saturating_sub(input[n])
    };
    match padding {
        Padding::Explicit(pads) => (pads[..axes].to_vec(), pads[axes..].to_vec()),
        Padding::SameUpper => (0..axes).map(|n| (total(n) / 2, total(n).div_ceil(2))).unzip(),
        Padding::SameLower => (0..axes).map(|n| (total(n).div_ceil(2), total(n) / 2)).unzip(),
    }
}
