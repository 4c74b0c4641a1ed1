//! Sandboxes in which the daemon could not tell who is calling: it does not start.

use std::process::{Command, Stdio};

/// Refuses AF_NETLINK sockets as systemd's `RestrictAddressFamilies=` does, then runs the arguments:
/// `socket` is system call 41 on x86-64 and 198 on the others.
const WITHOUT_NETLINK: &str = "
import ctypes, os, platform, struct, sys
def step(code, yes, no, value): return struct.pack('HBBI', code, yes, no, value)
call = 41 if platform.machine() == 'x86_64' else 198
program = (step(0x20, 0, 0, 0) + step(0x15, 0, 3, call) + step(0x20, 0, 0, 16)
    + step(0x15, 0, 1, 16) + step(0x06, 0, 0, 0x00050061) + step(0x06, 0, 0, 0x7fff0000))
steps = ctypes.create_string_buffer(program)
filter = ctypes.create_string_buffer(
    struct.pack('HxxxxxxP', len(program) // 8, ctypes.addressof(steps)))
libc = ctypes.CDLL(None, use_errno=True)
NO_NEW_PRIVS, SECCOMP, FILTER = 38, 22, 2
assert libc.prctl(NO_NEW_PRIVS, 1, 0, 0, 0) == 0
assert libc.prctl(SECCOMP, FILTER, filter) == 0
os.execv(sys.argv[1], sys.argv[1:])
";

/// What the daemon says that cannot start, run by this program.
fn refusal(program: &str, arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new("timeout")
        .args(["20", program])
        .args(arguments)
        .arg(env!("CARGO_BIN_EXE_rolecall"))
        .arg("serve")
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", folder.path())
        .env("XDG_RUNTIME_DIR", folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(70), "{stderr}");
    stderr
}

#[test]
fn without_netlink_it_does_not_start() {
    let stderr = refusal("python3", &["-c", WITHOUT_NETLINK]);
    assert!(stderr.contains("must allow AF_NETLINK"), "{stderr}");
}

#[test]
fn where_other_users_have_no_number_it_does_not_start() {
    // The map that `PrivateUsers=yes` makes: the service's own user, as itself.
    let uid = nix::unistd::geteuid().to_string();
    let stderr = refusal("unshare", &["--user", &format!("--map-user={uid}")]);
    assert!(stderr.contains("PrivateUsers=yes"), "{stderr}");
}
