//! Tensors of an ONNX file: element types, elements in the file or in a file beside it.

use std::path::{Component, Path, PathBuf};

use half::{bf16, f16};

use super::proto::TensorProto;
use super::wire::malformed;
use crate::dtype::Dtype;
use crate::error::{Error, ErrorKind, Result};
use crate::tensor::{Storage, Tensor, element_count};

/// Element type of a `TensorProto.DataType`, or the name of one that this crate does not have.
pub(super) fn dtype(code: i64) -> std::result::Result<Dtype, String> {
    Ok(match code {
        1 => Dtype::F32,
        2 => Dtype::U8,
        3 => Dtype::I8,
        4 => Dtype::U16,
        5 => Dtype::I16,
        6 => Dtype::I32,
        7 => Dtype::I64,
        9 => Dtype::Bool,
        10 => Dtype::F16,
        11 => Dtype::F64,
        12 => Dtype::U32,
        13 => Dtype::U64,
        16 => Dtype::Bf16,
        0 => return Err("no type".into()),
        8 => return Err("string".into()),
        14 => return Err("complex64".into()),
        15 => return Err("complex128".into()),
        17 => return Err("float8e4m3fn".into()),
        18 => return Err("float8e4m3fnuz".into()),
        19 => return Err("float8e5m2".into()),
        20 => return Err("float8e5m2fnuz".into()),
        21 => return Err("uint4".into()),
        22 => return Err("int4".into()),
        23 => return Err("float4e2m1".into()),
        24 => return Err("float8e8m0".into()),
        25 => return Err("uint2".into()),
        26 => return Err("int2".into()),
        other => return Err(format!("type {other}")),
    })
}

/// Bits of an element of a `TensorProto.DataType`; 0 for text and what is not known.
pub(super) fn bits(code: i64) -> u64 {
    match code {
        14 => 64,
        15 => 128,
        17..=20 | 24 => 8,
        21..=23 => 4,
        25 | 26 => 2,
        _ => dtype(code).map_or(0, |dtype| 8 * dtype.size() as u64),
    }
}

/// `TensorProto.DataType` of an element type.
pub(super) fn data_type(dtype: Dtype) -> i64 {
    match dtype {
        Dtype::F32 => 1,
        Dtype::U8 => 2,
        Dtype::I8 => 3,
        Dtype::U16 => 4,
        Dtype::I16 => 5,
        Dtype::I32 => 6,
        Dtype::I64 => 7,
        Dtype::Bool => 9,
        Dtype::F16 => 10,
        Dtype::F64 => 11,
        Dtype::U32 => 12,
        Dtype::U64 => 13,
        Dtype::Bf16 => 16,
    }
}

/// Reads a tensor that is a file of its own (`TensorProto`).
///
/// # Errors
/// [`ErrorKind::Malformed`] for a damaged file, [`ErrorKind::Unsupported`] for an element type this crate does not have.
pub fn read_tensor(bytes: &[u8]) -> Result<Tensor> {
    tensor(&TensorProto::read(bytes)?, None)
}

/// The tensor of a message; `folder` is where files with elements of their own lie.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for an element type this crate does not have; [`ErrorKind::Malformed`] where elements
/// and extents do not fit; [`ErrorKind::Io`] where a file beside the model cannot be read.
pub(super) fn tensor(proto: &TensorProto<'_>, folder: Option<&Path>) -> Result<Tensor> {
    decode(proto, folder).map_err(|e| e.within(format!("tensor {}", proto.name)))
}

fn decode(proto: &TensorProto<'_>, folder: Option<&Path>) -> Result<Tensor> {
    let dtype = dtype(proto.data_type)
        .map_err(|name| Error::new(ErrorKind::Unsupported, "", "an element type of this crate", name))?;
    let shape: Vec<usize> = proto
        .dims
        .iter()
        .map(|&d| usize::try_from(d))
        .collect::<std::result::Result<_, _>>()
        .map_err(|_| malformed("extents of at least 0", format!("{:?}", proto.dims)))?;
    let count = element_count(&shape)
        .ok_or_else(|| malformed("a number of elements", format!("extents {shape:?}")))?;
    let length = count
        .checked_mul(dtype.size())
        .ok_or_else(|| malformed("a number of bytes", format!("extents {shape:?}")))?;
    let storage = if proto.location == 1 {
        let bytes = external(proto, folder, length)?;
        from_bytes(dtype, &bytes)
    } else if let Some(raw) = proto.raw {
        if raw.len() != length {
            return Err(malformed(
                format!("{length} bytes for {dtype} {shape:?}"),
                format!("{} bytes", raw.len()),
            ));
        }
        from_bytes(dtype, raw)
    } else {
        from_fields(dtype, proto)?
    };
    if storage.len() != count {
        return Err(malformed(
            format!("{count} elements for {shape:?}"),
            format!("{} elements", storage.len()),
        ));
    }
    Tensor::new(&shape, storage)
}

/// Elements in little-endian bytes, a remainder left out.
fn from_bytes(dtype: Dtype, bytes: &[u8]) -> Storage {
    macro_rules! chunks {
        ($type:ty, $n:literal) => {
            bytes
                .as_chunks::<$n>()
                .0
                .iter()
                .map(|&b| <$type>::from_le_bytes(b))
                .collect::<Vec<$type>>()
                .into()
        };
    }
    match dtype {
        Dtype::F32 => chunks!(f32, 4),
        Dtype::F16 => chunks!(f16, 2),
        Dtype::Bf16 => chunks!(bf16, 2),
        Dtype::F64 => chunks!(f64, 8),
        Dtype::I8 => chunks!(i8, 1),
        Dtype::I16 => chunks!(i16, 2),
        Dtype::I32 => chunks!(i32, 4),
        Dtype::I64 => chunks!(i64, 8),
        Dtype::U8 => bytes.to_vec().into(),
        Dtype::U16 => chunks!(u16, 2),
        Dtype::U32 => chunks!(u32, 4),
        Dtype::U64 => chunks!(u64, 8),
        Dtype::Bool => bytes.iter().map(|&b| b != 0).collect::<Vec<bool>>().into(),
    }
}

/// Elements in the typed fields of the message.
fn from_fields(dtype: Dtype, proto: &TensorProto<'_>) -> Result<Storage> {
    fn narrow<T: TryFrom<i64>>(list: &[i64], dtype: Dtype) -> Result<Vec<T>> {
        list.iter()
            .map(|&x| T::try_from(x).map_err(|_| malformed(format!("elements of {dtype}"), x)))
            .collect()
    }
    let small = &proto.i32s;
    Ok(match dtype {
        Dtype::F32 => proto.floats.clone().into(),
        Dtype::F64 => proto.doubles.clone().into(),
        Dtype::I64 => proto.i64s.clone().into(),
        Dtype::U64 => proto
            .u64s
            .iter()
            .map(|&x| x.cast_unsigned())
            .collect::<Vec<u64>>()
            .into(),
        Dtype::U32 => narrow::<u32>(&proto.u64s, dtype)?.into(),
        Dtype::I32 => narrow::<i32>(small, dtype)?.into(),
        Dtype::I16 => narrow::<i16>(small, dtype)?.into(),
        Dtype::I8 => narrow::<i8>(small, dtype)?.into(),
        Dtype::U16 => narrow::<u16>(small, dtype)?.into(),
        Dtype::U8 => narrow::<u8>(small, dtype)?.into(),
        Dtype::Bool => small.iter().map(|&x| x != 0).collect::<Vec<bool>>().into(),
        Dtype::F16 => {
            let bits = narrow::<u16>(small, dtype)?;
            bits.into_iter().map(f16::from_bits).collect::<Vec<f16>>().into()
        }
        Dtype::Bf16 => {
            let bits = narrow::<u16>(small, dtype)?;
            bits.into_iter()
                .map(bf16::from_bits)
                .collect::<Vec<bf16>>()
                .into()
        }
    })
}

/// The little-endian bytes of a tensor's elements.
pub(super) fn to_bytes(storage: &Storage) -> Vec<u8> {
    macro_rules! bytes {
        ($elements:expr) => {
            $elements.iter().flat_map(|x| x.to_le_bytes()).collect()
        };
    }
    match storage {
        Storage::F32(e) => bytes!(e),
        Storage::F16(e) => bytes!(e),
        Storage::Bf16(e) => bytes!(e),
        Storage::F64(e) => bytes!(e),
        Storage::I8(e) => bytes!(e),
        Storage::I16(e) => bytes!(e),
        Storage::I32(e) => bytes!(e),
        Storage::I64(e) => bytes!(e),
        Storage::U8(e) => e.to_vec(),
        Storage::U16(e) => bytes!(e),
        Storage::U32(e) => bytes!(e),
        Storage::U64(e) => bytes!(e),
        Storage::Bool(e) => e.iter().map(|&x| u8::from(x)).collect(),
    }
}

/// The bytes of elements that lie in another file, which must be inside the model's folder, links followed.
fn external(proto: &TensorProto<'_>, folder: Option<&Path>, length: usize) -> Result<Vec<u8>> {
    let key = |name: &str| {
        proto
            .external
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    };
    let number = |name: &str| -> Result<Option<u64>> {
        key(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| malformed(format!("a number for {name}"), text))
            })
            .transpose()
    };
    let location = key("location").ok_or_else(|| malformed("the location of external data", "none"))?;
    let offset = number("offset")?.unwrap_or(0);
    if let Some(stated) = number("length")?
        && stated != length as u64
    {
        return Err(malformed(
            format!("{length} bytes in {location}"),
            format!("{stated} bytes"),
        ));
    }
    let path = inside(folder, location)?;
    let io = |e: std::io::Error| Error::new(ErrorKind::Io, path.display(), "a file that can be read", e);
    let mut file = std::fs::File::open(&path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    if offset.checked_add(length as u64).is_none_or(|end| end > size) {
        return Err(malformed(
            format!("{length} bytes at {offset} of {location}"),
            format!("a file of {size} bytes"),
        ));
    }
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(offset)).map_err(io)?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes).map_err(io)?;
    Ok(bytes)
}

/// The path of a file in the model's folder.
fn inside(folder: Option<&Path>, location: &str) -> Result<PathBuf> {
    let refused = |found: &str| {
        let found = format!("{location}: {found}");
        Error::new(
            ErrorKind::Malformed,
            "",
            "external data in the model's folder",
            found,
        )
    };
    let folder = folder.ok_or_else(|| refused("no folder is known"))?;
    let relative = Path::new(location);
    if !relative
        .components()
        .all(|c| matches!(c, Component::Normal(_) | Component::CurDir))
    {
        return Err(refused("a path that leads out"));
    }
    let real = |path: &Path| {
        path.canonicalize()
            .map_err(|e| Error::new(ErrorKind::Io, path.display(), "a file that can be read", e))
    };
    let root = real(folder)?;
    let path = real(&root.join(relative))?;
    if !path.starts_with(&root) || !path.is_file() {
        return Err(refused("a link that leads out, or no file"));
    }
    Ok(path)
}
