//! Tensors of the caller, as a session sees them.

use limbic_bundle::Dtype;

/// Where the elements of a view lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Memory {
    /// Main memory of the host.
    Host,
}

/// Declares the element types once: variant, type in memory, dtype, constructor.
macro_rules! views {
    ($($(#[$doc:meta])* $variant:ident($element:ty) = $make:ident,)*) => {
        /// Elements of a [`TensorView`], row-major.
        #[derive(Debug, Clone, Copy, PartialEq)]
        #[non_exhaustive]
        pub enum Elements<'a> {
            $($(#[$doc])* $variant(&'a [$element]),)*
        }

        /// Elements of a [`TensorViewMut`], row-major.
        #[derive(Debug, PartialEq)]
        #[non_exhaustive]
        pub enum ElementsMut<'a> {
            $($(#[$doc])* $variant(&'a mut [$element]),)*
        }

        impl Elements<'_> {
            /// Type of the elements.
            pub fn dtype(&self) -> Dtype {
                match self {
                    $(Self::$variant(_) => Dtype::$variant,)*
                }
            }

            /// Number of elements.
            pub fn count(&self) -> usize {
                match self {
                    $(Self::$variant(elements) => elements.len(),)*
                }
            }
        }

        impl ElementsMut<'_> {
            /// Type of the elements.
            pub fn dtype(&self) -> Dtype {
                match self {
                    $(Self::$variant(_) => Dtype::$variant,)*
                }
            }

            /// Number of elements.
            pub fn count(&self) -> usize {
                match self {
                    $(Self::$variant(elements) => elements.len(),)*
                }
            }
        }

        impl<'a> TensorView<'a> {
            $(
                $(#[$doc])*
                pub fn $make(name: &'a str, dims: &'a [usize], elements: &'a [$element]) -> Self {
                    Self { name, dims, elements: Elements::$variant(elements) }
                }
            )*
        }

        impl<'a> TensorViewMut<'a> {
            $(
                $(#[$doc])*
                pub fn $make(name: &'a str, dims: &'a [usize], elements: &'a mut [$element]) -> Self {
                    Self { name, dims, elements: ElementsMut::$variant(elements) }
                }
            )*
        }
    };
}

/// A tensor that the caller lends to a run, row-major.
///
/// Made by the function of its element type; the run checks that `elements` has as many as `dims` say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TensorView<'a> {
    /// Name in the graph.
    pub name: &'a str,
    /// Size along each axis, outermost first.
    pub dims: &'a [usize],
    /// The elements.
    pub elements: Elements<'a>,
}

/// A buffer of the caller that a run fills, row-major.
#[derive(Debug, PartialEq)]
pub struct TensorViewMut<'a> {
    /// Name in the graph.
    pub name: &'a str,
    /// Size along each axis, outermost first.
    pub dims: &'a [usize],
    /// The elements.
    pub elements: ElementsMut<'a>,
}

views! {
    /// 32-bit floats.
    F32(f32) = f32,
    /// 16-bit floats, each as its bits.
    F16(u16) = f16,
    /// 64-bit signed integers.
    I64(i64) = i64,
    /// 32-bit signed integers.
    I32(i32) = i32,
    /// 8-bit signed integers.
    I8(i8) = i8,
    /// 8-bit unsigned integers.
    U8(u8) = u8,
    /// Truth values.
    Bool(bool) = bool,
}

impl TensorView<'_> {
    /// Where the elements lie.
    pub fn memory(&self) -> Memory {
        Memory::Host
    }
}

impl TensorViewMut<'_> {
    /// Where the elements lie.
    pub fn memory(&self) -> Memory {
        Memory::Host
    }
}
