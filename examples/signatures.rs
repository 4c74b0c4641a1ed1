//! Verifies what Keystone's `ec2tokens` is asked about, a JSON object a line:
//! `{"secret": …, "credentials": …}`. Prints `right`, or what is wrong, for each. For tests that hold
//! the daemon's verification to other signers'.

use std::io::{self, BufRead as _, Write as _};
use std::time::SystemTime;

use rolecall::authority::signature::{Age, Ec2Credentials};
use rolecall::secret::SecretString;
use serde::Deserialize;

#[derive(Deserialize)]
struct Question {
    secret: String,
    credentials: Ec2Credentials,
}

fn main() -> io::Result<()> {
    let mut answers = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let question: Question = serde_json::from_str(&line?)?;
        writeln!(answers, "{}", answer(&question))?;
    }
    Ok(())
}

fn answer(question: &Question) -> String {
    let signed = match question.credentials.signed() {
        Ok(signed) => signed,
        Err(malformed) => return malformed.to_string(),
    };
    let secret = SecretString::from(&*question.secret);
    match signed.verify(&secret, SystemTime::UNIX_EPOCH, Age::Any) {
        Ok(_) => "right".to_owned(),
        Err(mismatch) => mismatch.to_string(),
    }
}
