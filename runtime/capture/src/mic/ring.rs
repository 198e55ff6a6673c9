//! The lock-free ring between the driver's thread and the reader.
//!
//! `heapless`'s queue lends its two ends only for as long as the queue is borrowed, and the driver's callback must be
//! `'static`. So each queue is a box that is leaked: it lives as long as the process. When a microphone is closed, both
//! ends return to a list, and the next one takes them from there, so that the process leaks as many rings as it ever
//! had microphones open at once, not as many as it opened.

use heapless::spsc::{Consumer, Producer, Queue};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Samples that the ring holds: 2.7 s of mono or 1.4 s of stereo at 48 kHz, in 512 KiB.
pub const RING_SAMPLES: usize = (1 << 17) - 1;

type Ring = Queue<f32, { RING_SAMPLES + 1 }>;
type Ends = (Producer<'static, f32>, Consumer<'static, f32>);

static SPARE: Mutex<Vec<Ends>> = Mutex::new(Vec::new());

/// What the driver's thread counts.
#[derive(Debug, Default)]
pub(super) struct Counters {
    overrun_frames: AtomicU64,
    xruns: AtomicU64,
    failed: AtomicBool,
}

impl Counters {
    pub(super) fn count_xrun(&self) {
        self.xruns.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }
}

/// Where the writer leaves its end when it is dropped.
type Home = Arc<Mutex<Option<Producer<'static, f32>>>>;

/// The driver's end.
pub(super) struct Writer {
    producer: Option<Producer<'static, f32>>,
    home: Home,
    counters: Arc<Counters>,
    channels: usize,
}

/// The reader's end.
pub(super) struct Reader {
    consumer: Option<Consumer<'static, f32>>,
    home: Home,
    counters: Arc<Counters>,
    channels: usize,
}

/// Two ends of an empty ring for frames of `channels` samples.
pub(super) fn open(channels: usize) -> (Writer, Reader) {
    let spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let (producer, consumer) = spare.unwrap_or_else(|| Box::leak(Box::new(Ring::new())).split());
    let (home, counters) = (Home::default(), Arc::<Counters>::default());
    let channels = channels.max(1);
    let writer = Writer {
        producer: Some(producer),
        home: Arc::clone(&home),
        counters: Arc::clone(&counters),
        channels,
    };
    (
        writer,
        Reader {
            consumer: Some(consumer),
            home,
            counters,
            channels,
        },
    )
}

impl Writer {
    pub(super) fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Copies whole frames for which there is room and counts the others; takes no lock and no memory.
    pub(super) fn write<T: Copy>(&mut self, samples: &[T], convert: impl Fn(T) -> f32) {
        let Some(producer) = &mut self.producer else {
            return;
        };
        let frames = samples.len() / self.channels;
        let room = (producer.capacity() - producer.len()) / self.channels;
        let taken = frames.min(room);
        for &sample in samples.iter().take(taken * self.channels) {
            // There is room: only this thread adds samples.
            let _ = producer.enqueue(convert(sample));
        }
        if taken < frames {
            self.counters
                .overrun_frames
                .fetch_add((frames - taken) as u64, Ordering::Release);
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        *self.home.lock().unwrap_or_else(PoisonError::into_inner) = self.producer.take();
    }
}

impl Reader {
    /// Whole frames that can be read.
    pub(super) fn frames(&self) -> usize {
        self.consumer.as_ref().map_or(0, Consumer::len) / self.channels
    }

    /// Appends at most `frames` frames.
    pub(super) fn read(&mut self, frames: usize, samples: &mut Vec<f32>) {
        let Some(consumer) = &mut self.consumer else {
            return;
        };
        samples.extend((0..frames * self.channels).map_while(|_| consumer.dequeue()));
    }

    pub(super) fn overrun_frames(&self) -> u64 {
        self.counters.overrun_frames.load(Ordering::Acquire)
    }

    pub(super) fn xruns(&self) -> u64 {
        self.counters.xruns.load(Ordering::Relaxed)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.counters.failed.load(Ordering::Acquire)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let producer = self.home.lock().unwrap_or_else(PoisonError::into_inner).take();
        // A writer that still lives keeps the ring; it is then lost to later microphones.
        let (Some(producer), Some(mut consumer)) = (producer, self.consumer.take()) else {
            return;
        };
        while consumer.dequeue().is_some() {}
        SPARE
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push((producer, consumer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_pass_in_order_and_whole() {
        let (mut writer, mut reader) = open(2);
        writer.write(&[1_i16, -1, 2, -2, 3], f32::from);
        assert_eq!(reader.frames(), 2);
        let mut samples = Vec::new();
        reader.read(9, &mut samples);
        assert_eq!(samples, [1.0, -1.0, 2.0, -2.0]);
        assert_eq!(reader.overrun_frames(), 0);
    }

    #[test]
    fn a_late_reader_loses_the_newest_frames_and_knows_how_many() {
        let (mut writer, mut reader) = open(2);
        let period: Vec<f32> = (0..2048).map(|index| index as f32).collect();
        for _ in 0..70 {
            writer.write(&period, |sample| sample);
        }
        let held = RING_SAMPLES / 2;
        assert_eq!(reader.frames(), held);
        assert_eq!(reader.overrun_frames(), 70 * 1024 - held as u64);
        let mut samples = Vec::new();
        reader.read(held, &mut samples);
        assert_eq!(samples.len(), held * 2);
        assert!(
            samples.chunks(2048).all(|part| part == &period[..part.len()]),
            "the channels keep their places"
        );
        writer.write(&period, |sample| sample);
        assert_eq!(reader.frames(), 1024);
    }

    #[test]
    fn two_threads_lose_nothing() {
        let (mut writer, mut reader) = open(1);
        let total = 1_000_000_u32;
        let thread = std::thread::spawn(move || {
            let mut next = 0;
            while next < total {
                let count = 777.min(total - next);
                let part: Vec<u32> = (next..next + count).collect();
                let before = writer.counters().overrun_frames.load(Ordering::Acquire);
                writer.write(&part, |value| value as f32);
                let after = writer.counters().overrun_frames.load(Ordering::Acquire);
                next += count - (after - before) as u32;
                std::thread::yield_now();
            }
        });
        let (mut samples, mut expected) = (Vec::new(), 0);
        while expected < total {
            samples.clear();
            reader.read(4096, &mut samples);
            for &sample in &samples {
                assert_eq!(sample, expected as f32);
                expected += 1;
            }
            std::thread::yield_now();
        }
        thread.join().unwrap();
    }

    #[test]
    fn a_closed_ring_is_used_again_and_empty() {
        let (mut writer, reader) = open(1);
        writer.write(&[1.0_f32; 10], |sample| sample);
        drop(writer);
        drop(reader);
        let spare = SPARE.lock().unwrap().len();
        assert!(spare >= 1);
        let (_writer, reader) = open(1);
        assert_eq!(reader.frames(), 0);
    }
}
