//! How a program is kept from taking its mark off: whoever may lower a bound may do so for good.

#![expect(unsafe_code, reason = "hands a filter to the kernel")]

use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W, sock_filter, sock_fprog};

/// Where the kernel has the number of a system call, and the halves of its arguments (seccomp(2), "struct seccomp_data").
const NUMBER: u32 = 0;
const FIRST: u32 = 16;
const SECOND: u32 = 24;
const THIRD: [u32; 2] = [32, 36];

const LOAD: u16 = (BPF_LD | BPF_W | BPF_ABS) as u16;
const JUMP_IF: u16 = (BPF_JMP | BPF_JEQ | BPF_K) as u16;
const RETURN: u16 = (BPF_RET | BPF_K) as u16;
const LOCKS: u32 = libc::RLIMIT_LOCKS;

/// Denies `setrlimit` of file locks, and `prlimit64` of them where it sets anything.
const FILTER: [sock_filter; 13] = [
    step(LOAD, 0, 0, NUMBER),
    step(JUMP_IF, 3, 0, libc::SYS_prlimit64 as u32),
    step(JUMP_IF, 0, 8, libc::SYS_setrlimit as u32),
    step(LOAD, 0, 0, FIRST),
    step(JUMP_IF, 7, 6, LOCKS),
    step(LOAD, 0, 0, SECOND),
    step(JUMP_IF, 0, 4, LOCKS),
    step(LOAD, 0, 0, THIRD[0]),
    step(JUMP_IF, 0, 3, 0),
    step(LOAD, 0, 0, THIRD[1]),
    step(JUMP_IF, 0, 1, 0),
    step(RETURN, 0, 0, libc::SECCOMP_RET_ALLOW),
    step(RETURN, 0, 0, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
];

const fn step(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// Has this process, and all that comes of it, keep its bound of file locks; where it may still gain rights by starting a program it is left as it
/// is. For what runs between fork and exec: system calls alone.
pub(super) fn keep() {
    let filter = sock_fprog { len: FILTER.len() as u16, filter: FILTER.as_ptr().cast_mut() };
    // SAFETY: the kernel copies the filter, which is constant, and writes to none of it.
    unsafe {
        if libc::prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 {
            // An old kernel may not take it; then the mark can be taken off.
            let _kept = libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter);
        }
    }
}
