//! The audio steps at the edges of their input: empty, one sample, samples that are not finite, absurd parameters.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use limbic_signal::ErrorKind;
use limbic_signal::audio::{
    LogCompression, LogMel, LogMelParams, MelNorm, MelScale, MixParams, MixRule, PadMode, ResampleParams,
    ResampleWindow, Resampler, RmsNormaliseParams, SILENCE_DBFS, ScaleParams, ShortRule, SpeechGate,
    SpeechGateParams, StandardiseParams, Tail, Window, WindowFunction, WindowParams, Windower, mix, rms_dbfs,
    rms_normalise, scale, standardise, standardise_bands,
};

mod noises;

fn resample_params(rate_hz: u32) -> ResampleParams {
    ResampleParams {
        rate_hz,
        zero_crossings: 6,
        rolloff: 0.99,
        window: ResampleWindow::Hann,
    }
}

fn log_mel_params() -> LogMelParams {
    LogMelParams {
        sample_rate_hz: 16_000,
        window_samples: 400,
        window: WindowFunction::HannPeriodic,
        hop_samples: 160,
        fft_size: 512,
        centre: false,
        pad: PadMode::None,
        power: 2.0,
        mels: 40,
        mel_scale: MelScale::Htk,
        mel_norm: MelNorm::None,
        low_hz: 20.0,
        high_hz: 8000.0,
        log: LogCompression::Natural,
        floor: 1e-6,
    }
}

const WINDOWS: WindowParams = WindowParams {
    length_ms: 100,
    hop_ms: 50,
    short: ShortRule::PadZero,
    min_ms: 20,
};

fn tail(samples: usize) -> (Vec<(u64, usize)>, Tail) {
    let mut windower = Windower::new(&WINDOWS, 1000).unwrap();
    let mut windows = Vec::new();
    let mut sink = |window: Window<'_>| -> limbic_signal::Result<()> {
        windows.push((window.start, window.padding));
        Ok(())
    };
    windower.push(&vec![0.1; samples], &mut sink).unwrap();
    let tail = windower.finish(&mut sink).unwrap();
    (windows, tail)
}

#[test]
fn channels_are_averaged() {
    let params = MixParams { mix: MixRule::Mean };
    let mut mono = vec![9.0];
    mix(&[1.0, 0.0, -0.5, 0.5], 2, &params, &mut mono).unwrap();
    assert_eq!(mono, [9.0, 0.5, 0.0]);
    assert_eq!(
        mix(&[1.0; 4], 3, &params, &mut mono).unwrap_err().kind(),
        ErrorKind::Shape
    );
    assert_eq!(
        mix(&[1.0; 4], 0, &params, &mut mono).unwrap_err().kind(),
        ErrorKind::Parameter
    );
    assert_eq!(mono.len(), 3);
}

#[test]
fn equal_rates_pass_samples_unchanged() {
    let mut resampler = Resampler::new(&resample_params(16_000), 16_000).unwrap();
    let mut output = Vec::new();
    resampler.push(&[0.25, -1.0, 0.1], &mut output).unwrap();
    resampler.finish(&mut output);
    assert_eq!(output, [0.25, -1.0, 0.1]);
}

#[test]
fn resampling_refuses_absurd_parameters() {
    for (rate_hz, input_hz) in [
        (0, 16_000),
        (16_000, 0),
        (999, 16_000),
        (16_000, 768_001),
        (16_000, u32::MAX),
    ] {
        let error = Resampler::new(&resample_params(rate_hz), input_hz).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Parameter, "{error}");
    }
    for change in [
        |params: &mut ResampleParams| params.zero_crossings = 0,
        |params: &mut ResampleParams| params.zero_crossings = u32::MAX,
        |params: &mut ResampleParams| params.rolloff = f64::NAN,
        |params: &mut ResampleParams| params.rolloff = 0.0,
    ] {
        let mut params = resample_params(16_000);
        change(&mut params);
        assert_eq!(
            Resampler::new(&params, 44_100).unwrap_err().kind(),
            ErrorKind::Parameter
        );
    }
}

#[test]
fn the_widest_ratios_give_the_stated_number_of_samples() {
    for (input_hz, rate_hz, samples) in [
        (768_000, 1_000, 5000),
        (767_999, 1_001, 2000),
        (1_000, 767_999, 3),
    ] {
        let mut resampler = Resampler::new(&resample_params(rate_hz), input_hz).unwrap();
        for _ in 0..2 {
            let mut output = Vec::new();
            resampler.push(&vec![0.5; samples], &mut output).unwrap();
            resampler.finish(&mut output);
            assert_eq!(
                output.len(),
                (samples * rate_hz as usize).div_ceil(input_hz as usize)
            );
        }
    }
    let mut nothing = Vec::new();
    Resampler::new(&resample_params(16_000), 44_100)
        .unwrap()
        .finish(&mut nothing);
    assert!(nothing.is_empty());
}

#[test]
fn samples_that_are_no_sound_are_refused_with_their_index() {
    for (bad, kind) in [
        (f32::NAN, ErrorKind::NotFinite),
        (f32::NEG_INFINITY, ErrorKind::NotFinite),
        (1e30, ErrorKind::OutOfRange),
    ] {
        let broken = [0.0, 0.5, bad, 0.0];
        let mut output = Vec::new();
        let mut resampler = Resampler::new(&resample_params(16_000), 8_000).unwrap();
        let mut log_mel = LogMel::new(&log_mel_params()).unwrap();
        let mut gate = SpeechGate::new(&noises::recommended_gate()).unwrap();
        let mut windower = Windower::new(&WINDOWS, 1000).unwrap();
        let sink = |_: Window<'_>| -> limbic_signal::Result<()> { Ok(()) };
        resampler.push(&[0.1; 3], &mut output).unwrap();
        log_mel.push(&[0.1; 3], &mut output).unwrap();
        gate.push(&[0.1; 3]).unwrap();
        windower.push(&[0.1; 3], sink).unwrap();
        let before = output.clone();
        for error in [
            resampler.push(&broken, &mut output).unwrap_err(),
            log_mel.push(&broken, &mut output).unwrap_err(),
            gate.push(&broken).unwrap_err(),
            windower.push(&broken, sink).unwrap_err(),
        ] {
            assert_eq!((error.kind(), error.index()), (kind, Some(5)), "{error}");
        }
        assert_eq!(output, before);
        let mixed = mix(&broken, 2, &MixParams { mix: MixRule::Mean }, &mut output).unwrap_err();
        assert_eq!((mixed.kind(), mixed.index()), (kind, Some(2)));
    }
}

#[test]
fn log_mel_of_little_input() {
    let mut log_mel = LogMel::new(&log_mel_params()).unwrap();
    for (samples, frames) in [(0, 0), (1, 0), (511, 0), (512, 1), (671, 1), (672, 2)] {
        let mut output = Vec::new();
        assert_eq!(log_mel.compute(&vec![0.0; samples], &mut output).unwrap(), frames);
        assert_eq!(output, vec![(1e-6f32 as f64).ln() as f32; frames * 40]);
    }
    let mut params = log_mel_params();
    (params.centre, params.pad) = (true, PadMode::Reflect);
    let mut centred = LogMel::new(&params).unwrap();
    let mut output = Vec::new();
    assert_eq!(centred.compute(&[], &mut output).unwrap(), 0);
    assert_eq!(
        centred.compute(&[0.5], &mut output).unwrap_err().kind(),
        ErrorKind::TooShort
    );
    assert_eq!(
        centred.compute(&[0.5; 256], &mut output).unwrap_err().kind(),
        ErrorKind::TooShort
    );
    assert!(output.is_empty());
    assert_eq!(centred.compute(&[0.5; 257], &mut output).unwrap(), 2);
    params.pad = PadMode::Zero;
    assert_eq!(
        LogMel::new(&params)
            .unwrap()
            .compute(&[0.5], &mut output)
            .unwrap(),
        1
    );
}

#[test]
fn log_mel_refuses_absurd_parameters() {
    for change in [
        |params: &mut LogMelParams| params.window_samples = 513,
        |params: &mut LogMelParams| params.window_samples = 0,
        |params: &mut LogMelParams| params.fft_size = 0,
        |params: &mut LogMelParams| params.fft_size = 511,
        |params: &mut LogMelParams| params.fft_size = u32::MAX,
        |params: &mut LogMelParams| params.hop_samples = 0,
        |params: &mut LogMelParams| params.mels = 0,
        |params: &mut LogMelParams| params.mels = u32::MAX,
        |params: &mut LogMelParams| params.sample_rate_hz = 0,
        |params: &mut LogMelParams| params.high_hz = 8001.0,
        |params: &mut LogMelParams| params.high_hz = f32::NAN,
        |params: &mut LogMelParams| params.low_hz = 8000.0,
        |params: &mut LogMelParams| params.low_hz = -1.0,
        |params: &mut LogMelParams| params.floor = 0.0,
        |params: &mut LogMelParams| params.floor = f32::INFINITY,
        |params: &mut LogMelParams| params.power = 0.0,
        |params: &mut LogMelParams| params.pad = PadMode::Reflect,
        |params: &mut LogMelParams| params.centre = true,
    ] {
        let mut params = log_mel_params();
        change(&mut params);
        assert_eq!(
            LogMel::new(&params).unwrap_err().kind(),
            ErrorKind::Parameter,
            "{params:?}"
        );
    }
}

#[test]
fn filters_between_two_bins_are_named_and_hold_the_floor() {
    let mut params = log_mel_params();
    (params.mels, params.fft_size, params.window_samples) = (128, 256, 256);
    let mut log_mel = LogMel::new(&params).unwrap();
    let empty = log_mel.empty_bands();
    assert!(!empty.is_empty() && empty.len() < 128);
    let mut output = Vec::new();
    log_mel
        .compute(&noises::noise("white", 5)[..256], &mut output)
        .unwrap();
    assert!(
        empty
            .iter()
            .all(|&band| output[band] == (1e-6f32 as f64).ln() as f32)
    );
    assert_eq!(LogMel::new(&log_mel_params()).unwrap().empty_bands(), [0usize; 0]);
}

#[test]
fn the_tail_of_a_stream_is_accounted_for() {
    assert_eq!(tail(0), (vec![], Tail::TooShort(0)));
    assert_eq!(tail(19), (vec![], Tail::TooShort(19)));
    assert_eq!(tail(20), (vec![(0, 80)], Tail::Padded));
    assert_eq!(tail(100), (vec![(0, 0)], Tail::Complete));
    assert_eq!(tail(119), (vec![(0, 0)], Tail::Dropped(19)));
    assert_eq!(tail(120), (vec![(0, 0), (50, 30)], Tail::Padded));
    assert_eq!(tail(150), (vec![(0, 0), (50, 0)], Tail::Complete));
    for (length_ms, hop_ms, min_ms) in [(0, 50, 0), (100, 0, 0), (100, 50, 101), (u32::MAX, 50, 0)] {
        let params = WindowParams {
            length_ms,
            hop_ms,
            short: ShortRule::PadZero,
            min_ms,
        };
        assert_eq!(
            Windower::new(&params, 48_000).unwrap_err().kind(),
            ErrorKind::Parameter
        );
    }
}

#[test]
fn levels_are_in_dbfs() {
    assert_eq!(rms_dbfs(&[]), SILENCE_DBFS);
    assert_eq!(rms_dbfs(&[0.0; 9]), SILENCE_DBFS);
    assert_eq!(rms_dbfs(&[1.0, -1.0]), 0.0);
    assert!((rms_dbfs(&[0.1; 5]) + 20.0).abs() < 1e-4);

    let params = RmsNormaliseParams {
        target_dbfs: -20.0,
        max_gain_db: 30.0,
    };
    let mut loud = [0.5, -0.5];
    assert!((rms_normalise(&mut loud, &params).unwrap() + 13.9794).abs() < 1e-3);
    assert!((loud[0] - 0.1).abs() < 1e-6 && (loud[1] + 0.1).abs() < 1e-6);
    let mut quiet = [1e-4];
    assert_eq!(rms_normalise(&mut quiet, &params).unwrap(), 30.0);
    assert_eq!(rms_normalise(&mut [0.0; 4], &params).unwrap(), 0.0);
    let nan = RmsNormaliseParams {
        target_dbfs: f32::NAN,
        max_gain_db: 30.0,
    };
    assert_eq!(
        rms_normalise(&mut quiet, &nan).unwrap_err().kind(),
        ErrorKind::Parameter
    );
}

#[test]
fn features_are_scaled_and_standardised() {
    let mut values = [1.0, 2.0, 3.0, 4.0];
    scale(
        &mut values,
        2,
        &ScaleParams {
            factor: 2.0,
            mean: vec![1.0, 0.0],
            std: vec![0.5],
        },
    )
    .unwrap();
    assert_eq!(values, [2.0, 8.0, 10.0, 16.0]);
    for (bands, mean, std) in [
        (0, 1, 1.0),
        (3, 1, 1.0),
        (2, 3, 1.0),
        (2, 1, 0.0),
        (2, 1, f64::NAN),
    ] {
        let params = ScaleParams {
            factor: 1.0,
            mean: vec![0.0; mean],
            std: vec![std],
        };
        assert!(scale(&mut values, bands, &params).is_err());
    }

    let params = StandardiseParams { min_std: 0.01 };
    let mut whole = [1.0, 3.0, 1.0, 3.0];
    standardise(&mut whole, &params).unwrap();
    assert_eq!(whole, [-1.0, 1.0, -1.0, 1.0]);
    let mut bands = [1.0, 5.0, 3.0, 5.0];
    standardise_bands(&mut bands, 2, &params).unwrap();
    assert_eq!(bands, [-1.0, 0.0, 1.0, 0.0]);
    standardise(&mut [], &params).unwrap();
    let broken = standardise(&mut [0.0, f32::NAN], &params).unwrap_err();
    assert_eq!((broken.kind(), broken.index()), (ErrorKind::NotFinite, Some(1)));
    assert!(standardise(&mut whole, &StandardiseParams { min_std: 0.0 }).is_err());
    assert_eq!(
        standardise_bands(&mut bands, 3, &params).unwrap_err().kind(),
        ErrorKind::Shape
    );
}

#[test]
fn the_gate_refuses_absurd_parameters() {
    for change in [
        |params: &mut SpeechGateParams| params.sample_rate_hz = 0,
        |params: &mut SpeechGateParams| params.sample_rate_hz = u32::MAX,
        |params: &mut SpeechGateParams| params.frame_ms = 0,
        |params: &mut SpeechGateParams| params.hop_ms = 0,
        |params: &mut SpeechGateParams| params.hop_ms = 65,
        |params: &mut SpeechGateParams| params.min_pitch_hz = 0.0,
        |params: &mut SpeechGateParams| params.max_pitch_hz = 59.0,
        |params: &mut SpeechGateParams| params.max_pitch_hz = f32::NAN,
        |params: &mut SpeechGateParams| params.min_periodicity = 1.5,
        |params: &mut SpeechGateParams| params.min_level_spread_db = f32::INFINITY,
    ] {
        let mut params = noises::recommended_gate();
        change(&mut params);
        assert_eq!(
            SpeechGate::new(&params).unwrap_err().kind(),
            ErrorKind::Parameter,
            "{params:?}"
        );
    }
}
