//! How much freed memory the C library keeps for what is allocated next.

/// What an arena may keep.
#[cfg(target_env = "gnu")]
const KEPT: i32 = 64 * 1024 * 1024;

/// The size up to which memory comes out of an arena at all: the highest that every glibc takes, and that its own
/// adjustment goes up to.
#[cfg(target_env = "gnu")]
const LARGEST: i32 = 32 * 1024 * 1024;

/// Has the C library keep up to 64 MiB of freed memory in each arena, for the rest of the process's life. Otherwise glibc
/// gives what is free at the end of an arena back to the kernel at once, and whatever is allocated next meets fresh pages,
/// each a fault that clears it first.
#[cfg(target_env = "gnu")]
pub fn keep_freed() {
    for (option, value) in [(libc::M_MMAP_THRESHOLD, LARGEST), (libc::M_TRIM_THRESHOLD, KEPT)] {
        // SAFETY: mallopt takes the allocator's own lock, and these two options concern later calls only.
        unsafe { libc::mallopt(option, value) };
    }
}

/// Other C libraries have no such setting.
#[cfg(not(target_env = "gnu"))]
pub fn keep_freed() {}
