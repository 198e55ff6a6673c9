//! Picture steps against Pillow: equal bit for bit, and tensors against numpy within a named tolerance.
//! The expected values are written by `tests/golden/make_image.py`.
#![allow(clippy::unwrap_used)]

use limbic_signal::ErrorKind;
use limbic_signal::image::{
    Channels, CropParams, GreyParams, GreyWeights, LayoutParams, Picture, PixelOrder, Region, ResizeFilter,
    ResizeParams, ScaleParams, StandardiseParams, crop, grey, resize, to_tensor,
};
use serde_json::Value;
use sha2::{Digest, Sha256};

const GREY: GreyParams = GreyParams {
    weights: GreyWeights::Itu601Pil,
};

/// Largest difference of a scaled value from numpy's `float64`: a few units in the last place of an `f32` near 3.
const TENSOR_TOLERANCE: f64 = 1e-6;

fn cases(json: &str) -> Vec<Value> {
    let golden: Value = serde_json::from_str(json).unwrap();
    golden["cases"].as_array().unwrap().clone()
}

fn numbers(value: &Value) -> Vec<f64> {
    value
        .as_array()
        .unwrap()
        .iter()
        .map(|number| number.as_f64().unwrap())
        .collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn resize_params(width: u32, height: u32) -> ResizeParams {
    ResizeParams {
        width,
        height,
        filter: ResizeFilter::BilinearAntialiasPil,
    }
}

/// The synthetic pictures of `make_image.py`.
fn picture(pattern: &str, width: u32, height: u32, channels: Channels, seed: u32) -> Picture {
    let mut state = seed;
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            for c in 0..channels.count() as u32 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = state >> 24;
                let value = match pattern {
                    "noise" => noise,
                    "gradient_x" => (x * 255 / (width - 1).max(1) + c * 40) % 256,
                    "gradient_y" => (y * 255 / (height - 1).max(1) + c * 40) % 256,
                    "checks" => (x / 3 + y / 2 + c) % 2 * 255,
                    "extremes" => noise / 128 * 255,
                    "constant" => seed % 256,
                    other => panic!("unknown pattern {other}"),
                };
                pixels.push(u8::try_from(value).unwrap());
            }
        }
    }
    Picture::new(width, height, channels, pixels).unwrap()
}

fn channels(case: &Value) -> Channels {
    if case["channels"] == 1 {
        Channels::Grey
    } else {
        Channels::Rgb
    }
}

#[test]
fn resize_equals_pillow() {
    let cases = cases(include_str!("golden/image/resize.json"));
    assert!(cases.len() > 150);
    for case in &cases {
        let (from, to) = (numbers(&case["from"]), numbers(&case["to"]));
        let seed = case["seed"].as_u64().unwrap() as u32;
        let pattern = case["pattern"].as_str().unwrap();
        let source = picture(pattern, from[0] as u32, from[1] as u32, channels(case), seed);
        let resized = resize(source.view(), &resize_params(to[0] as u32, to[1] as u32)).unwrap();
        assert_eq!(case["sha256"], sha256(resized.pixels()), "{case}");
    }
}

#[test]
fn grey_crop_and_resize_equal_pillow() {
    let cases = cases(include_str!("golden/image/crop.json"));
    let mut outside = 0;
    for case in &cases {
        let size = numbers(&case["size"]);
        let region = numbers(&case["region"]);
        let (x, y, w, h) = (
            region[0] as i32,
            region[1] as i32,
            region[2] as u32,
            region[3] as u32,
        );
        let params = CropParams {
            margin: case["margin"].as_f64().unwrap(),
        };
        let seed = case["seed"].as_u64().unwrap() as u32;
        let source = picture("noise", size[0] as u32, size[1] as u32, Channels::Rgb, seed);
        let grey_source = grey(source.view(), &GREY);
        let cut = crop(grey_source.view(), Region { x, y, w, h }, &params);
        if case["box"].is_null() {
            assert_eq!(cut.unwrap_err().kind(), ErrorKind::Region, "{case}");
            outside += 1;
            continue;
        }
        let cut = cut.unwrap();
        assert_eq!(case["cut_sha256"], sha256(cut.to_picture().pixels()), "{case}");
        let small = resize(cut, &resize_params(48, 48)).unwrap();
        assert_eq!(case["resized_sha256"], sha256(small.pixels()), "{case}");

        let colour_first = crop(source.view(), Region { x, y, w, h }, &params).unwrap();
        assert_eq!(grey(colour_first, &GREY), cut.to_picture(), "{case}");
    }
    assert!(outside > 0 && outside < cases.len() / 2);
}

#[test]
fn grey_of_every_colour_equals_pillow() {
    let golden = cases(include_str!("golden/image/grey.json"));
    assert_eq!(golden.len(), 256);
    for (red, digest) in golden.iter().enumerate() {
        let pixels = (0..=255)
            .flat_map(|green| (0..=255).flat_map(move |blue| [red as u8, green, blue]))
            .collect();
        let source = Picture::new(256, 256, Channels::Rgb, pixels).unwrap();
        let digest_here = sha256(grey(source.view(), &GREY).pixels());
        assert_eq!(digest.as_str().unwrap(), &digest_here[..16], "red {red}");
    }
}

#[test]
fn tensors_equal_numpy() {
    for case in &cases(include_str!("golden/image/tensor.json")) {
        let size = numbers(&case["size"]);
        let source = picture("noise", size[0] as u32, size[1] as u32, channels(case), 99);
        let scale = ScaleParams {
            factor: case["factor"].as_f64().unwrap(),
            mean: numbers(&case["mean"]),
            std: numbers(&case["std"]),
        };
        let mut scaled = to_tensor(source.view()).unwrap();
        scaled.scale(&scale).unwrap();
        let mut standardised = to_tensor(source.view()).unwrap();
        standardised
            .standardise(&StandardiseParams { min_std: 0.01 })
            .unwrap();
        for (name, tensor, order) in [
            ("scaled_nchw", scaled.clone(), PixelOrder::Nchw),
            ("scaled_nhwc", scaled, PixelOrder::Nhwc),
            ("standardised_nchw", standardised, PixelOrder::Nchw),
        ] {
            let values = tensor.layout(&LayoutParams { order });
            let expected = numbers(&case[name]);
            assert_eq!(values.len(), expected.len());
            for (value, expected) in values.iter().zip(&expected) {
                assert!(
                    (f64::from(*value) - expected).abs() <= TENSOR_TOLERANCE,
                    "{name}: {value} {expected}"
                );
            }
        }
    }
}
