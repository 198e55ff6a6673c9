//! The camera's conversions, its newest-wins slot and its errors, with a device that the test drives.
#![cfg(all(feature = "camera", target_os = "linux"))]
#![allow(clippy::unwrap_used)]

mod fixtures;

use fixtures::bytes;
use limbic_capture::camera::{
    Camera, FrameDevice, FrameFormat, FrameStamp, PixelLayout, V4l2Device, V4l2Request, to_picture,
};
use limbic_capture::files::{Limits, image};
use limbic_capture::source::{Captured, Content, Pace, Source, Step, SystemClock};
use limbic_capture::{Error, ErrorKind, InputUri};
use limbic_signal::image::Channels;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

type Frame = Result<(u32, Vec<u8>), Error>;

/// Delivers what the test sends, and tells the test when it was asked for more.
struct FakeDevice {
    format: FrameFormat,
    frames: Receiver<Frame>,
    asked: Sender<()>,
}

impl FrameDevice for FakeDevice {
    fn format(&self) -> FrameFormat {
        self.format
    }

    fn next_frame(
        &mut self,
        wait: Duration,
        bytes: &mut Vec<u8>,
    ) -> limbic_capture::Result<Option<FrameStamp>> {
        let _ = self.asked.send(());
        match self.frames.recv_timeout(wait) {
            Ok(Ok((sequence, frame))) => {
                bytes.clone_from(&frame);
                Ok(Some(FrameStamp {
                    sequence,
                    age: Duration::ZERO,
                }))
            }
            Ok(Err(error)) => Err(error),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }
}

/// An error as a device gives it: that of a path that is not there.
fn gone() -> Error {
    V4l2Device::open(Path::new("/dev/no-such-camera"), &V4l2Request::default()).unwrap_err()
}

const SMALL: FrameFormat = FrameFormat {
    layout: PixelLayout::Grey,
    width: 2,
    height: 2,
    row_bytes: 2,
};

fn fake_camera(format: FrameFormat) -> (Camera, Sender<Frame>, Receiver<()>) {
    let (send, frames) = channel();
    let (asked, was_asked) = channel();
    (
        Camera::new(
            "fake",
            FakeDevice {
                format,
                frames,
                asked,
            },
        ),
        send,
        was_asked,
    )
}

/// Sends frames and waits until the camera's thread has taken all of them.
fn deliver(send: &Sender<Frame>, asked: &Receiver<()>, frames: impl IntoIterator<Item = (u32, Vec<u8>)>) {
    asked.recv().unwrap();
    for frame in frames {
        send.send(Ok(frame)).unwrap();
        asked.recv().unwrap();
    }
}

fn first_pixel(captured: &Captured) -> u8 {
    let Content::Image(picture) = &captured.content else {
        panic!("no picture")
    };
    picture.pixels()[0]
}

#[test]
fn the_newest_frame_wins_and_the_others_are_counted() {
    let (mut camera, send, asked) = fake_camera(SMALL);
    let (clock, mut captured) = (SystemClock::new(), Captured::default());
    assert_eq!(camera.next(&clock, 0, &mut captured).unwrap(), Step::Idle);
    deliver(&send, &asked, (0..5).map(|index| (index, vec![index as u8; 4])));
    assert_eq!(camera.next(&clock, 0, &mut captured).unwrap(), Step::Got);
    assert_eq!((first_pixel(&captured), captured.dropped.images), (4, 4));
    assert_eq!(
        camera.next(&clock, 0, &mut captured).unwrap(),
        Step::Idle,
        "a frame is given once"
    );
}

#[test]
fn frames_that_the_driver_skipped_are_counted() {
    let (mut camera, send, asked) = fake_camera(SMALL);
    let (clock, mut captured) = (SystemClock::new(), Captured::default());
    deliver(&send, &asked, [(7, vec![1; 4])]);
    assert_eq!(camera.next(&clock, 0, &mut captured).unwrap(), Step::Got);
    assert_eq!(captured.dropped.images, 0);
    send.send(Ok((11, vec![2; 4]))).unwrap();
    asked.recv().unwrap();
    assert_eq!(camera.next(&clock, 2000, &mut captured).unwrap(), Step::Got);
    assert_eq!((first_pixel(&captured), captured.dropped.images), (2, 3));
}

#[test]
fn a_broken_frame_is_counted_and_passed_over() {
    let (mut camera, send, asked) = fake_camera(SMALL);
    let (clock, mut captured) = (SystemClock::new(), Captured::default());
    deliver(&send, &asked, [(0, vec![1; 3])]);
    assert_eq!(camera.next(&clock, 0, &mut captured).unwrap(), Step::Idle);
    assert_eq!(camera.dropped().images, 1);
    send.send(Ok((1, vec![9; 4]))).unwrap();
    asked.recv().unwrap();
    assert_eq!(camera.next(&clock, 2000, &mut captured).unwrap(), Step::Got);
    assert_eq!(first_pixel(&captured), 9);
}

#[test]
fn a_device_that_goes_away_ends_the_source_after_its_last_frame() {
    let (mut camera, send, asked) = fake_camera(SMALL);
    let (clock, mut captured) = (SystemClock::new(), Captured::default());
    deliver(&send, &asked, [(0, vec![3; 4])]);
    send.send(Err(gone())).unwrap();
    assert_eq!(camera.next(&clock, 0, &mut captured).unwrap(), Step::Got);
    let error = camera.next(&clock, 2000, &mut captured).unwrap_err();
    assert_eq!((error.kind(), error.input()), (ErrorKind::NoDevice, "fake"));
    assert_eq!(camera.next(&clock, 0, &mut captured).unwrap(), Step::End);
}

#[test]
fn yuyv_follows_the_stated_formula() {
    let format = FrameFormat {
        layout: PixelLayout::Yuyv,
        width: 2,
        height: 1,
        row_bytes: 4,
    };
    let exact = |value: f64| value.round().clamp(0.0, 255.0) as u8;
    for y in (0..=255).step_by(5) {
        for u in (0..=255).step_by(15) {
            for v in (0..=255).step_by(15) {
                let picture = to_picture(&format, &[y as u8, u as u8, 235, v as u8], Vec::new()).unwrap();
                let (y, u, v) = (f64::from(y) - 16.0, f64::from(u) - 128.0, f64::from(v) - 128.0);
                let expected = [
                    exact(1.164384 * y + 1.596027 * v),
                    exact(1.164384 * y - 0.391762 * u - 0.812968 * v),
                    exact(1.164384 * y + 2.017232 * u),
                ];
                for (ours, expected) in picture.pixels()[..3].iter().zip(expected) {
                    assert!(
                        ours.abs_diff(expected) <= 1,
                        "{y} {u} {v}: {ours} instead of {expected}"
                    );
                }
            }
        }
    }
    // Black, white and the three primaries as a camera encodes them.
    for (yuv, rgb) in [
        ([16, 128, 128], [0, 0, 0]),
        ([235, 128, 128], [255, 255, 255]),
        ([81, 90, 240], [255, 0, 0]),
        ([145, 54, 34], [0, 255, 0]),
        ([41, 240, 110], [0, 0, 255]),
    ] {
        let [y, u, v] = yuv;
        let picture = to_picture(&format, &[y, u, y, v], Vec::new()).unwrap();
        for (ours, expected) in picture.pixels()[3..].iter().zip(rgb) {
            assert!(
                ours.abs_diff(expected) <= 1,
                "{yuv:?} gave {:?}",
                picture.pixels()
            );
        }
    }
}

#[test]
fn padded_rows_and_odd_widths_are_read() {
    let grey = FrameFormat {
        layout: PixelLayout::Grey,
        width: 3,
        height: 2,
        row_bytes: 4,
    };
    let picture = to_picture(&grey, &[1, 2, 3, 99, 4, 5, 6, 99], vec![7; 100]).unwrap();
    assert_eq!(
        (picture.channels(), picture.pixels()),
        (Channels::Grey, &[1, 2, 3, 4, 5, 6][..])
    );
    let odd = FrameFormat {
        layout: PixelLayout::Yuyv,
        width: 3,
        height: 1,
        row_bytes: 8,
    };
    let picture = to_picture(&odd, &[16, 128, 235, 128, 126, 128, 0, 128], Vec::new()).unwrap();
    assert_eq!(picture.pixels(), [0, 0, 0, 255, 255, 255, 128, 128, 128]);
    let short = to_picture(&odd, &[16, 128, 235, 128], Vec::new()).unwrap_err();
    assert_eq!(short.kind(), ErrorKind::Malformed);
}

/// Removes the segments with marker `wanted`.
fn without_segments(jpeg: &[u8], wanted: u8) -> Vec<u8> {
    let (mut kept, mut at) = (jpeg[..2].to_vec(), 2);
    while jpeg[at + 1] != 0xDA {
        let length = 2 + usize::from(u16::from_be_bytes([jpeg[at + 2], jpeg[at + 3]]));
        if jpeg[at + 1] != wanted {
            kept.extend(&jpeg[at..at + length]);
        }
        at += length;
    }
    kept.extend(&jpeg[at..]);
    kept
}

#[test]
fn motion_jpeg_without_huffman_tables_is_decoded() {
    let whole = bytes("j420.jpg");
    let bare = without_segments(&whole, 0xC4);
    assert!(bare.len() + 300 < whole.len(), "the tables are gone");
    let format = FrameFormat {
        layout: PixelLayout::Mjpeg,
        width: 37,
        height: 29,
        row_bytes: 0,
    };
    // Cameras pad their frames.
    let padded = [bare.as_slice(), &[0; 64]].concat();
    let expected = image::decode("whole", &whole, &Limits::default()).unwrap();
    assert_eq!(to_picture(&format, &padded, Vec::new()).unwrap(), expected);
    assert_eq!(
        to_picture(&format, &bytes("rgb.png"), Vec::new())
            .unwrap_err()
            .kind(),
        ErrorKind::WrongType
    );
}

#[test]
fn what_is_not_a_camera_says_so() {
    let missing = InputUri::parse("v4l2:/dev/no-such-camera")
        .unwrap()
        .open(Pace::RealTime)
        .err()
        .unwrap();
    assert_eq!(missing.kind(), ErrorKind::NoDevice);
    assert!(
        missing
            .to_string()
            .starts_with("v4l2:/dev/no-such-camera: no such device: /dev has "),
        "{missing}"
    );
    let null = InputUri::parse("v4l2:/dev/null")
        .unwrap()
        .open(Pace::RealTime)
        .err()
        .unwrap();
    assert_eq!(
        null.to_string(),
        "v4l2:/dev/null: no such device: this is not a V4L2 device"
    );
}
