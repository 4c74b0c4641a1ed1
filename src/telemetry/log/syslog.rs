//! A syslog server, in the form of RFC 5424.

use std::fmt::{self, Write as _};
use std::io::{self, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use chrono::SecondsFormat;
use tracing::Level;

use super::queue::Target;
use super::record::Record;
use super::render::{Beside, Plain, timestamp};
use crate::clock::{BootTime, Clock};
use crate::config::SyslogAddress;

/// How long a connection or a write may take, and how long a dead server is left alone.
const PATIENCE: Duration = Duration::from_secs(1);

/// Facility `daemon` (RFC 5424, 6.2.1).
const FACILITY: u8 = 3;

/// The enterprise number that is kept for examples (RFC 5612): structured data must name one.
const STRUCTURED_DATA: &str = "rolecall@32473";

/// The target as the configuration spells it.
pub(super) fn name(address: &SyslogAddress) -> String {
    match address {
        SyslogAddress::Local(path) => format!("syslog:{}", path.display()),
        SyslogAddress::Udp(host) => format!("syslog:udp://{host}"),
        SyslogAddress::Tcp(host) => format!("syslog:tcp://{host}"),
    }
}

/// Connects at the first event, and again whenever the connection breaks.
pub(super) fn open(address: &SyslogAddress) -> Box<dyn Target> {
    Box::new(Syslog {
        address: address.clone(),
        connection: None,
        left_alone_until: None,
        clock: Clock::System,
        host: host_name(),
        process: std::process::id(),
    })
}

/// This machine's name, `-` where it has none (RFC 5424, 6.2.4).
fn host_name() -> String {
    let name = nix::unistd::gethostname()
        .map(|name| header(&name.to_string_lossy(), 255))
        .unwrap_or_default();
    if name.is_empty() {
        "-".to_owned()
    } else {
        name
    }
}

struct Syslog {
    address: SyslogAddress,
    connection: Option<Connection>,
    left_alone_until: Option<BootTime>,
    clock: Clock,
    host: String,
    process: u32,
}

enum Connection {
    Local(UnixDatagram),
    Udp(UdpSocket),
    Tcp(TcpStream),
}

impl Target for Syslog {
    fn write(&mut self, record: &Record) -> io::Result<()> {
        let now = self.clock.boot();
        if self.left_alone_until.is_some_and(|until| now < until) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        let line = message(record, &self.host, self.process);
        let sent = self.send(line.as_bytes());
        self.left_alone_until = None;
        if sent.is_err() {
            self.connection = None;
            self.left_alone_until = Some(now.plus(PATIENCE));
        }
        sent
    }
}

impl Syslog {
    /// Sends once, and once more over a new connection where an old one broke.
    fn send(&mut self, line: &[u8]) -> io::Result<()> {
        if let Some(connection) = &mut self.connection
            && connection.send(line).is_ok()
        {
            return Ok(());
        }
        let connection = self.connection.insert(connect(&self.address)?);
        connection.send(line)
    }
}

impl Connection {
    fn send(&mut self, line: &[u8]) -> io::Result<()> {
        match self {
            Self::Local(socket) => socket.send(line).map(drop),
            Self::Udp(socket) => socket.send(line).map(drop),
            Self::Tcp(stream) => {
                // Octet counting (RFC 6587, 3.4.1).
                let mut framed = format!("{} ", line.len()).into_bytes();
                framed.extend_from_slice(line);
                stream.write_all(&framed)
            }
        }
    }
}

fn connect(address: &SyslogAddress) -> io::Result<Connection> {
    match address {
        SyslogAddress::Local(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            socket.set_write_timeout(Some(PATIENCE))?;
            Ok(Connection::Local(socket))
        }
        SyslogAddress::Udp(host) => {
            let server = resolve(host)?;
            let any: SocketAddr = if server.is_ipv4() {
                (std::net::Ipv4Addr::UNSPECIFIED, 0).into()
            } else {
                (std::net::Ipv6Addr::UNSPECIFIED, 0).into()
            };
            let socket = UdpSocket::bind(any)?;
            socket.connect(server)?;
            Ok(Connection::Udp(socket))
        }
        SyslogAddress::Tcp(host) => {
            let stream = TcpStream::connect_timeout(&resolve(host)?, PATIENCE)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(Connection::Tcp(stream))
        }
    }
}

fn resolve(host: &str) -> io::Result<SocketAddr> {
    host.to_socket_addrs()?
        .next()
        .ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// `<PRI>1 TIME HOST APP PID MSGID [fields] message and fields`.
fn message(record: &Record, host: &str, process: u32) -> String {
    let mut line = String::with_capacity(256);
    // Writing to a String cannot fail.
    let _: fmt::Result = write_message(&mut line, record, host, process);
    line
}

fn write_message(line: &mut String, record: &Record, host: &str, process: u32) -> fmt::Result {
    let priority = FACILITY * 8 + severity(record.level());
    let time = timestamp(record.time, SecondsFormat::Micros);
    let id = header(record.target(), 32);
    write!(line, "<{priority}>1 {time} {host} rolecall {process} {id} ")?;
    let mut fields = record.fields().peekable();
    if fields.peek().is_none() {
        line.push('-');
    } else {
        write!(line, "[{STRUCTURED_DATA}")?;
        for (name, value) in fields {
            write!(line, " {}=\"", header(name, 32))?;
            escape(line, &value.to_string())?;
            line.push('"');
        }
        line.push(']');
    }
    // What many servers write down is the message alone.
    write!(line, " {}{}", Plain(record.message()), Beside(record))
}

/// RFC 5424, table 2.
const fn severity(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// A header field or a parameter's name: printable, without what ends it, bounded.
fn header(text: &str, max: usize) -> String {
    text.bytes()
        .filter(|b| b.is_ascii_graphic() && !matches!(b, b'=' | b']' | b'"'))
        .take(max)
        .map(char::from)
        .collect()
}

/// A parameter's value (RFC 5424, 6.3.3), control characters escaped besides.
fn escape(line: &mut String, text: &str) -> fmt::Result {
    for c in text.chars() {
        match c {
            '"' | '\\' | ']' => write!(line, "\\{c}")?,
            c if c.is_control() => write!(line, "{}", c.escape_default())?,
            c => line.push(c),
        }
    }
    Ok(())
}
