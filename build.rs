//! How the binary is linked.

/// Relative relocations are packed: half a megabyte of them is read at every start and stays
/// resident otherwise. glibc understands them since 2.36.
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
}
