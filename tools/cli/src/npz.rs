//! Writing a NumPy `.npz` whose row counts are known only at the end.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use npyz::WriterBuilder;

/// Element of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// 32-bit float.
    F32,
    /// 64-bit integer.
    I64,
}

/// Rows of one array, spooled to an unnamed file until the archive is written.
struct Spool {
    name: String,
    element: Element,
    /// Shape of a row.
    row: Vec<usize>,
    rows: u64,
    file: BufWriter<File>,
}

/// An archive in the making: arrays of equal-shaped rows, appended in any order.
pub struct NpzWriter {
    folder: std::path::PathBuf,
    spools: Vec<Spool>,
}

impl NpzWriter {
    /// An empty archive that will be written beside `target`.
    pub fn beside(target: &Path) -> Self {
        let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty());
        Self {
            folder: folder.unwrap_or(Path::new(".")).to_path_buf(),
            spools: Vec::new(),
        }
    }

    /// Appends a row of floats to the array `name`.
    pub fn push_f32(&mut self, name: &str, shape: &[usize], values: &[f32]) -> Result<()> {
        let spool = self.spool(name, Element::F32, shape, values.len())?;
        values
            .iter()
            .try_for_each(|value| spool.file.write_all(&value.to_le_bytes()))
            .context("can't spool")
    }

    /// Appends a row of integers to the array `name`.
    pub fn push_i64(&mut self, name: &str, shape: &[usize], values: &[i64]) -> Result<()> {
        let spool = self.spool(name, Element::I64, shape, values.len())?;
        values
            .iter()
            .try_for_each(|value| spool.file.write_all(&value.to_le_bytes()))
            .context("can't spool")
    }

    fn spool(&mut self, name: &str, element: Element, shape: &[usize], values: usize) -> Result<&mut Spool> {
        if shape.iter().product::<usize>() != values {
            bail!("array `{name}`: {values} values do not fill the shape {shape:?}");
        }
        let index = match self.spools.iter().position(|spool| spool.name == name) {
            Some(index) => index,
            None => {
                let file = tempfile::tempfile_in(&self.folder)
                    .with_context(|| format!("can't write into {}", self.folder.display()))?;
                let (name, row) = (name.to_owned(), shape.to_vec());
                self.spools.push(Spool {
                    name,
                    element,
                    row,
                    rows: 0,
                    file: BufWriter::new(file),
                });
                self.spools.len() - 1
            }
        };
        let spool = &mut self.spools[index];
        if spool.row != shape || spool.element != element {
            bail!(
                "array `{name}`: a row of shape {shape:?} after rows of shape {:?}",
                spool.row
            );
        }
        spool.rows += 1;
        Ok(spool)
    }

    /// Writes the archive in one piece: `target` is either the old file or the whole new one.
    pub fn write(self, target: &Path) -> Result<()> {
        let file = atomic_write_file::AtomicWriteFile::open(target)
            .with_context(|| format!("can't write {}", target.display()))?;
        let mut archive = zip::ZipWriter::new(BufWriter::new(file));
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Stored)
            .last_modified_time(zip::DateTime::default())
            .large_file(true);
        for spool in self.spools {
            archive.start_file(format!("{}.npy", spool.name), options)?;
            let mut shape = vec![spool.rows];
            shape.extend(spool.row.iter().map(|&extent| extent as u64));
            let mut file = spool.file.into_inner().context("can't spool")?;
            file.seek(SeekFrom::Start(0))?;
            let values = BufReader::new(file);
            match spool.element {
                Element::F32 => copy(values, &shape, &mut archive, f32::from_le_bytes)?,
                Element::I64 => copy(values, &shape, &mut archive, i64::from_le_bytes)?,
            }
        }
        let file = archive.finish()?.into_inner().context("can't write")?;
        file.commit()
            .with_context(|| format!("can't write {}", target.display()))
    }
}

fn copy<T: npyz::AutoSerialize, const BYTES: usize>(
    mut values: impl Read,
    shape: &[u64],
    archive: impl Write,
    decode: fn([u8; BYTES]) -> T,
) -> Result<()> {
    let mut array = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .writer(archive)
        .begin_nd()?;
    let mut bytes = [0; BYTES];
    for _ in 0..shape.iter().product::<u64>() {
        values.read_exact(&mut bytes)?;
        array.push(&decode(bytes))?;
    }
    Ok(array.finish()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arrays_come_back_as_they_were_pushed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("out.npz");
        let mut archive = NpzWriter::beside(&target);
        archive.push_f32("pixels", &[1, 2], &[0.5, -1.0]).unwrap();
        archive.push_f32("pixels", &[1, 2], &[2.0, 3.0]).unwrap();
        archive.push_i64("row", &[], &[7]).unwrap();
        assert!(archive.push_f32("pixels", &[3], &[0.0; 3]).is_err());
        archive.write(&target).unwrap();

        let mut zip = zip::ZipArchive::new(File::open(&target).unwrap()).unwrap();
        let pixels = npyz::NpyFile::new(zip.by_name("pixels.npy").unwrap()).unwrap();
        assert_eq!(pixels.shape(), [2, 1, 2]);
        assert_eq!(pixels.into_vec::<f32>().unwrap(), [0.5, -1.0, 2.0, 3.0]);
        let row = npyz::NpyFile::new(zip.by_name("row.npy").unwrap()).unwrap();
        assert_eq!(
            (row.shape().to_vec(), row.into_vec::<i64>().unwrap()),
            (vec![1], vec![7])
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
