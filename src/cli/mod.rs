//! The command line: one file a command, or a folder where it looks at many things.
//!
//! Beside them stands what several share: the way to the daemon (`daemon`), the configuration
//! (`configuration`), what is said and how (`failure`, `output`, `terminal`), what is asked of this
//! host (`elsewhere`, `interfaces`, `shared_files`, `tool`), and a command run as the daemon is
//! (`as_daemon`).
//!
//! Commands end in an exit code of sysexits.h, which programs may rely on: 0, 1 (a check or a
//! question is answered "no"), 64 usage, 69 daemon not reachable, 70 fault, 77 permission, 78
//! configuration. What went wrong goes to standard error: what happened, why, what to do.

mod addresses;
mod as_daemon;
mod audit;
mod check;
mod completions;
mod configuration;
mod conformance;
mod console;
mod credentials;
mod daemon;
mod docker;
mod doctor;
mod elsewhere;
mod exec;
mod explain;
mod failure;
mod forget;
mod healthcheck;
mod import;
mod key;
mod listening;
mod live;
mod man;
mod output;
mod password;
mod redirect;
mod refresh;
mod refusal;
mod reload;
mod runtime;
mod schema;
mod serve;
mod shared_files;
mod state;
mod status;
mod terminal;
mod tool;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::linkage;
use failure::{Exit, Failure};

/// Hands temporary AWS credentials to the programs on this host.
///
/// A daemon (`rolecall serve`) obtains session credentials for the roles of its configuration, keeps
/// them renewed, and serves them where AWS SDKs look for them. Who gets which role is decided by
/// who is asking: the kernel tells. The other commands talk to the running daemon.
///
/// To try it without any account: run `rolecall serve` in one terminal and do what it prints.
#[derive(Debug, Parser)]
#[command(
    name = "rolecall",
    version,
    subcommand_required = true,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = EXIT_CODES
)]
pub struct Cli {
    /// Where the daemon's admin socket is [default: this user's daemon, else the system's]
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "ROLECALL_SOCKET",
        hide_env_values = true,
        display_order = 900
    )]
    socket: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 the answer is no, 64 wrong usage, 69 the daemon is not reachable,
70 a fault, 77 not permitted, 78 the configuration is wrong.";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Options),
    Check(check::Options),
    Explain(explain::Options),
    Status(status::Options),
    Credentials(credentials::Options),
    Console(console::Options),
    Exec(exec::Options),
    Refresh(refresh::Options),
    Forget(forget::Options),
    Reload(reload::Options),
    Audit(audit::Options),
    Key(key::Options),
    Password(password::Options),
    Verify(verify::Options),
    Doctor(doctor::Options),
    Conformance(conformance::Options),
    Addresses(addresses::Options),
    Redirect(redirect::Options),
    Healthcheck(healthcheck::Options),
    Import(import::Options),
    State(state::Options),
    Runtime(runtime::Options),
    Completions(completions::Options),
    Man(man::Options),
    Schema(schema::Options),
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    linkage::keep_to_own_name_services();
    if let Some(code) = docker::helped() {
        return code;
    }
    let read = Cli::command().try_get_matches();
    let cli = match read.and_then(|read| Cli::of(&read)) {
        Ok(cli) => cli,
        Err(error) => return told(&error),
    };
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.tell(),
    }
}

/// Help and version are answers; everything else is wrong usage.
fn told(error: &clap::Error) -> ExitCode {
    let code = if error.use_stderr() {
        Exit::Usage.code()
    } else {
        ExitCode::SUCCESS
    };
    match error.print() {
        Ok(()) => code,
        Err(_unwritable) => Exit::Fault.code(),
    }
}

impl Cli {
    fn of(read: &ArgMatches) -> Result<Self, clap::Error> {
        let mut cli = Self::from_arg_matches(read)?;
        let is_inherited = read.value_source("socket") == Some(ValueSource::EnvVariable);
        // Who talks to a daemon has the variable; it names no socket of the unit beside it.
        if is_inherited && matches!(cli.command, Command::Runtime(_)) {
            cli.socket = None;
        }
        Ok(cli)
    }

    fn run(self) -> Result<(), Failure> {
        let socket = self.socket;
        match self.command {
            Command::Serve(options) => options.run(socket),
            Command::Check(options) => options.run(socket),
            Command::Explain(options) => options.run(socket),
            Command::Status(options) => options.run(socket),
            Command::Credentials(options) => options.run(socket),
            Command::Console(options) => options.run(socket),
            Command::Exec(options) => options.run(socket),
            Command::Refresh(options) => options.run(socket),
            Command::Forget(options) => options.run(socket),
            Command::Reload(options) => options.run(socket),
            Command::Audit(options) => options.run(socket),
            Command::Key(options) => options.run(socket),
            Command::Password(options) => options.run(),
            Command::Verify(options) => options.run(socket),
            Command::Doctor(options) => options.run(socket),
            Command::Conformance(options) => options.run(),
            Command::Addresses(options) => options.run(),
            Command::Redirect(options) => options.run(),
            Command::Healthcheck(options) => options.run(socket),
            Command::Import(options) => options.run(),
            Command::State(options) => options.run(),
            Command::Runtime(options) => options.run(socket),
            Command::Completions(options) => options.run(Self::command()),
            Command::Man(options) => options.run(Self::command()),
            Command::Schema(options) => options.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
