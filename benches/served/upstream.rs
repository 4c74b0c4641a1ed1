//! A stand-in for the STS of a cloud: whoever asks is given a session of an hour, with a token of
//! AWS's length.

#![expect(
    clippy::print_stderr,
    reason = "nobody else hears of a call that failed"
)]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use rolecall::api::date;
use rolecall::clock::Clock;

use crate::served::Failure;

/// AWS's tokens have about so many characters.
const TOKEN: usize = 400;

/// Serves calls one after the other, for as long as the process lives.
pub(super) fn start() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming() {
            if let Err(error) = stream.map_err(Failure::from).and_then(answer) {
                eprintln!("the stand-in for STS failed: {error}");
            }
        }
    });
    Ok(address)
}

/// Answers one call, and closes.
fn answer(mut stream: TcpStream) -> Result<(), Failure> {
    let mut request = Vec::new();
    let mut some = [0; 4096];
    while !is_whole(&request) {
        match stream.read(&mut some)? {
            0 => return Ok(()),
            more => request.extend_from_slice(some.get(..more).unwrap_or_default()),
        }
    }
    let expires = date(Clock::System.now() + Duration::from_hours(1));
    let token = "t".repeat(TOKEN);
    let body = format!(
        "<AssumeRoleResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><AssumeRoleResult>\
         <AssumedRoleUser><AssumedRoleId>AROAEXAMPLEEXAMPLEEXA:bench</AssumedRoleId>\
         <Arn>arn:aws:sts::123456789012:assumed-role/app/bench</Arn></AssumedRoleUser><Credentials>\
         <AccessKeyId>ASIAIOSFODNN7EXAMPLE</AccessKeyId>\
         <SecretAccessKey>wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY00</SecretAccessKey>\
         <SessionToken>{token}</SessionToken><Expiration>{expires}</Expiration></Credentials>\
         </AssumeRoleResult></AssumeRoleResponse>"
    );
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )?;
    Ok(())
}

/// Whether the head is there, and as much after it as it says.
fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    body.len() >= length.unwrap_or(0)
}
