//! Tensors as views of storages.

use std::collections::HashMap;
use std::fmt;

use limbic_graph::{Dtype, Error, ErrorKind, Result, Tensor};

use crate::elements::{ByteOrder, extent, gather, span, tensor, to_shape};
use crate::entry::{Entry, ReadTensor, place_of};
use crate::pickle::{Pickle, Ref, Value};

/// Most bytes of a tensor that repeats its storage's elements, as `expand` makes it.
const MAX_EXPANDED_BYTES: u64 = 64 << 20;

/// A storage as the pickle refers to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct StorageRef {
    /// Key of the storage in the file.
    pub(crate) key: String,
    /// Type of its elements; untyped storages count bytes.
    pub(crate) dtype: Option<Dtype>,
    /// Number of elements, of bytes where it is untyped.
    pub(crate) count: u64,
    /// First element of the storage that this one is a part of.
    pub(crate) start: u64,
}

/// A tensor's place: elements of a storage with strides.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) storage: StorageRef,
    pub(crate) dtype: Dtype,
    /// In elements from the start of the storage.
    pub(crate) offset: u64,
    pub(crate) shape: Vec<usize>,
    pub(crate) strides: Vec<usize>,
}

/// Type of a storage class; `Some(None)` for untyped bytes.
fn storage_dtype(module: &str, name: &str) -> Option<Option<Dtype>> {
    if (module, name) == ("torch.storage", "UntypedStorage") {
        return Some(None);
    }
    let kind = name.strip_suffix("Storage")?;
    let dtype = match kind {
        "Float" => Dtype::F32,
        "Half" => Dtype::F16,
        "BFloat16" => Dtype::Bf16,
        "Double" => Dtype::F64,
        "Char" => Dtype::I8,
        "Short" => Dtype::I16,
        "Int" => Dtype::I32,
        "Long" => Dtype::I64,
        "Byte" => Dtype::U8,
        "Bool" => Dtype::Bool,
        _ => return None,
    };
    (module == "torch" || module == "torch.cuda").then_some(Some(dtype))
}

/// Type of a dtype object.
fn torch_dtype(module: &str, name: &str) -> Option<Dtype> {
    let dtype = match name {
        "float32" => Dtype::F32,
        "float16" => Dtype::F16,
        "bfloat16" => Dtype::Bf16,
        "float64" => Dtype::F64,
        "int8" => Dtype::I8,
        "int16" => Dtype::I16,
        "int32" => Dtype::I32,
        "int64" => Dtype::I64,
        "uint8" => Dtype::U8,
        "uint16" => Dtype::U16,
        "uint32" => Dtype::U32,
        "uint64" => Dtype::U64,
        "bool" => Dtype::Bool,
        _ => return None,
    };
    (module == "torch").then_some(dtype)
}

/// The arguments of a `_rebuild_tensor` call.
///
/// `None` where the elements are of a type that this crate has no name for; the second value then is that name.
pub(crate) fn rebuild(
    pickle: &Pickle,
    path: &str,
    function: &str,
    arguments: &[Ref],
) -> Result<std::result::Result<View, String>> {
    let malformed = |expected: &str| Error::new(ErrorKind::Malformed, path, expected, "other arguments");
    let argument = |index: usize| arguments.get(index).copied();
    let (Some(storage), Some(offset), Some(sizes), Some(strides)) =
        (argument(0), argument(1), argument(2), argument(3))
    else {
        return Err(malformed("storage, offset, sizes and strides"));
    };
    let storage = match storage_ref(pickle, path, storage)? {
        Ok(storage) => storage,
        Err(class) => return Ok(Err(class)),
    };
    let dtype = match (function, storage.dtype) {
        ("_rebuild_tensor_v3", _) => {
            let Some((module, name)) = argument(6).and_then(|at| pickle.global(at)) else {
                return Err(malformed("a dtype"));
            };
            match torch_dtype(module, name) {
                Some(dtype) => dtype,
                None => return Ok(Err(format!("a tensor of {module}.{name}"))),
            }
        }
        (_, Some(dtype)) => dtype,
        (_, None) => return Err(malformed("a typed storage")),
    };
    let offset = pickle.int(offset).and_then(|offset| u64::try_from(offset).ok());
    let (Some(offset), Some(sizes), Some(strides)) = (offset, pickle.sizes(sizes), pickle.sizes(strides))
    else {
        return Err(malformed("an offset, sizes and strides from 0 on"));
    };
    let (shape, strides) = (to_shape(path, sizes)?, to_shape(path, strides)?);
    let view = View {
        storage,
        dtype,
        offset,
        shape,
        strides,
    };
    view.check(path)?;
    Ok(Ok(view))
}

/// The storage under a persistent reference; the name of its class where this crate has no type for it.
fn storage_ref(pickle: &Pickle, path: &str, at: Ref) -> Result<std::result::Result<StorageRef, String>> {
    let malformed = || {
        Error::new(
            ErrorKind::Malformed,
            path,
            "a reference to a storage: kind, class, key, location, number of elements",
            "something else",
        )
    };
    let Value::Persistent(id) = pickle.get(at) else {
        return Err(malformed());
    };
    let Some([kind, class, key, _location, count, rest @ ..]) = pickle.items(*id) else {
        return Err(malformed());
    };
    let (Some("storage"), Some((module, name)), Some(key)) =
        (pickle.text(*kind), pickle.global(*class), pickle.text(*key))
    else {
        return Err(malformed());
    };
    let Some(dtype) = storage_dtype(module, name) else {
        return Ok(Err(format!("a tensor in a {module}.{name}")));
    };
    let mut count = pickle
        .int(*count)
        .and_then(|count| u64::try_from(count).ok())
        .ok_or_else(malformed)?;
    let mut start = 0;
    // Files before PyTorch 1.0: the storage is a part of the one under the key.
    if let Some(part) = rest.first().and_then(|&part| pickle.items(part)) {
        let numbers = part.get(1..3).map(|part| part.iter().map(|&at| pickle.int(at)));
        let mut numbers = numbers.into_iter().flatten().flatten().map(u64::try_from);
        let (Some(Ok(first)), Some(Ok(length))) = (numbers.next(), numbers.next()) else {
            return Err(malformed());
        };
        start = first;
        count = length;
    }
    Ok(Ok(StorageRef {
        key: key.to_owned(),
        dtype,
        count,
        start,
    }))
}

impl View {
    /// Bytes of an element of the storage.
    fn unit(&self) -> u64 {
        self.storage.dtype.map_or(1, |dtype| dtype.size() as u64)
    }

    /// First byte and number of bytes in the storage under the key; `None` on overflow.
    pub(crate) fn byte_range(&self) -> Option<(u64, u64)> {
        let size = self.dtype.size() as u64;
        let start = self.storage.start.checked_mul(self.unit())?;
        let offset = self.offset.checked_mul(size)?.checked_add(start)?;
        let length = (span(&self.shape, &self.strides)? as u64).checked_mul(size)?;
        offset.checked_add(length)?;
        Some((offset, length))
    }

    fn check(&self, path: &str) -> Result<()> {
        let refuse = |kind, expected: String| {
            Error::new(
                kind,
                path,
                expected,
                format!(
                    "shape {:?}, strides {:?}, offset {}",
                    self.shape, self.strides, self.offset
                ),
            )
        };
        if self.shape.len() != self.strides.len() {
            return Err(refuse(
                ErrorKind::Malformed,
                "a stride for each extent".to_owned(),
            ));
        }
        let (_, bytes) = extent(path, self.dtype, &self.shape)?;
        let held = self.storage.count.checked_mul(self.unit());
        let end = held.and_then(|held| held.checked_add(self.storage.start.checked_mul(self.unit())?));
        let used = self.byte_range().map(|(offset, length)| offset + length);
        match (held, end, used) {
            (Some(held), Some(end), Some(used)) if used <= end => {
                if bytes > held.max(MAX_EXPANDED_BYTES) {
                    return Err(refuse(
                        ErrorKind::Limit,
                        format!("an expanded tensor of at most {MAX_EXPANDED_BYTES} bytes"),
                    ));
                }
                Ok(())
            }
            _ => Err(refuse(
                ErrorKind::Malformed,
                format!(
                    "a view inside {} elements of storage {}",
                    self.storage.count, self.storage.key
                ),
            )),
        }
    }
}

/// Where a file keeps its storages.
pub(crate) trait Storages: fmt::Debug + Send + Sync {
    /// Bytes of the storage, where there is one.
    fn size(&self, key: &str) -> Option<u64>;

    /// `len` bytes of a storage from `offset` on.
    fn read(&self, key: &str, offset: u64, len: u64) -> Result<Vec<u8>>;
}

/// Refuses views of storages that are not there or that are shorter than the pickle says.
pub(crate) fn check_storages(file: &str, views: &[(String, View)], storages: &dyn Storages) -> Result<()> {
    let mut known: HashMap<&str, Option<u64>> = HashMap::new();
    for (name, view) in views {
        let key = view.storage.key.as_str();
        let size = *known.entry(key).or_insert_with(|| storages.size(key));
        let used = view.byte_range().map(|(offset, length)| offset + length);
        if size.is_none() || used > size {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("{file}: {name}"),
                format!("storage {key} of at least {} bytes", used.unwrap_or(u64::MAX)),
                size.map_or("no such storage".to_owned(), |size| format!("{size} bytes")),
            ));
        }
    }
    Ok(())
}

/// Views of storages, read on demand.
#[derive(Debug)]
pub(crate) struct Views<S> {
    pub(crate) storages: S,
    pub(crate) views: Vec<View>,
    pub(crate) order: ByteOrder,
}

impl<S: Storages> ReadTensor for Views<S> {
    fn read(&self, index: usize, entry: &Entry) -> Result<Tensor> {
        let view = place_of(&self.views, index, entry)?;
        let outside = || {
            Error::new(
                ErrorKind::Malformed,
                &entry.name,
                "a view inside its storage",
                "one outside",
            )
        };
        let (offset, length) = view.byte_range().ok_or_else(outside)?;
        let bytes = self.storages.read(&view.storage.key, offset, length)?;
        let packed = gather(&bytes, view.dtype.size(), &view.shape, &view.strides).ok_or_else(outside)?;
        tensor(&entry.name, view.dtype, &view.shape, self.order, &packed)
    }
}
