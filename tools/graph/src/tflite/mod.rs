//! TensorFlow Lite files: read and written, float and int8.
