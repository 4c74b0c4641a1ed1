//! A source that is a program: it gets the name as its last argument and prints its answer.

use std::io;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command as Program};

use super::{ANSWER, DEADLINE};
use crate::transport::{Client, printable};

/// All that a program finds in its environment besides [`LOCALE`]: nothing of the daemon's own,
/// which may hold secrets.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
const LOCALE: &str = "C.UTF-8";
/// How much of what it says on standard error is read.
const COMPLAINT: usize = 4096;

/// A program with its arguments; no shell reads them.
#[derive(Debug)]
pub(super) struct Command {
    words: Vec<String>,
    client: Client,
}

/// The program gave no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    #[error("the command is empty")]
    Empty,
    #[error("{program} could not be run: {error}")]
    Run { program: String, error: io::Error },
    #[error("{program} gave no answer within {} s", DEADLINE.as_secs())]
    Late { program: String },
    #[error("{program} printed more than {ANSWER} bytes")]
    Long { program: String },
    #[error("{program} failed ({status}): {said}")]
    Failed {
        program: String,
        status: ExitStatus,
        said: String,
    },
    #[error("{0}")]
    Thread(String),
}

/// A running program. When this is dropped, it and all that it started are ended.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // The number is its own until somebody has waited for it; then there is none here.
        let group = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = group
            && let Err(error) = killpg(Pid::from_raw(group), Signal::SIGKILL)
        {
            tracing::debug!(%error, "a grant source's program could not be ended");
        }
    }
}

impl Command {
    pub(super) fn new(words: &[String], client: Client) -> Self {
        Self {
            words: words.to_vec(),
            client,
        }
    }

    /// Runs the program about this name.
    pub(super) async fn ask(&self, name: &str) -> Result<Vec<u8>, CommandError> {
        let [program, arguments @ ..] = self.words.as_slice() else {
            return Err(CommandError::Empty);
        };
        let mut command = Program::new(program);
        command
            .args(arguments)
            .arg(name)
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", LOCALE)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        let program = program.clone();
        // Starting a program takes its time, and no answer waits for it on that thread.
        let answer = self.client.run(async move {
            let late = CommandError::Late {
                program: program.clone(),
            };
            let run = tokio::time::timeout(DEADLINE, run(command, program));
            run.await.unwrap_or(Err(late))
        });
        answer.await.map_err(CommandError::Thread)?
    }
}

async fn run(mut command: Program, program: String) -> Result<Vec<u8>, CommandError> {
    let failed = |error| CommandError::Run {
        program: program.clone(),
        error,
    };
    let mut running = Running(command.spawn().map_err(failed)?);
    let (output, errors) = (running.0.stdout.take(), running.0.stderr.take());
    let (output, said) = tokio::join!(read(output, ANSWER), read_all(errors, COMPLAINT));
    let output = output.map_err(failed)?;
    if output.len() > ANSWER {
        return Err(CommandError::Long { program });
    }
    let status = running.0.wait().await.map_err(failed)?;
    if status.success() {
        return Ok(output);
    }
    let said = printable(&String::from_utf8_lossy(&said.unwrap_or_default()));
    Err(CommandError::Failed {
        program,
        status,
        said,
    })
}

/// What comes, up to a byte more than this.
async fn read(pipe: Option<impl AsyncRead + Unpin>, most: usize) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    if let Some(pipe) = pipe {
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        pipe.take(most.saturating_add(1))
            .read_to_end(&mut text)
            .await?;
    }
    Ok(text)
}

/// The beginning of what comes; the rest is let go, so that nobody fails for having said too much.
async fn read_all(pipe: Option<impl AsyncRead + Unpin>, most: usize) -> io::Result<Vec<u8>> {
    let Some(mut pipe) = pipe else {
        return Ok(Vec::new());
    };
    let text = read(Some(&mut pipe), most).await?;
    tokio::io::copy(&mut pipe, &mut tokio::io::sink()).await?;
    Ok(text)
}
