//! Whatever an STS answers is a session or a failure whose message can stand in a log.
//! The input is a status, a date, a newline, and the body.

#![no_main]

use std::sync::LazyLock;
use std::time::SystemTime;

use libfuzzer_sys::fuzz_target;
use rolecall::source::fuzzing::{Answer, Upstream};
use tokio::runtime::{Builder, Runtime};

static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_current_thread().enable_all().build().unwrap());

static UPSTREAM: LazyLock<Upstream> = LazyLock::new(Upstream::default);

fuzz_target!(|input: &[u8]| {
    let Some(end) = input.iter().position(|byte| *byte == b'\n') else {
        return;
    };
    let (head, body) = (&input[..end], &input[end + 1..]);
    let Some((Ok(status), Ok(date))) = head
        .split_at_checked(3)
        .map(|(status, date)| (std::str::from_utf8(status), std::str::from_utf8(date)))
    else {
        return;
    };
    let Ok(status) = status.parse() else {
        return;
    };
    let answer = Answer {
        status,
        date: date.trim().to_owned(),
        body: body.to_vec(),
    };
    match RUNTIME.block_on(UPSTREAM.understand(answer)) {
        Ok(fetched) => assert!(fetched.expires_at > SystemTime::UNIX_EPOCH),
        Err(failure) => assert!(!failure.message.chars().any(char::is_control)),
    }
});
