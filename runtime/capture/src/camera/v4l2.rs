//! Video4Linux2 with buffers mapped from the driver.

use super::videodev2::{
    CAP_DEVICE_CAPS, CAP_STREAMING, CAP_VIDEO_CAPTURE, CAPTURE, Capability, DEQUEUE_BUFFER, FIELD_ANY,
    FLAG_ERROR, Format, FormatDescription, LIST_FORMATS, MEMORY_MMAP, Mapping, PixFormat, QUERY_BUFFER,
    QUERY_CAPABILITY, QUEUE_BUFFER, REQUEST_BUFFERS, RequestBuffers, SET_FORMAT, STREAM_OFF, STREAM_ON,
    age_of, capture_buffer, control, is_ready, zeroed,
};
use super::{FrameDevice, FrameFormat, FrameStamp, PixelLayout};
use crate::error::{Error, ErrorKind, Result};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// Buffers asked of the driver: one being filled, one being copied, two for the thread's delays.
const BUFFERS: u32 = 4;

/// Largest buffer that is mapped, in bytes.
const LARGEST_BUFFER: u32 = 64 << 20;

/// Formats that a driver may list; real ones have fewer than ten.
const MAX_FORMATS: u32 = 64;

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
            let offset = buffer.offset();
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
    let pix = format.pix();
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
