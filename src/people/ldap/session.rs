//! One connection to a directory: requests and their answers, one after the other.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::NoAnswer;
use super::ber::{self, Malformed};
use super::message::{self, Answer, Code, Ended, Entry, Query};
use crate::config;
use crate::people::directory::{Member, NotMember, is_name};
use crate::secret::{ExposeSecret, SecretString};

/// So many groups one person may be in.
const MOST_GROUPS: usize = 5000;

/// So many bytes may be told of what was found in one search: names of groups are short.
const MOST_FOUND: usize = 4 << 20;

/// So deep groups may be members of groups.
const DEPTH: usize = 16;

/// So many members are asked about at once.
const AT_ONCE: usize = 64;

/// How many results a server sends at once: directories refuse to send many more than this in one
/// piece.
const PAGE: u32 = 500;

/// The attributes by which groups name their members, the last one by the user's name.
const MEMBER: [&str; 2] = ["member", "uniqueMember"];
const MEMBER_NAME: &str = "memberUid";

/// Messages over a stream.
#[derive(Debug)]
pub(super) struct Session<S> {
    stream: S,
    read: Vec<u8>,
    last: u32,
    /// Whether the directory takes it for the daemon itself.
    is_daemon: bool,
}

/// A person's object.
struct User {
    dn: Vec<u8>,
    name: Arc<str>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) const fn new(stream: S) -> Self {
        Self {
            stream,
            read: Vec::new(),
            last: 0,
            is_daemon: false,
        }
    }

    /// Asks for TLS and gives the stream back for it. What came after the answer was not
    /// encrypted, and would be taken for an answer that was.
    pub(super) async fn start_tls(mut self) -> Result<S, NoAnswer> {
        let id = self.next_id();
        self.send(&message::start_tls(id)).await?;
        let ended = match self.answer(id).await? {
            Answer::Extended(ended) => ended,
            Answer::Bound(_) | Answer::Entry(_) | Answer::Reference | Answer::Found { .. } => {
                return Err(Malformed::Content.into());
            }
        };
        if ended.code != Code::SUCCESS {
            return Err(NoAnswer::NoTls(ended));
        }
        if !self.read.is_empty() {
            return Err(Malformed::Content.into());
        }
        Ok(self.stream)
    }

    /// Who has this name, if this is the password, where one is to be proved.
    pub(super) async fn member(
        &mut self,
        config: &config::Ldap,
        name: &str,
        password: Option<&SecretString>,
    ) -> Result<Result<Member, NotMember>, NoAnswer> {
        let Some(user) = self.user(config, name).await? else {
            return Ok(Err(NotMember::Unknown));
        };
        if let Some(password) = password
            && !self.proves(&user, password).await?
        {
            return Ok(Err(NotMember::Wrong));
        }
        let groups = self.groups_of(config, &user).await?;
        Ok(Ok(Member {
            name: user.name,
            groups,
        }))
    }

    /// Whether this is the user's password.
    async fn proves(&mut self, user: &User, password: &SecretString) -> Result<bool, NoAnswer> {
        self.is_daemon = false;
        let password = password.expose_secret().as_bytes();
        let ended = self.bind(&user.dn, password).await?;
        match ended.code {
            Code::SUCCESS => Ok(true),
            code if code.is_of_proof() => Ok(false),
            _ => Err(refused("a user's bind", ended)),
        }
    }

    /// The one object of this name.
    async fn user(&mut self, config: &config::Ldap, name: &str) -> Result<Option<User>, NoAnswer> {
        self.be_daemon(config).await?;
        let query = Query {
            base: &config.base_users,
            any_of: &[(&config.user_attribute, name.as_bytes())],
            attribute: &config.user_attribute,
            at_most: 2,
            page: None,
        };
        let mut found = Vec::new();
        self.search(&query, &mut found).await?;
        let Some(entry) = found.pop() else {
            return Ok(None);
        };
        // An object without a name of its own would let anybody in: to bind as nobody succeeds.
        if !found.is_empty() || entry.dn.is_empty() {
            return Err(NoAnswer::Ambiguous);
        }
        let spelled = match entry.values.as_slice() {
            [one] => Some(one),
            several => {
                let typed = name.to_lowercase();
                several.iter().find(|value| value.to_lowercase() == typed)
            }
        };
        let spelled = spelled.filter(|spelled| is_name(spelled));
        Ok(Some(User {
            name: Arc::from(spelled.ok_or(NoAnswer::Ambiguous)?.as_str()),
            dn: entry.dn,
        }))
    }

    /// The groups of a person, and the groups that these are in.
    async fn groups_of(
        &mut self,
        config: &config::Ldap,
        user: &User,
    ) -> Result<Vec<Arc<str>>, NoAnswer> {
        self.be_daemon(config).await?;
        let mut names: Vec<Arc<str>> = Vec::new();
        let mut seen: HashSet<Vec<u8>> = HashSet::new();
        let mut members = vec![user.dn.clone()];
        let mut by_name = Some((MEMBER_NAME, user.name.as_bytes()));
        for _level in 0..DEPTH {
            let mut groups = Vec::new();
            for some in members.chunks(AT_ONCE) {
                let of = |dn| MEMBER.map(|attribute| (attribute, dn));
                let mut any_of: Vec<(&str, &[u8])> =
                    some.iter().flat_map(|dn| of(dn.as_slice())).collect();
                any_of.extend(by_name.take());
                self.all(config, &any_of, &mut groups).await?;
            }
            members.clear();
            for group in groups {
                if !seen.insert(group.dn.to_ascii_lowercase()) {
                    continue;
                }
                if seen.len() > MOST_GROUPS {
                    return Err(NoAnswer::Many);
                }
                let valid = group.values.iter().filter(|name| is_name(name));
                names.extend(valid.map(|name| Arc::from(name.as_str())));
                members.push(group.dn);
            }
            if members.is_empty() {
                break;
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// All groups in which one of these attributes has its value, page after page.
    async fn all(
        &mut self,
        config: &config::Ldap,
        any_of: &[(&str, &[u8])],
        groups: &mut Vec<Entry>,
    ) -> Result<(), NoAnswer> {
        let mut begins = Some(Vec::new());
        while let Some(page) = begins {
            let query = Query {
                base: &config.base_groups,
                any_of,
                attribute: &config.group_attribute,
                at_most: 0,
                page: Some((PAGE, &page)),
            };
            begins = self.search(&query, groups).await?;
        }
        Ok(())
    }

    /// Adds what is found to `found`; tells where the next page begins.
    async fn search(
        &mut self,
        query: &Query<'_>,
        found: &mut Vec<Entry>,
    ) -> Result<Option<Vec<u8>>, NoAnswer> {
        let id = self.next_id();
        self.send(&message::search(id, query)).await?;
        let mut told: usize = found.iter().map(size).sum();
        loop {
            match self.answer(id).await? {
                Answer::Entry(_) if found.len() > MOST_GROUPS => return Err(NoAnswer::Many),
                Answer::Entry(entry) => {
                    told += size(&entry);
                    if told > MOST_FOUND {
                        return Err(NoAnswer::Many);
                    }
                    found.push(entry);
                }
                Answer::Reference => {}
                Answer::Found { ended, next } => {
                    // Two of one name are enough to know that it is nobody's.
                    let enough = ended.code == Code::SIZE_LIMIT && query.at_most > 0;
                    return match ended.code {
                        Code::SUCCESS => Ok(next),
                        Code::NO_SUCH_OBJECT => Err(NoAnswer::NoBase(query.base.to_owned())),
                        _ if enough => Ok(None),
                        _ => Err(refused("a search", ended)),
                    };
                }
                Answer::Bound(_) | Answer::Extended(_) => return Err(Malformed::Content.into()),
            }
        }
    }

    /// Looks as the daemon, whoever was the last to prove a password here.
    async fn be_daemon(&mut self, config: &config::Ldap) -> Result<(), NoAnswer> {
        if self.is_daemon {
            return Ok(());
        }
        let ended = match &config.bind {
            Some((dn, password)) => {
                let password = password.expose_secret().as_bytes();
                self.bind(dn.as_bytes(), password).await?
            }
            None => self.bind(b"", b"").await?,
        };
        if ended.code != Code::SUCCESS {
            return Err(refused("the daemon's own bind", ended));
        }
        self.is_daemon = true;
        Ok(())
    }

    async fn bind(&mut self, dn: &[u8], password: &[u8]) -> Result<Ended, NoAnswer> {
        let id = self.next_id();
        self.send(&message::bind(id, dn, password)).await?;
        match self.answer(id).await? {
            Answer::Bound(ended) => Ok(ended),
            Answer::Entry(_) | Answer::Reference | Answer::Found { .. } | Answer::Extended(_) => {
                Err(Malformed::Content.into())
            }
        }
    }

    /// Ids begin again before they end: nothing is open then.
    const fn next_id(&mut self) -> u32 {
        self.last = self.last % 0x7fff_ffff + 1;
        self.last
    }

    async fn send(&mut self, message: &[u8]) -> Result<(), NoAnswer> {
        self.stream.write_all(message).await?;
        self.stream.flush().await?;
        Ok(())
    }

    /// The next answer to this request. Message 0 is the server's own: it is about to hang up.
    async fn answer(&mut self, id: u32) -> Result<Answer, NoAnswer> {
        loop {
            let length = ber::message_length(&self.read)?;
            if let Some(length) = length.filter(|length| *length <= self.read.len()) {
                let rest = self.read.split_off(length);
                let whole = std::mem::replace(&mut self.read, rest);
                let (of, answer) = message::read(&whole)?;
                return match of {
                    _ if of == id => Ok(answer),
                    0 => Err(NoAnswer::Closed),
                    _ => Err(Malformed::Content.into()),
                };
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err(NoAnswer::Closed);
            }
        }
    }
}

fn size(entry: &Entry) -> usize {
    let values: usize = entry.values.iter().map(String::len).sum();
    entry.dn.len() + values
}

fn refused(what: &'static str, ended: Ended) -> NoAnswer {
    if ended.code == Code::REFERRAL {
        NoAnswer::Elsewhere(what)
    } else {
        NoAnswer::Refused { what, ended }
    }
}

impl From<io::Error> for NoAnswer {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::UnexpectedEof {
            Self::Closed
        } else {
            Self::Broken(error)
        }
    }
}
