//! Compiled graphs run on the host, tensors in and out.

use std::collections::HashMap;

use limbic_engine::plan::{ARENA_ALIGNMENT, Dtype};
use limbic_engine::{Alone, Cpu, Plan, Port, Role, Workers};
use limbic_graph::conformance::{Bound, System};
use limbic_graph::passes::simplify;
use limbic_graph::{Error, ErrorKind, Graph, Result, Storage, Tensor, onnx};

use crate::{Compiled, compile};

/// Bytes at an address that is a multiple of 64, as plans want their packs and their memory.
#[derive(Debug, Clone)]
pub struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    /// A copy of bytes.
    pub fn new(content: &[u8]) -> Self {
        let mut made = Self::zeros(content.len());
        made.get_mut().copy_from_slice(content);
        made
    }

    /// So many zeros.
    pub fn zeros(length: usize) -> Self {
        let bytes = vec![0; length + ARENA_ALIGNMENT];
        let start = bytes.as_ptr().addr().wrapping_neg() % ARENA_ALIGNMENT;
        Self { bytes, start, length }
    }

    /// The bytes.
    pub fn get(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }

    /// The bytes, to write.
    pub fn get_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}

/// What the engine says of a plan.
fn refused(error: limbic_engine::Error) -> Error {
    Error::new(
        ErrorKind::Malformed,
        "plan",
        "what the engine accepts",
        error.to_string(),
    )
}

/// Runs a compiled graph once, its states zero: inputs in the order of the plan's ports, outputs in theirs.
///
/// # Errors
/// [`ErrorKind::Dtype`] or [`ErrorKind::Shape`] naming an input that does not fit its port;
/// [`ErrorKind::Malformed`] for a plan that the engine does not accept.
pub fn run(compiled: &Compiled, cpu: Cpu, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    run_with(compiled, cpu, &Alone, inputs)
}

/// As [`run`], with workers for the parts of a step.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    compiled: &Compiled,
    cpu: Cpu,
    workers: &dyn Workers,
    inputs: &[Tensor],
) -> Result<Vec<Tensor>> {
    let packs: Vec<Aligned> = compiled.packs.iter().map(|pack| Aligned::new(pack)).collect();
    let packs: Vec<&[u8]> = packs.iter().map(Aligned::get).collect();
    let plan = Plan::check(&compiled.plan, &packs, cpu).map_err(refused)?;
    let mut arena = Aligned::zeros(plan.arena_bytes());
    // No step may rely on what was there before.
    arena.get_mut().fill(0xa5);
    plan.reset(arena.get_mut()).map_err(refused)?;
    let ports = (0..plan.ports())
        .map(|n| plan.port(n).map_err(refused))
        .collect::<Result<Vec<_>>>()?;
    let given: Vec<&Port<'_>> = ports.iter().filter(|port| port.role() != Role::Output).collect();
    if given.len() != inputs.len() {
        let expected = format!("{} inputs", given.len());
        return Err(Error::new(ErrorKind::Name, "plan", expected, inputs.len()));
    }
    for (port, tensor) in given.into_iter().zip(inputs) {
        let bytes = bytes_of(port, tensor)?;
        let begin = port.span().offset as usize;
        arena.get_mut()[begin..begin + bytes.len()].copy_from_slice(&bytes);
    }
    plan.run_with(arena.get_mut(), workers).map_err(refused)?;
    let wanted = ports.iter().filter(|port| port.role() == Role::Output);
    wanted
        .map(|port| {
            let begin = port.span().offset as usize;
            tensor_of(port, &arena.get()[begin..begin + port.span().bytes as usize])
        })
        .collect()
}

fn bytes_of(port: &Port<'_>, tensor: &Tensor) -> Result<Vec<u8>> {
    let place = format!("input {}", port.name);
    let (dtype, bytes): (Dtype, Vec<u8>) = match tensor.storage() {
        Storage::F32(e) => (Dtype::F32, e.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Storage::I8(e) => (Dtype::I8, e.iter().map(|x| x.cast_unsigned()).collect()),
        Storage::U8(e) => (Dtype::U8, e.to_vec()),
        Storage::I32(e) => (Dtype::I32, e.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Storage::I64(e) => (Dtype::I64, e.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Storage::I16(e) => (Dtype::I16, e.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Storage::U16(e) => (Dtype::U16, e.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Storage::U32(e) => (Dtype::U32, e.iter().flat_map(|x| x.to_le_bytes()).collect()),
        Storage::Bool(e) => (Dtype::Bool, e.iter().map(|&x| u8::from(x)).collect()),
        other => {
            return Err(Error::new(
                ErrorKind::Dtype,
                place,
                port.dtype().name(),
                other.dtype(),
            ));
        }
    };
    if dtype != port.dtype() {
        return Err(Error::new(
            ErrorKind::Dtype,
            place,
            port.dtype().name(),
            dtype.name(),
        ));
    }
    let same = port
        .dims()
        .iter()
        .map(|&n| n as usize)
        .eq(tensor.shape().iter().copied());
    if !same || bytes.len() != port.span().bytes as usize {
        let found = format!("{:?}", tensor.shape());
        return Err(Error::new(
            ErrorKind::Shape,
            place,
            format!("{:?}", port.dims()),
            found,
        ));
    }
    Ok(bytes)
}

fn tensor_of(port: &Port<'_>, bytes: &[u8]) -> Result<Tensor> {
    let shape: Vec<usize> = port.dims().iter().map(|&n| n as usize).collect();
    fn each<const N: usize, T>(bytes: &[u8], from: impl Fn([u8; N]) -> T) -> Vec<T> {
        bytes.as_chunks().0.iter().map(|&chunk| from(chunk)).collect()
    }
    let storage: Storage = match port.dtype() {
        Dtype::F32 => each(bytes, f32::from_le_bytes).into(),
        Dtype::I8 => each(bytes, i8::from_le_bytes).into(),
        Dtype::U8 => bytes.to_vec().into(),
        Dtype::I32 => each(bytes, i32::from_le_bytes).into(),
        Dtype::I64 => each(bytes, i64::from_le_bytes).into(),
        Dtype::I16 => each(bytes, i16::from_le_bytes).into(),
        Dtype::U16 => each(bytes, u16::from_le_bytes).into(),
        Dtype::U32 => each(bytes, u32::from_le_bytes).into(),
        Dtype::Bool => each(bytes, |[x]: [u8; 1]| x != 0).into(),
        other => {
            return Err(Error::new(
                ErrorKind::Dtype,
                port.name,
                "a known type",
                other.name(),
            ));
        }
    };
    Tensor::new(&shape, storage)
}

/// The engine as something that runs conformance cases: each graph is simplified, compiled and run once.
#[derive(Debug, Clone, Copy)]
pub struct Engine {
    /// What it runs on.
    pub cpu: Cpu,
}

impl System for Engine {
    fn run(&mut self, model: &[u8], bound: &Bound, inputs: &[Tensor], _: &[Tensor]) -> Result<Vec<Tensor>> {
        let mut graph = onnx::read_bound(model, None, bound)?;
        simplify(&mut graph)?;
        named(&graph)?;
        let compiled = compile(&graph)?;
        run(&compiled, self.cpu, inputs)
    }
}

/// Refuses a graph with extents that only a run would tell, naming what makes them.
fn named(graph: &Graph) -> Result<()> {
    let makers: HashMap<_, _> = graph.producers();
    for (n, value) in graph.values.iter().enumerate() {
        let maker = makers.get(&limbic_graph::ValueId(n));
        let read = maker.is_some() || graph.inputs.contains(&limbic_graph::ValueId(n));
        if read && value.ty.shape().is_none() {
            let by = maker.map_or("an input", |node| graph.nodes[node.0].name.as_str());
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("graph {}", graph.name),
                "extents that are known before a run",
                format!(
                    "value {} of {by}: {}, extents that depend on elements",
                    value.name, value.ty
                ),
            ));
        }
    }
    Ok(())
}
