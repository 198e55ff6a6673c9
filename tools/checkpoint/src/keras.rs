//! Keras HDF5 files: layers and their weights by attributes, the architecture as JSON.

use limbic_graph::{Error, ErrorKind, Result};

use crate::detect::Format;
use crate::entry::{Contents, KerasLayer};
use crate::hdf5::{Datasets, File};
use crate::source::Source;

/// Most pieces that a list of names is cut into.
const MAX_PIECES: usize = 1000;

/// Lists an HDF5 file: as Keras' where it names layers, every dataset otherwise.
///
/// An entry of a Keras file is called by its path below the weights: layer, slash, weight name.
pub(crate) fn open(source: Source) -> Result<(Format, Contents)> {
    let file = File::open(source)?;
    let folder = if file.has_group("/model_weights") {
        "/model_weights"
    } else {
        "/"
    };
    let model_config = file
        .texts("/", "model_config")?
        .and_then(|texts| texts.into_iter().next());
    let Some(layer_names) = names(&file, folder, "layer_names")? else {
        let (entries, stored, skipped) = file.list()?;
        let mut contents = Contents::new(entries, Datasets { file, stored });
        contents.skipped = skipped;
        contents.model_config = model_config;
        return Ok((Format::Hdf5, contents));
    };
    let (mut entries, mut stored, mut layers) = (Vec::new(), Vec::new(), Vec::new());
    for layer in layer_names {
        let group = format!("{}/{layer}", folder.trim_end_matches('/'));
        let mut weights = Vec::new();
        for weight in names(&file, &group, "weight_names")?.unwrap_or_default() {
            let name = format!("{layer}/{weight}");
            match file.entry(&format!("{group}/{weight}"), name.clone())? {
                Ok((entry, place)) => {
                    entries.push(entry);
                    stored.push(place);
                }
                // A weight that cannot be read makes the layer wrong: it is not left out.
                Err(what) => {
                    return Err(Error::new(
                        ErrorKind::Unsupported,
                        name,
                        "a dataset of numbers",
                        what,
                    ));
                }
            }
            weights.push(name);
        }
        layers.push(KerasLayer { name: layer, weights });
    }
    let mut metadata = Vec::new();
    for (group, attribute) in [
        ("/", "keras_version"),
        ("/", "backend"),
        (folder, "keras_version"),
        (folder, "backend"),
        ("/", "training_config"),
    ] {
        let value = file
            .texts(group, attribute)?
            .and_then(|texts| texts.into_iter().next());
        if let Some(value) = value
            && metadata.iter().all(|(known, _)| known != attribute)
        {
            metadata.push((attribute.to_owned(), value));
        }
    }
    let mut contents = Contents::new(entries, Datasets { file, stored });
    contents.model_config = model_config;
    contents.keras_layers = layers;
    contents.metadata = metadata;
    Ok((Format::Keras, contents))
}

/// A list of names; Keras cuts one above the size of an attribute into `name0`, `name1` and so on.
fn names(file: &File, group: &str, attribute: &str) -> Result<Option<Vec<String>>> {
    if let Some(names) = file.texts(group, attribute)? {
        return Ok(Some(names));
    }
    let mut all = None;
    for piece in 0..MAX_PIECES {
        let Some(names) = file.texts(group, &format!("{attribute}{piece}"))? else {
            break;
        };
        all.get_or_insert_with(Vec::new).extend(names);
    }
    Ok(all)
}
