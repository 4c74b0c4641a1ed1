//! `docker-credential-rolecall`: this program under that name helps container engines to log in to
//! registries, as docker, podman and others ask their credential helpers.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;

use super::daemon::{Daemon, UPSTREAM};
use super::failure::{Exit, Failure};
use super::output::{print, print_json};
use crate::api::admin::wire::RegistryLogin;

/// The name that engines call.
const NAME: &str = "docker-credential-rolecall";

/// What engines take for "ask without credentials", word for word.
const NOT_FOUND: &str = "credentials not found in native keychain\n";

/// No server's name is longer.
const LONGEST: u64 = 4096;

/// The helper's answer, if this process was called by its name.
pub(super) fn helped() -> Option<ExitCode> {
    let mut words = env::args_os();
    let name = words.next()?;
    if Path::new(&name).file_name()? != NAME {
        return None;
    }
    let word = words.next();
    Some(match help(word.as_deref().and_then(OsStr::to_str)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Engines show what stands on standard output.
            let told = failure
                .what()
                .map_or(Ok(()), |what| print(&format!("{what}\n")));
            told.map_or_else(|unwritable| unwritable.tell(), |()| failure.tell())
        }
    })
}

fn help(word: Option<&str>) -> Result<(), Failure> {
    match word {
        Some("get") => get(),
        Some("list") => print("{}\n"),
        // There is nothing to forget.
        Some("erase") => Ok(()),
        Some("store") => Err(Failure::new(Exit::No, "rolecall stores no passwords")
            .remedy("no login is needed: what you pull with is decided by grants")),
        Some("version") => print(&format!("{NAME} {}\n", env!("CARGO_PKG_VERSION"))),
        Some(_) | None => {
            let what = format!("{NAME} is called by container engines: get, list, store, erase");
            Err(Failure::new(Exit::Usage, what).remedy(
                "name it in ~/.docker/config.json: {\"credHelpers\": {\"REGISTRY\": \"rolecall\"}}",
            ))
        }
    }
}

/// As engines read it.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Login<'a> {
    #[serde(rename = "ServerURL")]
    server: &'a str,
    username: &'a str,
    secret: &'a str,
}

fn get() -> Result<(), Failure> {
    let mut asked = String::new();
    io::stdin()
        .take(LONGEST)
        .read_to_string(&mut asked)
        .map_err(|error| {
            Failure::new(Exit::Usage, "the registry's name cannot be read").because(&error)
        })?;
    let server = asked.trim();
    let socket = env::var_os("ROLECALL_SOCKET").map(PathBuf::from);
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let role = env::var_os("ROLECALL_ROLE").and_then(|role| role.into_string().ok());
    let role = role.map_or_else(String::new, |role| format!("&role={}", encoded(&role)));
    let path = format!("/v1/registry?server={}{role}", encoded(server));
    let found: Option<RegistryLogin> = Daemon::find(socket)?.get(&path, UPSTREAM)?;
    let Some(login) = found else {
        print(NOT_FOUND)?;
        return Err(Failure::silent(Exit::No));
    };
    print_json(&Login {
        server,
        username: &login.user,
        secret: login.password.expose(),
    })
}
