//! The files of unix sockets: a stale one removed, a new one's mode given.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::Path;

use nix::fcntl::OFlag;
use nix::unistd::geteuid;

/// Removes a socket file that nobody listens on: it is left from a process that was killed.
pub(crate) fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    if !is_socket {
        return Ok(());
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Gives a socket that this process made its mode. The mode is changed of what was looked at, since
/// a path could lead elsewhere a moment later; and not by the umask, which all threads share.
pub(crate) fn give_mode(path: &Path, mode: u32) -> io::Result<()> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW;
    let socket = File::options()
        .read(true)
        .custom_flags(flags.bits())
        .open(path)?;
    let data = socket.metadata()?;
    if !data.file_type().is_socket() || data.uid() != geteuid().as_raw() {
        return Err(io::Error::other("somebody put something else in its place"));
    }
    let itself = format!("/proc/self/fd/{}", socket.as_raw_fd());
    fs::set_permissions(itself, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_mode_is_given_to_a_socket_and_to_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("socket");
        let _listening = UnixListener::bind(&path).unwrap();
        for mode in [0o666, 0o660] {
            give_mode(&path, mode).unwrap();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, mode);
        }
        let link = directory.path().join("link");
        symlink(&path, &link).unwrap();
        assert!(
            give_mode(&link, 0o666).is_err(),
            "a link is followed nowhere"
        );
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(give_mode(&file, 0o666).is_err());
    }
}
