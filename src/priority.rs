//! Threads that give way to the one that serves.

/// The calling thread gives way to others, by so much (`nice`, at most 19).
///
/// Under the shipped unit it is refused, and the thread goes on as it is: to allow the one call would
/// open all of `@resources` to whoever breaks in, as far as systemd-analyze can tell.
#[expect(unsafe_code, reason = "nix has no setpriority")]
pub(crate) fn give_way(by: libc::c_int) {
    // SAFETY: no memory is touched; to Linux, process 0 is the calling thread.
    let done = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, by) };
    if done != 0 {
        tracing::debug!("a thread that was to give way has usual priority");
    }
}
