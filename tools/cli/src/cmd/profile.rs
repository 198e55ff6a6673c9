//! `limbic profile`

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use limbic_backends::ProgramFile;
use limbic_bundle::{Bundle, GraphFormat};
use limbic_compile::host::Aligned;
use limbic_engine::{Cpu, Plan};
use serde_json::json;

use crate::args::Profile;
use crate::show::print_line;

/// Products of a probe of the peak: about a millisecond.
const PROBE: u64 = 1 << 28;

/// What was measured of a step.
struct Step {
    kernel: &'static str,
    node: String,
    macs: u64,
    median_us: f64,
}

/// Times each step of a plan by itself, in order, on an arena of zeros.
pub fn run(args: &Profile) -> Result<ExitCode> {
    let bundle =
        Bundle::open(&args.bundle).with_context(|| format!("can't use {}", args.bundle.display()))?;
    let cpu = cpu(args.tier.as_deref())?;
    let file = plan_file(&bundle, args.signature.as_deref())?;
    let packs: Vec<&[u8]> = file.packs.iter().map(|pack| &*pack.content).collect();
    let plan = Plan::check(&file.content, &packs, cpu).context("the plan is not one of this release")?;
    let mut arena = Aligned::zeros(plan.arena_bytes());
    plan.reset(arena.get_mut())?;
    plan.run(arena.get_mut())?;
    let runs = args.runs.max(1);
    let mut times = vec![Vec::with_capacity(runs); plan.steps()];
    let (mut whole, mut peaks) = (Vec::with_capacity(runs), Vec::new());
    for run in 0..runs {
        // The processor changes its clock; the peak is taken in between.
        if run % 16 == 0 {
            let began = Instant::now();
            if let Some((products, sum)) = cpu.products(PROBE) {
                std::hint::black_box(sum);
                peaks.push(products as f64 / began.elapsed().as_secs_f64() / 1e9);
            }
        }
        for (step, times) in times.iter_mut().enumerate() {
            let began = Instant::now();
            plan.run_step(step, arena.get_mut())?;
            times.push(began.elapsed().as_secs_f64() * 1e6);
        }
        let began = Instant::now();
        plan.run(arena.get_mut())?;
        whole.push(began.elapsed().as_secs_f64() * 1e6);
    }
    let peak = (!peaks.is_empty()).then(|| median(&mut peaks));
    let mut steps = Vec::new();
    for (index, times) in times.iter_mut().enumerate() {
        let step = plan.step(index)?;
        steps.push(Step {
            kernel: step.name(),
            node: plan.step_name(index)?.to_owned(),
            macs: step.macs(),
            median_us: median(times),
        });
    }
    let signature = file.signature.as_deref().unwrap_or_default();
    show(args, signature, cpu, &steps, median(&mut whole), peak)?;
    Ok(ExitCode::SUCCESS)
}

fn show(
    args: &Profile,
    signature: &str,
    cpu: Cpu,
    steps: &[Step],
    whole_us: f64,
    peak: Option<f64>,
) -> Result<()> {
    // Thousand products a microsecond are 1e9 a second.
    let rate = |macs: u64, us: f64| macs as f64 / us / 1e3;
    let share = |rate: f64| peak.map(|peak| rate / peak);
    let (tier, macs) = (cpu.tier().name(), steps.iter().map(|step| step.macs).sum());
    if args.json {
        for (index, step) in steps.iter().enumerate() {
            let rate = rate(step.macs, step.median_us);
            print_line(
                &json!({
                    "signature": signature, "tier": tier, "step": index, "kernel": step.kernel,
                    "node": step.node, "macs": step.macs, "median_us": step.median_us,
                    "gmacs_per_s": rate, "share_of_peak": share(rate),
                })
                .to_string(),
            )?;
        }
        let rate = rate(macs, whole_us);
        let whole = json!({
            "signature": signature, "tier": tier, "macs": macs, "median_us": whole_us,
            "gmacs_per_s": rate, "share_of_peak": share(rate), "peak_gmacs_per_s": peak,
        });
        return print_line(&whole.to_string());
    }
    let percent = |rate: f64| share(rate).map_or_else(|| "-".to_owned(), |s| format!("{:.0} %", s * 100.0));
    print_line(&format!(
        "{:>4}  {:<14} {:>9}  {:>11}  {:>8}  {:>6}  node",
        "step", "kernel", "us", "MACs", "GMAC/s", "peak"
    ))?;
    for (index, step) in steps.iter().enumerate() {
        let speed = rate(step.macs, step.median_us);
        let (speed, share) = match step.macs {
            0 => (String::new(), String::new()),
            _ => (format!("{speed:.1}"), percent(speed)),
        };
        print_line(&format!(
            "{index:>4}  {:<14} {:>9.2}  {:>11}  {speed:>8}  {share:>6}  {}",
            step.kernel, step.median_us, step.macs, step.node
        ))?;
    }
    let speed = rate(macs, whole_us);
    print_line(&format!(
        "{signature} on {tier}: {whole_us:.1} us, {macs} MACs, {speed:.1} GMAC/s, {} of the peak{}",
        percent(speed),
        peak.map_or_else(String::new, |peak| format!(" of {peak:.0} GMAC/s"))
    ))
}

fn cpu(tier: Option<&str>) -> Result<Cpu> {
    let cpu = Cpu::detect();
    let Some(name) = tier else { return Ok(cpu) };
    if let Some(lower) = cpu.tiers().find(|cpu| cpu.tier().name() == name) {
        return Ok(lower);
    }
    let names: Vec<&str> = cpu.tiers().map(|cpu| cpu.tier().name()).collect();
    bail!("no tier {name:?} here; this processor has {}", names.join(", "))
}

/// The plan of a signature in the first variant that has plans.
fn plan_file(bundle: &Bundle, signature: Option<&str>) -> Result<ProgramFile> {
    let manifest = bundle.manifest();
    let spec = manifest.programs.first().context("the bundle has no program")?;
    for variant in &manifest.variants {
        if variant
            .entries
            .iter()
            .all(|entry| entry.format != GraphFormat::Plan)
        {
            continue;
        }
        let Some((_, mut files)) = ProgramFile::of(bundle, variant, &spec.name)? else {
            continue;
        };
        let names: Vec<String> = files.iter().filter_map(|file| file.signature.clone()).collect();
        let at = match signature {
            None => files.len().checked_sub(1),
            Some(wanted) => files
                .iter()
                .position(|file| file.signature.as_deref() == Some(wanted)),
        };
        return match at {
            Some(at) => Ok(files.swap_remove(at)),
            None => bail!(
                "no plan for {}; there is {}",
                signature.unwrap_or("any signature"),
                names.join(", ")
            ),
        };
    }
    bail!("the bundle has no plans; `limbic compile BUNDLE -o OUT` makes them or says what is missing")
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
