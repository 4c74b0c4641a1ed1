//! Memory that is freed goes back to the system.

/// From this size on a piece of memory is the system's as soon as it is freed: where glibc begins.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 128 * 1024;

/// Has what is large go back when it is freed, as long as the process lives.
///
/// glibc itself keeps pieces of each size of which it has freed one. Every thread that ever held a
/// password against argon2id would leave 20 MiB behind.
#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "nix has no mallopt")]
pub fn give_back() {
    // SAFETY: it sets a number of the allocator's, under the allocator's own lock.
    let _set = unsafe { libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE) };
}

/// Other allocators do so by themselves.
#[cfg(not(target_env = "gnu"))]
pub const fn give_back() {}
