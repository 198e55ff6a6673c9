//! Copies, look-ups and packing.

use crate::kernels::{floats, floats_mut, for_each_run};
use crate::step::{AXES, BLOCK, Copy, Gather, Pack, first_channel};

fn copy_sized<const SIZE: usize>(step: &Copy, input: &[u8], output: &mut [u8]) {
    let flip = step.flip as u8;
    let [from_step, to_step] = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    let count = step.dims[5] as usize;
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        if from_step == 1 && to_step == 1 && flip == 0 {
            let (from, to) = (from * SIZE, to * SIZE);
            output[to..to + count * SIZE].copy_from_slice(&input[from..from + count * SIZE]);
            return;
        }
        for n in 0..count {
            let (from, to) = ((from + n * from_step) * SIZE, (to + n * to_step) * SIZE);
            for byte in 0..SIZE {
                output[to + byte] = input[from + byte] ^ flip;
            }
        }
    });
}

/// Copies with some axes of the input walked from their end.
fn copy_reversed<const SIZE: usize>(step: &Copy, input: &[u8], output: &mut [u8]) {
    let flip = step.flip as u8;
    let is_reversed = |axis: usize| step.reversed >> axis & 1 != 0;
    // Each place of the output is also one of the input, walked forwards.
    let turned = |mut from: usize, outer: &[u32; AXES]| {
        for axis in (0..AXES).filter(|&axis| is_reversed(axis)) {
            let stride = step.input.strides[axis] as usize;
            let (place, last) = (outer[axis] as usize, step.dims[axis] as usize - 1);
            from = from - place * stride + (last - place) * stride;
        }
        from
    };
    let mut place = [0u32; AXES];
    let [from_step, to_step] = [step.input.strides[5] as usize, step.output.strides[5] as usize];
    for_each_run(&step.dims, [&step.input, &step.output], |[from, to]| {
        let count = step.dims[5] as usize;
        let first = turned(from, &place);
        for n in 0..count {
            // An inner axis that is turned goes down from the place of its last element.
            let from = if is_reversed(AXES - 1) {
                first - n * from_step
            } else {
                first + n * from_step
            };
            let (from, to) = (from * SIZE, (to + n * to_step) * SIZE);
            let (from, to) = (&input[from..from + SIZE], &mut output[to..to + SIZE]);
            for (to, from) in to.iter_mut().zip(from) {
                *to = from ^ flip;
            }
        }
        // The next place of the outer axes, in the order in which they are visited.
        for axis in (0..AXES - 1).rev() {
            place[axis] += 1;
            if place[axis] < step.dims[axis] {
                break;
            }
            place[axis] = 0;
        }
    });
}

pub(crate) fn copy(step: &Copy, input: &[u8], output: &mut [u8]) {
    match (step.reversed != 0, step.size) {
        (false, 1) => copy_sized::<1>(step, input, output),
        (false, 2) => copy_sized::<2>(step, input, output),
        (false, 4) => copy_sized::<4>(step, input, output),
        (false, _) => copy_sized::<8>(step, input, output),
        (true, 1) => copy_reversed::<1>(step, input, output),
        (true, 2) => copy_reversed::<2>(step, input, output),
        (true, 4) => copy_reversed::<4>(step, input, output),
        (true, _) => copy_reversed::<8>(step, input, output),
    }
}

/// Finite `f16` to `f32`, exactly.
fn widen(from: &[u8], to: &mut [u8]) {
    // Exponents are 112 apart in their bias; the product also brings the subnormal ones in place.
    const SCALE: f32 = f32::from_bits((112 + 127) << 23);
    for (from, to) in from.chunks_exact(2).zip(to.chunks_exact_mut(4)) {
        let bits = u32::from(u16::from_le_bytes([from[0], from[1]]));
        let magnitude = f32::from_bits((bits & 0x7fff) << 13) * SCALE;
        let wide = magnitude.to_bits() | (bits & 0x8000) << 16;
        to.copy_from_slice(&wide.to_le_bytes());
    }
}

pub(crate) fn gather(step: &Gather, indices: &[u8], table: &[u8], output: &mut [u8]) {
    let width = step.row_bytes as usize;
    let size = step.index_size as usize;
    let made = width << step.widened;
    for (index, out) in indices.chunks_exact(size).zip(output.chunks_exact_mut(made)) {
        let mut wide = [if index[size - 1] >= 0x80 { 0xff } else { 0 }; 8];
        wide[..size].copy_from_slice(index);
        let index = i64::from_le_bytes(wide);
        let index = if index < 0 {
            index.saturating_add(step.rows.into())
        } else {
            index
        };
        match usize::try_from(index)
            .ok()
            .filter(|&row| row < step.rows as usize)
        {
            Some(row) if step.widened == 1 => widen(&table[row * width..][..width], out),
            Some(row) => out.copy_from_slice(&table[row * width..][..width]),
            None => out.fill(0),
        }
    }
}

pub(crate) fn pack(step: &Pack, input: &[u8], output: &mut [u8]) {
    let (input, output) = (floats(input), floats_mut(output));
    let [image_step, row_step, column_step] = [0, 1, 2].map(|axis| step.input.strides[axis] as usize);
    let columns = step.columns as usize;
    let mut rows = output.chunks_exact_mut(BLOCK);
    for image in 0..step.images as usize {
        for block in 0..columns.div_ceil(BLOCK) {
            let (first, count) = (first_channel(block, columns), columns.min(BLOCK));
            for (depth, row) in (0..step.depth as usize).zip(rows.by_ref()) {
                let at =
                    step.input.start as usize + image * image_step + depth * row_step + first * column_step;
                if column_step == 1 && count == BLOCK {
                    row.copy_from_slice(&input[at..at + BLOCK]);
                    continue;
                }
                for (column, y) in row.iter_mut().enumerate() {
                    *y = if column < count {
                        input[at + column * column_step]
                    } else {
                        0.0
                    };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::widen;

    #[test]
    fn every_finite_half_is_widened_exactly() {
        for bits in (0..=u16::MAX).filter(|bits| bits & 0x7c00 != 0x7c00) {
            let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), i32::from(bits & 0x3ff));
            let whole = if exponent == 0 { fraction } else { fraction + 1024 };
            let magnitude = f64::from(whole) * 2f64.powi(exponent.max(1) - 25);
            let wanted = if bits & 0x8000 == 0 { magnitude } else { -magnitude };
            let mut found = [0; 4];
            widen(&bits.to_le_bytes(), &mut found);
            assert_eq!(
                u32::from_le_bytes(found),
                (wanted as f32).to_bits(),
                "{bits:#06x}"
            );
        }
    }
}
