//! Kernels, by instruction set.

#[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
pub(crate) mod aarch64;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512vnni;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
mod pixels;
pub(crate) mod scalar;
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
mod sixteen;
#[cfg(unix)]
#[cfg(test)]
mod tests;

use crate::cpu::{Cpu, Tier};
use crate::span::{Blob, Span};
use crate::step::{AXES, Step, Strided};

/// Runs a step whose spans and blobs were checked, with the instructions of a processor.
pub(crate) fn run_step<'a>(
    cpu: Cpu,
    step: &Step,
    tensors: &Tensors<'a>,
    constant: &dyn Fn(&Blob) -> &'a [u8],
    output: &mut [u8],
) {
    match cpu.tier() {
        #[cfg(target_arch = "x86_64")]
        Tier::Avx512Vnni => avx512vnni::run(step, tensors, constant, output),
        #[cfg(target_arch = "x86_64")]
        tier @ (Tier::Avx2 | Tier::AvxVnni) => avx2::run(tier, step, tensors, constant, output),
        #[cfg(all(target_arch = "aarch64", target_feature = "neon"))]
        tier @ (Tier::Neon | Tier::Dotprod | Tier::I8mm) => {
            aarch64::run(tier, step, tensors, constant, output);
        }
        _ => scalar::run(step, tensors, constant, output),
    }
}

/// The arena around the output of a step.
pub(crate) struct Tensors<'a> {
    pub before: &'a [u8],
    pub behind: &'a [u8],
    /// Where `behind` begins in the arena.
    pub behind_offset: usize,
}

impl<'a> Tensors<'a> {
    /// The bytes of an input, which does not touch the output.
    pub fn get(&self, span: &Span) -> &'a [u8] {
        if span.is_empty() {
            return &[];
        }
        let (begin, end) = (span.offset as usize, span.offset as usize + span.bytes as usize);
        match begin.checked_sub(self.behind_offset) {
            Some(begin) => &self.behind[begin..end - self.behind_offset],
            None => &self.before[begin..end],
        }
    }
}

/// Functions of one element that every instruction set has code for beside plain Rust.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
fn is_vectorised(function: crate::step::Function) -> bool {
    use crate::step::Function;
    matches!(
        function,
        Function::Relu
            | Function::Clip
            | Function::Sigmoid
            | Function::Tanh
            | Function::Erf
            | Function::Gelu
            | Function::Swish
            | Function::HardSwish
            | Function::Exp
    )
}

/// Bytes as `f32`; a rest of less than four is left out.
pub(crate) fn floats(bytes: &[u8]) -> &[f32] {
    whole(bytes)
}

/// Whole elements; none of nothing, which may lie at any address.
fn whole<T: bytemuck::AnyBitPattern>(bytes: &[u8]) -> &[T] {
    let length = bytes.len() / size_of::<T>() * size_of::<T>();
    if length == 0 {
        return &[];
    }
    bytemuck::cast_slice(&bytes[..length])
}

/// Bytes as `i32`; a rest of less than four is left out.
pub(crate) fn integers(bytes: &[u8]) -> &[i32] {
    whole(bytes)
}

/// Bytes as `f32`, to write; a rest of less than four is left out.
pub(crate) fn floats_mut(bytes: &mut [u8]) -> &mut [f32] {
    let whole = bytes.len() / 4 * 4;
    if whole == 0 {
        return &mut [];
    }
    bytemuck::cast_slice_mut(&mut bytes[..whole])
}

/// Calls `visit` with the place of each operand for all places of the outer axes.
pub(crate) fn for_each_run<const N: usize>(
    dims: &[u32; AXES],
    operands: [&Strided; N],
    mut visit: impl FnMut([usize; N]),
) {
    let mut at = operands.map(|operand| operand.start as usize);
    let mut place = [0u32; AXES - 1];
    loop {
        visit(at);
        let mut axis = AXES - 1;
        loop {
            let Some(next) = axis.checked_sub(1) else {
                return;
            };
            axis = next;
            place[axis] += 1;
            if place[axis] < dims[axis] {
                for (at, operand) in at.iter_mut().zip(operands) {
                    *at += operand.strides[axis] as usize;
                }
                break;
            }
            for (at, operand) in at.iter_mut().zip(operands) {
                *at -= operand.strides[axis] as usize * (dims[axis] - 1) as usize;
            }
            place[axis] = 0;
        }
    }
}
