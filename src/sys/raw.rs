//! System calls without libc: the only ones a child that shares its parent's memory may make.
//!
//! libc's wrappers write `errno`, which lives in the thread-local storage that such a child shares with the
//! thread that cloned it.

use std::arch::asm;

/// Makes system call `nr`; returns the kernel's value, a negative errno on failure.
///
/// # Safety
/// The arguments must be valid for the system call named, as its man page says.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn syscall(nr: libc::c_long, args: [usize; 5]) -> isize {
    let result: isize;
    // SAFETY: the caller vouches for the arguments; the kernel clobbers only rax, rcx and r11.
    unsafe {
        asm!("syscall", inlateout("rax") nr as isize => result, in("rdi") args[0], in("rsi") args[1],
            in("rdx") args[2], in("r10") args[3], in("r8") args[4], lateout("rcx") _, lateout("r11") _,
            options(nostack));
    }
    result
}

/// Makes system call `nr`; returns the kernel's value, a negative errno on failure.
///
/// # Safety
/// The arguments must be valid for the system call named, as its man page says.
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(super) unsafe fn syscall(nr: libc::c_long, args: [usize; 5]) -> isize {
    let result: isize;
    // SAFETY: the caller vouches for the arguments; the kernel clobbers only x0.
    unsafe {
        asm!("svc 0", in("x8") nr, inlateout("x0") args[0] => result, in("x1") args[1], in("x2") args[2],
            in("x3") args[3], in("x4") args[4], options(nostack));
    }
    result
}
