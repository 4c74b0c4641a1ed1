//! Requests of people who prove their names by a password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Of the password `password`, at bcrypt's lowest cost: it is remembered after the first request.
pub(super) const HASH: &str = "$2b$04$abcdefghijklmnopqrstuughE8Ev8uGFaUgY2cNEySvxngrb/Jzdm";

/// A request of somebody whose password is `password`.
pub(super) fn of_person(name: &str, path: &str) -> String {
    let proof = STANDARD.encode(format!("{name}:password"));
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic {proof}\r\n\r\n")
}
