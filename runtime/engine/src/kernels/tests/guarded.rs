//! Memory that ends where a page begins that can't be touched.

use std::ptr;

/// Bytes whose last lies before a page that can't be touched: who reads or writes behind them ends the process.
pub(super) struct Guarded {
    mapped: *mut libc::c_void,
    mapped_bytes: usize,
    begin: *mut u8,
    length: usize,
}

impl Guarded {
    /// A copy of some bytes; their first lies at a multiple of 64 if their number is one.
    pub fn new(content: &[u8]) -> Self {
        // SAFETY: fresh memory is asked for, its last page closed, and as many bytes as were asked for are written.
        unsafe {
            let page = libc::sysconf(libc::_SC_PAGESIZE) as usize;
            let open = content.len().next_multiple_of(page);
            let mapped_bytes = open + page;
            let access = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let mapped = libc::mmap(ptr::null_mut(), mapped_bytes, access, flags, -1, 0);
            assert_ne!(mapped, libc::MAP_FAILED);
            assert_eq!(libc::mprotect(mapped.byte_add(open), page, libc::PROT_NONE), 0);
            let begin = mapped.byte_add(open - content.len()).cast::<u8>();
            ptr::copy_nonoverlapping(content.as_ptr(), begin, content.len());
            Self {
                mapped,
                mapped_bytes,
                begin,
                length: content.len(),
            }
        }
    }

    pub fn get(&self) -> &[u8] {
        // SAFETY: as many bytes were written, and belong to this.
        unsafe { std::slice::from_raw_parts(self.begin, self.length) }
    }

    pub fn get_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `get`.
        unsafe { std::slice::from_raw_parts_mut(self.begin, self.length) }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        // SAFETY: mapped by `new`, and nothing borrows from it any more.
        unsafe { libc::munmap(self.mapped, self.mapped_bytes) };
    }
}
