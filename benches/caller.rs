//! What the look-up of a caller costs alone: `cargo bench --bench caller`.
//!
//! Connections over loopback are made and accepted, then each is looked up again and again by
//! [`Desk::identify_tcp`] on its kept netlink socket. Once with few sockets on the host, once with
//! ten thousand.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it prints what it measured"
)]

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::time::{ClockId, clock_gettime};
use rolecall::caller::Desk;
use rolecall::clock::Clock;

const LOOK_UPS: usize = 200_000;
const FEW: usize = 8;
const MANY: usize = 5_000;

struct Connection {
    accepted: TcpStream,
    local: SocketAddr,
    peer: SocketAddr,
    _client: TcpStream,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    let desk = Desk::open(Clock::System)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut connections = Vec::new();
    for wanted in [FEW, MANY] {
        while connections.len() < wanted {
            connections.push(connect(&listener)?);
        }
        let mut times = measure(&desk, &connections)?;
        times.sort_unstable();
        let at = |share: usize| times.get(times.len() * share / 1000).copied();
        println!(
            "look-up of a TCP caller, {:>5} sockets: p50 {:?}, p99 {:?}, p99.9 {:?}",
            connections.len() * 2,
            at(500).unwrap_or_default(),
            at(990).unwrap_or_default(),
            at(999).unwrap_or_default(),
        );
    }
    Ok(())
}

fn connect(listener: &TcpListener) -> std::io::Result<Connection> {
    let client = TcpStream::connect(listener.local_addr()?)?;
    let (accepted, peer) = listener.accept()?;
    Ok(Connection {
        local: accepted.local_addr()?,
        accepted,
        peer,
        _client: client,
    })
}

fn measure(
    desk: &Desk,
    connections: &[Connection],
) -> Result<Vec<Duration>, Box<dyn std::error::Error>> {
    let mut times = Vec::with_capacity(LOOK_UPS);
    for connection in connections.iter().cycle().take(LOOK_UPS) {
        let before = monotonic()?;
        let caller = desk.identify_tcp(
            connection.local,
            connection.peer,
            connection.accepted.as_fd(),
        );
        times.push(monotonic()?.saturating_sub(before));
        if caller.evidence().uid().is_none() {
            return Err(format!("not identified: {}", caller.evidence()).into());
        }
    }
    Ok(times)
}

fn monotonic() -> nix::Result<Duration> {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from)
}
