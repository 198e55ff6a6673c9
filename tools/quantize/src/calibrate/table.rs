//! The calibration table: a text file that can be read, edited and fed back.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::calibrate::{Calibrators, Range};
use crate::error::{Error, ErrorKind, Result};

/// First line of a table.
const HEADER: &str = "# limbic calibration table 1";

/// Names of the columns, tabs between them.
const COLUMNS: &str = "# tensor\tmin\tmax\tmethod\tseen min\tseen max";

/// Longest table that is read, in bytes.
const LIMIT: usize = 64 << 20;

/// Ranges by tensor name, and how they were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    calibrators: Calibrators,
    inputs: usize,
    entries: BTreeMap<String, Entry>,
}

/// The range of one tensor.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What is used.
    pub range: Range,
    /// How it was chosen; any word, for a table that was edited.
    pub method: String,
    /// Least and greatest value seen.
    pub seen: Range,
}

impl Table {
    /// An empty table of calibrators with these parameters over a number of inputs.
    pub fn new(calibrators: Calibrators, inputs: usize) -> Self {
        Self {
            calibrators,
            inputs,
            entries: BTreeMap::new(),
        }
    }

    /// Sets the range of a tensor.
    pub fn insert(&mut self, name: &str, entry: Entry) {
        self.entries.insert(name.to_owned(), entry);
    }

    /// What is known of a tensor.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.entries.get(name)
    }

    /// The range of a tensor.
    ///
    /// # Errors
    /// [`ErrorKind::NoRange`] naming it.
    pub fn range(&self, name: &str) -> Result<Range> {
        self.entries.get(name).map(|entry| entry.range).ok_or_else(|| {
            Error::new(
                ErrorKind::NoRange,
                format!("tensor {name}"),
                "a line in the calibration table",
                "none",
            )
        })
    }

    /// All ranges, by name.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry))
    }

    /// Parameters of the calibrators.
    pub fn calibrators(&self) -> &Calibrators {
        &self.calibrators
    }

    /// Number of inputs that were seen.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The table as text: two comment lines, then a line a tensor, tabs between the columns.
    ///
    /// Backslash, tab and line breaks in a name are written as `\\`, `\t`, `\n`, `\r`.
    pub fn to_text(&self) -> String {
        let c = &self.calibrators;
        let mut text = format!(
            "{HEADER}\n# inputs {} bins {} percentile {} momentum {} symmetric {}\n{COLUMNS}\n",
            self.inputs, c.bins, c.percentile, c.momentum, c.symmetric
        );
        for (name, entry) in &self.entries {
            let (range, seen) = (entry.range, entry.seen);
            // Writing into a string cannot fail.
            let _ = writeln!(
                text,
                "{}\t{:?}\t{:?}\t{}\t{:?}\t{:?}",
                escaped(name),
                range.min,
                range.max,
                entry.method,
                seen.min,
                seen.max
            );
        }
        text
    }

    /// Reads a table.
    ///
    /// # Errors
    /// [`ErrorKind::Syntax`] naming the line.
    pub fn from_text(text: &str) -> Result<Self> {
        if text.len() > LIMIT {
            let expected = format!("at most {LIMIT} bytes");
            return Err(Error::new(
                ErrorKind::Syntax,
                "calibration table",
                expected,
                text.len(),
            ));
        }
        let mut lines = text.lines().enumerate();
        let first = lines.next().map_or("", |(_, line)| line);
        if first != HEADER {
            return Err(syntax(1, HEADER, first));
        }
        let (_, parameters) = lines.next().unwrap_or((1, ""));
        let (calibrators, inputs) = read_parameters(parameters)?;
        let mut table = Self::new(calibrators, inputs);
        for (n, line) in lines {
            if line.is_empty() || line.starts_with("# ") {
                continue;
            }
            let cells: Vec<&str> = line.split('\t').collect();
            let [name, min, max, method, seen_min, seen_max] = cells.as_slice() else {
                return Err(syntax(n + 1, "6 columns", cells.len()));
            };
            let entry = Entry {
                range: read_range(n + 1, min, max)?,
                method: (*method).to_owned(),
                seen: read_range(n + 1, seen_min, seen_max)?,
            };
            let name = unescaped(name).ok_or_else(|| syntax(n + 1, "a name", name))?;
            if table.entries.insert(name, entry).is_some() {
                return Err(syntax(n + 1, "each tensor once", cells[0]));
            }
        }
        Ok(table)
    }
}

fn read_parameters(line: &str) -> Result<(Calibrators, usize)> {
    let expected = "# inputs N bins N percentile P momentum M symmetric true|false";
    let wrong = || syntax(2, expected, line);
    let words: Vec<&str> = line.split(' ').collect();
    let [
        "#",
        "inputs",
        inputs,
        "bins",
        bins,
        "percentile",
        percentile,
        "momentum",
        momentum,
        "symmetric",
        symmetric,
    ] = words.as_slice()
    else {
        return Err(wrong());
    };
    let calibrators = Calibrators {
        bins: bins.parse().map_err(|_| wrong())?,
        percentile: percentile.parse().map_err(|_| wrong())?,
        momentum: momentum.parse().map_err(|_| wrong())?,
        symmetric: symmetric.parse().map_err(|_| wrong())?,
    };
    calibrators.check()?;
    Ok((calibrators, inputs.parse().map_err(|_| wrong())?))
}

fn read_range(line: usize, min: &str, max: &str) -> Result<Range> {
    let number = |word: &str| {
        word.parse::<f32>()
            .ok()
            .filter(|value| value.is_finite())
            .ok_or_else(|| syntax(line, "a finite number", word))
    };
    let (min, max) = (number(min)?, number(max)?);
    if min > max {
        return Err(syntax(line, "min at most max", format!("{min} and {max}")));
    }
    Ok(Range { min, max })
}

fn syntax(line: usize, expected: impl std::fmt::Display, found: impl std::fmt::Display) -> Error {
    Error::new(
        ErrorKind::Syntax,
        format!("calibration table, line {line}"),
        expected,
        format!("`{found}`"),
    )
}

fn escaped(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for (n, c) in name.chars().enumerate() {
        match c {
            '\\' => text.push_str("\\\\"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\r' => text.push_str("\\r"),
            // A first `#` would make the line a comment.
            '#' if n == 0 => text.push_str("\\#"),
            c => text.push(c),
        }
    }
    text
}

fn unescaped(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        name.push(match c {
            '\\' => match chars.next()? {
                't' => '\t',
                'n' => '\n',
                'r' => '\r',
                c @ ('\\' | '#') => c,
                _ => return None,
            },
            c => c,
        });
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            names in prop::collection::btree_map("\\PC{0,12}|#[\t\n\r\\\\]{0,4}", (-1e9f32..1e9, 0f32..1e9), 0..20),
            inputs in 0usize..1000,
        ) {
            let mut table = Table::new(Calibrators::default(), inputs);
            for (name, (min, extent)) in names {
                let range = Range { min, max: min + extent };
                table.insert(&name, Entry { range, method: "mse".to_owned(), seen: range });
            }
            prop_assert_eq!(Table::from_text(&table.to_text()).unwrap(), table);
        }
    }

    #[test]
    fn a_wrong_line_is_named() {
        let good = Table::new(Calibrators::default(), 1).to_text();
        for (line, number) in [
            ("a\t1\t2\tmse\t1", 4),
            ("a\t2\t1\tmse\t1\t2", 4),
            ("a\tNaN\t1\tmse\t1\t2", 4),
            ("a\t1\tinf\tmse\t1\t2", 4),
            ("b\t1\t2\tmse\t1\t2\nb\t1\t2\tmse\t1\t2", 5),
        ] {
            let error = Table::from_text(&format!("{good}{line}\n")).unwrap_err();
            assert!(error.place().ends_with(&format!("line {number}")), "{error}");
        }
        assert!(Table::from_text("").is_err());
        assert!(Table::from_text(&good.replace("2048", "1")).is_err());
    }
}
