//! The CSV of labelled items that `eval` and `preprocess` read.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// A labelled set.
#[derive(Debug)]
pub struct Dataset {
    /// Rows in file order.
    pub rows: Vec<Row>,
    /// Rows that are no rows: broken quoting, too few cells, bytes that are not UTF-8.
    pub broken: Vec<Broken>,
    /// Whether the rows name their inputs by sense instead of one `input` column.
    pub by_sense: bool,
    folder: PathBuf,
}

/// Whether rows need labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Labels {
    /// A row without one can't be read.
    Required,
    /// Rows are only made into tensors.
    Optional,
}

/// One item.
#[derive(Debug, Clone)]
pub struct Row {
    /// Position among the data rows, from 0.
    pub index: usize,
    /// Line of the file it begins on.
    pub line: u64,
    /// True labels; empty without a `label` column.
    pub labels: Vec<String>,
    /// The cell `input`.
    pub input: Option<String>,
    /// The cell `text`.
    pub text: Option<String>,
    /// The cell `audio`.
    pub audio: Option<String>,
    /// The cell `image`.
    pub image: Option<String>,
    /// The cell `region`, for pictures.
    pub region: Option<String>,
}

/// A row that can't be read.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Broken {
    /// Line of the file, from 1.
    pub line: u64,
    /// What the row named, where that is known and a path.
    pub input: Option<String>,
    /// What is wrong with it.
    pub error: String,
}

impl Dataset {
    /// Reads the CSV: UTF-8, a header line, standard quoting; `label` cells hold several labels joined by `|`.
    pub fn read(path: &Path, need: Labels) -> Result<Self> {
        let file = std::fs::File::open(path).with_context(|| format!("can't open {}", path.display()))?;
        let folder = path.parent().map(Path::to_path_buf).unwrap_or_default();
        Self::parse(std::io::BufReader::new(file), folder, need)
            .with_context(|| format!("in {}", path.display()))
    }

    fn parse(reader: impl std::io::Read, folder: PathBuf, need: Labels) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
        let header: Vec<String> = reader
            .byte_headers()
            .context("can't read the header line")?
            .iter()
            .map(|cell| {
                String::from_utf8_lossy(cell)
                    .trim_start_matches('\u{feff}')
                    .trim()
                    .to_owned()
            })
            .collect();
        let column = |name: &str| header.iter().position(|cell| cell == name);
        let (label, input, region) = (column("label"), column("input"), column("region"));
        let (text, audio, image) = (column("text"), column("audio"), column("image"));
        let by_sense = text.or(audio).or(image).is_some();
        if input.is_none() && !by_sense {
            bail!(
                "the header is `{}`; it needs a column `input`, or any of `text`, `audio`, `image`",
                header.join(",")
            );
        }
        if label.is_none() && need == Labels::Required {
            bail!(
                "the header is `{}`; without a column `label` there is nothing to judge",
                header.join(",")
            );
        }
        if input.is_some() && by_sense {
            bail!("the header has both `input` and one of `text`, `audio`, `image`; use one or the other");
        }
        let mut dataset = Self {
            rows: Vec::new(),
            broken: Vec::new(),
            by_sense,
            folder,
        };
        let mut record = csv::ByteRecord::new();
        loop {
            let line = reader.position().line();
            match reader.read_byte_record(&mut record) {
                Ok(false) => return Ok(dataset),
                Ok(true) => {}
                Err(error) if error.is_io_error() => return Err(error).context("can't read on"),
                Err(error) => {
                    dataset.broken.push(Broken {
                        line,
                        input: None,
                        error: error.to_string(),
                    });
                    continue;
                }
            }
            let line = record.position().map_or(line, csv::Position::line);
            let index = dataset.rows.len() + dataset.broken.len();
            let cell = |column: Option<usize>| -> Result<Option<String>, String> {
                let Some(column) = column else { return Ok(None) };
                let bytes = record
                    .get(column)
                    .ok_or_else(|| format!("{} cells, the header has {}", record.len(), header.len()))?;
                let text = std::str::from_utf8(bytes)
                    .map_err(|error| format!("column `{}` is not UTF-8: {error}", header[column]))?;
                Ok((!text.is_empty()).then(|| text.to_owned()))
            };
            let read = || -> Result<Row, String> {
                let labels = cell(label)?.map_or_else(Vec::new, |cell| {
                    cell.split('|')
                        .map(|part| part.trim().to_owned())
                        .filter(|part| !part.is_empty())
                        .collect()
                });
                let row = Row {
                    index,
                    line,
                    labels,
                    input: cell(input)?,
                    text: cell(text)?,
                    audio: cell(audio)?,
                    image: cell(image)?,
                    region: cell(region)?,
                };
                if need == Labels::Required && row.labels.is_empty() {
                    return Err("no label".to_owned());
                }
                if row.by_sense().is_empty() && row.input.is_none() {
                    return Err("no input".to_owned());
                }
                Ok(row)
            };
            match read() {
                Ok(row) => dataset.rows.push(row),
                Err(error) => dataset.broken.push(Broken {
                    line,
                    input: None,
                    error,
                }),
            }
        }
    }

    /// A cell's path, relative to the CSV's folder.
    pub fn path(&self, cell: &str) -> PathBuf {
        self.folder.join(cell)
    }

    /// Every label that occurs, sorted.
    pub fn labels(&self) -> Vec<String> {
        let mut labels: Vec<String> = self
            .rows
            .iter()
            .flat_map(|row| row.labels.iter().cloned())
            .collect();
        labels.sort();
        labels.dedup();
        labels
    }
}

impl Row {
    /// The cells of the senses that are there, with the column's name.
    pub fn by_sense(&self) -> Vec<(&'static str, &str)> {
        [
            ("text", &self.text),
            ("audio", &self.audio),
            ("image", &self.image),
        ]
        .into_iter()
        .filter_map(|(name, cell)| cell.as_deref().map(|cell| (name, cell)))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &[u8]) -> Result<Dataset> {
        Dataset::parse(text, PathBuf::from("folder"), Labels::Required)
    }

    #[test]
    fn cells_may_hold_commas_quotes_and_line_breaks() {
        let data = parse(b"label,input\njoy|anger,\"one, \"\"two\"\"\nthree\"\nfear,b.wav\n").unwrap();
        assert_eq!(data.rows[0].labels, ["joy", "anger"]);
        assert_eq!(data.rows[0].input.as_deref(), Some("one, \"two\"\nthree"));
        assert_eq!(data.path("b.wav"), Path::new("folder/b.wav"));
        assert_eq!(data.labels(), ["anger", "fear", "joy"]);
    }

    #[test]
    fn a_row_that_is_no_row_is_listed_and_the_rest_is_read() {
        let data = parse(b"label,input\njoy\n,text\nfear,\xff\nanger,good\n").unwrap();
        assert_eq!(data.rows.len(), 1);
        assert_eq!(data.rows[0].index, 3);
        let errors: Vec<&str> = data.broken.iter().map(|broken| broken.error.as_str()).collect();
        assert_eq!(
            data.broken.iter().map(|broken| broken.line).collect::<Vec<_>>(),
            [2, 3, 4]
        );
        assert!(errors[0].contains("1 cells") && errors[1] == "no label" && errors[2].contains("UTF-8"));
    }

    #[test]
    fn rows_for_tensors_need_no_label() {
        let data = Dataset::parse(&b"input,label\na.wav,\n"[..], PathBuf::new(), Labels::Optional).unwrap();
        assert_eq!((data.rows.len(), data.broken.len()), (1, 0));
        assert!(
            parse(b"input\na.wav\n")
                .unwrap_err()
                .to_string()
                .contains("label")
        );
    }

    #[test]
    fn missing_senses_are_empty_cells() {
        let data = parse(b"text,audio,image,label\nhello,,f.png,joy\n,a.wav,,joy\n").unwrap();
        assert!(data.by_sense);
        assert_eq!(data.rows[0].by_sense(), [("text", "hello"), ("image", "f.png")]);
        assert_eq!(data.rows[1].by_sense(), [("audio", "a.wav")]);
    }

    #[test]
    fn a_header_without_inputs_is_refused_with_what_it_has() {
        let error = parse(b"label,path\njoy,x\n").unwrap_err().to_string();
        assert!(error.contains("label,path"), "{error}");
    }
}
