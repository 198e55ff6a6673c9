//! Compiles graphs ahead of time to plans that [`limbic_engine`] executes.
//!
//! [`compile`] takes a graph whose extents are numbers, chooses a layout for each value (channels last, with a border
//! where a convolution pads), fuses what follows a convolution into it, packs weights, and lays all values into one
//! arena by the times at which they live.
//!
//! ```
//! use limbic_graph::{Dtype, Graph, Op, Tensor, TensorType};
//!
//! let mut graph = Graph::new("dense");
//! let x = graph.add_input("x", TensorType::new(Dtype::F32, &[1, 2]));
//! let w = graph.add_constant("w", Tensor::new(&[2, 3], vec![1f32, 2.0, 3.0, 4.0, 5.0, 6.0])?);
//! let y = graph.add_node("y", Op::MatMul, &[x, w], TensorType::new(Dtype::F32, &[1, 3]));
//! graph.outputs.push(y);
//! let compiled = limbic_compile::compile(&graph)?;
//! println!("{}", compiled.report);
//! # Ok::<(), limbic_graph::Error>(())
//! ```

#![deny(missing_docs)]
#![forbid(unsafe_code)]

mod arena;
pub mod host;
mod lower;
mod pack;
mod place;
mod prepare;
mod program;
mod report;
mod strides;
mod tile;
mod write;

pub use limbic_graph::{Error, ErrorKind, Result};
pub use program::{compile_program, specialise};
pub use report::{Report, StepReport};

use limbic_graph::Graph;

/// A plan and the weight packs it names, in its order.
#[derive(Debug, Clone, PartialEq)]
pub struct Compiled {
    /// The plan, as [`limbic_engine::Plan::check`] reads it.
    pub plan: Vec<u8>,
    /// The weight packs; to be lent at addresses that are multiples of 64.
    pub packs: Vec<Vec<u8>>,
    /// What the plan is made of.
    pub report: Report,
}

/// Plans of several graphs and the weight packs that all of them name, in their order.
#[derive(Debug, Clone, PartialEq)]
pub struct Shared {
    /// A plan for each graph, and what it is made of.
    pub plans: Vec<(Vec<u8>, Report)>,
    /// The weight packs; to be lent at addresses that are multiples of 64.
    pub packs: Vec<Vec<u8>>,
}

/// Compiles a graph whose extents are numbers; see [`limbic_graph::passes::simplify`] and
/// [`limbic_graph::passes::bind`].
///
/// # Errors
/// [`ErrorKind::Unsupported`] listing every operation that the engine lacks, with its node and the reason;
/// [`ErrorKind::Shape`] naming a value whose extents are not known; [`ErrorKind::Limit`] for a plan beyond 32-bit
/// offsets; as [`Graph::check`].
pub fn compile(graph: &Graph) -> Result<Compiled> {
    let Shared { plans, packs } = compile_shared(std::slice::from_ref(graph))?;
    let (plan, report) = plans
        .into_iter()
        .next()
        .ok_or_else(|| Error::new(ErrorKind::Name, &graph.name, "a plan", "none"))?;
    Ok(Compiled { plan, packs, report })
}

/// Compiles graphs that have weights in common, such as one network at several lengths; equal weights are kept once.
///
/// # Errors
/// As [`compile`].
pub fn compile_shared(graphs: &[Graph]) -> Result<Shared> {
    let mut pack = pack::Pack::default();
    let mut lowered = Vec::new();
    for graph in graphs {
        graph.check()?;
        let graph = prepare::prepared(graph)?;
        let steps = lower::lower(&graph, &mut pack)?;
        lowered.push((graph, steps));
    }
    let reference = write::pack_reference(&pack.bytes)?;
    let plans = lowered.into_iter();
    let plans = plans.map(|(graph, lowered)| write::write(&graph, lowered, &reference));
    Ok(Shared {
        plans: plans.collect::<Result<_>>()?,
        packs: vec![pack.bytes],
    })
}
