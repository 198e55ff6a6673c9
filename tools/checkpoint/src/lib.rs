//! Readers of trained checkpoints.
