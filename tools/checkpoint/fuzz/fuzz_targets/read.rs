//! What every target does with its bytes.

use limbic_checkpoint::Checkpoint;

/// Tensors read of one file; a file may list thousands.
const MOST_TENSORS: usize = 16;

/// Opens the bytes as a file, lists it and reads tensors of it.
pub fn all(data: &[u8]) {
    let Ok(checkpoint) = Checkpoint::from_bytes("fuzz", data.to_vec()) else {
        return;
    };
    for entry in checkpoint.tensors().iter().take(MOST_TENSORS) {
        let Ok(tensor) = checkpoint.read(&entry.name) else {
            continue;
        };
        assert_eq!(
            (tensor.dtype(), tensor.shape()),
            (entry.dtype, entry.shape.as_slice())
        );
    }
}
