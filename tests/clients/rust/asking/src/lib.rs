//! The line protocol between the matrix and a client program: each `ask` on standard input gets
//! one line, `key ID DIGEST`, `signed ID` or `error TEXT`.

use std::fmt::Write as _;
use std::io::{self, BufRead, Write as _};

use sha2::{Digest, Sha256};

/// How the client under test shows its credentials.
pub enum Answer {
    /// It hands them out.
    Key {
        access_key_id: String,
        secret_access_key: String,
        session_token: String,
    },
    /// It signed a call with them, and the upstream told which key that was.
    Signed { access_key_id: String },
}

/// Answers every `ask` until standard input ends.
pub async fn answer<A: Future<Output = Result<Answer, String>>>(
    ask: impl Fn() -> A,
) -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        line?;
        let reply = match ask().await {
            Ok(Answer::Key {
                access_key_id,
                secret_access_key,
                session_token,
            }) => {
                format!(
                    "key {access_key_id} {}",
                    digest(&secret_access_key, &session_token)
                )
            }
            Ok(Answer::Signed { access_key_id }) => format!("signed {access_key_id}"),
            Err(text) => format!(
                "error {}",
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            ),
        };
        let mut out = io::stdout().lock();
        writeln!(out, "{reply}")?;
        out.flush()?;
    }
    Ok(())
}

/// Sixteen hex digits that prove secret and token arrived unchanged, without showing them.
fn digest(secret_access_key: &str, session_token: &str) -> String {
    let hash = Sha256::digest(format!("{secret_access_key}\n{session_token}").as_bytes());
    hash[..8].iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}
