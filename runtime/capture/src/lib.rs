//! Microphone, camera, files and text as timed input, with drop counters.
