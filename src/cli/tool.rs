//! Administrators' tools: where they are, and what they say.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::failure::{Exit, Failure};

/// Where administrators' tools are, whatever the caller's `PATH` says.
const FOLDERS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// Where this tool is.
pub(super) fn find(tool: &str) -> Option<PathBuf> {
    let mut paths = FOLDERS.iter().map(|folder| Path::new(folder).join(tool));
    paths.find(|path| path.exists())
}

/// Gives a tool something to do on its standard input; what it printed.
pub(super) fn run(tool: &str, arguments: &[&str], input: &str) -> Result<String, Failure> {
    let failed = || Failure::new(Exit::Fault, format!("{tool} failed"));
    let Some(path) = find(tool) else {
        return Err(failed()
            .why(format!("{tool} is not installed"))
            .remedy(format!(
                "install the package with {tool}: {}",
                package(tool)
            )));
    };
    let child = Command::new(path)
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = child.map_err(|error| failed().because(&error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A tool that ends early says why on its standard error.
        drop(stdin.write_all(input.as_bytes()));
    }
    let output = child.wait_with_output();
    let output = output.map_err(|error| failed().because(&error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let told = String::from_utf8_lossy(&output.stderr);
    let told = told.lines().find(|line| !line.trim().is_empty());
    Err(failed().why(told.unwrap_or("it does not say why").trim()))
}

fn package(tool: &str) -> &'static str {
    match tool {
        "nft" => "nftables",
        _ => "iproute2, or iproute",
    }
}
