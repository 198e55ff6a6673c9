//! ONNX files: read at opsets 7 to 28, written at 17.
