//! The text of a `model.toml` to the tree that a manifest is read from.

use limbic_json::{Kind, Value};
use toml::de::{DeTable, DeValue};

use crate::error::{Error, ErrorKind, Result};

/// Reads TOML; each value knows its byte in the text.
pub(super) fn tree(text: &str, place: &str) -> Result<Value> {
    let refused = |found: &str| Error::new(ErrorKind::Syntax, place, "a model description", found);
    let document = DeTable::parse(text).map_err(|error| refused(error.to_string().trim_end()))?;
    table(document.get_ref(), document.span().start).map_err(|found| refused(&found))
}

fn table(entries: &DeTable<'_>, at: usize) -> std::result::Result<Value, String> {
    let mut read = Vec::with_capacity(entries.len());
    for (key, found) in entries {
        let found = value(found.get_ref(), found.span().start)
            .map_err(|problem| format!("{}: {problem}", key.get_ref()))?;
        read.push((key.get_ref().as_ref().into(), found));
    }
    Ok(Value::new(at, Kind::Table(read)))
}

fn value(found: &DeValue<'_>, at: usize) -> std::result::Result<Value, String> {
    let kind = match found {
        DeValue::String(text) => Kind::Text(text.as_ref().into()),
        DeValue::Integer(number) => {
            let whole = i64::from_str_radix(number.as_str(), number.radix())
                .map_err(|_| format!("the integer {number} is too large"))?;
            Kind::Number(whole.to_string().into())
        }
        DeValue::Float(number) => Kind::Number(number.as_str().into()),
        DeValue::Boolean(whether) => Kind::Bool(*whether),
        DeValue::Datetime(time) => return Err(format!("a date or time, {time}, which no key takes")),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| value(item.get_ref(), item.span().start));
            Kind::List(items.collect::<std::result::Result<_, String>>()?)
        }
        DeValue::Table(entries) => return table(entries, at),
    };
    Ok(Value::new(at, kind))
}
