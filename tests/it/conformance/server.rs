//! A small metadata service that is right in every way, but for the one fault that it is asked to
//! have.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a place has its own faults, and is right in all others"
)]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nix::sys::socket::{setsockopt, sockopt};
use rolecall::clock::{BootTime, Clock};
use uuid::Uuid;

use super::faults::Wrong;
use super::http::{Asked, Told, Wire, told};

const ROLE: &str = "demo";
const TTL: &str = "x-aws-ec2-metadata-token-ttl-seconds";
const FORWARDED: [&str; 4] = ["x-forwarded-for", "via", "forwarded", "x-real-ip"];

/// A running service. Its threads end with it and with their connections.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    ended: Arc<AtomicBool>,
}

impl Server {
    pub(crate) fn start(wrong: Wrong) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let hops = if wrong == Wrong::FarReaching { 64 } else { 1 };
        setsockopt(&listener, sockopt::Ipv4Ttl, &hops).unwrap();
        let address = listener.local_addr().unwrap();
        let ended = Arc::new(AtomicBool::new(false));
        let service = Arc::new(Service::new(wrong, address));
        let until = Arc::clone(&ended);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if until.load(Ordering::Acquire) {
                    return;
                }
                let service = Arc::clone(&service);
                let stream = stream.unwrap();
                thread::spawn(move || service.serve(stream));
            }
        });
        Self { address, ended }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        drop(TcpStream::connect(self.address));
    }
}

struct Service {
    wrong: Wrong,
    address: SocketAddr,
    /// Issued tokens with their lives, in the order of their issue.
    tokens: Mutex<Vec<(String, i64, BootTime)>>,
    documents: AtomicU64,
    since: DateTime<Utc>,
}

impl Service {
    fn new(wrong: Wrong, address: SocketAddr) -> Self {
        Self {
            wrong,
            address,
            tokens: Mutex::default(),
            documents: AtomicU64::new(0),
            since: Clock::System.now().into(),
        }
    }

    fn is(&self, wrong: Wrong) -> bool {
        self.wrong == wrong
    }

    /// Answers what comes on this connection, until it ends.
    fn serve(&self, stream: TcpStream) {
        let mut wire = Wire::new(stream, self.wrong);
        while let Some(read) = wire.read() {
            let (answer, asked) = match read {
                Ok(asked) => (self.answer(&asked), asked),
                Err(status) => (
                    told(status, "").with("Connection", "close"),
                    Asked::default(),
                ),
            };
            if !wire.write(&asked, &answer) {
                return;
            }
        }
    }

    fn answer(&self, asked: &Asked) -> Told {
        if let Err(status) = self.guard(asked) {
            return told(status, "");
        }
        if asked.method == "OPTIONS" && self.is(Wrong::AllowsOrigins) {
            return told(200, "").with("Access-Control-Allow-Origin", "*");
        }
        let path = match self.path(&asked.target) {
            Ok(path) => path,
            Err(refusal) => return refusal,
        };
        if path == ["latest", "api", "token"] {
            return match asked.method.as_str() {
                "PUT" => self.issue(asked),
                _ => told(405, "").with("Allow", "OPTIONS, PUT"),
            };
        }
        let life = match self.life_of(asked) {
            Ok(life) => life,
            Err(status) => return told(status, ""),
        };
        let reads = matches!(asked.method.as_str(), "GET" | "HEAD");
        let posts = asked.method == "POST" && self.is(Wrong::PostReads);
        if !reads && !posts {
            return told(405, "").with("Allow", "GET, HEAD");
        }
        let answer = self.leaf(asked, &path);
        match life {
            Some(left) if self.is(Wrong::LifeReversed) => answer.with(TTL, left + 60),
            Some(_) if self.is(Wrong::LifeUntoldToGets) => answer,
            Some(left) => answer.with(TTL, left),
            None => answer,
        }
    }

    /// Refuses what no SDK sends.
    fn guard(&self, asked: &Asked) -> Result<(), u16> {
        let hosts: Vec<&str> = asked.all("host").collect();
        let own = |host: &&str| {
            let (name, port) = host.split_once(':').unwrap_or((host, ""));
            let own_port = port == self.address.port().to_string();
            let any_port = port.bytes().all(|byte| byte.is_ascii_digit());
            name == "127.0.0.1" && (own_port || any_port && !self.is(Wrong::StrictPort))
        };
        let right = match hosts.as_slice() {
            _ if self.is(Wrong::AnyHost) => true,
            [] => asked.is_old,
            [first, ..] if self.is(Wrong::FirstHost) => own(first),
            [only] => own(only),
            _ => false,
        };
        if !right {
            return Err(403);
        }
        let lets = match self.wrong {
            Wrong::AnyForwarded => &FORWARDED[..1],
            Wrong::OtherProxies => &FORWARDED[1..],
            Wrong::ForwardedGets if asked.method == "GET" => &FORWARDED[..1],
            _ => &[],
        };
        let refused = FORWARDED.iter().filter(|name| !lets.contains(name));
        if refused.clone().any(|name| asked.header(name).is_some()) {
            return Err(403);
        }
        let preflight = asked.method == "OPTIONS" && self.is(Wrong::AllowsOrigins);
        let of_browser =
            asked.header("origin").is_some() || asked.header("sec-fetch-site").is_some();
        if of_browser && !preflight && !self.is(Wrong::AnyOrigin) {
            return Err(403);
        }
        Ok(())
    }

    /// The segments of a target.
    fn path(&self, target: &str) -> Result<Vec<String>, Told> {
        let mut target = target.to_owned();
        if self.is(Wrong::Proxies) {
            target = target.replace("http://attacker.example", "");
        }
        if self.is(Wrong::DecodesLate) {
            target = target
                .replace("%2e", ".")
                .replace("/latest/../latest", "/latest");
        }
        if self.is(Wrong::Injects) && target.contains("%0d%0a") {
            let decoded = target.replace("%0d%0a", "\r\n").replace("%20", " ");
            return Err(told(404, "").with("X-Path", decoded));
        }
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.+=,@".contains(&byte);
        if !target.starts_with('/') || !target.bytes().all(plain) || target.len() > 4096 {
            return Err(told(400, ""));
        }
        if self.is(Wrong::KeepsSlashes) && target.contains("//") {
            return Err(told(404, ""));
        }
        if self.is(Wrong::Redirects) && target.ends_with("security-credentials") {
            return Err(told(301, "").with("Location", format!("{target}/")));
        }
        let segments: Vec<String> = target
            .split('/')
            .filter(|segment| !segment.is_empty())
            .map(str::to_owned)
            .collect();
        if segments.iter().any(|segment| segment == "..") {
            return Err(told(400, ""));
        }
        Ok(segments)
    }

    fn issue(&self, asked: &Asked) -> Told {
        if self.is(Wrong::NoTokens) {
            return told(404, "");
        }
        if self.is(Wrong::WantsLength) && asked.header("content-length").is_none() {
            return told(411, "");
        }
        let wanted = asked.header(TTL).and_then(|life| life.parse().ok());
        let wanted = wanted.filter(|life| (1..=21600).contains(life));
        let life = match wanted {
            Some(life) => life,
            None if self.is(Wrong::EndlessTokens) => 21600,
            None => return told(400, ""),
        };
        let mut tokens = self.tokens.lock().unwrap();
        let token = match self.wrong {
            Wrong::ConstantToken => "IamNOTaRealBoy!!".to_owned(),
            Wrong::CountedTokens => format!("{:032}", tokens.len()),
            Wrong::ShortTokens => format!("{:08x}", Uuid::new_v4().as_fields().0),
            _ => Uuid::new_v4().simple().to_string(),
        };
        tokens.push((token.clone(), life, Clock::System.boot()));
        if self.is(Wrong::SmallTable) && tokens.len() > 256 {
            tokens.remove(0);
        }
        let body = if self.is(Wrong::TokenNewline) {
            format!("{token}\n")
        } else {
            token
        };
        if self.is(Wrong::LifeUntold) {
            return told(200, body);
        }
        told(200, body).with(TTL, life)
    }

    /// The life of the token that is shown, where one may go without.
    fn life_of(&self, asked: &Asked) -> Result<Option<i64>, u16> {
        let Some(shown) = asked.header("x-aws-ec2-metadata-token") else {
            let may = self.is(Wrong::VersionOne) || self.is(Wrong::NoTokens);
            return if may { Ok(None) } else { Err(401) };
        };
        let tokens = self.tokens.lock().unwrap();
        let lives = |issued: &&(String, i64, BootTime)| {
            let age = Clock::System.boot().since(issued.2).as_secs();
            issued.0 == shown
                && (age < issued.1.unsigned_abs() || self.is(Wrong::EverlastingTokens))
        };
        match tokens.iter().rev().find(lives) {
            Some((_, life, _)) => Ok(Some(*life)),
            None if self.is(Wrong::Unchecked) => Ok(Some(60)),
            None if self.is(Wrong::Forbids) => Err(403),
            None => Err(401),
        }
    }

    fn leaf(&self, asked: &Asked, path: &[String]) -> Told {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let [version, below @ ..] = path.as_slice() else {
            return told(404, "");
        };
        let dated = version.starts_with(|first: char| first.is_ascii_digit());
        if *version != "latest" && (!dated || self.is(Wrong::OnlyLatest)) {
            return told(404, "");
        }
        match below {
            ["meta-data", "iam", "security-credentials"] => self.list(asked),
            ["meta-data", "iam", "security-credentials", ROLE] => self.document(),
            ["meta-data", "iam", "security-credentials", _] => told(
                if self.is(Wrong::EmptyDocument) {
                    200
                } else {
                    404
                },
                "",
            ),
            ["meta-data", "iam", "info"] if !self.is(Wrong::NoProfile) => self.profile(),
            ["meta-data", "placement", "region"] => told(200, "eu-west-1"),
            ["meta-data", "placement", "availability-zone"] => {
                let lettered = !self.is(Wrong::ZoneWithoutLetter);
                told(200, if lettered { "eu-west-1a" } else { "eu-west-1" })
            }
            ["dynamic", "instance-identity", "document"] => {
                let region = if self.is(Wrong::EmptyRegion) {
                    ""
                } else {
                    "eu-west-1"
                };
                told(
                    200,
                    format!("{{\"region\":\"{region}\",\"availabilityZone\":\"eu-west-1a\"}}"),
                )
            }
            _ if self.is(Wrong::BadRequests) => told(400, ""),
            _ => told(404, ""),
        }
    }

    fn list(&self, asked: &Asked) -> Told {
        match self.wrong {
            Wrong::OldChunks if asked.is_old => {
                told(200, ROLE).with("Transfer-Encoding", "chunked")
            }
            Wrong::ListNewline => told(200, "demo\n"),
            Wrong::TwoRoles => told(200, "demo\nother"),
            Wrong::Pages => {
                let mut page = told(200, ROLE);
                page.headers[0].1 = "text/html; charset=utf-8".to_owned();
                page
            }
            _ => told(200, ROLE),
        }
    }

    fn profile(&self) -> Told {
        let updated = date(self.since);
        let arn = "arn:aws:iam::000000000000:instance-profile/demo";
        told(
            200,
            format!(
                "{{\"Code\":\"Success\",\"LastUpdated\":\"{updated}\",\
                 \"InstanceProfileArn\":\"{arn}\",\"InstanceProfileId\":\"AIPAEXAMPLE\"}}"
            ),
        )
    }

    fn document(&self) -> Told {
        let number = self.documents.fetch_add(1, Ordering::Relaxed);
        match self.wrong {
            Wrong::Fails => return told(500, "cannot refresh"),
            // A burst is used up, as it would be by a host's programs at boot.
            Wrong::Limits if number > 50 && number.is_multiple_of(8) => return told(429, ""),
            Wrong::AsksUpstream if number % 20 == 10 => wait(Duration::from_millis(1100)),
            _ => {}
        }
        told(200, self.fields(number))
    }

    fn fields(&self, number: u64) -> String {
        let left = match self.wrong {
            Wrong::Expired => -60,
            Wrong::ShortLife => 240,
            _ => 3600,
        };
        let mut expiration = date(self.since + TimeDelta::seconds(left));
        match self.wrong {
            Wrong::Fractions => expiration = expiration.replace('Z', ".000000000Z"),
            Wrong::Offsets => expiration = expiration.replace('Z', "+00:00"),
            _ => {}
        }
        let ahead = if self.is(Wrong::UpdatedAhead) {
            600
        } else {
            -5
        };
        let updated = date(self.since + TimeDelta::seconds(ahead));
        let blank = self.is(Wrong::BlankCredentials);
        let key = match self.wrong {
            Wrong::NewEachTime => format!("ASIAEXAMPLE{number}"),
            _ => "ASIAEXAMPLE".to_owned(),
        };
        let code = if self.is(Wrong::CodeFailed) {
            "Failed"
        } else {
            "Success"
        };
        let secret = if self.is(Wrong::Escapes) {
            "canary\\/secret"
        } else {
            "canary/secret"
        };
        let shown = |value: &str| {
            if blank {
                String::new()
            } else {
                value.to_owned()
            }
        };
        let mut fields = vec![
            ("Code", code.to_owned()),
            ("LastUpdated", updated),
            ("Type", "AWS-HMAC".to_owned()),
            ("AccessKeyId", shown(&key)),
            ("SecretAccessKey", shown(secret)),
            ("Token", shown("canary-session-token")),
            ("Expiration", expiration),
        ];
        match self.wrong {
            Wrong::NoLastUpdated => drop(fields.remove(1)),
            Wrong::RoleArn => fields.push(("RoleArn", "arn:aws:iam::0:role/demo".to_owned())),
            Wrong::TokenType => fields.push(("TokenType", "canary".to_owned())),
            _ => {}
        }
        let pairs = fields
            .iter()
            .map(|(key, value)| format!("\"{key}\":\"{value}\""));
        format!("{{{}}}", pairs.collect::<Vec<_>>().join(","))
    }
}

fn date(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// An upstream that takes this long.
fn wait(long: Duration) {
    let (_never, upstream) = std::sync::mpsc::channel::<()>();
    assert!(upstream.recv_timeout(long).is_err());
}
