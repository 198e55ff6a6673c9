//! The data sets: read, apart from each other, and said in words.

use std::path::Path;

use anyhow::{Context, Result, bail};
use limbic_quantize::split::{Part, check_disjoint, part_of};

use crate::args::Quantize;
use crate::dataset::{Dataset, Labels};
use crate::inputs::Pictures;
use crate::network::{Item, Network, digest};

/// One file of items.
#[derive(Debug)]
pub struct DataSet {
    /// The file's name.
    pub name: String,
    pub items: Vec<Item>,
    /// Every label that occurs; none in a file without labels.
    pub labels: Vec<String>,
}

/// Items for each use.
#[derive(Debug)]
pub struct Sets {
    pub calib: Vec<DataSet>,
    pub tune: Vec<DataSet>,
    pub eval: Vec<DataSet>,
}

/// Reads what the command line names; no item is in two uses.
pub fn read(args: &Quantize, network: &Network) -> Result<(Sets, String)> {
    let (mut sets, how) = match (
        &args.data,
        args.calib.as_slice(),
        args.tune.as_slice(),
        args.eval.as_slice(),
    ) {
        (Some(path), [], [], []) => (split(path, network)?, "one file split by digest"),
        (None, [_, ..], [_, ..], [_, ..]) => {
            let [calib, tune, eval] = [&args.calib, &args.tune, &args.eval].map(|paths| {
                paths
                    .iter()
                    .map(|path| file(path, network))
                    .collect::<Result<Vec<_>>>()
            });
            let (calib, tune, eval) = (calib?, tune?, eval?);
            let digests = |sets: &[(DataSet, Vec<[u8; 32]>)]| -> Vec<[u8; 32]> {
                sets.iter().flat_map(|(_, digests)| digests).copied().collect()
            };
            check_disjoint(&[
                ("calib", &digests(&calib)),
                ("tune", &digests(&tune)),
                ("eval", &digests(&eval)),
            ])?;
            let alone = |sets: Vec<(DataSet, _)>| sets.into_iter().map(|(set, _)| set).collect();
            (
                Sets {
                    calib: alone(calib),
                    tune: alone(tune),
                    eval: alone(eval),
                },
                "files for each use, no item in two uses by digest",
            )
        }
        _ => bail!("give --data, or all of --calib, --tune and --eval"),
    };
    let mut counts = Vec::new();
    for (sets, limit, name, use_of) in [
        (&mut sets.calib, args.calib_items, "calibration", "to calibrate"),
        (&mut sets.tune, args.limit, "tune", "to tune"),
        (&mut sets.eval, args.limit, "eval", "to judge"),
    ] {
        for set in sets.iter_mut() {
            set.items.truncate(limit);
            if set.items.is_empty() {
                bail!("the {name} set {} has no items", set.name);
            }
        }
        let each: Vec<String> = sets.iter().map(|set| set.items.len().to_string()).collect();
        counts.push(format!("{} items {use_of}", each.join(" + ")));
    }
    Ok((sets, format!("{how}; {}", counts.join(", "))))
}

/// A file's items and their digests.
fn file(path: &Path, network: &Network) -> Result<(DataSet, Vec<[u8; 32]>)> {
    let name = path.file_name().map_or_else(
        || path.display().to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    let (items, labels) = if path.extension().is_some_and(|extension| extension == "npz") {
        (network.recorded(path)?, Vec::new())
    } else {
        let dataset = Dataset::read(path, Labels::Optional)?;
        if let Some(broken) = dataset.broken.first() {
            bail!("{}, line {}: {}", path.display(), broken.line, broken.error);
        }
        let labels = dataset.labels();
        if let Some(row) = dataset
            .rows
            .iter()
            .find(|row| row.labels.is_empty() && !labels.is_empty())
        {
            bail!("{}, line {}: no label", path.display(), row.line);
        }
        (network.items(&dataset), labels)
    };
    let mut pictures = Pictures::default();
    let digests = items
        .iter()
        .map(|item| Ok(digest(&network.windows(item, &mut pictures)?)))
        .collect::<Result<Vec<_>>>()
        .with_context(|| path.display().to_string())?;
    let set = DataSet { name, items, labels };
    Ok((set, digests))
}

/// One file's items by their digests.
fn split(path: &Path, network: &Network) -> Result<Sets> {
    let (whole, digests) = file(path, network)?;
    let part = |part| DataSet {
        name: whole.name.clone(),
        items: whole
            .items
            .iter()
            .zip(&digests)
            .filter(|(_, digest)| part_of(digest) == part)
            .map(|(item, _)| item.clone())
            .collect(),
        labels: whole.labels.clone(),
    };
    Ok(Sets {
        calib: vec![part(Part::Calibration)],
        tune: vec![part(Part::Tune)],
        eval: vec![part(Part::Eval)],
    })
}
