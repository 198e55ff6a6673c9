//! The inputs that `make.py` makes, again: from integers alone, so that their bytes are the same.

use std::path::Path;

use limbic_graph::{Dtype, Tensor, TensorType};
use serde_json::Value;

/// SplitMix64.
fn random_words(seed: u64, count: usize) -> Vec<u64> {
    (1..=count as u64)
        .map(|n| {
            let mut z = seed.wrapping_add(n.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        })
        .collect()
}

/// Whole numbers of 0 to 2^24 - 1 in the given shape.
fn levels(spec: &Value, shape: &[usize], shared: &Path) -> Vec<u32> {
    let count = shape.iter().product();
    let seed = || spec["seed"].as_u64().unwrap();
    let source = || shared.join(spec["source"].as_str().unwrap());
    let top = |word: &u64| (word >> 40) as u32;
    match spec["kind"].as_str().unwrap() {
        "noise" => random_words(seed(), count).iter().map(top).collect(),
        "blocks" => {
            let channels = shape[3];
            let (rows, columns) = (shape[1].div_ceil(8), shape[2].div_ceil(8));
            let words = random_words(seed(), shape[0] * rows * columns * channels);
            (0..count)
                .map(|at| {
                    let (channel, column) = (at % channels, at / channels % shape[2]);
                    let (row, picture) = (
                        at / channels / shape[2] % shape[1],
                        at / channels / shape[2] / shape[1],
                    );
                    top(&words[((picture * rows + row / 8) * columns + column / 8) * channels + channel])
                })
                .collect()
        }
        "face" => {
            let picture = image::open(source()).unwrap().to_luma8();
            let (width, height) = (picture.width() as usize, picture.height() as usize);
            (0..count)
                .map(|at| {
                    let (row, column) = (at / shape[3] / shape[2] % shape[1], at / shape[3] % shape[2]);
                    let (y, x) = (row * height / shape[1], column * width / shape[2]);
                    u32::from(picture.get_pixel(x as u32, y as u32).0[0]) * ((1 << 24) / 255)
                })
                .collect()
        }
        "sound" => {
            let bytes = std::fs::read(source()).unwrap();
            let start = 44 + 2 * spec["start"].as_u64().unwrap() as usize;
            let samples = bytes[start..start + 2 * count].chunks_exact(2);
            samples
                .map(|pair| ((i32::from(i16::from_le_bytes([pair[0], pair[1]])) + 32768) as u32) << 8)
                .collect()
        }
        other => panic!("no such input: {other}"),
    }
}

/// An input as the specification says.
pub fn make(spec: &Value, ty: &TensorType, shared: &Path) -> Tensor {
    let shape = ty.shape().unwrap();
    let levels = levels(spec, &shape, shared);
    match ty.dtype {
        Dtype::F32 => {
            let bound = |name: &str| spec[name].as_f64().unwrap() as f32;
            let (low, high) = (bound("low"), bound("high"));
            let whole = spec["whole"].as_bool() == Some(true);
            let real = |n: u32| low + (high - low) * (n as f32 / (1 << 24) as f32);
            let values = levels.into_iter().map(real);
            let values: Vec<f32> = values.map(|x| if whole { x.floor() } else { x }).collect();
            Tensor::new(&shape, values).unwrap()
        }
        Dtype::I8 => {
            let values: Vec<i8> = levels
                .into_iter()
                .map(|n| ((n >> 16) as i32 - 128) as i8)
                .collect();
            Tensor::new(&shape, values)
                .unwrap()
                .with_quantization(ty.quantization.clone())
        }
        Dtype::U8 => {
            let values: Vec<u8> = levels.into_iter().map(|n| (n >> 16) as u8).collect();
            Tensor::new(&shape, values)
                .unwrap()
                .with_quantization(ty.quantization.clone())
        }
        other => panic!("no inputs of {other}"),
    }
}

/// The bytes of a tensor as they lie in memory.
pub fn bytes(tensor: &Tensor) -> Vec<u8> {
    match tensor.dtype() {
        Dtype::F32 => tensor
            .elements::<f32>()
            .unwrap()
            .iter()
            .flat_map(|x| x.to_le_bytes())
            .collect(),
        Dtype::I8 => tensor
            .elements::<i8>()
            .unwrap()
            .iter()
            .map(|&x| x as u8)
            .collect(),
        Dtype::U8 => tensor.elements::<u8>().unwrap().to_vec(),
        other => panic!("no inputs of {other}"),
    }
}
