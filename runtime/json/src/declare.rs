//! Declaring how a type is read.

/// Reads a struct from a table: each of its fields by name, `= value` after one that may be left out.
#[macro_export]
macro_rules! fields {
    ($type:ty { $($field:ident $(= $default:expr)?),* $(,)? }) => {
        impl $crate::Record for $type {
            const NAMES: &'static [&'static str] = &[$(stringify!($field)),*];

            fn from_fields(fields: &mut $crate::Fields<'_, '_>) -> Self {
                Self {
                    $($field: $crate::field!(fields, $field $(, $default)?),)*
                }
            }
        }
    };
}

/// One field of [`fields!`].
#[doc(hidden)]
#[macro_export]
macro_rules! field {
    ($fields:ident, $field:ident) => {
        $fields.required(stringify!($field))
    };
    ($fields:ident, $field:ident, $default:expr) => {
        $fields.or(stringify!($field), $default)
    };
}

/// Reads an enum without contents from its name.
#[macro_export]
macro_rules! choices {
    ($type:ty { $($variant:ident = $name:literal),* $(,)? }) => {
        impl $crate::Read for $type {
            fn read<'v>(value: &'v $crate::Value, faults: &mut $crate::Faults<'v>) -> Self {
                let variants = [$(<$type>::$variant),*];
                let at = value.choice(&[$($name),*], faults);
                // Both lists have the same length.
                variants.get(at).copied().unwrap_or(variants[0])
            }
        }
    };
}

/// Gives types that are read from a value serde's `Deserialize`.
#[macro_export]
macro_rules! deserialize {
    ($($type:ty),* $(,)?) => {$(
        impl<'de> ::serde::Deserialize<'de> for $type {
            fn deserialize<D: ::serde::Deserializer<'de>>(deserializer: D) -> ::core::result::Result<Self, D::Error> {
                $crate::through_value(deserializer)
            }
        }
    )*};
}
