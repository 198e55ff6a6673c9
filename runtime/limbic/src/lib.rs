//! Emotion and sentiment from text, sound and pictures: the public face of the runtime.
