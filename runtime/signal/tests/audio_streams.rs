//! The output of every push-based audio step does not depend on how the input was cut into chunks.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use limbic_signal::audio::{
    LogCompression, LogMel, LogMelParams, MelNorm, MelScale, PadMode, ResampleParams, ResampleWindow,
    Resampler, ShortRule, SpeechDecision, SpeechGate, SpeechGateParams, Tail, Window, WindowFunction,
    WindowParams, Windower,
};
use proptest::prelude::*;

mod noises;

use noises::{Random, recommended_gate};

/// Chunks of the given lengths, over and over, until the samples end. A length of 0 is an empty push.
fn chunks<'a>(samples: &'a [f32], lengths: &[usize]) -> Vec<&'a [f32]> {
    let mut rest = samples;
    let mut parts = Vec::new();
    for &length in lengths.iter().chain(std::iter::once(&1)).cycle() {
        if rest.is_empty() {
            break;
        }
        let (part, behind) = rest.split_at(length.min(rest.len()));
        parts.push(part);
        rest = behind;
    }
    parts
}

fn signal(seed: u64, length: usize) -> Vec<f32> {
    let mut random = Random::new(seed);
    (0..length)
        .map(|at| (at as f32 * 0.05).sin() * 0.4 + 0.3 * random.normal())
        .collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn resample(params: &ResampleParams, input_hz: u32, parts: &[&[f32]]) -> Vec<f32> {
    let mut resampler = Resampler::new(params, input_hz).unwrap();
    let mut output = Vec::new();
    for part in parts {
        resampler.push(part, &mut output).unwrap();
    }
    resampler.finish(&mut output);
    output
}

fn log_mel(params: &LogMelParams, parts: &[&[f32]]) -> Option<Vec<f32>> {
    let mut log_mel = LogMel::new(params).unwrap();
    let mut output = Vec::new();
    for part in parts {
        log_mel.push(part, &mut output).unwrap();
    }
    log_mel.finish(&mut output).ok().map(|frames| {
        assert_eq!(output.len(), frames * log_mel.bands());
        output
    })
}

/// Start, padding and samples of a window.
type Cut = (u64, usize, Vec<u32>);

fn cut(params: &WindowParams, rate_hz: u32, parts: &[&[f32]]) -> (Vec<Cut>, Tail) {
    let mut windower = Windower::new(params, rate_hz).unwrap();
    let mut windows = Vec::new();
    let mut sink = |window: Window<'_>| -> limbic_signal::Result<()> {
        windows.push((window.start, window.padding, bits(window.samples)));
        Ok(())
    };
    for part in parts {
        windower.push(part, &mut sink).unwrap();
    }
    let tail = windower.finish(&mut sink).unwrap();
    (windows, tail)
}

fn decide(params: &SpeechGateParams, parts: &[&[f32]]) -> SpeechDecision {
    let mut gate = SpeechGate::new(params).unwrap();
    for part in parts {
        gate.push(part).unwrap();
    }
    gate.finish()
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![0usize..4, 0usize..300, 0usize..9000], 1..8)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn resampling_does_not_depend_on_chunks(
        seed: u64,
        length in 0usize..12_000,
        lengths in lengths(),
        (input_hz, rate_hz) in prop::sample::select(vec![
            (44_100, 16_000), (48_000, 16_000), (8_000, 16_000), (11_025, 16_000), (16_000, 16_000),
            (16_000, 44_100), (192_000, 16_000), (22_001, 1_000), (48_000, 1_000),
        ]),
        zero_crossings in 1u32..24,
    ) {
        let params = ResampleParams { rate_hz, zero_crossings, rolloff: 0.95, window: ResampleWindow::Hann };
        let samples = signal(seed, length);
        let whole = resample(&params, input_hz, &[&samples]);
        let expected = Resampler::new(&params, input_hz).unwrap().output_samples(length as u64);
        prop_assert_eq!(whole.len() as u64, expected);
        prop_assert_eq!(bits(&whole), bits(&resample(&params, input_hz, &chunks(&samples, &lengths))));
    }

    #[test]
    fn log_mel_does_not_depend_on_chunks(
        seed: u64,
        length in 0usize..12_000,
        lengths in lengths(),
        fft_size in prop::sample::select(vec![256u32, 400, 512]),
        hop_samples in prop_oneof![100u32..300, 500u32..3000],
        pad in prop::sample::select(vec![PadMode::None, PadMode::Zero, PadMode::Reflect]),
    ) {
        let params = LogMelParams {
            sample_rate_hz: 16_000,
            window_samples: fft_size - 56,
            window: WindowFunction::HannPeriodic,
            hop_samples,
            fft_size,
            centre: pad != PadMode::None,
            pad,
            power: 2.0,
            mels: 20,
            mel_scale: MelScale::Slaney,
            mel_norm: MelNorm::Slaney,
            low_hz: 20.0,
            high_hz: 8000.0,
            log: LogCompression::Natural,
            floor: 1e-10,
        };
        let samples = signal(seed, length);
        let whole = log_mel(&params, &[&samples]);
        let parts = log_mel(&params, &chunks(&samples, &lengths));
        prop_assert_eq!(whole.is_none(), pad == PadMode::Reflect && (1..=fft_size as usize / 2).contains(&length));
        prop_assert_eq!(whole.as_deref().map(bits), parts.as_deref().map(bits));
    }

    #[test]
    fn windows_do_not_depend_on_chunks(
        seed: u64,
        length in 0usize..20_000,
        lengths in lengths(),
        length_ms in 1u32..900,
        hop_ms in 1u32..1200,
        min_share in 0.0f64..=1.0,
    ) {
        let min_ms = (f64::from(length_ms) * min_share) as u32;
        let params = WindowParams { length_ms, hop_ms: hop_ms.max(length_ms / 8 + 1), short: ShortRule::PadZero, min_ms };
        let samples = signal(seed, length);
        let (windows, tail) = cut(&params, 8_000, &[&samples]);
        prop_assert_eq!(&(windows.clone(), tail), &cut(&params, 8_000, &chunks(&samples, &lengths)));

        let size = length_ms as usize * 8;
        let hop = params.hop_ms as usize * 8;
        let full = if length < size { 0 } else { 1 + (length - size) / hop };
        prop_assert_eq!(windows.iter().filter(|window| window.1 == 0).count(), full);
        for (at, (start, padding, found)) in windows.iter().enumerate() {
            prop_assert_eq!(*start, (at * hop) as u64);
            let mut expected = bits(&samples[at * hop..(at * hop + size).min(length)]);
            prop_assert_eq!(expected.len() + padding, size);
            expected.resize(size, 0);
            prop_assert_eq!(&expected, found);
        }
        prop_assert_eq!(windows.len() - full, usize::from(tail == Tail::Padded));
    }

    #[test]
    fn the_speech_decision_does_not_depend_on_chunks(
        seed: u64,
        length in 0usize..40_000,
        lengths in lengths(),
    ) {
        let samples = noises::voice_like(seed, length);
        let params = recommended_gate();
        let whole = decide(&params, &[&samples]);
        let parts = decide(&params, &chunks(&samples, &lengths));
        prop_assert_eq!(whole.level_dbfs.to_bits(), parts.level_dbfs.to_bits());
        prop_assert_eq!(whole.level_spread_db.to_bits(), parts.level_spread_db.to_bits());
        prop_assert_eq!(whole, parts);
        prop_assert_eq!(whole, SpeechGate::new(&params).unwrap().decide(&samples).unwrap());
    }
}
