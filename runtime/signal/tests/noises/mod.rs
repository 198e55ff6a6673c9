//! Synthetic sounds with fixed seeds: noises that hold no speech, and something like a voice.
#![allow(
    dead_code,
    reason = "each test crate that holds this module uses a part of it"
)]

use std::f32::consts::TAU;

use limbic_signal::audio::SpeechGateParams;

/// Rate of every sound here, in Hz.
pub const RATE: f32 = 16_000.0;

/// The values of the speech gate that the models use.
pub fn recommended_gate() -> SpeechGateParams {
    SpeechGateParams {
        sample_rate_hz: 16_000,
        frame_ms: 64,
        hop_ms: 16,
        min_level_dbfs: -65.0,
        min_pitch_hz: 60.0,
        max_pitch_hz: 600.0,
        min_periodicity: 0.4,
        max_tone_share: 0.95,
        min_speech_ms: 160,
        min_spectral_change_db: 2.5,
        min_level_spread_db: 2.5,
    }
}

/// Random numbers by xorshift64*, after mixing the seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self((seed ^ 0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            random.word();
        }
        random
    }

    fn word(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Uniform in `0..1`.
    pub fn unit(&mut self) -> f32 {
        (self.word() >> 40) as f32 / (1u64 << 24) as f32
    }

    /// Uniform between two bounds.
    pub fn between(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Nearly normal, with standard deviation 1: a sum of twelve.
    pub fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }
}

/// Names of the noises that [`noise`] makes and the gate has to refuse.
pub const NOISES: [&str; 20] = [
    "silence",
    "dither",
    "white",
    "pink",
    "brown",
    "modulated",
    "band",
    "hum",
    "fading hum",
    "tone",
    "beeps",
    "sweep",
    "vibrato",
    "clicks",
    "clock",
    "fan",
    "rain",
    "applause",
    "chords",
    "keypad",
];

/// Samples of one noise, of random length from 1.5 to 3.5 s, level and character.
pub fn noise(name: &str, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed.wrapping_mul(1_000_003));
    let random = &mut random;
    let length = (random.between(1.5, 3.5) * RATE) as usize;
    let mut sound = match name {
        "silence" => return vec![0.0; length],
        "dither" => {
            return (0..length)
                .map(|_| (random.unit() * 3.0).floor() / 32768.0 - 1.0 / 32768.0)
                .collect();
        }
        "white" => coloured(random, length, 0),
        "pink" => coloured(random, length, 1),
        "brown" => coloured(random, length, 2),
        "modulated" => {
            let colour = (random.unit() * 3.0) as u32;
            let hz = random.between(0.3, 6.0);
            let noise = coloured(random, length, colour);
            shaped(noise, |time| 1.0 + 0.9 * (TAU * hz * time).sin())
        }
        "band" => {
            let (hz, width) = (random.between(200.0, 3000.0), random.between(150.0, 800.0));
            let noise = coloured(random, length, 0);
            resonate(&noise, hz, width)
        }
        "hum" => hum(random, length),
        "fading hum" => {
            let (hz, turn) = (random.between(0.1, 0.6), random.between(0.0, TAU));
            shaped(hum(random, length), |time| {
                0.55 + 0.45 * (TAU * hz * time + turn).sin()
            })
        }
        "tone" => {
            let hz = random.between(80.0, 5000.0);
            glide(length, |_| hz)
        }
        "beeps" => {
            let (hz, rate) = (random.between(200.0, 4000.0), random.between(0.5, 5.0));
            shaped(glide(length, |_| hz), |time| {
                if (time * rate).fract() < 0.5 { 1.0 } else { 0.0 }
            })
        }
        "sweep" => {
            let (from, to, period) = (
                random.between(60.0, 4000.0),
                random.between(60.0, 4000.0),
                random.between(0.5, 3.0),
            );
            glide(length, |time| from * (to / from).powf((time / period).fract()))
        }
        "vibrato" => {
            let (hz, depth, rate) = (
                random.between(200.0, 2000.0),
                random.between(0.01, 0.1),
                random.between(2.0, 8.0),
            );
            glide(length, |time| hz * (1.0 + depth * (TAU * rate * time).sin()))
        }
        "clicks" => {
            let rate = random.between(1.0, 12.0);
            bursts(random, length, rate, (0.2, 5.0), (500.0, 5000.0))
        }
        "clock" => {
            let (period, hz) = (random.between(0.1, 1.0), random.between(800.0, 4000.0));
            shaped(glide(length, |_| hz), |time| {
                (-(time / period).fract() * period / 0.004).exp()
            })
        }
        "fan" => {
            let (hz, depth) = (random.between(15.0, 120.0), random.between(0.05, 0.5));
            let noise = shaped(coloured(random, length, 1), |time| {
                1.0 + depth * (TAU * hz * time).sin()
            });
            let blades = harmonics(random, length, hz, 7);
            noise
                .iter()
                .zip(&blades)
                .map(|(noise, blade)| noise + 0.3 * blade)
                .collect()
        }
        "rain" => {
            let rate = random.between(20.0, 400.0);
            let drops = bursts(random, length, rate, (0.2, 3.0), (1000.0, 6000.0));
            let hiss = coloured(random, length, 0);
            drops
                .iter()
                .zip(&hiss)
                .map(|(drop, hiss)| drop + 0.3 * hiss)
                .collect()
        }
        "applause" => {
            let rate = random.between(5.0, 150.0);
            let claps = claps(random, length, rate);
            resonate(&claps, 1500.0, 1500.0)
        }
        "chords" => chords(random, length),
        "keypad" => {
            let tone = random.between(0.1, 0.4);
            let low = [697.0, 770.0, 852.0, 941.0][(random.unit() * 4.0) as usize];
            let high = [1209.0, 1336.0, 1477.0][(random.unit() * 3.0) as usize];
            let pair = glide(length, |_| low)
                .iter()
                .zip(&glide(length, |_| high))
                .map(|(a, b)| a + b)
                .collect();
            shaped(pair, |time| if (time / tone).fract() < 0.5 { 1.0 } else { 0.0 })
        }
        other => panic!("no noise is called {other}"),
    };
    let level_dbfs = random.between(-60.0, -10.0);
    set_level(&mut sound, level_dbfs);
    // No room is silent behind a tone.
    let background = 10f32.powf(random.between(-90.0, -65.0) / 20.0);
    for sample in &mut sound {
        *sample = (*sample + background * random.normal()).clamp(-1.0, 1.0);
    }
    sound
}

/// Something like a voice: glottal pulses of moving pitch through two moving resonances, in syllables with pauses.
pub fn voice_like(seed: u64, length: usize) -> Vec<f32> {
    let mut random = Random::new(seed);
    let random = &mut random;
    let pitch = random.between(90.0, 320.0);
    let (glide_hz, syllable_hz) = (random.between(0.4, 1.2), random.between(2.5, 5.0));
    let turns = [random.between(0.0, TAU), random.between(0.0, TAU)];
    let mut phase = 0.0f32;
    let pulses: Vec<f32> = (0..length)
        .map(|at| {
            let time = at as f32 / RATE;
            phase += pitch * (1.0 + 0.25 * (TAU * glide_hz * time).sin()) / RATE;
            let pulse = if phase >= 1.0 { 1.0 } else { 0.0 };
            phase = phase.fract();
            pulse + 0.01 * random.normal()
        })
        .collect();
    let first = move_resonance(
        &pulses,
        |time| 500.0 + 250.0 * (TAU * 1.9 * time + turns[0]).sin(),
        80.0,
    );
    let second = move_resonance(
        &pulses,
        |time| 1500.0 + 600.0 * (TAU * 2.3 * time + turns[1]).sin(),
        120.0,
    );
    let both = first.iter().zip(&second).map(|(a, b)| a + 0.6 * b).collect();
    let mut sound = shaped(both, |time| ((TAU * syllable_hz * time).sin() + 0.5).max(0.0));
    let level_dbfs = random.between(-50.0, -10.0);
    set_level(&mut sound, level_dbfs);
    for sample in &mut sound {
        *sample = (*sample + 2e-4 * random.normal()).clamp(-1.0, 1.0);
    }
    sound
}

fn set_level(sound: &mut [f32], level_dbfs: f32) {
    let power = sound.iter().map(|sample| sample * sample).sum::<f32>() / sound.len().max(1) as f32;
    let gain = 10f32.powf(level_dbfs / 20.0) / power.sqrt().max(1e-9);
    sound.iter_mut().for_each(|sample| *sample *= gain);
}

/// Noise whose power falls by `order` times 3 dB an octave (0 white, 1 pink, 2 brown).
fn coloured(random: &mut Random, length: usize, order: u32) -> Vec<f32> {
    let mut states = [0.0f32; 6];
    (0..length)
        .map(|_| {
            let white = random.normal();
            match order {
                0 => white,
                // One-pole filters an octave and a half apart add up to a slope near 1 / f.
                1 => {
                    for (at, state) in states.iter_mut().enumerate() {
                        let pole = (-TAU * 20.0 * 2.83f32.powi(at as i32) / RATE).exp();
                        *state = pole * *state + (1.0 - pole).sqrt() * white;
                    }
                    states.iter().sum()
                }
                _ => {
                    states[0] = 0.9985 * states[0] + white;
                    states[0]
                }
            }
        })
        .collect()
}

/// A sine of a moving frequency.
fn glide(length: usize, hz: impl Fn(f32) -> f32) -> Vec<f32> {
    let mut phase = 0.0f32;
    (0..length)
        .map(|at| {
            phase = (phase + hz(at as f32 / RATE) / RATE).fract();
            (TAU * phase).sin()
        })
        .collect()
}

/// Multiplies by an envelope over time in seconds.
fn shaped(sound: Vec<f32>, envelope: impl Fn(f32) -> f32) -> Vec<f32> {
    sound
        .iter()
        .enumerate()
        .map(|(at, sample)| sample * envelope(at as f32 / RATE))
        .collect()
}

fn resonate(sound: &[f32], hz: f32, width: f32) -> Vec<f32> {
    move_resonance(sound, |_| hz, width)
}

/// A two-pole resonance of moving frequency.
fn move_resonance(sound: &[f32], hz: impl Fn(f32) -> f32, width: f32) -> Vec<f32> {
    let radius = (-TAU * width / 2.0 / RATE).exp();
    let (mut last, mut before) = (0.0, 0.0);
    sound
        .iter()
        .enumerate()
        .map(|(at, sample)| {
            let turn = TAU * hz(at as f32 / RATE) / RATE;
            let next = sample + 2.0 * radius * turn.cos() * last - radius * radius * before;
            (last, before) = (next, last);
            next
        })
        .collect()
}

/// Harmonics of one frequency with random strengths.
fn harmonics(random: &mut Random, length: usize, hz: f32, count: usize) -> Vec<f32> {
    let mut sum = vec![0.0; length];
    for harmonic in 1..=count {
        let (share, turn) = (
            random.between(0.02, 1.0) / harmonic as f32,
            random.between(0.0, TAU),
        );
        for (at, value) in sum.iter_mut().enumerate() {
            *value += share * (TAU * (hz * harmonic as f32 * at as f32 / RATE).fract() + turn).sin();
        }
    }
    sum
}

fn hum(random: &mut Random, length: usize) -> Vec<f32> {
    let hz = [50.0, 60.0, 100.0, 120.0][(random.unit() * 4.0) as usize] * random.between(0.999, 1.001);
    let count = random.between(2.0, 20.0) as usize;
    let noise_share = 10f32.powf(random.between(-50.0, -15.0) / 20.0);
    let tones = harmonics(random, length, hz, count);
    let noise = coloured(random, length, 1);
    tones
        .iter()
        .zip(&noise)
        .map(|(tone, noise)| tone + noise_share * noise)
        .collect()
}

/// Decaying sines at random times, `rate` a second; decay in ms and pitch in Hz between bounds.
fn bursts(random: &mut Random, length: usize, rate: f32, decay_ms: (f32, f32), hz: (f32, f32)) -> Vec<f32> {
    let mut sound = vec![0.0; length];
    for _ in 0..(rate * length as f32 / RATE) as usize + 1 {
        let start = (random.unit() * length as f32) as usize;
        let decay = random.between(decay_ms.0, decay_ms.1) / 1000.0 * RATE;
        let (step, peak) = (TAU * random.between(hz.0, hz.1) / RATE, random.between(0.1, 1.0));
        for (at, value) in sound
            .iter_mut()
            .skip(start)
            .take((8.0 * decay) as usize + 1)
            .enumerate()
        {
            *value += peak * (-(at as f32) / decay).exp() * (step * at as f32).sin();
        }
    }
    sound
}

/// Short bursts of noise at random times.
fn claps(random: &mut Random, length: usize, rate: f32) -> Vec<f32> {
    let mut sound = vec![0.0; length];
    for _ in 0..(rate * length as f32 / RATE) as usize + 1 {
        let start = (random.unit() * length as f32) as usize;
        let (decay, peak) = (random.between(60.0, 160.0), random.between(0.3, 1.0));
        for (at, value) in sound.iter_mut().skip(start).take(800).enumerate() {
            *value += peak * (-(at as f32) / decay).exp() * random.normal();
        }
    }
    sound
}

/// Plucked three-note chords, one after the other.
fn chords(random: &mut Random, length: usize) -> Vec<f32> {
    let mut sound = vec![0.0; length];
    let mut start = 0;
    while start < length {
        let held = (random.between(0.25, 1.2) * RATE) as usize;
        let (root, decay, slope) = (
            random.between(80.0, 400.0),
            random.between(0.3, 4.0),
            random.between(1.0, 2.0),
        );
        let third = if random.unit() < 0.5 { 3.0 } else { 4.0 };
        for semitones in [0.0f32, third, 7.0] {
            let hz = root * (semitones / 12.0).exp2();
            for harmonic in 1..=8 {
                let (share, turn) = ((harmonic as f32).powf(-slope), random.between(0.0, TAU));
                for (at, value) in sound.iter_mut().skip(start).take(held).enumerate() {
                    let time = at as f32 / RATE;
                    let envelope = (-time * decay).exp() * (time * 100.0).min(1.0);
                    *value += share * envelope * (TAU * (hz * harmonic as f32 * time).fract() + turn).sin();
                }
            }
        }
        start += held;
    }
    sound
}
