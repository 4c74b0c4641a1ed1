use std::io::Read;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::config::{Log, LogTarget, SyslogAddress};

const DEADLINE: Duration = Duration::from_secs(10);

/// A log to these targets, and what `logged` said in it.
fn logged(to: Vec<LogTarget>, said: impl FnOnce()) -> Logging {
    let (logging, subscriber) = Logging::build(StandardError::Other, Clock::System).unwrap();
    logging.configure(&Log { to, level: None }).unwrap();
    tracing::subscriber::with_default(subscriber, said);
    logging.flush();
    logging
}

fn say() {
    tracing::info!(
        role = "prod/web",
        count = 3u64,
        spare = None::<&str>,
        "handed out"
    );
}

fn lines(text: &str) -> Vec<serde_json::Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn files_get_json_lines_and_are_reopened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let moved = folder.path().join("log.1");
    let logging = logged(vec![LogTarget::File(path.clone())], say);
    std::fs::rename(&path, &moved).unwrap();
    logging.reopen();
    logging.flush();
    let line = &lines(&std::fs::read_to_string(&moved).unwrap())[0];
    assert_eq!(line["message"], "handed out");
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["role"], "prod/web");
    assert_eq!(line["count"], 3);
    assert_eq!(line.get("spare"), None);
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn a_line_that_was_half_written_stands_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    std::fs::write(&path, "{\"timestamp\":\"20").unwrap();
    for lines in [2, 3] {
        logged(vec![LogTarget::File(path.clone())], say);
        let text = std::fs::read_to_string(&path).unwrap();
        let (torn, whole) = text.split_once('\n').unwrap();
        assert_eq!(torn, "{\"timestamp\":\"20");
        assert_eq!(self::lines(whole).len(), lines - 1);
    }
}

#[test]
fn syslog_over_a_local_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let server = UnixDatagram::bind(&path).unwrap();
    server.set_read_timeout(Some(DEADLINE)).unwrap();
    logged(vec![LogTarget::Syslog(SyslogAddress::Local(path))], || {
        tracing::warn!(odd = "a\"b]c\\d\ne", "two\nlines");
    });
    let mut buffer = [0; 2048];
    let length = server.recv(&mut buffer).unwrap();
    let line = std::str::from_utf8(&buffer[..length]).unwrap();
    assert!(line.starts_with("<28>1 20"), "{line}");
    assert!(line.contains(" rolecall "), "{line}");
    assert!(
        line.ends_with(r#"[rolecall@32473 odd="a\"b\]c\\d\ne"] two\nlines odd="a\"b]c\\d\ne""#),
        "{line}"
    );
}

#[test]
fn syslog_over_udp_and_tcp() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.set_read_timeout(Some(DEADLINE)).unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = vec![
        LogTarget::Syslog(SyslogAddress::Udp(udp.local_addr().unwrap().to_string())),
        LogTarget::Syslog(SyslogAddress::Tcp(tcp.local_addr().unwrap().to_string())),
    ];
    let logging = logged(to, say);
    let mut buffer = [0; 2048];
    let length = udp.recv(&mut buffer).unwrap();
    let datagram = String::from_utf8(buffer[..length].to_vec()).unwrap();
    let sentence = "] handed out role=prod/web count=3";
    assert!(datagram.ends_with(sentence), "{datagram}");
    let (mut stream, _) = tcp.accept().unwrap();
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    drop(logging);
    let mut framed = String::new();
    stream.read_to_string(&mut framed).unwrap();
    let (told, line) = framed.split_once(' ').unwrap();
    assert_eq!(told.parse::<usize>().unwrap(), line.len());
    assert!(line.contains("role=\"prod/web\" count=\"3\""), "{line}");
}

#[test]
fn text_escapes_what_could_forge_a_line() {
    let forged = "x\n2026-01-01T00:00:00Z  INFO rolecall: forged";
    let record = recorded(|| tracing::info!(role = forged, plain = "ok", "{forged}"));
    let line = render::text(&record, false);
    assert_eq!(line.matches('\n').count(), 1);
    assert!(line.contains(r"x\n2026"), "{line}");
    assert!(line.contains(" plain=ok"), "{line}");
    assert!(!line.contains('\x1b'));
    assert!(render::text(&record, true).contains("\x1b[32m"));
}

#[test]
fn errors_are_logged_with_their_causes() {
    let source = io::Error::other("the disk is on fire");
    let error = LogError::Target {
        target: "file:/x".to_owned(),
        source,
    };
    let error: &dyn std::error::Error = &error;
    let record = recorded(|| tracing::error!(error, "cannot log"));
    let line = render::text(&record, false);
    assert!(line.contains("opened: the disk is on fire"), "{line}");
}

/// A target that writes only when it is allowed to.
struct Gated {
    allowed: Receiver<io::Result<()>>,
    written: Sender<String>,
}

impl queue::Target for Gated {
    fn write(&mut self, record: &Record) -> io::Result<()> {
        self.allowed.recv().unwrap_or(Ok(()))?;
        self.written.send(record.message().to_owned()).unwrap();
        Ok(())
    }
}

#[test]
fn a_stuck_target_blocks_nothing_and_its_losses_are_counted() {
    let (allow, allowed) = channel();
    let (written, writes) = channel();
    let lost = Counter::default();
    let gated = Box::new(Gated { allowed, written });
    let queue = Queue::start("gated", gated, lost.clone()).unwrap();
    let record = Arc::new(recorded(say));
    for _ in 0..5000 {
        queue.push(&record);
    }
    // One is held by the target, 1024 wait.
    assert!((3975..=3976).contains(&lost.get()), "{}", lost.get());
    allow.send(Err(io::ErrorKind::StorageFull.into())).unwrap();
    drop(allow);
    assert_eq!(writes.recv_timeout(DEADLINE).unwrap(), "handed out");
    assert!((3976..=3977).contains(&lost.get()), "{}", lost.get());
}

#[test]
fn a_bad_target_changes_nothing() {
    let (logging, _subscriber) = Logging::build(StandardError::Other, Clock::System).unwrap();
    let before = logging.shared.queues.load_full();
    let log = |to, level: Option<&str>| Log {
        to,
        level: level.map(ToOwned::to_owned),
    };
    let missing = LogTarget::File("/nonexistent/log".into());
    let refused = logging.configure(&log(vec![missing], None)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the log target file:/nonexistent/log cannot be opened"
    );
    let loud = logging.configure(&log(Vec::new(), Some("rolecall=loud")));
    assert!(matches!(loud, Err(LogError::Level { .. })));
    assert!(Arc::ptr_eq(&before, &logging.shared.queues.load_full()));
}

/// The record of the one event that `said` logs.
fn recorded(said: impl FnOnce()) -> Record {
    struct Keep(Sender<Record>);
    impl<S: Subscriber> Layer<S> for Keep {
        fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
            self.0.send(Record::of(event, Clock::System.now())).unwrap();
        }
    }
    let (sender, receiver) = channel();
    let subscriber = Registry::default().with(Keep(sender));
    tracing::subscriber::with_default(subscriber, said);
    receiver.recv_timeout(DEADLINE).unwrap()
}
