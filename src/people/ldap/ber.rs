//! The encoding of LDAP's messages: BER with definite lengths (RFC 4511, section 5.1).
//!
//! What is read is read one level at a time, by who knows what must be there: depth and size are
//! bounded whatever a server sends, and before TLS that is anybody on the way.

pub(super) const BOOLEAN: u8 = 0x01;
pub(super) const INTEGER: u8 = 0x02;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const ENUMERATED: u8 = 0x0a;
pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;

/// The longest message that is read.
pub(super) const LONGEST: usize = 64 * 1024;

/// Not what was to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("it says what cannot be read")]
    Content,
    #[error("it says more than {LONGEST} bytes at once")]
    Long,
}

/// One element around these parts.
pub(super) fn element(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut whole = Vec::with_capacity(length + 6);
    whole.push(tag);
    if let Ok(short @ ..0x80) = u8::try_from(length) {
        whole.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let digits = bytes.get(zeros..).unwrap_or_default();
        // A length has at most eight bytes.
        whole.push(0x80 | u8::try_from(digits.len()).unwrap_or_default());
        whole.extend_from_slice(digits);
    }
    for part in parts {
        whole.extend_from_slice(part);
    }
    whole
}

/// A number that is not negative.
pub(super) fn number(tag: u8, value: u32) -> Vec<u8> {
    let bytes = u64::from(value).to_be_bytes();
    let mut digits = bytes.as_slice();
    // The first bit is the sign.
    while let [0, rest @ ..] = digits
        && rest.first().is_some_and(|second| *second < 0x80)
    {
        digits = rest;
    }
    element(tag, &[digits])
}

/// The elements of one level, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a>(&'a [u8]);

impl<'a> Elements<'a> {
    pub(super) const fn of(content: &'a [u8]) -> Self {
        Self(content)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next one, whatever it is.
    pub(super) fn any(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let (header, length) = header(self.0)?.ok_or(Malformed::Content)?;
        let tag = *self.0.first().ok_or(Malformed::Content)?;
        let after = self.0.get(header..).ok_or(Malformed::Content)?;
        let (content, rest) = after.split_at_checked(length).ok_or(Malformed::Content)?;
        self.0 = rest;
        Ok((tag, content))
    }

    /// The next one, which must be this.
    pub(super) fn one(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        let (found, content) = self.any()?;
        (found == tag).then_some(content).ok_or(Malformed::Content)
    }

    /// The next one, a number that is not negative.
    pub(super) fn number(&mut self, tag: u8) -> Result<u32, Malformed> {
        let digits = self.one(tag)?;
        let negative = digits.first().is_none_or(|first| *first >= 0x80);
        if negative || digits.len() > 5 {
            return Err(Malformed::Content);
        }
        let value = digits
            .iter()
            .fold(0_u64, |value, digit| (value << 8) | u64::from(*digit));
        u32::try_from(value).map_err(|_large| Malformed::Content)
    }
}

/// How long the message is that begins here; `None` where that is not known yet.
pub(super) fn message_length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    if bytes.first().is_some_and(|tag| *tag != SEQUENCE) {
        return Err(Malformed::Content);
    }
    let Some((header, content)) = header(bytes)? else {
        return Ok(None);
    };
    Ok(Some(header + content))
}

/// How long an element's header and its content are.
fn header(bytes: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    let (Some(tag), Some(first)) = (bytes.first(), bytes.get(1)) else {
        return Ok(None);
    };
    // LDAP has no tags of several bytes.
    if tag & 0x1f == 0x1f {
        return Err(Malformed::Content);
    }
    if *first < 0x80 {
        return Ok(Some((2, usize::from(*first))));
    }
    let digits = usize::from(first & 0x7f);
    if !(1..=4).contains(&digits) {
        return Err(Malformed::Content);
    }
    let Some(digits) = bytes.get(2..2 + digits) else {
        return Ok(None);
    };
    let length = digits
        .iter()
        .fold(0_usize, |length, digit| (length << 8) | usize::from(*digit));
    if length > LONGEST {
        return Err(Malformed::Long);
    }
    Ok(Some((2 + digits.len(), length)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_are_as_short_as_they_can_be() {
        let bytes = |value| number(INTEGER, value);
        assert_eq!(bytes(0), [2, 1, 0]);
        assert_eq!(bytes(127), [2, 1, 127]);
        assert_eq!(bytes(128), [2, 2, 0, 128]);
        assert_eq!(bytes(256), [2, 2, 1, 0]);
        assert_eq!(bytes(u32::MAX), [2, 5, 0, 255, 255, 255, 255]);
    }

    #[test]
    fn what_is_no_definite_length_is_refused() {
        for bytes in [
            [SEQUENCE, 0x80, 0, 0].as_slice(),
            &[SEQUENCE, 0x85, 0, 0, 0, 0, 1],
            &[SEQUENCE, 0xff],
            b"HTTP/1.1 400",
        ] {
            assert_eq!(message_length(bytes), Err(Malformed::Content), "{bytes:?}");
        }
        let huge = [SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff];
        assert_eq!(message_length(&huge), Err(Malformed::Long));
        assert_eq!(message_length(&[]), Ok(None));
        assert_eq!(message_length(&[SEQUENCE, 0x82, 1]), Ok(None));
        assert_eq!(message_length(&[SEQUENCE, 0x82, 1, 0]), Ok(Some(260)));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(value: u32, content in proptest::collection::vec(any::<u8>(), 0..700)) {
            let inner = element(OCTETS, &[&content]);
            let message = element(SEQUENCE, &[&number(INTEGER, value), &inner]);
            prop_assert_eq!(message_length(&message), Ok(Some(message.len())));
            let mut outer = Elements::of(&message);
            let mut parts = Elements::of(outer.one(SEQUENCE).unwrap());
            prop_assert!(outer.is_empty());
            prop_assert_eq!(parts.number(INTEGER), Ok(value));
            prop_assert_eq!(parts.one(OCTETS), Ok(content.as_slice()));
            prop_assert_eq!(parts.any(), Err(Malformed::Content));
        }

        #[test]
        fn anything_can_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let mut elements = Elements::of(&bytes);
            while let Ok((_, content)) = elements.any() {
                prop_assert!(content.len() < bytes.len());
            }
        }
    }
}
