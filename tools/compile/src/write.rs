//! Planning the arena and writing the plan.

use limbic_engine::plan::{
    Dtype, HEADER_WORDS, Header, MAGIC, PORT_AXES, PackRef, PortRecord, StepRecord, VERSION,
};
use limbic_engine::step::{Arithmetic, Step};
use limbic_engine::{Record, Role, Span};
use limbic_graph::{Error, ErrorKind, Graph, Quantization, Result, ValueId};
use sha2::{Digest, Sha256};

use crate::arena::{self, Life};
use crate::lower::Lowered;
use crate::report::{Report, StepReport};
use crate::strides::number;

/// The reference to a pack.
pub(crate) fn pack_reference(pack: &[u8]) -> Result<PackRef> {
    let mut digest = [0; 8];
    for (word, bytes) in digest.iter_mut().zip(Sha256::digest(pack).chunks_exact(4)) {
        *word = bytes.iter().fold(0, |word, &byte| word << 8 | u32::from(byte));
    }
    Ok(PackRef {
        digest,
        bytes: number(pack.len())?,
    })
}

/// Turns steps with numbered buffers into a plan that reads one pack.
pub(crate) fn write(graph: &Graph, mut lowered: Lowered, pack: &PackRef) -> Result<(Vec<u8>, Report)> {
    let lives = lives(graph, &mut lowered);
    let (offsets, arena_bytes) = arena::plan(&lives)?;
    for (step, _) in &mut lowered.steps {
        step.visit_spans(&mut |span, _| span.offset = offsets[span.offset as usize]);
    }
    let mut names = Names::default();
    let mut ports = Vec::new();
    for record in port_records(graph, &lowered, &offsets, &mut names)? {
        record.write(&mut |word| ports.extend(word.to_le_bytes()));
    }
    let (mut words, mut steps) = (Vec::new(), Vec::new());
    let mut reports = Vec::new();
    for (step, name) in &lowered.steps {
        let offset = number(words.len())?;
        let kernel = step.write(&mut |word| words.extend(word.to_le_bytes()));
        let (name_offset, name_bytes) = names.add(name)?;
        let record = StepRecord {
            kernel,
            offset,
            bytes: number(words.len())? - offset,
            name_offset,
            name_bytes,
        };
        record.write(&mut |word| steps.extend(word.to_le_bytes()));
        reports.push(StepReport {
            kernel: step.name(),
            node: name.clone(),
            detail: detail(step),
            macs: step.macs(),
            output_bytes: step.output().bytes,
        });
    }
    let mut packs = Vec::new();
    pack.write(&mut |word| packs.extend(word.to_le_bytes()));
    let tables = [packs, ports, steps, words, names.bytes];
    let mut at = HEADER_WORDS * 4;
    let mut starts = [0; 5];
    for (start, table) in starts.iter_mut().zip(&tables) {
        *start = number(at)?;
        at += table.len();
    }
    let header = Header {
        magic: MAGIC,
        version: VERSION,
        bytes: number(at)?,
        arena_bytes,
        packs_offset: starts[0],
        packs: 1,
        ports_offset: starts[1],
        ports: number(lowered.inputs.len() + lowered.outputs.len())? - number(2 * graph.states.len())?
            + number(graph.states.len())?,
        steps_offset: starts[2],
        steps: number(lowered.steps.len())?,
        words_offset: starts[3],
        words_bytes: number(tables[3].len())?,
        names_offset: starts[4],
        names_bytes: number(tables[4].len())?,
    };
    let mut plan = Vec::with_capacity(at);
    header.write(&mut |word| plan.extend(word.to_le_bytes()));
    tables.iter().for_each(|table| plan.extend(table));
    let report = Report {
        graph: graph.name.clone(),
        steps: reports,
        arena_bytes: arena_bytes as usize,
        plan_bytes: plan.len(),
        pack_bytes: pack.bytes as usize,
    };
    Ok((plan, report))
}

/// When each buffer must keep its bytes: inputs from the first step on, outputs to the last, states throughout.
fn lives(graph: &Graph, lowered: &mut Lowered) -> Vec<Life> {
    let end = lowered.steps.len();
    let mut lives: Vec<Life> = lowered
        .buffers
        .iter()
        .map(|&bytes| Life {
            bytes,
            first: end,
            last: 0,
        })
        .collect();
    for (n, (step, _)) in lowered.steps.iter_mut().enumerate() {
        step.visit_spans(&mut |span, _| {
            let life = &mut lives[span.offset as usize];
            life.first = life.first.min(n);
            life.last = life.last.max(n);
        });
    }
    for &buffer in &lowered.inputs {
        lives[buffer].first = 0;
    }
    for &buffer in &lowered.outputs {
        lives[buffer].last = end;
    }
    for (n, id) in graph.inputs.iter().enumerate() {
        if graph.states.iter().any(|(input, _)| input == id) {
            lives[lowered.inputs[n]].last = end;
        }
    }
    lives
}

/// Names one behind the other.
#[derive(Default)]
struct Names {
    bytes: Vec<u8>,
}

impl Names {
    fn add(&mut self, name: &str) -> Result<(u32, u32)> {
        let offset = number(self.bytes.len())?;
        self.bytes.extend(name.as_bytes());
        Ok((offset, number(name.len())?))
    }
}

fn port_records(
    graph: &Graph,
    lowered: &Lowered,
    offsets: &[u32],
    names: &mut Names,
) -> Result<Vec<PortRecord>> {
    let place = |ids: &[ValueId], id: ValueId, buffers: &[usize]| -> Option<u32> {
        let n = ids.iter().position(|&other| other == id)?;
        offsets.get(*buffers.get(n)?).copied()
    };
    let mut records = Vec::new();
    for (n, &id) in graph.inputs.iter().enumerate() {
        let next = graph
            .states
            .iter()
            .find(|(input, _)| *input == id)
            .map(|(_, next)| *next);
        let role = if next.is_some() { Role::State } else { Role::Input };
        let mut record = port(graph, id, role, offsets[lowered.inputs[n]], names)?;
        if let Some(next) = next {
            let offset = place(&graph.outputs, next, &lowered.outputs).ok_or_else(|| {
                let name = &graph.value(next).name;
                Error::new(
                    ErrorKind::Name,
                    format!("state {name}"),
                    "an output of the graph",
                    "none",
                )
            })?;
            record.next = Span {
                offset,
                ..record.span
            };
        }
        records.push(record);
    }
    for (n, &id) in graph.outputs.iter().enumerate() {
        if !graph.states.iter().any(|(_, next)| *next == id) {
            records.push(port(graph, id, Role::Output, offsets[lowered.outputs[n]], names)?);
        }
    }
    Ok(records)
}

/// A type of elements as a plan has it.
pub(crate) fn port_dtype(dtype: limbic_graph::Dtype) -> Option<Dtype> {
    use limbic_graph::Dtype as Of;
    Some(match dtype {
        Of::F32 => Dtype::F32,
        Of::I8 => Dtype::I8,
        Of::U8 => Dtype::U8,
        Of::I32 => Dtype::I32,
        Of::I64 => Dtype::I64,
        Of::Bool => Dtype::Bool,
        Of::I16 => Dtype::I16,
        Of::U16 => Dtype::U16,
        Of::U32 => Dtype::U32,
        _ => return None,
    })
}

fn port(graph: &Graph, id: ValueId, role: Role, offset: u32, names: &mut Names) -> Result<PortRecord> {
    let value = graph.value(id);
    let place = format!("value {}", value.name);
    let unsupported =
        |expected: &str, found: String| Error::new(ErrorKind::Unsupported, &place, expected, found);
    let dtype = port_dtype(value.ty.dtype).ok_or_else(|| {
        unsupported(
            "an input or output of f32, bool or integers but u64",
            value.ty.dtype.to_string(),
        )
    })?;
    let shape = value.ty.shape().unwrap_or_default();
    let mut dims = [1; PORT_AXES];
    if shape.len() > PORT_AXES {
        return Err(unsupported("at most 8 axes", shape.len().to_string()));
    }
    for (to, &from) in dims.iter_mut().zip(&shape) {
        *to = number(from)?;
    }
    let (scale, zero_point) = match &value.ty.quantization {
        Some(Quantization::PerTensor { scale, zero_point }) => (*scale, *zero_point),
        _ => (0.0, 0),
    };
    let (name_offset, name_bytes) = names.add(&value.name)?;
    Ok(PortRecord {
        name_offset,
        name_bytes,
        role,
        dtype,
        rank: number(shape.len())?,
        dims,
        scale,
        zero_point,
        span: Span {
            offset,
            bytes: number(shape.iter().product::<usize>() * dtype.size())?,
        },
        next: Span::default(),
    })
}

/// What a table says of a step.
fn detail(step: &Step) -> String {
    match step {
        Step::Conv(s) => format!(
            "{} {}x{}x{} taps {}x{}x{} tile {}x{}{}",
            match s.arithmetic {
                Arithmetic::U8ToU8 => "u8",
                Arithmetic::U8ToF32 => "u8 to f32",
                Arithmetic::RowsToF32 => "rows",
                _ => "f32",
            },
            s.extent.rows,
            s.extent.columns,
            s.channels,
            s.taps.rows,
            s.taps.columns,
            s.taps.groups,
            s.tile_pixels,
            s.tile_blocks,
            if s.residual.other.is_empty() { "" } else { " + add" }
        ),
        Step::Depthwise(s) => format!(
            "{}x{}x{} window {}x{}",
            s.extent.rows, s.extent.columns, s.channels, s.kernel_rows, s.kernel_columns
        ),
        Step::Unary(s) => format!("{:?}", s.function),
        Step::Binary(s) => format!("{:?}", s.function),
        Step::BinaryU8(s) => format!("{:?}", s.function),
        Step::Reduce(s) => format!("{:?}", s.function),
        Step::Pool(s) => format!("{:?} {}x{}", s.kind, s.kernel[0], s.kernel[1]),
        _ => String::new(),
    }
}
