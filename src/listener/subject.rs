//! Whose a certificate is: its subject, as RFC 4514 writes names.
//!
//! The certificate was verified by then, so nothing is judged here; what cannot be read is no
//! subject.

use std::fmt::Write as _;
use std::sync::Arc;

/// Tags of ASN.1 (X.690, section 8).
const INTEGER: u8 = 0x02;
const OID: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const IA5: u8 = 0x16;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// A certificate's version, which those of version 1 leave out.
const VERSION: u8 = 0xa0;

/// The short names of RFC 4514 (section 3), by object identifier in DER.
const NAMES: [(&[u8], &str); 9] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25],
        "DC",
    ),
    (
        &[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1],
        "UID",
    ),
];

/// The subject of this certificate; `None` where it is empty or cannot be read.
pub(super) fn of(certificate: &[u8]) -> Option<Arc<str>> {
    let mut all = Der(certificate);
    let mut certified = Der(Der(all.expect(SEQUENCE)?).expect(SEQUENCE)?);
    if certified.tag() == Some(VERSION) {
        certified.next()?;
    }
    certified.expect(INTEGER)?;
    // The algorithm, the issuer, the time.
    for _ in 0..3 {
        certified.expect(SEQUENCE)?;
    }
    let subject = written(certified.expect(SEQUENCE)?)?;
    (!subject.is_empty()).then(|| Arc::from(subject))
}

/// The last part of the name comes first.
fn written(name: &[u8]) -> Option<String> {
    let mut parts = Vec::new();
    let mut rest = Der(name);
    while !rest.0.is_empty() {
        let mut attributes = Vec::new();
        let mut part = Der(rest.expect(SET)?);
        while !part.0.is_empty() {
            attributes.push(attribute(Der(part.expect(SEQUENCE)?))?);
        }
        attributes.reverse();
        parts.push(attributes.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

fn attribute(mut pair: Der<'_>) -> Option<String> {
    let id = pair.expect(OID)?;
    let whole = pair.0;
    let (tag, value) = pair.next()?;
    let known = NAMES.iter().find(|(known, _)| *known == id);
    let kind = known.map_or_else(|| dotted(id), |(_, name)| (*name).to_owned());
    let text = matches!(tag, UTF8 | PRINTABLE | IA5).then(|| std::str::from_utf8(value).ok());
    if let (Some(_), Some(text)) = (known, text.flatten()) {
        return Some(format!("{kind}={}", escaped(text)));
    }
    // RFC 4514, section 2.4: of other types, and what is no text, the encoding.
    let mut written = format!("{kind}=#");
    for byte in whole {
        write!(written, "{byte:02x}").ok()?;
    }
    Some(written)
}

/// RFC 4514, section 2.4.
fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut escaped = String::with_capacity(value.len());
    for (index, c) in value.chars().enumerate() {
        let at_edge = (c == ' ' && (index == 0 || index == last)) || (c == '#' && index == 0);
        if c == '\0' {
            escaped.push_str("\\00");
            continue;
        }
        if at_edge || matches!(c, '"' | '+' | ',' | ';' | '<' | '>' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// An object identifier in numbers (X.690, section 8.19).
fn dotted(id: &[u8]) -> String {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0_u64;
    for byte in id {
        number = number.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(std::mem::take(&mut number));
        }
    }
    let mut text = String::new();
    for (index, found) in numbers.iter().enumerate() {
        // The first two share one number.
        let part = if index == 0 {
            let first = (found / 40).min(2);
            format!("{first}.{}", found - first * 40)
        } else {
            format!(".{found}")
        };
        text.push_str(&part);
    }
    text
}

/// What is left of a sequence of values.
#[derive(Clone, Copy, Debug)]
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    fn tag(self) -> Option<u8> {
        self.0.first().copied()
    }

    /// The next value, with its tag.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            short @ 0..0x80 => (usize::from(*short), rest),
            long => {
                let (digits, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                if digits.is_empty() || digits.len() > 4 {
                    return None;
                }
                let length = digits
                    .iter()
                    .fold(0_usize, |length, digit| length << 8 | usize::from(*digit));
                (length, rest)
            }
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((*tag, value))
    }

    /// The next value, if it has this tag.
    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next()
            .filter(|(found, _)| *found == tag)
            .map(|(_, value)| value)
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use proptest::prelude::*;
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject;

    use super::*;

    /// What OpenSSL makes of a subject, and what it writes of it by RFC 2253, which RFC 4514
    /// follows.
    fn made(subject: &str) -> (Option<Arc<str>>, String) {
        let directory = tempfile::tempdir().unwrap();
        let certificate = directory.path().join("certificate.pem");
        let openssl = |arguments: &[&str]| {
            let mut command = Command::new("openssl");
            let output = command
                .args(arguments)
                .current_dir(directory.path())
                .output()
                .unwrap();
            assert!(output.status.success(), "{output:?}");
            String::from_utf8(output.stdout).unwrap()
        };
        openssl(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-multivalue-rdn",
            "-utf8",
            "-keyout",
            "key.pem",
            "-out",
            "certificate.pem",
            "-subj",
            subject,
        ]);
        let written = openssl(&[
            "x509",
            "-in",
            "certificate.pem",
            "-noout",
            "-subject",
            "-nameopt",
            "RFC2253,-esc_msb,utf8",
        ]);
        let der = CertificateDer::from_pem_file(certificate).unwrap();
        let written = written
            .trim_end_matches('\n')
            .trim_start_matches("subject=")
            .to_owned();
        (of(&der), written)
    }

    #[test]
    fn subjects_are_written_as_openssl_writes_them() {
        for subject in [
            "/CN=proxy",
            "/C=DE/O=Example, Inc./OU=a+OU=b/CN=proxy.example",
            "/DC=example/DC=org/UID=proxy/CN=#a \\+b;<c>",
            "/CN=pröxy ",
            "/O=Example/emailAddress=a@example.org/CN=proxy",
        ] {
            let (subject, written) = made(subject);
            // OpenSSL knows more short names, and writes the rest as texts.
            let written = written.replace("emailAddress=a@example.org", MAIL);
            assert_eq!(subject.as_deref(), Some(&*written));
        }
    }

    const MAIL: &str = "1.2.840.113549.1.9.1=#160d61406578616d706c652e6f7267";

    #[test]
    fn what_would_be_read_as_another_name_is_escaped() {
        assert_eq!(escaped("proxy,O=Example"), "proxy\\,O=Example");
        assert_eq!(escaped(" a b "), "\\ a b\\ ");
        assert_eq!(escaped("#a#"), "\\#a#");
        assert_eq!(escaped("a\\+\"<>;\0"), "a\\\\\\+\\\"\\<\\>\\;\\00");
    }

    proptest! {
        #[test]
        fn any_bytes_have_a_subject_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(of(&bytes));
        }

        #[test]
        fn a_certificate_that_is_cut_has_no_subject(bytes in prop::collection::vec(any::<u8>(), 0..30)) {
            let mut long = vec![SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff];
            long.extend(bytes);
            prop_assert_eq!(of(&long), None);
        }
    }
}
