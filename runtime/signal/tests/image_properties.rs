//! Properties of the picture steps on arbitrary pictures, and the errors of wrong parameters.
#![allow(clippy::unwrap_used)]

use limbic_signal::ErrorKind;
use limbic_signal::image::{
    Channels, CropParams, GreyParams, GreyWeights, LayoutParams, MAX_INPUT_SIDE, MAX_RESIZED_SIDE, Picture,
    PictureView, PixelOrder, Region, ResizeFilter, ResizeParams, ScaleParams, StandardiseParams, crop, grey,
    resize, to_tensor,
};
use proptest::prelude::*;

const GREY: GreyParams = GreyParams {
    weights: GreyWeights::Itu601Pil,
};

fn resize_params(width: u32, height: u32) -> ResizeParams {
    ResizeParams {
        width,
        height,
        filter: ResizeFilter::BilinearAntialiasPil,
    }
}

fn any_channels() -> impl Strategy<Value = Channels> {
    prop_oneof![Just(Channels::Grey), Just(Channels::Rgb)]
}

fn any_picture() -> impl Strategy<Value = Picture> {
    (1..40u32, 1..40u32, any_channels()).prop_flat_map(|(width, height, channels)| {
        let len = width as usize * height as usize * channels.count();
        proptest::collection::vec(any::<u8>(), len)
            .prop_map(move |pixels| Picture::new(width, height, channels, pixels).unwrap())
    })
}

/// Transposes rows and columns.
fn turned(picture: &Picture) -> Picture {
    let count = picture.channels().count();
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut pixels = Vec::new();
    for x in 0..width {
        for y in 0..height {
            pixels.extend_from_slice(&picture.pixels()[(y * width + x) * count..][..count]);
        }
    }
    Picture::new(picture.height(), picture.width(), picture.channels(), pixels).unwrap()
}

proptest! {
    #[test]
    fn a_constant_picture_stays_constant(
        value: u8, size in (1..200u32, 1..200u32), to in (1..200u32, 1..200u32), channels in any_channels(),
    ) {
        let len = size.0 as usize * size.1 as usize * channels.count();
        let source = Picture::new(size.0, size.1, channels, vec![value; len]).unwrap();
        let resized = resize(source.view(), &resize_params(to.0, to.1)).unwrap();
        prop_assert_eq!((resized.width(), resized.height()), to);
        prop_assert_eq!(resized.pixels().len(), to.0 as usize * to.1 as usize * channels.count());
        prop_assert!(resized.pixels().iter().all(|&pixel| pixel == value));
    }

    #[test]
    fn values_stay_within_those_of_the_source(source in any_picture(), to in (1..60u32, 1..60u32)) {
        let resized = resize(source.view(), &resize_params(to.0, to.1)).unwrap();
        let (low, high) = (source.pixels().iter().min().unwrap(), source.pixels().iter().max().unwrap());
        prop_assert!(resized.pixels().iter().all(|pixel| (low..=high).contains(&pixel)));
    }

    #[test]
    fn one_changed_side_is_the_same_along_rows_and_columns(source in any_picture(), to in 1..60u32) {
        let rows = resize(source.view(), &resize_params(to, source.height())).unwrap();
        let columns = resize(turned(&source).view(), &resize_params(source.height(), to)).unwrap();
        prop_assert_eq!(turned(&rows), columns);
    }

    #[test]
    fn the_same_size_changes_nothing(source in any_picture()) {
        let resized = resize(source.view(), &resize_params(source.width(), source.height())).unwrap();
        prop_assert_eq!(resized, source);
    }

    #[test]
    fn a_crop_without_margin_is_the_region(source in any_picture(), a: [u32; 4]) {
        let (x, y) = (a[0] % source.width(), a[1] % source.height());
        let (w, h) = (1 + a[2] % (source.width() - x), 1 + a[3] % (source.height() - y));
        let region = Region { x: x as i32, y: y as i32, w, h };
        let cut = crop(source.view(), region, &CropParams { margin: 0.0 }).unwrap();
        prop_assert_eq!((cut.width(), cut.height()), (w, h));
        let count = source.channels().count();
        for (row, line) in cut.rows().enumerate() {
            let start = ((y as usize + row) * source.width() as usize + x as usize) * count;
            prop_assert_eq!(line, &source.pixels()[start..start + w as usize * count]);
        }
    }

    #[test]
    fn any_region_gives_a_part_of_the_picture_or_an_error(
        source in any_picture(), x: i32, y: i32, w: u32, h: u32, margin: f64,
    ) {
        for (x, y) in [(x, y), (x % 50, y % 50)] {
            match crop(source.view(), Region { x, y, w, h }, &CropParams { margin }) {
                Ok(cut) => {
                    prop_assert!((1..=source.width()).contains(&cut.width()));
                    prop_assert!((1..=source.height()).contains(&cut.height()));
                    prop_assert_eq!(cut.rows().len(), cut.height() as usize);
                }
                Err(error) => prop_assert!(matches!(error.kind(), ErrorKind::Region | ErrorKind::Parameter)),
            }
        }
    }

    #[test]
    fn standardised_values_have_mean_zero_and_spread_one(source in any_picture()) {
        let mut tensor = to_tensor(source.view()).unwrap();
        tensor.standardise(&StandardiseParams { min_std: 1e-3 }).unwrap();
        let count = tensor.values().len() as f64;
        let mean = tensor.values().iter().map(|&value| f64::from(value)).sum::<f64>() / count;
        let variance = tensor.values().iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / count;
        prop_assert!(mean.abs() < 1e-5);
        let constant = source.pixels().iter().all(|pixel| *pixel == source.pixels()[0]);
        prop_assert!((variance - if constant { 0.0 } else { 1.0 }).abs() < 1e-4, "{}", variance);
    }

    #[test]
    fn layouts_hold_the_same_values(source in any_picture()) {
        let tensor = to_tensor(source.view()).unwrap();
        let planes = tensor.clone().layout(&LayoutParams { order: PixelOrder::Nchw });
        let pixels = tensor.layout(&LayoutParams { order: PixelOrder::Nhwc });
        let count = source.channels().count();
        let area = pixels.len() / count;
        for (at, value) in pixels.iter().enumerate() {
            prop_assert_eq!(*value, planes[at % count * area + at / count]);
            prop_assert_eq!(*value, f32::from(source.pixels()[at]));
        }
    }
}

#[test]
fn a_grey_picture_stays_as_it_is() {
    let source = Picture::new(2, 2, Channels::Grey, vec![0, 1, 254, 255]).unwrap();
    assert_eq!(grey(source.view(), &GREY), source);
}

#[test]
fn wrong_buffers_are_refused() {
    for (width, height, len) in [
        (0, 1, 0),
        (1, 0, 0),
        (2, 2, 3),
        (2, 2, 5),
        (u32::MAX, u32::MAX, 16),
    ] {
        for channels in [Channels::Grey, Channels::Rgb] {
            let error = PictureView::new(width, height, channels, &vec![0; len]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Shape, "{width}x{height} {len}");
        }
    }
    let error = Picture::new(2, 3, Channels::Rgb, vec![0; 17]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "picture buffer: expected 18 values for 2x3x3, found 17"
    );
}

#[test]
fn wrong_resizes_are_refused() {
    let source = Picture::new(2, 2, Channels::Grey, vec![0; 4]).unwrap();
    for (width, height) in [(0, 1), (1, 0), (MAX_RESIZED_SIDE + 1, 1), (1, u32::MAX)] {
        let error = resize(source.view(), &resize_params(width, height)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Parameter);
    }
    let long = Picture::new(
        MAX_INPUT_SIDE + 1,
        1,
        Channels::Grey,
        vec![9; MAX_INPUT_SIDE as usize + 1],
    )
    .unwrap();
    assert_eq!(
        resize(long.view(), &resize_params(1, 1)).unwrap_err().kind(),
        ErrorKind::Limit
    );
    let longest = Picture::new(
        1,
        MAX_INPUT_SIDE,
        Channels::Grey,
        vec![255; MAX_INPUT_SIDE as usize],
    )
    .unwrap();
    assert_eq!(
        resize(longest.view(), &resize_params(1, 1)).unwrap().pixels(),
        [255]
    );
}

#[test]
fn wrong_scales_are_refused_and_change_nothing() {
    let source = Picture::new(1, 1, Channels::Rgb, vec![1, 2, 3]).unwrap();
    let mut tensor = to_tensor(source.view()).unwrap();
    let before = tensor.clone();
    for (factor, mean, std) in [
        (1.0, vec![], vec![1.0]),
        (1.0, vec![0.0], vec![1.0, 1.0]),
        (1.0, vec![0.0; 4], vec![1.0]),
        (1.0, vec![0.0], vec![0.0]),
        (f64::NAN, vec![0.0], vec![1.0]),
        (1.0, vec![f64::INFINITY], vec![1.0]),
    ] {
        let error = tensor.scale(&ScaleParams { factor, mean, std }).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Parameter);
    }
    for min_std in [0.0, -1.0, f32::NAN, f32::INFINITY] {
        assert_eq!(
            tensor
                .standardise(&StandardiseParams { min_std })
                .unwrap_err()
                .kind(),
            ErrorKind::Parameter
        );
    }
    assert_eq!(tensor, before);
}
