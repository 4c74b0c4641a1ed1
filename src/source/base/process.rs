//! Base credentials from a program that prints credential_process output.

use std::process::Stdio;

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::{chain, document};
use crate::sessions::KeyDigest;
use crate::source::engine::Engine;
use crate::transport::printable;

/// The most that is read of a program's output.
const OUTPUT: u64 = 64 * 1024;

/// A program with its arguments; no shell reads them.
pub(super) struct Process(Vec<String>);

impl Process {
    pub(super) fn new(command: &[String]) -> Self {
        Self(command.to_vec())
    }

    pub(super) fn digest(&self, key: KeyDigest) -> KeyDigest {
        self.0.iter().fold(key, |key, argument| {
            key.field("argument", argument.as_bytes())
        })
    }

    /// Runs the program. It is killed when this is given up.
    pub(super) async fn run(&self, engine: &Engine) -> Result<Credentials, CredentialsError> {
        let [program, arguments @ ..] = self.0.as_slice() else {
            return Err(CredentialsError::invalid_configuration(
                "the command is empty",
            ));
        };
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        chain::hide_ourselves(&mut command, engine);
        let failed = |what: &str, error: std::io::Error| {
            CredentialsError::provider_error(format!("{program} {what}: {error}"))
        };
        let mut child = command
            .spawn()
            .map_err(|e| failed("could not be started", e))?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let (output, errors) = tokio::join!(read(output), read(errors));
        let output = output.map_err(|e| failed("could not be read", e))?;
        if u64::try_from(output.len()).is_ok_and(|length| length >= OUTPUT) {
            let message = format!("{program} printed more than {} KiB", OUTPUT / 1024);
            return Err(CredentialsError::provider_error(message));
        }
        let status = child
            .wait()
            .await
            .map_err(|e| failed("could not be waited for", e))?;
        if !status.success() {
            let said = printable(&String::from_utf8_lossy(&errors.unwrap_or_default()));
            let message = format!("{program} failed ({status}): {said}");
            return Err(CredentialsError::provider_error(message));
        }
        document::read(&output, "process")
            .map_err(|e| CredentialsError::provider_error(format!("{program}: {e}")))
    }
}

async fn read(pipe: Option<impl AsyncRead + Unpin>) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(pipe) = pipe {
        pipe.take(OUTPUT).read_to_end(&mut text).await?;
    }
    Ok(text)
}
