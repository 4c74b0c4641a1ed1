//! What the fuzz targets reach of this room: the subjects of certificates.

use super::subject;

/// The subject of this certificate, which need be none.
pub fn subject(certificate: &[u8]) {
    let subject = subject::of(certificate);
    assert!(subject.is_none_or(|subject| !subject.is_empty()));
}
