//! What several integration tests need: the daemon itself, a client that sends what it is told, and
//! stand-ins for the rest of the world.

pub(crate) mod client;
pub(crate) mod daemon;
pub(crate) mod issuer;
pub(crate) mod process;
pub(crate) mod signed;
pub(crate) mod signer;
pub(crate) mod sts;
pub(crate) mod tls;
pub(crate) mod witness;
pub(crate) mod written;

/// Whether a test that needs root can run. In CI it must; elsewhere it says that nothing is tested.
pub(crate) fn is_root() -> bool {
    let root = nix::unistd::Uid::effective().is_root();
    if !root {
        assert!(
            std::env::var_os("CI").is_none(),
            "this test needs root, and CI must run it"
        );
        eprintln!("nothing is tested: this test needs root");
    }
    root
}
