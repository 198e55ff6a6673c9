//! Compiles an ONNX model for this processor, compares it with the interpreter and times it.
//!
//! `profile MODEL.onnx [--scheme NAME] [--runs N] [--scalar] [--write FILE] [--serve] [INPUT=1x3x224x224 ...]`
//!
//! With `--scheme` the graph is quantized first, calibrated on random numbers: good enough for times, not for answers.
//! `--write` puts the graph that was compiled into an ONNX file, for other runtimes. `--serve` reads a number of runs
//! from each line of the standard input and answers with their median time in microseconds, so that a script can
//! take turns between this and another runtime.

use std::error::Error;
use std::io::BufRead;
use std::time::Instant;

use limbic_engine::{Cpu, Plan, Role, Tier};
use limbic_graph::passes::{Binding, bind, simplify};
use limbic_graph::{Dtype, Graph, Storage, Tensor, interpret, onnx};
use limbic_quantize::calibrate::{Calibration, Calibrators, Method};
use limbic_quantize::scheme::{self, Choice, Scheme};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Levels of an 8-bit type.
const LEVELS: usize = 256;

#[derive(Default)]
struct Arguments {
    model: String,
    scheme: Option<String>,
    runs: usize,
    scalar: bool,
    write: Option<String>,
    serve: bool,
    shapes: Vec<(String, Vec<usize>)>,
}

fn arguments() -> Outcome<Arguments> {
    let mut found = Arguments {
        runs: 200,
        ..Arguments::default()
    };
    let mut rest = std::env::args().skip(1);
    while let Some(argument) = rest.next() {
        let mut value = || rest.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--scheme" => found.scheme = Some(value()?),
            "--runs" => found.runs = value()?.parse()?,
            "--write" => found.write = Some(value()?),
            "--scalar" => found.scalar = true,
            "--serve" => found.serve = true,
            other => match other.split_once('=') {
                Some((name, shape)) => {
                    let shape = shape.split('x').map(str::parse).collect::<Result<_, _>>()?;
                    found.shapes.push((name.to_owned(), shape));
                }
                None => found.model = other.to_owned(),
            },
        }
    }
    Ok(found)
}

/// Numbers from -1 to 1, or small integers, that look random.
fn random(graph: &Graph, seed: u64) -> Outcome<Vec<Tensor>> {
    let mut state = seed | 1;
    let mut next = move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 33
    };
    let mut inputs = Vec::new();
    for id in &graph.inputs {
        let ty = &graph.value(*id).ty;
        let shape = ty
            .shape()
            .ok_or(format!("give extents of {}", graph.value(*id).name))?;
        let count = shape.iter().product();
        let storage: Storage = match ty.dtype {
            Dtype::F32 => (0..count)
                .map(|_| (next() % 2001) as f32 / 1000.0 - 1.0)
                .collect::<Vec<f32>>()
                .into(),
            Dtype::I64 => (0..count)
                .map(|_| (next() % 2) as i64)
                .collect::<Vec<i64>>()
                .into(),
            other => return Err(format!("no random input of {other}").into()),
        };
        inputs.push(Tensor::new(&shape, storage)?);
    }
    Ok(inputs)
}

fn quantized(graph: &Graph, name: &str) -> Outcome<Graph> {
    let scheme = Scheme::ALL.into_iter().find(|scheme| scheme.name() == name);
    let choice = Choice::new(scheme.ok_or(format!("no scheme {name}"))?);
    let wanted = scheme::wanted(graph, &choice);
    let calibrators = Calibrators::default();
    let inputs: Vec<Vec<Tensor>> = (0..2).map(|n| random(graph, n * 2 + 3)).collect::<Outcome<_>>()?;
    let table = if choice.scheme.needs_ranges() {
        let calibration = Calibration::collect(
            graph,
            wanted.iter().map(String::as_str),
            inputs.into_iter().map(Ok),
            &calibrators,
        )?;
        Some(calibration.table(Method::MinMax, LEVELS)?)
    } else {
        None
    };
    let quantized = scheme::apply(graph, table.as_ref(), &choice)?;
    println!(
        "{:.1} % of the products are of integers",
        quantized.integer_share() * 100.0
    );
    Ok(quantized.graph)
}

/// Bytes at an address that is a multiple of 64.
fn aligned(bytes: &mut Vec<u8>, content: &[u8]) -> std::ops::Range<usize> {
    bytes.resize(content.len() + 64, 0);
    let start = bytes.as_ptr().align_offset(64);
    bytes[start..start + content.len()].copy_from_slice(content);
    start..start + content.len()
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(0.0)
}

fn main() -> Outcome<()> {
    let arguments = arguments()?;
    let mut graph = onnx::read(&std::fs::read(&arguments.model)?, None)?;
    for (name, shape) in &arguments.shapes {
        bind(&mut graph, name, Binding::Shape(shape.clone()))?;
    }
    simplify(&mut graph)?;
    if let Some(scheme) = &arguments.scheme {
        graph = quantized(&graph, scheme)?;
    }
    if let Some(path) = &arguments.write {
        std::fs::write(path, onnx::write(&graph)?)?;
    }
    let compiled = limbic_compile::compile(&graph)?;
    let cpu = if arguments.scalar {
        Cpu::detect().at_most(Tier::Scalar)
    } else {
        Cpu::detect()
    };
    let (mut plan_memory, mut pack_memory, mut arena_memory) = (Vec::new(), Vec::new(), Vec::new());
    let plan_range = aligned(&mut plan_memory, &compiled.plan);
    let packs: Vec<_> = compiled.packs.iter().collect();
    let [pack] = packs.as_slice() else {
        return Err("one weight pack expected".into());
    };
    let pack_range = aligned(&mut pack_memory, pack);
    let packs = [&pack_memory[pack_range]];
    let began = Instant::now();
    let plan = Plan::check(&plan_memory[plan_range], &packs, cpu)?;
    println!("checked in {:.1} us", began.elapsed().as_secs_f64() * 1e6);
    let arena_range = aligned(&mut arena_memory, &vec![0; plan.arena_bytes()]);
    let arena = &mut arena_memory[arena_range];

    let inputs = random(&graph, 77)?;
    let mut contents = Vec::new();
    let mut given = inputs.iter();
    for n in 0..plan.ports() {
        let port = plan.port(n)?;
        if port.role() != Role::Input {
            continue;
        }
        let bytes: Vec<u8> = match given.next().map(Tensor::storage) {
            Some(Storage::F32(e)) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
            Some(Storage::I64(e)) => e.iter().flat_map(|x| x.to_le_bytes()).collect(),
            _ => return Err("inputs of f32 or i64 only".into()),
        };
        contents.push((port.span().offset as usize, bytes));
    }
    let give = |arena: &mut [u8]| {
        for (begin, bytes) in &contents {
            arena[*begin..*begin + bytes.len()].copy_from_slice(bytes);
        }
    };
    give(arena);
    plan.run(arena)?;
    let expected = interpret::run(&graph, &inputs)?;
    let mut outputs = expected.iter();
    for n in 0..plan.ports() {
        let port = plan.port(n)?;
        if port.role() != Role::Output {
            continue;
        }
        let begin = port.span().offset as usize;
        let found: Vec<f32> = arena[begin..begin + port.span().bytes as usize]
            .chunks_exact(4)
            .filter_map(|b| Some(f32::from_le_bytes(b.try_into().ok()?)))
            .collect();
        let expected = outputs.next().map(Tensor::to_f32).unwrap_or_default();
        let differences = found.iter().zip(&expected).map(|(a, b)| (a - b).abs());
        let most = expected.iter().fold(0f32, |a, b| a.max(b.abs()));
        println!(
            "{}: {} numbers up to {most:.4}, largest difference {:.3e}",
            port.name,
            found.len(),
            differences.fold(0f32, f32::max)
        );
    }
    let mut time = |runs: usize| -> Outcome<f64> {
        let mut times = Vec::with_capacity(runs);
        for _ in 0..runs {
            give(arena);
            let began = Instant::now();
            plan.run(arena)?;
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
        Ok(median(&mut times))
    };
    if arguments.serve {
        println!("ready");
        for line in std::io::stdin().lock().lines() {
            println!("{}", time(line?.trim().parse()?)?);
        }
        return Ok(());
    }
    let whole = time(arguments.runs)?;
    let mut steps = vec![Vec::with_capacity(arguments.runs); plan.steps()];
    for _ in 0..arguments.runs {
        give(arena);
        for (n, times) in steps.iter_mut().enumerate() {
            let began = Instant::now();
            plan.run_step(n, arena)?;
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
    }
    println!("{:>8}  {:>9}  step", "us", "GMAC/s");
    for (step, times) in compiled.report.steps.iter().zip(&mut steps) {
        let time = median(times);
        println!(
            "{time:>8.2}  {:>9.1}  {:<10} {}  {}",
            step.macs as f64 / time / 1e3,
            step.kernel,
            step.node,
            step.detail
        );
    }
    println!(
        "{} on {}: {whole:.1} us, {} steps, {:.2} M MAC, {:.1} GMAC/s, arena {} KiB, weights {} KiB, plan {} KiB",
        graph.name,
        cpu.tier().name(),
        plan.steps(),
        compiled.report.macs() as f64 / 1e6,
        compiled.report.macs() as f64 / whole / 1e3,
        compiled.report.arena_bytes / 1024,
        compiled.report.pack_bytes / 1024,
        compiled.report.plan_bytes / 1024,
    );
    Ok(())
}
