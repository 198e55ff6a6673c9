//! A V4L2 camera for real: the kernel's test camera `vivid`, which shows colour bars.
//!
//! Needs the device (`modprobe vivid`, as root); says `skipped: no test camera` without it. As root it also takes the
//! camera away while it streams, as a pulled plug does; else it says so, and that is counted too.
#![cfg(all(feature = "camera", target_os = "linux"))]
#![allow(clippy::unwrap_used)]

use limbic_capture::camera::{FrameDevice, PixelLayout, V4l2Device, V4l2Request, to_picture};
use limbic_capture::source::{Captured, Clock, Content, Pace, Step, SystemClock};
use limbic_capture::{ErrorKind, InputUri};
use limbic_signal::image::{Channels, Picture};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where the driver binds its devices, and the name of the first.
const DRIVER: &str = "/sys/bus/platform/drivers/vivid";
const INSTANCE: &str = "vivid.0";

/// The bars at 75 % of full colour, from left to right.
const BARS: [[u8; 3]; 8] = [
    [191, 191, 191],
    [191, 191, 0],
    [0, 191, 191],
    [0, 191, 0],
    [191, 0, 191],
    [191, 0, 0],
    [0, 0, 191],
    [0, 0, 0],
];

/// The node of the driver that delivers frames.
fn test_camera() -> Option<PathBuf> {
    let mut nodes: Vec<PathBuf> = std::fs::read_dir("/sys/class/video4linux")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            let name = std::fs::read_to_string(path.join("name")).unwrap_or_default();
            name.starts_with("vivid") && name.trim_end().ends_with("-vid-cap")
        })
        .collect();
    nodes.sort();
    Some(Path::new("/dev").join(nodes.first()?.file_name()?))
}

#[test]
fn frames_of_a_camera_come_through() {
    let Some(camera) = test_camera() else {
        println!("skipped: no test camera");
        return;
    };
    colour_bars_have_their_colours(&camera, PixelLayout::Yuyv);
    grey_bars_fall_in_brightness(&camera);
    a_layout_that_it_lacks_is_refused(&camera);
    a_camera_in_use_is_refused(&camera);
    the_newest_frame_wins(&camera);
    a_pulled_plug_ends_the_stream(&camera);
}

fn request(layout: PixelLayout) -> V4l2Request {
    V4l2Request {
        width: 640,
        height: 480,
        layouts: vec![layout],
    }
}

/// The third frame, after two that must have been counted before it.
fn third_frame(camera: &Path, layout: PixelLayout) -> Picture {
    let mut device = V4l2Device::open(camera, &request(layout)).unwrap();
    assert_eq!(device.format().layout, layout);
    let mut bytes = Vec::new();
    let mut sequences = Vec::new();
    while sequences.len() < 3 {
        if let Some(stamp) = device.next_frame(Duration::from_secs(5), &mut bytes).unwrap() {
            assert!(stamp.age < Duration::from_secs(5), "{stamp:?}");
            sequences.push(stamp.sequence);
        }
    }
    assert!(
        sequences.is_sorted() && sequences[0] < sequences[2],
        "{sequences:?}"
    );
    to_picture(&device.format(), &bytes, Vec::new()).unwrap()
}

/// The pixel amid each bar, in the lowest eighth: the driver writes the time over the rest.
fn bars_of(picture: &Picture) -> [Vec<u8>; 8] {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let depth = picture.pixels().len() / (width * height);
    std::array::from_fn(|bar| {
        let at = (height - height / 16) * width + (2 * bar + 1) * width / 16;
        picture.pixels()[at * depth..][..depth].to_vec()
    })
}

fn colour_bars_have_their_colours(camera: &Path, layout: PixelLayout) {
    let picture = third_frame(camera, layout);
    assert_eq!(picture.channels(), Channels::Rgb);
    for (found, expected) in bars_of(&picture).iter().zip(BARS) {
        let near = found.iter().zip(expected).all(|(&a, b)| a.abs_diff(b) <= 4);
        assert!(near, "{found:?} instead of {expected:?}");
    }
}

/// Whatever weights make brightness of colours, the bars' order is that of falling brightness.
fn grey_bars_fall_in_brightness(camera: &Path) {
    let picture = third_frame(camera, PixelLayout::Grey);
    assert_eq!(picture.channels(), Channels::Grey);
    let bars = bars_of(&picture).map(|pixel| pixel[0]);
    assert!(bars.windows(2).all(|pair| pair[0] > pair[1] + 4), "{bars:?}");
    assert!(bars[0].abs_diff(191) <= 4 && bars[7] <= 4, "{bars:?}");
}

fn a_layout_that_it_lacks_is_refused(camera: &Path) {
    let error = V4l2Device::open(camera, &request(PixelLayout::Mjpeg)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Device);
    assert!(error.to_string().contains("YUYV"), "{error}");
}

fn a_camera_in_use_is_refused(camera: &Path) {
    let first = V4l2Device::open(camera, &request(PixelLayout::Yuyv)).unwrap();
    let error = V4l2Device::open(camera, &request(PixelLayout::Yuyv)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Device, "{error}");
    drop(first);
    V4l2Device::open(camera, &request(PixelLayout::Yuyv)).unwrap();
}

fn the_newest_frame_wins(camera: &Path) {
    let uri: InputUri = format!("v4l2:{}", camera.display()).parse().unwrap();
    let mut source = uri.open(Pace::RealTime).unwrap();
    let clock = SystemClock::new();
    let mut captured = Captured::default();
    assert_eq!(source.next(&clock, 5000, &mut captured).unwrap(), Step::Got);
    let before = captured.dropped.images;
    // A reader that is late by many frames.
    std::thread::sleep(Duration::from_secs(2));
    let now = clock.now_ms();
    assert_eq!(source.next(&clock, 5000, &mut captured).unwrap(), Step::Got);
    assert!(matches!(captured.content, Content::Image(_)));
    assert!(
        captured.start_ms + 1000 > now,
        "{} is old at {now}",
        captured.start_ms
    );
    assert!(captured.dropped.images > before + 3, "{:?}", captured.dropped);
}

fn a_pulled_plug_ends_the_stream(camera: &Path) {
    let uri: InputUri = format!("v4l2:{}", camera.display()).parse().unwrap();
    let mut source = uri.open(Pace::RealTime).unwrap();
    let clock = SystemClock::new();
    let mut captured = Captured::default();
    assert_eq!(source.next(&clock, 5000, &mut captured).unwrap(), Step::Got);
    if std::fs::write(Path::new(DRIVER).join("unbind"), INSTANCE).is_err() {
        println!("skipped: no right to take the test camera away");
        return;
    }
    let until = clock.now_ms() + 10_000;
    let error = loop {
        match source.next(&clock, 500, &mut captured) {
            Ok(step) => assert!(clock.now_ms() < until, "{step:?} after the camera was gone"),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("v4l2:"), "{error}");
    assert_eq!(source.next(&clock, 500, &mut captured).unwrap(), Step::End);
    drop(source);
    std::fs::write(Path::new(DRIVER).join("bind"), INSTANCE).unwrap();
    let again = test_camera().unwrap();
    assert!(third_frame(&again, PixelLayout::Yuyv).width() > 0);
}
