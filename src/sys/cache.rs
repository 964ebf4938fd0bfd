//! The processor's cache.

/// Bytes of memory that are fetched together, or more on some processors.
const LINE: usize = 64;

/// Has the processor fetch memory that is to be written to soon, without waiting for it. There need not be any.
pub fn fetch(start: *const u8, length: usize) {
    for offset in (0..length).step_by(LINE) {
        fetch_line(start.wrapping_add(offset));
    }
}

// Not the compiler's own, which for any processor of this kind fetches to read: what another one has it keeps then.
#[cfg(target_arch = "x86_64")]
fn fetch_line(at: *const u8) {
    // SAFETY: a hint, which changes nothing that a program can see, wherever it points; processors that do not know it
    // do nothing.
    unsafe {
        std::arch::asm!("prefetchw [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly))
    };
}

#[cfg(target_arch = "aarch64")]
fn fetch_line(at: *const u8) {
    // SAFETY: as above.
    unsafe {
        std::arch::asm!("prfm pstl1keep, [{at}]", at = in(reg) at, options(nostack, preserves_flags, readonly))
    };
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn fetch_line(_at: *const u8) {}
