//! A camera, through V4L2.
//!
//! A thread takes every frame from the driver as soon as it is there and keeps the newest; [`Source::next`] converts
//! it. So a slow reader sees the present, never a queue of the past, and frames that nobody looked at are counted
//! without having been decoded.

mod convert;
mod slot;
mod v4l2;
mod videodev2;

use crate::error::{Error, ErrorKind, Result};
use crate::source::{Captured, Clock, ClockKind, Content, Source, Step};
use crate::{Dropped, Sense};
use slot::Slot;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

pub use convert::to_picture;
pub use v4l2::{V4l2Device, V4l2Request};

/// How often the slot is looked at while it holds nothing new, in milliseconds.
const POLL_MS: u64 = 5;

/// How long the thread waits for a frame before it looks whether it should stop.
const THREAD_WAIT: Duration = Duration::from_millis(100);

/// Layout of a frame's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PixelLayout {
    /// One JPEG a frame; its Huffman tables may be missing.
    Mjpeg,
    /// 4:2:2, bytes Y0 U Y1 V for each two pixels, BT.601 with Y in 16..=235.
    Yuyv,
    /// One byte a pixel.
    Grey,
}

/// Format of a camera's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameFormat {
    /// Layout of the bytes.
    pub layout: PixelLayout,
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Bytes from one row's start to the next one's; without meaning for MJPEG.
    pub row_bytes: usize,
}

/// Where and when the driver took a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameStamp {
    /// The driver's count of frames; a gap means frames that the driver itself dropped.
    pub sequence: u32,
    /// Time since the driver's time stamp, when the frame was handed over.
    pub age: Duration,
}

/// Something that delivers frames: a V4L2 device, or a test.
pub trait FrameDevice: Send {
    /// Format of all its frames.
    fn format(&self) -> FrameFormat;

    /// Waits at most `wait` for a frame and replaces `bytes` by it; `None` when none came.
    ///
    /// # Errors
    /// The device is gone or failed; it will not be asked again.
    fn next_frame(&mut self, wait: Duration, bytes: &mut Vec<u8>) -> Result<Option<FrameStamp>>;
}

/// An open camera.
///
/// `images` of [`Dropped`] counts the frames that a newer one replaced, that the driver skipped and that could not be
/// decoded.
#[derive(Debug)]
pub struct Camera {
    name: String,
    format: FrameFormat,
    slot: Arc<Slot>,
    thread: Option<JoinHandle<()>>,
    bytes: Vec<u8>,
    broken: u64,
    last_ms: u64,
    ended: bool,
}

/// Opens the camera at `path` with the default [`V4l2Request`].
///
/// # Errors
/// [`ErrorKind::NoDevice`] listing the cameras there are, [`ErrorKind::Device`] naming the formats it offers when none
/// is read.
pub fn open(path: &Path) -> Result<Camera> {
    let name = format!("v4l2:{}", path.display());
    let device = V4l2Device::open(path, &V4l2Request::default()).map_err(|error| error.of(&name))?;
    Ok(Camera::new(&name, device))
}

impl Camera {
    /// Starts to take frames from `device`; `name` is what errors call it.
    pub fn new(name: &str, mut device: impl FrameDevice + 'static) -> Self {
        let format = device.format();
        let slot = Arc::new(Slot::default());
        let shared = Arc::clone(&slot);
        let thread = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while !shared.is_stopped() {
                match device.next_frame(THREAD_WAIT, &mut bytes) {
                    Ok(Some(stamp)) => shared.put(stamp, &mut bytes),
                    Ok(None) => {}
                    Err(error) => return shared.fail(error),
                }
            }
        });
        Self {
            name: name.to_owned(),
            format,
            slot,
            thread: Some(thread),
            bytes: Vec::new(),
            broken: 0,
            last_ms: 0,
            ended: false,
        }
    }

    /// Format of the frames as the driver delivers them.
    pub fn format(&self) -> FrameFormat {
        self.format
    }
}

impl Source for Camera {
    fn name(&self) -> &str {
        &self.name
    }

    fn sense(&self) -> Sense {
        Sense::Image
    }

    fn next(&mut self, clock: &dyn Clock, wait_ms: u64, into: &mut Captured) -> Result<Step> {
        if self.ended {
            return Ok(Step::End);
        }
        let until_ms = clock.now_ms().saturating_add(wait_ms);
        loop {
            match self.slot.take(&mut self.bytes) {
                Ok(Some(age)) => {
                    let spare = match std::mem::take(&mut into.content) {
                        Content::Image(picture) => picture.into_pixels(),
                        _ => Vec::new(),
                    };
                    match to_picture(&self.format, &self.bytes, spare) {
                        Ok(picture) => {
                            let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
                            self.last_ms = clock.now_ms().saturating_sub(age_ms).max(self.last_ms);
                            (into.start_ms, into.end_ms) = (self.last_ms, self.last_ms);
                            into.content = Content::Image(picture);
                            into.clock = ClockKind::Monotonic;
                            into.dropped = self.dropped();
                            return Ok(Step::Got);
                        }
                        // A frame that the cable has damaged: the next one will do.
                        Err(_) => self.broken += 1,
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    self.ended = true;
                    return Err(error.of(&self.name));
                }
            }
            let now_ms = clock.now_ms();
            if now_ms >= until_ms {
                return Ok(Step::Idle);
            }
            clock.sleep_until((now_ms + POLL_MS).min(until_ms));
        }
    }

    fn dropped(&self) -> Dropped {
        Dropped {
            images: self.slot.lost() + self.broken,
            ..Dropped::default()
        }
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.slot.stop();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has nothing left to end.
            let _ = thread.join();
        }
    }
}

fn broken_frame(detail: String) -> Error {
    Error::new(ErrorKind::Malformed, detail)
}
