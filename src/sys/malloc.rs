//! How much freed memory the C library keeps for what is allocated next. For the whole process.

/// What an arena may keep.
#[cfg(target_env = "gnu")]
const KEPT: i32 = 64 * 1024 * 1024;

/// The size up to which memory comes out of an arena at all: the highest that every glibc takes, and that its own
/// adjustment goes up to.
#[cfg(target_env = "gnu")]
const LARGEST: i32 = 32 * 1024 * 1024;

/// Has the C library keep up to 64 MiB of freed memory at the end of each arena. Otherwise glibc gives that back to
/// the kernel at once, and whatever is allocated next meets fresh pages, each a fault that clears it first.
#[cfg(target_env = "gnu")]
pub fn keep_freed() {
    set(LARGEST, KEPT);
}

/// Has the C library keep what it would keep by its own adjustment after blocks of up to `largest` bytes were freed.
#[cfg(target_env = "gnu")]
pub fn adjust_to(largest: usize) {
    let largest = i32::try_from(largest).unwrap_or(LARGEST).min(LARGEST);
    set(largest, largest * 2);
}

/// Gives freed memory back to the kernel. That takes milliseconds: not for a thread with a loop.
#[cfg(target_env = "gnu")]
pub fn trim() {
    // SAFETY: it takes the allocator's own locks, and touches free memory only.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(target_env = "gnu")]
fn set(largest: i32, kept: i32) {
    for (option, value) in [(libc::M_MMAP_THRESHOLD, largest), (libc::M_TRIM_THRESHOLD, kept)] {
        // SAFETY: mallopt takes the allocator's own lock, and these two options concern later calls only.
        unsafe { libc::mallopt(option, value) };
    }
}

/// Other C libraries have no such setting.
#[cfg(not(target_env = "gnu"))]
pub fn keep_freed() {}

/// Other C libraries have no such setting.
#[cfg(not(target_env = "gnu"))]
pub fn adjust_to(_largest: usize) {}

/// Other C libraries have no such function.
#[cfg(not(target_env = "gnu"))]
pub fn trim() {}
