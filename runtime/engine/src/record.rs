//! Records of a plan: fixed runs of little-endian 32-bit words.

/// Words of a table, read from its front.
#[derive(Debug, Clone, Copy)]
pub struct Words<'a> {
    bytes: &'a [u8],
}

impl<'a> Words<'a> {
    /// Words in bytes; a rest of less than four is never read.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// The next word; `None` behind the last.
    pub fn word(&mut self) -> Option<u32> {
        let (word, rest) = self.bytes.split_first_chunk::<4>()?;
        self.bytes = rest;
        Some(u32::from_le_bytes(*word))
    }

    /// Whether no byte is left.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// What is written as a fixed number of words.
pub trait Record: Sized {
    /// Reads it; `None` where words are missing.
    fn read(words: &mut Words<'_>) -> Option<Self>;
    /// Writes it, word by word.
    fn write(&self, sink: &mut dyn FnMut(u32));
}

impl Record for u32 {
    fn read(words: &mut Words<'_>) -> Option<Self> {
        words.word()
    }
    fn write(&self, sink: &mut dyn FnMut(u32)) {
        sink(*self);
    }
}

impl Record for i32 {
    fn read(words: &mut Words<'_>) -> Option<Self> {
        words.word().map(u32::cast_signed)
    }
    fn write(&self, sink: &mut dyn FnMut(u32)) {
        sink(self.cast_unsigned());
    }
}

impl Record for f32 {
    fn read(words: &mut Words<'_>) -> Option<Self> {
        words.word().map(f32::from_bits)
    }
    fn write(&self, sink: &mut dyn FnMut(u32)) {
        sink(self.to_bits());
    }
}

impl<T: Record + Copy + Default, const N: usize> Record for [T; N] {
    fn read(words: &mut Words<'_>) -> Option<Self> {
        let mut found = [T::default(); N];
        for entry in &mut found {
            *entry = T::read(words)?;
        }
        Some(found)
    }
    fn write(&self, sink: &mut dyn FnMut(u32)) {
        for entry in self {
            entry.write(sink);
        }
    }
}

/// Declares a struct whose fields are records, in their order.
macro_rules! record {
    ($(#[$doc:meta])* pub struct $name:ident { $($(#[$field_doc:meta])* pub $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Default)]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $crate::record::Record for $name {
            fn read(words: &mut $crate::record::Words<'_>) -> Option<Self> {
                Some(Self { $($field: $crate::record::Record::read(words)?,)* })
            }
            fn write(&self, sink: &mut dyn FnMut(u32)) {
                $($crate::record::Record::write(&self.$field, sink);)*
            }
        }
    };
}

/// Declares an enum of numbers without fields.
macro_rules! code {
    ($(#[$doc:meta])* pub enum $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $number:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $number,)*
        }

        impl $crate::record::Record for $name {
            fn read(words: &mut $crate::record::Words<'_>) -> Option<Self> {
                match words.word()? {
                    $($number => Some(Self::$variant),)*
                    _ => None,
                }
            }
            fn write(&self, sink: &mut dyn FnMut(u32)) {
                sink(*self as u32);
            }
        }
    };
}

pub(crate) use {code, record};
