//! Video4Linux2 by `ioctl`, with buffers mapped from the driver.
//!
//! Layouts and numbers are those of the kernel's `linux/videodev2.h`; the sizes are checked at compile time.
#![allow(unsafe_code)]

use super::{FrameDevice, FrameFormat, FrameStamp, PixelLayout};
use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr::NonNull;
use std::time::Duration;

const CAPTURE: u32 = 1;
const MEMORY_MMAP: u32 = 1;
const FIELD_ANY: u32 = 0;
const CAP_VIDEO_CAPTURE: u32 = 0x1;
const CAP_STREAMING: u32 = 0x0400_0000;
const CAP_DEVICE_CAPS: u32 = 0x8000_0000;
const FLAG_ERROR: u32 = 0x40;
const FLAG_TIMESTAMP_MASK: u32 = 0xE000;
const FLAG_TIMESTAMP_MONOTONIC: u32 = 0x2000;

/// Buffers asked of the driver: one being filled, one being copied, two for the thread's delays.
const BUFFERS: u32 = 4;

/// Largest buffer that is mapped, in bytes.
const LARGEST_BUFFER: u32 = 64 << 20;

/// Formats that a driver may list; real ones have fewer than ten.
const MAX_FORMATS: u32 = 64;

#[repr(C)]
#[derive(Clone, Copy)]
struct Capability {
    driver: [u8; 16],
    card: [u8; 32],
    bus_info: [u8; 32],
    version: u32,
    capabilities: u32,
    device_caps: u32,
    reserved: [u32; 3],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct FormatDescription {
    index: u32,
    kind: u32,
    flags: u32,
    description: [u8; 32],
    pixel_format: u32,
    mbus_code: u32,
    reserved: [u32; 3],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct PixFormat {
    width: u32,
    height: u32,
    pixel_format: u32,
    field: u32,
    bytes_per_line: u32,
    size_image: u32,
    colour_space: u32,
    private: u32,
    flags: u32,
    ycbcr_encoding: u32,
    quantization: u32,
    transfer_function: u32,
}

/// The union in the kernel's struct holds pointers in other members, which sets its alignment.
#[repr(C)]
#[derive(Clone, Copy)]
union FormatBody {
    pix: PixFormat,
    raw: [u8; 200],
    alignment: libc::c_ulong,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Format {
    kind: u32,
    body: FormatBody,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct RequestBuffers {
    count: u32,
    kind: u32,
    memory: u32,
    capabilities: u32,
    flags: u8,
    reserved: [u8; 3],
}

#[repr(C)]
#[derive(Clone, Copy)]
union BufferPlace {
    offset: u32,
    user_pointer: libc::c_ulong,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Buffer {
    index: u32,
    kind: u32,
    bytes_used: u32,
    flags: u32,
    field: u32,
    timestamp: libc::timeval,
    time_code: [u32; 4],
    sequence: u32,
    memory: u32,
    place: BufferPlace,
    length: u32,
    reserved: u32,
    request: u32,
}

const fn request<T>(direction: u32, number: u32) -> u32 {
    direction << 30 | (size_of::<T>() as u32) << 16 | (b'V' as u32) << 8 | number
}

const WRITE: u32 = 1;
const READ: u32 = 2;
const QUERY_CAPABILITY: u32 = request::<Capability>(READ, 0);
const LIST_FORMATS: u32 = request::<FormatDescription>(READ | WRITE, 2);
const SET_FORMAT: u32 = request::<Format>(READ | WRITE, 5);
const REQUEST_BUFFERS: u32 = request::<RequestBuffers>(READ | WRITE, 8);
const QUERY_BUFFER: u32 = request::<Buffer>(READ | WRITE, 9);
const QUEUE_BUFFER: u32 = request::<Buffer>(READ | WRITE, 15);
const DEQUEUE_BUFFER: u32 = request::<Buffer>(READ | WRITE, 17);
const STREAM_ON: u32 = request::<libc::c_int>(WRITE, 18);
const STREAM_OFF: u32 = request::<libc::c_int>(WRITE, 19);

#[cfg(target_pointer_width = "64")]
const _: () = {
    assert!(QUERY_CAPABILITY == 0x8068_5600 && LIST_FORMATS == 0xC040_5602 && SET_FORMAT == 0xC0D0_5605);
    assert!(REQUEST_BUFFERS == 0xC014_5608 && QUERY_BUFFER == 0xC058_5609 && QUEUE_BUFFER == 0xC058_560F);
    assert!(DEQUEUE_BUFFER == 0xC058_5611 && STREAM_ON == 0x4004_5612 && STREAM_OFF == 0x4004_5613);
    assert!(std::mem::offset_of!(Format, body) == 8 && std::mem::offset_of!(PixFormat, size_image) == 20);
    assert!(std::mem::offset_of!(Buffer, timestamp) == 24 && std::mem::offset_of!(Buffer, sequence) == 56);
    assert!(std::mem::offset_of!(Buffer, place) == 64 && std::mem::offset_of!(Buffer, length) == 72);
};

/// What is asked of a camera; the driver may answer with the nearest sides it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct V4l2Request {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Layouts in order of preference; the first that the camera offers is taken.
    pub layouts: Vec<PixelLayout>,
}

impl Default for V4l2Request {
    /// 640x480 in YUYV, else MJPEG, else grey.
    fn default() -> Self {
        Self {
            width: 640,
            height: 480,
            layouts: vec![PixelLayout::Yuyv, PixelLayout::Mjpeg, PixelLayout::Grey],
        }
    }
}

/// A streaming V4L2 camera.
#[derive(Debug)]
pub struct V4l2Device {
    file: File,
    format: FrameFormat,
    // Unmapped after streaming has stopped, in `drop`.
    buffers: Vec<Mapping>,
}

impl V4l2Device {
    /// Opens the device, sets the format, maps its buffers and starts the stream.
    ///
    /// # Errors
    /// [`ErrorKind::NoDevice`] when there is none at `path`, or it is no camera or in use; [`ErrorKind::Device`] when it
    /// offers none of the layouts (the offered ones are listed) or refuses a step.
    pub fn open(path: &Path, wanted: &V4l2Request) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path);
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::new(ErrorKind::NoDevice, cameras_there()),
            _ => Error::new(ErrorKind::NoDevice, error.to_string()).because(error),
        })?;
        let fd = file.as_raw_fd();
        let mut capability: Capability = zeroed();
        control(fd, QUERY_CAPABILITY, &mut capability)
            .map_err(|error| Error::new(ErrorKind::NoDevice, "this is not a V4L2 device").because(error))?;
        let all = capability.capabilities;
        let own = if all & CAP_DEVICE_CAPS == 0 {
            all
        } else {
            capability.device_caps
        };
        if own & CAP_VIDEO_CAPTURE == 0 || own & CAP_STREAMING == 0 {
            return Err(Error::new(
                ErrorKind::NoDevice,
                "this V4L2 device captures no video into mapped buffers",
            ));
        }
        let (fourcc, layout) = choose_format(fd, wanted)?;
        let format = set_format(fd, wanted, fourcc, layout)?;
        let mut device = Self {
            file,
            format,
            buffers: Vec::new(),
        };
        device.map_buffers()?;
        let mut kind = CAPTURE as libc::c_int;
        control(fd, STREAM_ON, &mut kind).map_err(|error| refused("streaming", error))?;
        Ok(device)
    }

    fn map_buffers(&mut self) -> Result<()> {
        let fd = self.file.as_raw_fd();
        let mut ask: RequestBuffers = zeroed();
        (ask.count, ask.kind, ask.memory) = (BUFFERS, CAPTURE, MEMORY_MMAP);
        control(fd, REQUEST_BUFFERS, &mut ask).map_err(|error| refused("mapped buffers", error))?;
        if ask.count < 2 {
            return Err(Error::new(
                ErrorKind::Device,
                format!("the driver has {} buffers, at least 2 are needed", ask.count),
            ));
        }
        for index in 0..ask.count.min(2 * BUFFERS) {
            let mut buffer = capture_buffer(index);
            control(fd, QUERY_BUFFER, &mut buffer).map_err(|error| refused("a buffer's place", error))?;
            if buffer.length == 0 || buffer.length > LARGEST_BUFFER {
                let detail = format!(
                    "a buffer of {} bytes, the limit is {LARGEST_BUFFER}",
                    buffer.length
                );
                return Err(Error::new(ErrorKind::Device, detail));
            }
            // SAFETY: the driver filled the offset for MEMORY_MMAP; a u32 has no invalid values.
            let offset = unsafe { buffer.place.offset };
            self.buffers.push(
                Mapping::new(fd, offset, buffer.length as usize)
                    .map_err(|error| refused("a mapping", error))?,
            );
            let mut buffer = capture_buffer(index);
            control(fd, QUEUE_BUFFER, &mut buffer).map_err(|error| refused("a buffer", error))?;
        }
        Ok(())
    }
}

impl FrameDevice for V4l2Device {
    fn format(&self) -> FrameFormat {
        self.format
    }

    fn next_frame(&mut self, wait: Duration, bytes: &mut Vec<u8>) -> Result<Option<FrameStamp>> {
        let fd = self.file.as_raw_fd();
        if !is_ready(fd, wait).map_err(|error| refused("waiting", error))? {
            return Ok(None);
        }
        let mut buffer = capture_buffer(0);
        match control(fd, DEQUEUE_BUFFER, &mut buffer) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(refused("a frame", error)),
        }
        let mapping = self.buffers.get(buffer.index as usize);
        let frame = mapping.map_or(&[][..], |mapping| mapping.bytes(buffer.bytes_used as usize));
        let whole = buffer.flags & FLAG_ERROR == 0 && !frame.is_empty();
        bytes.clear();
        bytes.extend_from_slice(frame);
        let stamp = FrameStamp {
            sequence: buffer.sequence,
            age: age_of(&buffer),
        };
        let mut back = capture_buffer(buffer.index);
        control(fd, QUEUE_BUFFER, &mut back).map_err(|error| refused("a buffer", error))?;
        // A damaged frame shows as a gap in the count of the next one.
        Ok(whole.then_some(stamp))
    }
}

impl Drop for V4l2Device {
    fn drop(&mut self) {
        let mut kind = CAPTURE as libc::c_int;
        // A device that was unplugged refuses; nothing is left to stop then.
        let _ = control(self.file.as_raw_fd(), STREAM_OFF, &mut kind);
    }
}

fn refused(what: &str, error: io::Error) -> Error {
    Error::new(ErrorKind::Device, format!("the driver refused {what}: {error}")).because(error)
}

fn cameras_there() -> String {
    let mut names: Vec<String> = std::fs::read_dir("/dev")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("video"))
        .collect();
    names.sort();
    if names.is_empty() {
        "/dev has no camera".to_owned()
    } else {
        format!("/dev has {}", names.join(", "))
    }
}

fn layout_of(fourcc: u32) -> Option<PixelLayout> {
    match &fourcc.to_le_bytes() {
        b"MJPG" | b"JPEG" => Some(PixelLayout::Mjpeg),
        b"YUYV" => Some(PixelLayout::Yuyv),
        b"GREY" => Some(PixelLayout::Grey),
        _ => None,
    }
}

fn choose_format(fd: RawFd, wanted: &V4l2Request) -> Result<(u32, PixelLayout)> {
    let mut offered = Vec::new();
    for index in 0..MAX_FORMATS {
        let mut description: FormatDescription = zeroed();
        (description.index, description.kind) = (index, CAPTURE);
        if control(fd, LIST_FORMATS, &mut description).is_err() {
            break;
        }
        offered.push(description.pixel_format);
    }
    let find = |layout| offered.iter().find(|&&fourcc| layout_of(fourcc) == Some(layout));
    wanted
        .layouts
        .iter()
        .find_map(|&layout| find(layout).map(|&fourcc| (fourcc, layout)))
        .ok_or_else(|| {
            let names: Vec<String> = offered
                .iter()
                .map(|fourcc| String::from_utf8_lossy(&fourcc.to_le_bytes()).trim().to_owned())
                .collect();
            let detail = format!("it offers {}; read are YUYV, MJPG and GREY", names.join(", "));
            Error::new(ErrorKind::Device, detail)
        })
}

fn set_format(fd: RawFd, wanted: &V4l2Request, fourcc: u32, layout: PixelLayout) -> Result<FrameFormat> {
    let mut format: Format = zeroed();
    format.kind = CAPTURE;
    let mut pix: PixFormat = zeroed();
    (pix.width, pix.height, pix.pixel_format, pix.field) = (wanted.width, wanted.height, fourcc, FIELD_ANY);
    format.body.pix = pix;
    control(fd, SET_FORMAT, &mut format).map_err(|error| refused("the format", error))?;
    // SAFETY: the driver filled `pix` for a capture format; its members are numbers without invalid values.
    let pix = unsafe { format.body.pix };
    let row_bytes = match layout {
        PixelLayout::Mjpeg => 0,
        PixelLayout::Yuyv => pix.bytes_per_line.max(pix.width.div_ceil(2).saturating_mul(4)),
        PixelLayout::Grey => pix.bytes_per_line.max(pix.width),
    };
    let size = u64::from(row_bytes) * u64::from(pix.height);
    if layout_of(pix.pixel_format) != Some(layout)
        || pix.width == 0
        || pix.height == 0
        || size > LARGEST_BUFFER.into()
    {
        let name = String::from_utf8_lossy(&pix.pixel_format.to_le_bytes()).into_owned();
        let detail = format!(
            "the driver set {name} of {}x{} pixels instead",
            pix.width, pix.height
        );
        return Err(Error::new(ErrorKind::Device, detail));
    }
    Ok(FrameFormat {
        layout,
        width: pix.width,
        height: pix.height,
        row_bytes: row_bytes as usize,
    })
}

fn capture_buffer(index: u32) -> Buffer {
    let mut buffer: Buffer = zeroed();
    (buffer.index, buffer.kind, buffer.memory) = (index, CAPTURE, MEMORY_MMAP);
    buffer
}

/// Time since the driver's stamp; zero when that is on another clock.
fn age_of(buffer: &Buffer) -> Duration {
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
trait Plain: Copy {}
impl Plain for Capability {}
impl Plain for FormatDescription {}
impl Plain for PixFormat {}
impl Plain for Format {}
impl Plain for RequestBuffers {}
impl Plain for Buffer {}
impl Plain for libc::c_int {}

fn zeroed<T: Plain>() -> T {
    // SAFETY: every `Plain` type is valid when all its bytes are zero.
    unsafe { std::mem::zeroed() }
}

fn control<T: Plain>(fd: RawFd, number: u32, value: &mut T) -> io::Result<()> {
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

fn is_ready(fd: RawFd, wait: Duration) -> io::Result<bool> {
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
struct Mapping {
    start: NonNull<u8>,
    length: usize,
}

// SAFETY: the mapping is owned by this value alone and not bound to a thread.
unsafe impl Send for Mapping {}

impl Mapping {
    fn new(fd: RawFd, offset: u32, length: usize) -> io::Result<Self> {
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
    fn bytes(&self, count: usize) -> &[u8] {
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
