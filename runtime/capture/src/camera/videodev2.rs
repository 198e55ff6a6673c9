//! The kernel's side of Video4Linux2: layouts, numbers, and the calls that need `unsafe`.
//!
//! Layouts and numbers are those of the kernel's `linux/videodev2.h`; the sizes are checked at compile time.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::RawFd;
use std::ptr::NonNull;
use std::time::Duration;

pub(super) const CAPTURE: u32 = 1;
pub(super) const MEMORY_MMAP: u32 = 1;
pub(super) const FIELD_ANY: u32 = 0;
pub(super) const CAP_VIDEO_CAPTURE: u32 = 0x1;
pub(super) const CAP_STREAMING: u32 = 0x0400_0000;
pub(super) const CAP_DEVICE_CAPS: u32 = 0x8000_0000;
pub(super) const FLAG_ERROR: u32 = 0x40;
const FLAG_TIMESTAMP_MASK: u32 = 0xE000;
const FLAG_TIMESTAMP_MONOTONIC: u32 = 0x2000;

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Capability {
    pub driver: [u8; 16],
    pub card: [u8; 32],
    pub bus_info: [u8; 32],
    pub version: u32,
    pub capabilities: u32,
    pub device_caps: u32,
    pub reserved: [u32; 3],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct FormatDescription {
    pub index: u32,
    pub kind: u32,
    pub flags: u32,
    pub description: [u8; 32],
    pub pixel_format: u32,
    pub mbus_code: u32,
    pub reserved: [u32; 3],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct PixFormat {
    pub width: u32,
    pub height: u32,
    pub pixel_format: u32,
    pub field: u32,
    pub bytes_per_line: u32,
    pub size_image: u32,
    pub colour_space: u32,
    pub private: u32,
    pub flags: u32,
    pub ycbcr_encoding: u32,
    pub quantization: u32,
    pub transfer_function: u32,
}

/// The union in the kernel's struct holds pointers in other members, which sets its alignment.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) union FormatBody {
    pub pix: PixFormat,
    raw: [u8; 200],
    alignment: libc::c_ulong,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Format {
    pub kind: u32,
    pub body: FormatBody,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct RequestBuffers {
    pub count: u32,
    pub kind: u32,
    pub memory: u32,
    pub capabilities: u32,
    pub flags: u8,
    pub reserved: [u8; 3],
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) union BufferPlace {
    offset: u32,
    user_pointer: libc::c_ulong,
}

#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Buffer {
    pub index: u32,
    pub kind: u32,
    pub bytes_used: u32,
    pub flags: u32,
    pub field: u32,
    pub timestamp: libc::timeval,
    pub time_code: [u32; 4],
    pub sequence: u32,
    pub memory: u32,
    pub place: BufferPlace,
    pub length: u32,
    pub reserved: u32,
    pub request: u32,
}

const fn request<T>(direction: u32, number: u32) -> u32 {
    direction << 30 | (size_of::<T>() as u32) << 16 | (b'V' as u32) << 8 | number
}

const WRITE: u32 = 1;
const READ: u32 = 2;
pub(super) const QUERY_CAPABILITY: u32 = request::<Capability>(READ, 0);
pub(super) const LIST_FORMATS: u32 = request::<FormatDescription>(READ | WRITE, 2);
pub(super) const SET_FORMAT: u32 = request::<Format>(READ | WRITE, 5);
pub(super) const REQUEST_BUFFERS: u32 = request::<RequestBuffers>(READ | WRITE, 8);
pub(super) const QUERY_BUFFER: u32 = request::<Buffer>(READ | WRITE, 9);
pub(super) const QUEUE_BUFFER: u32 = request::<Buffer>(READ | WRITE, 15);
pub(super) const DEQUEUE_BUFFER: u32 = request::<Buffer>(READ | WRITE, 17);
pub(super) const STREAM_ON: u32 = request::<libc::c_int>(WRITE, 18);
pub(super) const STREAM_OFF: u32 = request::<libc::c_int>(WRITE, 19);

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(QUERY_CAPABILITY == 0x8068_5600 && LIST_FORMATS == 0xC040_5602 && SET_FORMAT == 0xC0D0_5605);
    assert!(REQUEST_BUFFERS == 0xC014_5608 && QUERY_BUFFER == 0xC058_5609 && QUEUE_BUFFER == 0xC058_560F);
    assert!(DEQUEUE_BUFFER == 0xC058_5611 && STREAM_ON == 0x4004_5612 && STREAM_OFF == 0x4004_5613);
    assert!(std::mem::offset_of!(Format, body) == 8 && std::mem::offset_of!(PixFormat, size_image) == 20);
    assert!(std::mem::offset_of!(Buffer, timestamp) == 24 && std::mem::offset_of!(Buffer, sequence) == 56);
    assert!(std::mem::offset_of!(Buffer, place) == 64 && std::mem::offset_of!(Buffer, length) == 72);
};

pub(super) fn capture_buffer(index: u32) -> Buffer {
    let mut buffer: Buffer = zeroed();
    (buffer.index, buffer.kind, buffer.memory) = (index, CAPTURE, MEMORY_MMAP);
    buffer
}

/// Time since the driver's stamp; zero when that is on another clock.
pub(super) fn age_of(buffer: &Buffer) -> Duration {
    if buffer.flags & FLAG_TIMESTAMP_MASK != FLAG_TIMESTAMP_MONOTONIC {
        return Duration::ZERO;
    }
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid place for the answer.
    if unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) } != 0 {
        return Duration::ZERO;
    }
    let now = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
    let then = i128::from(buffer.timestamp.tv_sec) * 1_000_000 + i128::from(buffer.timestamp.tv_usec);
    Duration::from_micros(u64::try_from(now - then).unwrap_or(0))
}

/// Types that the kernel fills: plain numbers, for which any bytes are valid.
pub(super) trait Plain: Copy {}
impl Plain for Capability {}
impl Plain for FormatDescription {}
impl Plain for PixFormat {}
impl Plain for Format {}
impl Plain for RequestBuffers {}
impl Plain for Buffer {}
impl Plain for libc::c_int {}

pub(super) fn zeroed<T: Plain>() -> T {
    // SAFETY: every `Plain` type is valid when all its bytes are zero.
    unsafe { std::mem::zeroed() }
}

impl Buffer {
    /// Where the buffer lies for a mapping.
    pub(super) fn offset(&self) -> u32 {
        // SAFETY: every member of the union is a number, and all its bytes were set.
        unsafe { self.place.offset }
    }
}

impl Format {
    /// The picture's format.
    pub(super) fn pix(&self) -> PixFormat {
        // SAFETY: the members of `pix` are numbers, for which any bytes are valid.
        unsafe { self.body.pix }
    }
}

pub(super) fn control<T: Plain>(fd: RawFd, number: u32, value: &mut T) -> io::Result<()> {
    loop {
        // SAFETY: `number` carries the size of the `T` that the kernel reads and writes, and `value` is one.
        let answer = unsafe { libc::ioctl(fd, number as _, std::ptr::from_mut(value)) };
        if answer >= 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

pub(super) fn is_ready(fd: RawFd, wait: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    let wait_ms = libc::c_int::try_from(wait.as_millis()).unwrap_or(libc::c_int::MAX);
    // SAFETY: one valid `pollfd` is passed, and its count.
    let ready = unsafe { libc::poll(&mut poll, 1, wait_ms) };
    if ready < 0 {
        let error = io::Error::last_os_error();
        return if error.kind() == io::ErrorKind::Interrupted {
            Ok(false)
        } else {
            Err(error)
        };
    }
    // An error state is reported by the next `ioctl`, with its reason.
    Ok(ready > 0)
}

/// One of the driver's buffers in this process's memory.
#[derive(Debug)]
pub(super) struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is owned by this value alone and not bound to a thread.
unsafe impl Send for Mapping {}

impl Mapping {
    pub(super) fn new(fd: RawFd, offset: u32, length: usize) -> io::Result<Self> {
        let (access, place) = (libc::PROT_READ | libc::PROT_WRITE, offset as libc::off_t);
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory of ours.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), length, access, libc::MAP_SHARED, fd, place) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(start.cast())
            .map(|start| Self { start, length })
            .ok_or_else(io::Error::last_os_error)
    }

    /// The first `count` bytes, of a buffer that is dequeued.
    pub(super) fn bytes(&self, count: usize) -> &[u8] {
        // SAFETY: the mapping is `length` bytes long and lives as long as `self`; the driver does not write to a buffer
        // between dequeuing and queuing it, and the slice is dropped before that.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), count.min(self.length)) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range was mapped by `new`, and no slice of it outlives `self`.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.length) };
    }
}
