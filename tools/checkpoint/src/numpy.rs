//! NumPy arrays: `.npy` files and `.npz` archives of them.

use limbic_graph::{Dtype, Error, ErrorKind, Result, Tensor};

use crate::bytes::Cursor;
use crate::elements::{ByteOrder, gather, packed_strides, tensor, to_shape};
use crate::entry::{Contents, Entry, ReadTensor, Skipped, place_of};
use crate::source::Source;
use crate::zip::{Archive, Member};

/// How an array file begins.
pub(crate) const MAGIC: &[u8; 6] = b"\x93NUMPY";

/// Longest header read; NumPy's own limit for untrusted files is 10,000 characters.
const MAX_HEADER_BYTES: u64 = 16 << 10;

/// What an array's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Header {
    dtype: Dtype,
    order: ByteOrder,
    fortran: bool,
    shape: Vec<usize>,
    /// Offset of the elements.
    data: u64,
}

impl Header {
    /// Parses the start of an array file, of which `bytes` holds at least [`MAX_HEADER_BYTES`] or everything.
    fn parse(place: &str, bytes: &[u8]) -> Result<Self> {
        let mut cursor = Cursor::new(bytes, place);
        if cursor.take(MAGIC.len())? != MAGIC {
            return Err(cursor.malformed("a NumPy array", "other bytes"));
        }
        let (major, _minor) = (cursor.u8()?, cursor.u8()?);
        let length = match major {
            1 => u64::from(cursor.u16()?),
            2 | 3 => u64::from(cursor.u32()?),
            other => return Err(cursor.malformed("header version 1 to 3", other)),
        };
        if length > MAX_HEADER_BYTES {
            return Err(Error::new(
                ErrorKind::Limit,
                place,
                format!("a header of at most {MAX_HEADER_BYTES} bytes"),
                length,
            ));
        }
        let text = cursor.take_u64(length)?;
        let data = cursor.position() as u64;
        let mut literal = Literal(Cursor::new(text, place));
        let (mut descr, mut fortran, mut shape) = (None, None, None);
        literal.expect(b'{')?;
        while !literal.accept(b'}') {
            let key = literal.text()?;
            literal.expect(b':')?;
            match key.as_str() {
                "descr" => descr = Some(literal.descr()?),
                "fortran_order" => fortran = Some(literal.boolean()?),
                "shape" => shape = Some(literal.tuple()?),
                _ => return Err(literal.0.malformed("descr, fortran_order or shape", key)),
            }
            if !literal.accept(b',') {
                literal.expect(b'}')?;
                break;
            }
        }
        let (Some(descr), Some(fortran), Some(shape)) = (descr, fortran, shape) else {
            return Err(literal.0.malformed("descr, fortran_order and shape", "fewer"));
        };
        let (dtype, order) = dtype(&descr).ok_or_else(|| {
            Error::new(
                ErrorKind::Unsupported,
                place,
                "numbers of 8 to 64 bits",
                format!("dtype {descr}"),
            )
        })?;
        Ok(Self {
            dtype,
            order,
            fortran,
            shape: to_shape(place, shape)?,
            data,
        })
    }

    fn tensor(&self, place: &str, bytes: &[u8]) -> Result<Tensor> {
        if !self.fortran || self.shape.len() < 2 {
            return tensor(place, self.dtype, &self.shape, self.order, bytes);
        }
        let strides = packed_strides(&self.shape, true);
        let packed = gather(bytes, self.dtype.size(), &self.shape, &strides).ok_or_else(|| {
            Error::new(
                ErrorKind::Malformed,
                place,
                format!("{} {:?}", self.dtype, self.shape),
                format!("{} bytes", bytes.len()),
            )
        })?;
        tensor(place, self.dtype, &self.shape, self.order, &packed)
    }
}

fn dtype(descr: &str) -> Option<(Dtype, ByteOrder)> {
    let (order, kind) = match descr.as_bytes().first()? {
        b'<' | b'|' | b'=' => (ByteOrder::Little, descr.get(1..)?),
        b'>' => (ByteOrder::Big, descr.get(1..)?),
        _ => (ByteOrder::Little, descr),
    };
    let dtype = match kind {
        "f4" => Dtype::F32,
        "f2" => Dtype::F16,
        "f8" => Dtype::F64,
        "i1" => Dtype::I8,
        "i2" => Dtype::I16,
        "i4" => Dtype::I32,
        "i8" => Dtype::I64,
        "u1" => Dtype::U8,
        "u2" => Dtype::U16,
        "u4" => Dtype::U32,
        "u8" => Dtype::U64,
        "b1" | "?" => Dtype::Bool,
        _ => return None,
    };
    Some((dtype, order))
}

/// The few Python literals that a header holds.
struct Literal<'a>(Cursor<'a>);

impl Literal<'_> {
    fn peek(&mut self) -> Option<u8> {
        loop {
            let mut ahead = self.0.clone();
            match ahead.u8() {
                Ok(b' ' | b'\n' | b'\t') => self.0 = ahead,
                Ok(byte) => return Some(byte),
                Err(_) => return None,
            }
        }
    }

    fn accept(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        if found {
            let _ = self.0.u8();
        }
        found
    }

    fn expect(&mut self, byte: u8) -> Result<()> {
        if self.accept(byte) {
            return Ok(());
        }
        let found = self
            .peek()
            .map_or("the end".to_owned(), |found| format!("`{}`", char::from(found)));
        Err(self.0.malformed(format!("`{}`", char::from(byte)), found))
    }

    fn text(&mut self) -> Result<String> {
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            _ => return Err(self.0.malformed("a text", "something else")),
        };
        self.expect(quote)?;
        Ok(String::from_utf8_lossy(self.0.until(quote)?).into_owned())
    }

    /// A type's name; a list is the fields of a structure.
    fn descr(&mut self) -> Result<String> {
        if self.peek() == Some(b'[') {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "header",
                "numbers of 8 to 64 bits",
                "dtype with fields",
            ));
        }
        self.text()
    }

    fn boolean(&mut self) -> Result<bool> {
        self.peek();
        for (word, value) in [("True", true), ("False", false)] {
            let mut ahead = self.0.clone();
            if ahead.take(word.len()).is_ok_and(|found| found == word.as_bytes()) {
                self.0 = ahead;
                return Ok(value);
            }
        }
        Err(self.0.malformed("True or False", "something else"))
    }

    fn tuple(&mut self) -> Result<Vec<u64>> {
        self.expect(b'(')?;
        let mut extents = Vec::new();
        while !self.accept(b')') {
            let mut digits = String::new();
            while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
                digits.push(char::from(digit));
                self.expect(digit)?;
            }
            self.accept(b'L');
            extents.push(
                digits
                    .parse()
                    .map_err(|_| self.0.malformed("an extent", &digits))?,
            );
            if !self.accept(b',') {
                self.expect(b')')?;
                break;
            }
        }
        Ok(extents)
    }
}

/// Lists a `.npy` file; its one array is called `array`.
pub(crate) fn open_npy(source: Source) -> Result<Contents> {
    let header = Header::parse(source.name(), &source.head(MAX_HEADER_BYTES + 16)?)?;
    let entry = Entry::new("array".to_owned(), header.dtype, header.shape.clone())
        .map_err(|error| error.within(source.name()))?;
    if source.len() - header.data != entry.bytes {
        return Err(Error::new(
            ErrorKind::Malformed,
            source.name(),
            format!("{} bytes of {} {:?}", entry.bytes, entry.dtype, entry.shape),
            format!("{} bytes", source.len() - header.data),
        ));
    }
    Ok(Contents::new(vec![entry], Npy { source, header }))
}

#[derive(Debug)]
struct Npy {
    source: Source,
    header: Header,
}

impl ReadTensor for Npy {
    fn read(&self, _: usize, entry: &Entry) -> Result<Tensor> {
        let bytes = self.source.read(&entry.name, self.header.data, entry.bytes)?;
        self.header.tensor(self.source.name(), &bytes)
    }
}

/// Lists a `.npz` archive; an array is called by its member without `.npy`.
pub(crate) fn open_npz(archive: Archive) -> Result<Contents> {
    let (mut entries, mut places, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for member in archive.members() {
        let Some(name) = member.name.strip_suffix(".npy") else {
            skipped.push(Skipped {
                path: member.name.clone(),
                what: "a file that is no array".to_owned(),
            });
            continue;
        };
        let head = member.size.min(MAX_HEADER_BYTES + 16);
        let bytes = archive.part(member, 0, head, head)?;
        let header = match Header::parse(name, &bytes) {
            Ok(header) => header,
            // Texts and pickled objects stand beside the weights of many a file.
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                skipped.push(Skipped {
                    path: name.to_owned(),
                    what: format!("an array, {}", error.found()),
                });
                continue;
            }
            Err(error) => return Err(error.within(archive.source().name())),
        };
        let entry = Entry::new(name.to_owned(), header.dtype, header.shape.clone())?;
        if member.size - header.data != entry.bytes {
            return Err(Error::new(
                ErrorKind::Malformed,
                format!("{}: {name}", archive.source().name()),
                format!("{} bytes of {} {:?}", entry.bytes, entry.dtype, entry.shape),
                format!("{} bytes", member.size - header.data),
            ));
        }
        entries.push(entry);
        places.push((member.clone(), header));
    }
    let mut contents = Contents::new(entries, Npz { archive, places });
    contents.skipped = skipped;
    Ok(contents)
}

#[derive(Debug)]
struct Npz {
    archive: Archive,
    places: Vec<(Member, Header)>,
}

impl ReadTensor for Npz {
    fn read(&self, index: usize, entry: &Entry) -> Result<Tensor> {
        let (member, header) = place_of(&self.places, index, entry)?;
        let mut bytes = self.archive.read(member, member.size)?;
        let start = usize::try_from(header.data)
            .unwrap_or(usize::MAX)
            .min(bytes.len());
        header.tensor(&entry.name, &bytes.split_off(start))
    }
}
