//! A plan and its weight pack from a fuzzer's bytes: two bytes that say how long the pack is, the pack, the plan.

use std::alloc::{Layout, alloc_zeroed, dealloc};

/// Bytes at an address that is a multiple of 64, nothing behind the last that may be touched.
pub struct Aligned {
    start: *mut u8,
    layout: Layout,
    length: usize,
}

impl Aligned {
    pub fn zeros(length: usize) -> Self {
        let layout = Layout::from_size_align(length.max(1), 64).expect("a short run of bytes");
        // SAFETY: the layout is not empty.
        let start = unsafe { alloc_zeroed(layout) };
        assert!(!start.is_null());
        Self { start, layout, length }
    }

    pub fn new(content: &[u8]) -> Self {
        let mut made = Self::zeros(content.len());
        made.get_mut()[..content.len()].copy_from_slice(content);
        made
    }

    pub fn get(&self) -> &[u8] {
        // SAFETY: so many bytes were allocated and zeroed.
        unsafe { std::slice::from_raw_parts(self.start, self.length) }
    }

    pub fn get_mut(&mut self) -> &mut [u8] {
        // SAFETY: so many bytes were allocated and zeroed, and nobody else has them.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.length) }
    }
}

impl Drop for Aligned {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout.
        unsafe { dealloc(self.start, self.layout) }
    }
}

/// The pack and the plan in a fuzzer's bytes.
pub fn parts(data: &[u8]) -> Option<(Aligned, &[u8])> {
    let (length, rest) = data.split_first_chunk::<2>()?;
    let (pack, plan) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
    Some((Aligned::new(pack), plan))
}
