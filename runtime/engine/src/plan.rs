//! Plans: a flat binary that is checked in place.
//!
//! Everything is little-endian and 32 bit wide. A plan is a header of [`HEADER_WORDS`] words, then, at the offsets
//! that the header gives, the table of weight packs ([`PackRef`]), the table of ports ([`PortRecord`]), the table of
//! steps ([`StepRecord`]), the words of the steps, and the names.

use crate::cpu::Cpu;
use crate::error::{Error, ErrorKind, Result};
use crate::record::{Record, Words, code, record};
use crate::span::Span;
use crate::step::{Limits, Step};

/// First word of a plan: `LMBP`.
pub const MAGIC: u32 = u32::from_le_bytes(*b"LMBP");
/// Version that this release writes and reads.
pub const VERSION: u32 = 1;
/// Words of the header.
pub const HEADER_WORDS: usize = 14;
/// Alignment of the arena in bytes.
pub const ARENA_ALIGNMENT: usize = 64;
/// Most weight packs of a plan.
pub const PACKS: usize = 8;
/// Most axes of a port.
pub const PORT_AXES: usize = 8;

record! {
    /// What stands at the front of a plan; offsets and lengths in bytes.
    pub struct Header {
        /// [`MAGIC`].
        pub magic: u32,
        /// [`VERSION`].
        pub version: u32,
        /// Of the whole plan.
        pub bytes: u32,
        /// Memory that a run needs.
        pub arena_bytes: u32,
        /// Where the table of packs begins.
        pub packs_offset: u32,
        /// Its entries.
        pub packs: u32,
        /// Where the table of ports begins.
        pub ports_offset: u32,
        /// Its entries.
        pub ports: u32,
        /// Where the table of steps begins.
        pub steps_offset: u32,
        /// Its entries.
        pub steps: u32,
        /// Where the words of the steps begin.
        pub words_offset: u32,
        /// Their length.
        pub words_bytes: u32,
        /// Where the names begin.
        pub names_offset: u32,
        /// Their length.
        pub names_bytes: u32,
    }
}

record! {
    /// A weight pack that a plan needs.
    pub struct PackRef {
        /// SHA-256 of its content, as big-endian words.
        pub digest: [u32; 8],
        /// Its length.
        pub bytes: u32,
    }
}

code! {
    /// What a port is for.
    pub enum Role {
        /// Written by the caller before a run.
        #[default]
        Input = 0,
        /// Read by the caller behind a run.
        Output = 1,
        /// Kept from a run to the next; zero at first.
        State = 2,
    }
}

code! {
    /// Type of a port's elements.
    #[allow(missing_docs, reason = "the names say it")]
    pub enum Dtype {
        #[default]
        F32 = 0,
        I8 = 1,
        U8 = 2,
        I32 = 3,
        I64 = 4,
        Bool = 5,
        I16 = 6,
        U16 = 7,
        U32 = 8,
    }
}

impl Dtype {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            Self::I8 | Self::U8 | Self::Bool => 1,
            Self::I16 | Self::U16 => 2,
            Self::F32 | Self::I32 | Self::U32 => 4,
            Self::I64 => 8,
        }
    }

    /// Name, such as `f32`.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::I8 => "i8",
            Self::U8 => "u8",
            Self::I32 => "i32",
            Self::I64 => "i64",
            Self::Bool => "bool",
            Self::I16 => "i16",
            Self::U16 => "u16",
            Self::U32 => "u32",
        }
    }
}

record! {
    /// A tensor of the caller: row-major and without gaps in its span.
    pub struct PortRecord {
        /// Where its name begins, from the front of the names.
        pub name_offset: u32,
        /// Bytes of its name.
        pub name_bytes: u32,
        /// What it is for.
        pub role: Role,
        /// Type of its elements.
        pub dtype: Dtype,
        /// Number of extents.
        pub rank: u32,
        /// Extents, outermost first; 1 beyond the rank.
        pub dims: [u32; PORT_AXES],
        /// Of integers that stand for real numbers; 0 where they do not.
        pub scale: f32,
        /// As `scale`.
        pub zero_point: i32,
        /// Where it lies; behind a run a state lies there too.
        pub span: Span,
        /// Of a state: where a run leaves its next value; else empty.
        pub next: Span,
    }
}

record! {
    /// One step: its kernel and its words.
    pub struct StepRecord {
        /// Number of the kernel.
        pub kernel: u32,
        /// First byte, from the front of the words.
        pub offset: u32,
        /// Number of bytes.
        pub bytes: u32,
        /// Where the name of the graph's node begins, from the front of the names.
        pub name_offset: u32,
        /// Bytes of that name.
        pub name_bytes: u32,
    }
}

/// A tensor of the caller.
#[derive(Debug, Clone, Copy)]
pub struct Port<'a> {
    /// Name in the graph.
    pub name: &'a str,
    record: PortRecord,
}

impl Port<'_> {
    /// What it is for.
    pub fn role(&self) -> Role {
        self.record.role
    }

    /// Type of its elements.
    pub fn dtype(&self) -> Dtype {
        self.record.dtype
    }

    /// Extents, outermost first.
    pub fn dims(&self) -> &[u32] {
        let rank = self.record.rank as usize;
        self.record.dims.get(..rank).unwrap_or_default()
    }

    /// Scale and zero point of integers that stand for real numbers.
    pub fn quantization(&self) -> Option<(f32, i32)> {
        (self.record.scale != 0.0).then_some((self.record.scale, self.record.zero_point))
    }

    /// Where it lies in the arena.
    pub fn span(&self) -> Span {
        self.record.span
    }
}

/// A plan whose every step was checked, with the weight packs it reads.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    bytes: &'a [u8],
    /// Those behind the plan's own are empty.
    packs: [&'a [u8]; PACKS],
    header: Header,
    cpu: Cpu,
}

fn malformed(place: &'static str, index: usize, expected: u64, found: u64) -> Error {
    Error::new(ErrorKind::Malformed, place, index, expected, found)
}

/// Words that a record takes.
fn words_of<R: Record + Default>() -> u32 {
    let mut count = 0;
    R::default().write(&mut |_| count += 1);
    count
}

impl<'a> Plan<'a> {
    /// Checks a plan and the packs it names, in its order; nothing is copied.
    ///
    /// The digests of the packs are not computed: that is done where files are installed.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`], [`ErrorKind::Version`], [`ErrorKind::Pack`], [`ErrorKind::Kernel`] or
    /// [`ErrorKind::Bounds`] naming the table and the entry.
    pub fn check(bytes: &'a [u8], packs: &[&'a [u8]], cpu: Cpu) -> Result<Self> {
        let header = Header::read(&mut Words::new(bytes)).ok_or_else(|| {
            let expected = (HEADER_WORDS * 4) as u64;
            malformed("header", 0, expected, bytes.len() as u64)
        })?;
        if header.magic != MAGIC {
            return Err(malformed("magic", 0, MAGIC.into(), header.magic.into()));
        }
        if header.version != VERSION {
            return Err(Error::new(
                ErrorKind::Version,
                "version",
                0,
                VERSION.into(),
                header.version.into(),
            ));
        }
        if u64::from(header.bytes) != bytes.len() as u64 {
            return Err(malformed("length", 0, header.bytes.into(), bytes.len() as u64));
        }
        let mut plan = Self {
            bytes,
            packs: [&[]; PACKS],
            header,
            cpu,
        };
        plan.check_tables()?;
        plan.lend_packs(packs)?;
        for index in 0..header.ports as usize {
            plan.check_port(index)?;
        }
        let limits = Limits {
            arena: header.arena_bytes,
            packs: plan.packs(),
        };
        for index in 0..header.steps as usize {
            plan.step(index)?
                .check(&limits)
                .map_err(|error| error.at(index))?;
            plan.step_name(index)?;
        }
        Ok(plan)
    }

    fn check_tables(&self) -> Result<()> {
        let h = &self.header;
        let tables = [
            (
                h.packs_offset,
                u64::from(h.packs) * u64::from(words_of::<PackRef>()) * 4,
            ),
            (
                h.ports_offset,
                u64::from(h.ports) * u64::from(words_of::<PortRecord>()) * 4,
            ),
            (
                h.steps_offset,
                u64::from(h.steps) * u64::from(words_of::<StepRecord>()) * 4,
            ),
            (h.words_offset, h.words_bytes.into()),
            (h.names_offset, h.names_bytes.into()),
        ];
        for (index, (offset, length)) in tables.into_iter().enumerate() {
            let end = u64::from(offset) + length;
            if end > self.bytes.len() as u64 {
                return Err(malformed("table", index, self.bytes.len() as u64, end));
            }
        }
        Ok(())
    }

    fn lend_packs(&mut self, packs: &[&'a [u8]]) -> Result<()> {
        let named = self.header.packs as usize;
        if named > PACKS {
            return Err(malformed("packs", 0, PACKS as u64, named as u64));
        }
        if packs.len() != named {
            return Err(Error::new(
                ErrorKind::Pack,
                "packs",
                0,
                named as u64,
                packs.len() as u64,
            ));
        }
        for (index, pack) in packs.iter().enumerate() {
            let bytes = u64::from(self.pack(index)?.bytes);
            if bytes != pack.len() as u64 {
                return Err(Error::new(
                    ErrorKind::Pack,
                    "pack",
                    index,
                    bytes,
                    pack.len() as u64,
                ));
            }
            // Elements of packs are read in place.
            let misaligned = pack.as_ptr().addr() % ARENA_ALIGNMENT;
            if misaligned != 0 {
                return Err(Error::new(
                    ErrorKind::Pack,
                    "pack alignment",
                    index,
                    0,
                    misaligned as u64,
                ));
            }
        }
        for (to, from) in self.packs.iter_mut().zip(packs) {
            *to = from;
        }
        Ok(())
    }

    /// The packs that the plan names.
    pub(crate) fn packs(&self) -> &[&'a [u8]] {
        self.packs.get(..self.header.packs as usize).unwrap_or_default()
    }

    fn check_port(&self, index: usize) -> Result<()> {
        let port = self.port(index)?;
        let record = &port.record;
        let dims = &record.dims;
        if record.rank as usize > PORT_AXES {
            return Err(malformed(
                "port rank",
                index,
                PORT_AXES as u64,
                record.rank.into(),
            ));
        }
        let elements = dims
            .iter()
            .try_fold(1u64, |product, &dim| product.checked_mul(u64::from(dim)));
        let bytes = elements.and_then(|n| n.checked_mul(record.dtype.size() as u64));
        let arena = u64::from(self.header.arena_bytes);
        let spans = [record.span, record.next];
        for span in &spans[..if record.role == Role::State { 2 } else { 1 }] {
            let aligned = (span.offset as usize).is_multiple_of(ARENA_ALIGNMENT);
            if bytes != Some(u64::from(span.bytes)) || span.end() > arena || !aligned {
                return Err(Error::new(ErrorKind::Bounds, "port", index, arena, span.end()));
            }
        }
        if record.role == Role::State && record.span.overlaps(&record.next) {
            return Err(Error::new(
                ErrorKind::Bounds,
                "state",
                index,
                record.span.end(),
                record.next.offset.into(),
            ));
        }
        Ok(())
    }

    /// Entry of a table at an offset.
    fn entry<R: Record + Default>(&self, place: &'static str, offset: u32, index: usize) -> Result<R> {
        let size = words_of::<R>() as usize * 4;
        let begin = (offset as usize).checked_add(index.saturating_mul(size));
        begin
            .and_then(|begin| self.bytes.get(begin..))
            .and_then(|bytes| R::read(&mut Words::new(bytes)))
            .ok_or_else(|| malformed(place, index, size as u64, 0))
    }

    /// Bytes of a table.
    fn part(
        &self,
        place: &'static str,
        index: usize,
        table: (u32, u32),
        part: (u32, u32),
    ) -> Result<&'a [u8]> {
        let end = u64::from(part.0) + u64::from(part.1);
        if end > u64::from(table.1) {
            return Err(malformed(place, index, table.1.into(), end));
        }
        let begin = table.0 as usize + part.0 as usize;
        self.bytes
            .get(begin..begin + part.1 as usize)
            .ok_or_else(|| malformed(place, index, self.bytes.len() as u64, begin as u64))
    }

    fn name(&self, place: &'static str, index: usize, offset: u32, bytes: u32) -> Result<&'a str> {
        let table = (self.header.names_offset, self.header.names_bytes);
        let name = self.part(place, index, table, (offset, bytes))?;
        core::str::from_utf8(name)
            .map_err(|error| malformed(place, index, bytes.into(), error.valid_up_to() as u64))
    }

    /// Bytes of the arena that a run needs.
    pub fn arena_bytes(&self) -> usize {
        self.header.arena_bytes as usize
    }

    /// The processor that the plan runs on.
    pub fn cpu(&self) -> Cpu {
        self.cpu
    }

    /// Number of ports.
    pub fn ports(&self) -> usize {
        self.header.ports as usize
    }

    /// Number of steps.
    pub fn steps(&self) -> usize {
        self.header.steps as usize
    }

    /// A weight pack that the plan names.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] behind the last.
    pub fn pack(&self, index: usize) -> Result<PackRef> {
        self.entry("pack", self.header.packs_offset, index)
    }

    /// A port.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] behind the last.
    pub fn port(&self, index: usize) -> Result<Port<'a>> {
        if index >= self.ports() {
            return Err(malformed("port", index, self.ports() as u64, index as u64));
        }
        let record: PortRecord = self.entry("port", self.header.ports_offset, index)?;
        let name = self.name("port name", index, record.name_offset, record.name_bytes)?;
        Ok(Port { name, record })
    }

    fn step_record(&self, index: usize) -> Result<StepRecord> {
        if index >= self.steps() {
            return Err(malformed("step", index, self.steps() as u64, index as u64));
        }
        self.entry("step", self.header.steps_offset, index)
    }

    /// A step.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] behind the last, [`ErrorKind::Kernel`] for one that this release does not have.
    pub fn step(&self, index: usize) -> Result<Step> {
        let record = self.step_record(index)?;
        let table = (self.header.words_offset, self.header.words_bytes);
        let words = self.part("step words", index, table, (record.offset, record.bytes))?;
        Step::read(record.kernel, Words::new(words))
            .ok_or_else(|| Error::new(ErrorKind::Kernel, "step", index, 0, record.kernel.into()))
    }

    /// Name of the node of the graph that a step came from.
    ///
    /// # Errors
    /// [`ErrorKind::Malformed`] behind the last.
    pub fn step_name(&self, index: usize) -> Result<&'a str> {
        let record = self.step_record(index)?;
        self.name("step name", index, record.name_offset, record.name_bytes)
    }
}

/// The next value of a state, for the executor.
impl Port<'_> {
    pub(crate) fn next(&self) -> Span {
        self.record.next
    }
}
