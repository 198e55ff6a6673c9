//! Types out of a tree.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::error::{Fault, Faults};
use crate::value::{Kind, Value};

/// A type that is read from a value.
pub trait Read: Sized {
    /// Reads it, or notes a fault and gives some value.
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self;
}

/// A type that is read from the fields of a table; see [`crate::fields`].
pub trait Record: Sized {
    /// Names of all its fields.
    const NAMES: &'static [&'static str];

    /// Reads it from fields that were compared with its names.
    fn from_fields(fields: &mut Fields<'_, '_>) -> Self;
}

impl<T: Record> Read for T {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        Self::from_fields(&mut value.fields(Self::NAMES, None, faults))
    }
}

/// What is read where nothing is.
static NOTHING: Value = Value::new(0, Kind::Null);

/// The entries of a table, none of them unknown.
#[derive(Debug)]
pub struct Fields<'v, 'f> {
    table: &'v Value,
    faults: &'f mut Faults<'v>,
}

impl<'v> Fields<'v, '_> {
    /// The value of a key that must be there.
    pub fn value(&mut self, name: &str) -> &'v Value {
        if let Some(value) = self.table.get(name) {
            return value;
        }
        if self.faults.none() {
            self.faults.note(self.table, format!("missing field `{name}`"));
        }
        &NOTHING
    }

    /// A field that must be there.
    pub fn required<T: Read>(&mut self, name: &str) -> T {
        let value = self.value(name);
        T::read(value, self.faults)
    }

    /// A field that may be left out.
    pub fn or<T: Read>(&mut self, name: &str, default: T) -> T {
        match self.table.get(name) {
            Some(value) => T::read(value, self.faults),
            None => default,
        }
    }

    /// Where faults of the table's values are noted.
    pub fn faults(&mut self) -> &mut Faults<'v> {
        self.faults
    }
}

impl Value {
    /// This value as a type.
    ///
    /// # Errors
    /// The first value that is not what the type asks for.
    pub fn to<T: Read>(&self) -> Result<T, Fault<'_>> {
        let mut faults = Faults::default();
        let read = T::read(self, &mut faults);
        faults.or(read)
    }

    /// The fields of a table whose keys are all among `names`, or `tag`; a fault if this is no table or has another.
    pub fn fields<'v, 'f>(
        &'v self,
        names: &[&str],
        tag: Option<&str>,
        faults: &'f mut Faults<'v>,
    ) -> Fields<'v, 'f> {
        match self.kind() {
            Kind::Table(entries) => {
                let unknown = |key: &str| !names.contains(&key) && tag != Some(key);
                if let Some((key, _)) = entries.iter().find(|(key, _)| unknown(key))
                    && faults.none()
                {
                    faults.note(self, format!("unknown field `{key}`, {}", one_of(names)));
                }
            }
            _ => faults.unexpected(self, "a map"),
        }
        Fields { table: self, faults }
    }

    /// The entries of a table; a fault if this is none.
    pub fn entries<'v>(&'v self, faults: &mut Faults<'v>) -> &'v [(Box<str>, Self)] {
        if let Kind::Table(entries) = self.kind() {
            return entries;
        }
        faults.unexpected(self, "a map");
        &[]
    }

    /// The text; a fault if this is none.
    pub fn text<'v>(&'v self, faults: &mut Faults<'v>) -> &'v str {
        match self.kind() {
            Kind::Text(text) => text,
            _ => {
                faults.unexpected(self, "a string");
                ""
            }
        }
    }

    /// Position of the text among `names`, or a fault and 0.
    pub fn choice<'v>(&'v self, names: &[&str], faults: &mut Faults<'v>) -> usize {
        let text = self.text(faults);
        self.position(text, names, faults)
    }

    /// Position among `names` of a text, or of the one key of a table with what stands there; a fault and 0 for
    /// anything else.
    pub fn variant<'v>(&'v self, names: &[&str], faults: &mut Faults<'v>) -> (usize, Option<&'v Self>) {
        match self.kind() {
            Kind::Text(name) => (self.position(name, names, faults), None),
            Kind::Table(entries) => match entries.as_slice() {
                [(name, content)] => (self.position(name, names, faults), Some(content)),
                _ => {
                    faults.note(self, "expected a map of one key".to_owned());
                    (0, None)
                }
            },
            _ => {
                faults.unexpected(self, "a string or a map");
                (0, None)
            }
        }
    }

    /// Position among `names` of the text that a table has under a key, or a fault and 0.
    pub fn tag<'v>(&'v self, key: &str, names: &[&str], faults: &mut Faults<'v>) -> usize {
        match self.get(key) {
            Some(tag) => tag.choice(names, faults),
            None => {
                if matches!(self.kind(), Kind::Table(_)) {
                    faults.note(self, format!("missing field `{key}`"));
                }
                faults.unexpected(self, "a map");
                0
            }
        }
    }

    fn position<'v>(&'v self, name: &str, names: &[&str], faults: &mut Faults<'v>) -> usize {
        let found = names.iter().position(|known| *known == name);
        if found.is_none() && faults.none() {
            faults.note(self, format!("unknown variant `{name}`, {}", one_of(names)));
        }
        found.unwrap_or(0)
    }

    /// A whole number within bounds, or a fault and 0; `expected` names the type.
    fn integer<'v>(&'v self, least: i64, most: i64, expected: &str, faults: &mut Faults<'v>) -> i64 {
        let number = match self.kind() {
            Kind::Number(number) => number.parse::<i64>().ok(),
            _ => None,
        };
        if let Some(number) = number.filter(|number| (least..=most).contains(number)) {
            return number;
        }
        faults.unexpected(self, expected);
        0
    }

    fn real<'v, T: FromStr + Default>(&'v self, expected: &str, faults: &mut Faults<'v>) -> T {
        if let Kind::Number(number) = self.kind()
            && let Ok(number) = number.parse()
        {
            return number;
        }
        faults.unexpected(self, expected);
        T::default()
    }
}

fn one_of(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => "there are none".to_owned(),
        [only] => format!("expected {only}"),
        _ => format!("expected one of {}", quoted.join(", ")),
    }
}

macro_rules! integers {
    ($($type:ident),*) => {$(
        impl Read for $type {
            fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
                // Sizes beyond 63 bits do not occur in a file.
                let most = i64::try_from($type::MAX).unwrap_or(i64::MAX);
                let found = value.integer($type::MIN as i64, most, stringify!($type), faults);
                $type::try_from(found).unwrap_or_default()
            }
        }
    )*};
}

integers!(i32, u32, u64, usize);

impl Read for f32 {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        value.real("f32", faults)
    }
}

impl Read for f64 {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        value.real("f64", faults)
    }
}

impl Read for bool {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        if let Kind::Bool(found) = value.kind() {
            return *found;
        }
        faults.unexpected(value, "a boolean");
        false
    }
}

impl Read for String {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        value.text(faults).to_owned()
    }
}

/// Nothing where the value is null.
impl<T: Read> Read for Option<T> {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        match value.kind() {
            Kind::Null => None,
            _ => Some(T::read(value, faults)),
        }
    }
}

impl<T: Read> Read for Vec<T> {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        if !matches!(value.kind(), Kind::List(_)) {
            faults.unexpected(value, "a sequence");
        }
        let mut read = Self::with_capacity(value.items().len());
        for item in value.items() {
            read.push(T::read(item, faults));
        }
        read
    }
}

impl<T: Read + Default + Copy, const N: usize> Read for [T; N] {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        let items = Vec::<T>::read(value, faults);
        let mut read = [T::default(); N];
        if items.len() == N {
            read.copy_from_slice(&items);
        } else if faults.none() {
            faults.note(
                value,
                format!("invalid length {}, expected {N} items", items.len()),
            );
        }
        read
    }
}

impl<T: Read> Read for BTreeMap<String, T> {
    fn read<'v>(value: &'v Value, faults: &mut Faults<'v>) -> Self {
        let mut read = Self::new();
        for (key, value) in value.entries(faults) {
            read.insert(key.to_string(), T::read(value, faults));
        }
        read
    }
}
