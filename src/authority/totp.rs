//! One-time codes of a device (RFC 6238): HMAC-SHA-1, six digits, a step each thirty seconds.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use zeroize::Zeroizing;

use crate::secret::{ExposeSecret as _, SecretBox, SecretString, random, same_secret};

/// For how long a code is shown.
pub const STEP: Duration = Duration::from_secs(30);

/// How many digits it has.
const DIGITS: usize = 6;

/// Length of a generated seed: that of what HMAC-SHA-1 makes (RFC 4226, section 4).
const GENERATED: usize = 20;

/// Lengths of seeds that are brought along: 128 bits at least (RFC 4226, section 4).
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

/// RFC 4648, section 6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// What a device and we make codes of.
#[derive(Clone)]
pub struct Seed(SecretBox<[u8]>);

/// The text is no seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a seed is 16 to 64 bytes in base32")]
pub struct NoSeed;

/// There is no randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness;

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

impl Seed {
    /// A fresh one.
    pub fn generate() -> Result<Self, NoRandomness> {
        let bytes = Zeroizing::new(random::<GENERATED>().map_err(|_no_entropy| NoRandomness)?);
        Ok(Self::of(bytes.as_slice()))
    }

    /// Reads base32, as people copy it: in either case, in groups, with or without its padding.
    pub fn parse(text: &SecretString) -> Result<Self, NoSeed> {
        let text = text.expose_secret().trim_end_matches('=');
        let mut bytes = Zeroizing::new(Vec::with_capacity(text.len()));
        let (mut held, mut bits) = (0_u32, 0_u32);
        for byte in text.bytes().filter(|byte| !matches!(byte, b' ' | b'-')) {
            let byte = byte.to_ascii_uppercase();
            let digit = BASE32.iter().position(|other| *other == byte);
            let digit = digit
                .and_then(|digit| u32::try_from(digit).ok())
                .ok_or(NoSeed)?;
            held = (held << 5 | digit) & 0xfff;
            bits += 5;
            if bits >= 8 {
                bits -= 8;
                bytes.extend((held >> bits).to_be_bytes().last());
            }
        }
        if !LENGTHS.contains(&bytes.len()) {
            return Err(NoSeed);
        }
        Ok(Self::of(&bytes))
    }

    fn of(bytes: &[u8]) -> Self {
        Self(SecretBox::from(Box::from(bytes)))
    }

    /// As devices take it: base32 without padding.
    pub fn base32(&self) -> SecretString {
        let bytes = self.0.expose_secret();
        let mut text = Zeroizing::new(String::with_capacity(bytes.len() * 8 / 5 + 1));
        for group in bytes.chunks(5) {
            let mut held = [0_u8; 8];
            held.iter_mut()
                .skip(3)
                .zip(group)
                .for_each(|(to, from)| *to = *from);
            let held = u64::from_be_bytes(held);
            let digits = (group.len() * 8).div_ceil(5);
            for shift in (0..8_u32).rev().map(|place| place * 5).take(digits) {
                let digit = usize::try_from(held >> shift & 31).ok();
                let digit = digit.and_then(|digit| BASE32.get(digit));
                text.extend(digit.map(|digit| char::from(*digit)));
            }
        }
        SecretString::from(text.as_str())
    }

    /// The code of a step.
    pub fn code(&self, step: u64) -> String {
        format!("{:0DIGITS$}", self.number(step) % 1_000_000)
    }

    /// The step whose code this is: the one of `now`, the one before it or the one after it, if it is
    /// later than the last that was used.
    pub fn step_of(&self, code: &str, now: SystemTime, used: Option<u64>) -> Option<u64> {
        let now = step_at(now);
        let mut found = None;
        // All three, whichever it is.
        for step in [now.saturating_sub(1), now, now.saturating_add(1)] {
            let is_it = same_secret(self.code(step).as_bytes(), code.as_bytes());
            if is_it && used.is_none_or(|used| step > used) && found.is_none() {
                found = Some(step);
            }
        }
        found
    }

    /// RFC 4226, section 5.3.
    fn number(&self, step: u64) -> u32 {
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.0.expose_secret());
        let tag = hmac::sign(&key, &step.to_be_bytes());
        let tag = tag.as_ref();
        let offset = usize::from(tag.last().copied().unwrap_or_default() & 0xf);
        let four = tag.get(offset..).and_then(|from| from.first_chunk());
        u32::from_be_bytes(four.copied().unwrap_or_default()) & 0x7fff_ffff
    }
}

/// The step of a moment.
pub fn step_at(moment: SystemTime) -> u64 {
    let since = moment.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_secs() / STEP.as_secs()
}

/// Whether the text has the form of a code.
pub fn is_code(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// RFC 6238, appendix B, SHA1; six of its eight digits are those of a code.
    #[test]
    fn codes_are_those_of_the_standard() {
        let seed = Seed::of(b"12345678901234567890");
        for (seconds, eight) in [
            (59, 94_287_082),
            (1_111_111_109, 7_081_804),
            (1_111_111_111, 14_050_471),
            (1_234_567_890, 89_005_924),
            (2_000_000_000, 69_279_037),
            (20_000_000_000, 65_353_130),
        ] {
            let step = step_at(at(seconds));
            assert_eq!(seed.number(step) % 100_000_000, eight, "at {seconds}");
            assert_eq!(seed.code(step), format!("{:06}", eight % 1_000_000));
        }
    }

    /// RFC 4226, appendix D.
    #[test]
    fn codes_of_counters_are_those_of_the_standard() {
        let seed = Seed::of(b"12345678901234567890");
        let codes: Vec<String> = (0..10).map(|step| seed.code(step)).collect();
        assert_eq!(
            codes,
            [
                "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583",
                "399871", "520489"
            ]
        );
    }

    #[test]
    fn a_code_counts_a_step_early_or_late_and_not_after_one_that_was_used() {
        let seed = Seed::of(b"12345678901234567890");
        let now = at(100 * 30 + 17);
        let step_of = |step: u64, used| seed.step_of(&seed.code(step), now, used);
        assert_eq!(
            [98, 99, 100, 101, 102].map(|step| step_of(step, None)),
            [None, Some(99), Some(100), Some(101), None]
        );
        assert_eq!(
            [99, 100, 101].map(|step| step_of(step, Some(100))),
            [None, None, Some(101)]
        );
        assert_eq!(seed.step_of("", now, None), None);
        assert_eq!(
            seed.step_of(&format!("0{}", seed.code(100)), now, None),
            None
        );
    }

    /// RFC 4648, section 10, lengthened to what a seed may be.
    #[test]
    fn seeds_are_read_as_people_copy_them() {
        let read = |text: &str| Seed::parse(&SecretString::from(text));
        let shown = |text: &str| read(text).unwrap().base32().expose_secret().to_owned();
        let rfc = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
        assert_eq!(
            Seed::of(b"12345678901234567890").base32().expose_secret(),
            rfc
        );
        assert_eq!(shown("gezd gnbv-gy3t qojq gezdgnbvgy3tqojq"), rfc);
        assert_eq!(shown(&format!("{rfc}GE======")), format!("{rfc}GE"));
        for wrong in [
            "",
            "GEZDGNBV",
            "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJ1",
            &"A".repeat(200),
        ] {
            assert_eq!(read(wrong).unwrap_err(), NoSeed, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_seed_is_read_as_it_was_shown(bytes in prop::collection::vec(any::<u8>(), 16..=64)) {
            let shown = Seed::of(&bytes).base32();
            let read = Seed::parse(&shown).unwrap();
            prop_assert_eq!(read.0.expose_secret(), &*bytes);
        }
    }
}
