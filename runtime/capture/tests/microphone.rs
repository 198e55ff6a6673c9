//! The microphone for real: a file is played into PulseAudio's null sink, whose monitor is recorded through ALSA.
//!
//! Needs `pulseaudio`, `paplay` and ALSA's pulse plugin (Debian: pulseaudio pulseaudio-utils libasound2-plugins); says
//! `skipped: no pulseaudio` without them. The sound server is its own, in a temporary folder.
#![allow(clippy::unwrap_used)]

use limbic_capture::InputUri;
use limbic_capture::source::{Captured, Clock, Content, Pace, Source, Step, SystemClock};
use std::path::Path;
use std::process::{Child, Command, Stdio};

const RATE: u32 = 48_000;
const SECONDS: usize = 3;

struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let available = |program: &str| {
        Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok()
    };
    if !available("pulseaudio") || !available("paplay") {
        println!("skipped: no pulseaudio");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    prepare_environment(folder.path());
    if Command::new("pulseaudio")
        .arg("--dump-modules")
        .stderr(Stdio::null())
        .output()
        .is_err()
    {
        println!("skipped: no pulseaudio");
        return;
    }
    without_a_server_there_is_no_device();
    let clock = SystemClock::new();
    let _server = start_server(folder.path(), &clock);
    let mut microphone = match InputUri::DefaultMicrophone.open(Pace::RealTime) {
        Ok(microphone) => microphone,
        Err(error) if !plugin_is_there() => {
            println!("skipped: no pulseaudio (ALSA's plugin is missing: {error})");
            return;
        }
        Err(error) => panic!("{error}"),
    };
    sound_comes_through_whole(folder.path(), &clock, microphone.as_mut());
    drop(microphone);
    an_unknown_name_lists_the_devices();
    println!("test microphone ... ok");
}

fn without_a_server_there_is_no_device() {
    let error = InputUri::DefaultMicrophone.open(Pace::RealTime).err().unwrap();
    assert_eq!(error.kind(), limbic_capture::ErrorKind::NoDevice);
    assert!(
        error.to_string().starts_with("mic:default: no such device: "),
        "{error}"
    );
    println!("without a server: {error}");
}

fn plugin_is_there() -> bool {
    ["/usr/lib", "/usr/lib64", "/usr/local/lib"].iter().any(|root| {
        let found = Command::new("find")
            .args([root, "-name", "libasound_module_pcm_pulse.so"])
            .output();
        found.is_ok_and(|output| !output.stdout.is_empty())
    })
}

/// Sends ALSA and PulseAudio to the temporary folder.
fn prepare_environment(folder: &Path) {
    let socket = format!("unix:{}", folder.join("native").display());
    std::fs::write(
        folder.join(".asoundrc"),
        "pcm.!default { type pulse }\nctl.!default { type pulse }\n",
    )
    .unwrap();
    for (name, value) in [
        ("HOME", folder.display().to_string()),
        ("XDG_RUNTIME_DIR", folder.display().to_string()),
        ("PULSE_SERVER", socket),
        ("PULSE_SOURCE", "limbic_test.monitor".to_owned()),
        ("PULSE_SINK", "limbic_test".to_owned()),
    ] {
        // SAFETY: this is the only thread; nothing else has started yet.
        unsafe { std::env::set_var(name, value) };
    }
}

fn start_server(folder: &Path, clock: &dyn Clock) -> Server {
    let protocol = format!(
        "module-native-protocol-unix socket={} auth-anonymous=1",
        folder.join("native").display()
    );
    let sink = format!("module-null-sink sink_name=limbic_test format=s16le rate={RATE} channels=2");
    let log = std::fs::File::create(folder.join("server.log")).unwrap();
    let server = Command::new("pulseaudio")
        .args([
            "-n",
            "--daemonize=no",
            "--exit-idle-time=-1",
            "--use-pid-file=no",
            "-L",
            &protocol,
            "-L",
            &sink,
        ])
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    let server = Server(server);
    for _ in 0..100 {
        clock.sleep_until(clock.now_ms() + 100);
        let sources = Command::new("pactl").args(["list", "short", "sources"]).output();
        if sources.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("limbic_test.monitor"))
        {
            return server;
        }
    }
    let log = std::fs::read_to_string(folder.join("server.log")).unwrap_or_default();
    panic!("the sound server did not start:\n{log}");
}

/// A sweep from 200 Hz to 4 kHz: it correlates with itself at one lag only, and not at a wrong rate.
fn sweep() -> Vec<f32> {
    let length = SECONDS as f64;
    (0..SECONDS * RATE as usize)
        .map(|index| {
            let t = index as f64 / f64::from(RATE);
            let phase = std::f64::consts::TAU * (200.0 * t + (4000.0 - 200.0) * t * t / (2.0 * length));
            (0.5 * phase.sin()) as f32
        })
        .collect()
}

fn write_wav(path: &Path, samples: &[f32]) {
    let data: Vec<u8> = samples
        .iter()
        .flat_map(|sample| ((sample * 32_767.0).round() as i16).to_le_bytes())
        .collect();
    let mut file = b"RIFF".to_vec();
    file.extend((36 + data.len() as u32).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * 2).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    std::fs::write(path, file).unwrap();
}

fn sound_comes_through_whole(folder: &Path, clock: &dyn Clock, microphone: &mut dyn Source) {
    let played = sweep();
    let wav = folder.join("sweep.wav");
    write_wav(&wav, &played);
    let (mut recorded, mut captured) = (Vec::new(), Captured::default());
    let mut player = None;
    let (mut first_ms, mut last_ms) = (None, 0);
    while recorded.len() < (SECONDS + 2) * RATE as usize {
        match microphone.next(clock, 2000, &mut captured).unwrap() {
            Step::Got => {}
            Step::Idle => panic!("no sound for two seconds"),
            Step::End => panic!("a microphone does not end"),
        }
        let Content::Audio {
            samples,
            sample_rate_hz,
            channels,
        } = &captured.content
        else {
            panic!("no sound")
        };
        assert_eq!(*sample_rate_hz, RATE);
        recorded.extend(
            samples
                .chunks(*channels)
                .map(|frame| frame.iter().sum::<f32>() / *channels as f32),
        );
        assert!(captured.start_ms >= last_ms, "times do not go back");
        last_ms = captured.end_ms;
        first_ms.get_or_insert(captured.start_ms);
        // The player starts once sound flows, so that the sweep lies inside the recording.
        player.get_or_insert_with(|| Command::new("paplay").arg(&wav).spawn().unwrap());
    }
    assert!(player.unwrap().wait().unwrap().success());
    let dropped = microphone.dropped();
    assert_eq!(
        (dropped.audio_frames, dropped.audio_xruns),
        (0, 0),
        "nothing was lost"
    );
    let spoken_ms = last_ms - first_ms.unwrap();
    assert!(
        spoken_ms.abs_diff(recorded.len() as u64 * 1000 / u64::from(RATE)) <= 2,
        "{spoken_ms} ms"
    );

    // The server may start a little late or stop early; the inner part must be there sample by sample.
    let inner = &played[RATE as usize / 2..played.len() - RATE as usize / 2];
    let (lag, correlation) = best_lag(&recorded, inner);
    println!("sweep found at sample {lag}, correlation {correlation:.6}");
    assert!(correlation > 0.999, "correlation {correlation} at sample {lag}");
    // A lost or doubled sample in the middle would leave only one half in place.
    for (part, offset) in [
        (&inner[..RATE as usize / 2], 0),
        (
            &inner[inner.len() - RATE as usize / 2..],
            inner.len() - RATE as usize / 2,
        ),
    ] {
        let correlation = correlate(&recorded[lag + offset..], part);
        assert!(
            correlation > 0.999,
            "correlation {correlation} of the part at {offset}"
        );
    }
}

/// Normalised correlation of `part` with the start of `signal`.
fn correlate(signal: &[f32], part: &[f32]) -> f64 {
    let (mut product, mut signal_power, mut part_power) = (0.0, 0.0, 0.0);
    for (&a, &b) in signal.iter().zip(part) {
        product += f64::from(a) * f64::from(b);
        signal_power += f64::from(a) * f64::from(a);
        part_power += f64::from(b) * f64::from(b);
    }
    if signal_power == 0.0 {
        0.0
    } else {
        product / (signal_power * part_power).sqrt()
    }
}

/// The lag at which `part` lies in `signal`: found with a short piece, confirmed with all of it.
fn best_lag(signal: &[f32], part: &[f32]) -> (usize, f64) {
    let probe = &part[..2000];
    let lag = (0..signal.len().saturating_sub(part.len()))
        .max_by(|&a, &b| correlate(&signal[a..], probe).total_cmp(&correlate(&signal[b..], probe)))
        .unwrap_or(0);
    (lag, correlate(&signal[lag..], part))
}

fn an_unknown_name_lists_the_devices() {
    let error = InputUri::Microphone("no such microphone".into())
        .open(Pace::RealTime)
        .err()
        .unwrap();
    assert_eq!(error.kind(), limbic_capture::ErrorKind::NoDevice);
    assert!(
        error
            .to_string()
            .starts_with("mic:no such microphone: no such device"),
        "{error}"
    );
}
