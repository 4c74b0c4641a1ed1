//! The admin socket: what the command line asks of a running daemon, as JSON over HTTP/1.1.

pub mod wire;
