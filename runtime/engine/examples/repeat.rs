//! Runs a plan so many times and then twice as often, for counting instructions, and prints its first outputs.
//!
//! `repeat PLAN RUNS [--tier NAME] [--step N] [--list] PACK...`
//!
//! Inputs are made-up: reals from -1 to 1, integers 0 and 1. `--tier` uses no instructions above a tier; with `--step`
//! only that step is repeated, behind one run of all; `--list` prints the steps instead. The time of a run is that of
//! the second half less the first.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::time::{Duration, Instant};

use limbic_engine::plan::{ARENA_ALIGNMENT, Dtype};
use limbic_engine::{Cpu, Plan, Role, Tier};

/// Bytes at an address that plans and packs may lie at.
struct Aligned {
    memory: Vec<u8>,
    begin: usize,
    length: usize,
}

impl Aligned {
    fn new(content: &[u8]) -> Self {
        let memory = vec![0; content.len() + ARENA_ALIGNMENT];
        let begin = memory.as_ptr().align_offset(ARENA_ALIGNMENT);
        let mut found = Self {
            memory,
            begin,
            length: content.len(),
        };
        found.get_mut().copy_from_slice(content);
        found
    }

    fn get(&self) -> &[u8] {
        &self.memory[self.begin..self.begin + self.length]
    }

    fn get_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.begin..self.begin + self.length]
    }
}

/// Numbers that look random.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as u32
    }
}

fn fill(plan: &Plan<'_>, arena: &mut [u8]) -> Result<(), Box<dyn Error>> {
    let mut random = Random(7);
    for index in 0..plan.ports() {
        let port = plan.port(index)?;
        if port.role() != Role::Input {
            continue;
        }
        let begin = port.span().offset as usize;
        let bytes = &mut arena[begin..begin + port.span().bytes as usize];
        for element in bytes.chunks_exact_mut(port.dtype().size()) {
            if port.dtype() == Dtype::F32 {
                let real = (random.next() % 2001) as f32 / 1000.0 - 1.0;
                element.copy_from_slice(&real.to_le_bytes());
            } else {
                element.fill(0);
                element[0] = (random.next() % 2) as u8;
            }
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let (mut cpu, mut step, mut list, mut plain) = (Cpu::detect(), None, false, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--tier" => {
                let name = arguments.next().ok_or("--tier needs a name")?;
                cpu = cpu.at_most(Tier::by_name(&name).ok_or(format!("no tier {name}"))?);
            }
            "--step" => step = Some(arguments.next().ok_or("--step needs a number")?.parse()?),
            "--list" => list = true,
            _ => plain.push(argument),
        }
    }
    let [plan, runs, packs @ ..] = plain.as_slice() else {
        return Err("give a plan, a number of runs and the plan's weight packs".into());
    };
    let plan = Aligned::new(&fs::read(plan)?);
    let packs: Vec<Aligned> = packs
        .iter()
        .map(|path| Ok(Aligned::new(&fs::read(path)?)))
        .collect::<std::io::Result<_>>()?;
    let packs: Vec<&[u8]> = packs.iter().map(Aligned::get).collect();
    let plan = Plan::check(plan.get(), &packs, cpu)?;
    let mut out = std::io::stdout().lock();
    if list {
        for index in 0..plan.steps() {
            let step = plan.step(index)?;
            writeln!(
                out,
                "{index} {} {} {}",
                step.name(),
                step.macs(),
                plan.step_name(index)?
            )?;
        }
        return Ok(());
    }
    let mut arena = Aligned::new(&vec![0; plan.arena_bytes()]);
    plan.reset(arena.get_mut())?;
    fill(&plan, arena.get_mut())?;
    plan.run(arena.get_mut())?;
    let runs: u32 = runs.parse()?;
    let mut repeat = |count: u32| -> Result<Duration, Box<dyn Error>> {
        let began = Instant::now();
        for _ in 0..count {
            match step {
                Some(step) => plan.run_step(step, arena.get_mut())?,
                None => {
                    // A plan's steps may write over its inputs.
                    fill(&plan, arena.get_mut())?;
                    plan.run(arena.get_mut())?;
                }
            }
        }
        Ok(began.elapsed())
    };
    let once = repeat(runs)?;
    let twice = repeat(runs * 2)?;
    let each = twice.saturating_sub(once).as_nanos() / u128::from(runs.max(1));
    writeln!(out, "{each} ns a run on {}", cpu.tier().name())?;
    for index in 0..plan.ports() {
        let port = plan.port(index)?;
        if port.role() == Role::Output && port.dtype() == Dtype::F32 {
            let begin = port.span().offset as usize;
            let bytes = &arena.get()[begin..begin + port.span().bytes as usize];
            let numbers = bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
            let numbers: Vec<String> = numbers.take(8).map(|x| format!("{x:.5}")).collect();
            writeln!(
                out,
                "{} on {}: {}",
                port.name,
                cpu.tier().name(),
                numbers.join(" ")
            )?;
        }
    }
    Ok(())
}
