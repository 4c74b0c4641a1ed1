//! Who is known: by the users file and by directories, with the groups that count.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lc_rs::digest;

use super::directory::{Directory, Member, NotMember};
use super::file::Watched;
use super::groups::{Groups, SystemGroups};
use super::password::Hash;
use super::users::Users;
use super::workers::{Busy, Workers};
use crate::clock::Clock;
use crate::config::{self, Administrator};
use crate::grants::{Person, Way};
use crate::secret::SecretString;

/// What a name stands on once it was proved: while this holds, it need not be proved again.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Standing {
    pub(super) way: Way,
    pub(super) name: Arc<str>,
    /// Of the users file's hash: with another password this is another standing.
    hash: Option<[u8; 32]>,
}

impl std::fmt::Debug for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Standing({:?}, {:?})", self.way, self.name)
    }
}

impl Standing {
    /// Of a name that something else than a password of the users file proves.
    pub(super) const fn of(way: Way, name: Arc<str>) -> Self {
        Self {
            way,
            name,
            hash: None,
        }
    }
}

/// Everybody who is known.
#[derive(Debug)]
pub(super) struct Roster {
    users: Option<Arc<Watched<Users>>>,
    groups: Option<Arc<Watched<Groups>>>,
    system: SystemGroups,
    directories: Vec<Arc<dyn Directory>>,
    administrators: Vec<Administrator>,
    workers: Workers,
}

impl From<Busy> for NotMember {
    fn from(_: Busy) -> Self {
        Self::NotReady
    }
}

impl Roster {
    /// Who is known by this configuration. No file is read yet.
    pub(super) fn new(
        people: &config::People,
        directories: Vec<Arc<dyn Directory>>,
        clock: &Clock,
    ) -> Self {
        let users = people.users_file.clone();
        let groups = people.groups_file.clone();
        Self {
            users: users.map(|path| Arc::new(Watched::new(path, Users::read))),
            groups: groups.map(|path| Arc::new(Watched::new(path, Groups::read))),
            system: SystemGroups::new(clock),
            directories,
            administrators: people.administrators.clone(),
            workers: Workers::default(),
        }
    }

    /// Whose name and password these are, by the first of these ways that knows the name.
    pub(super) async fn proved(
        &self,
        ways: &[Way],
        name: &Arc<str>,
        password: &SecretString,
    ) -> Result<(Standing, Arc<Person>), NotMember> {
        for way in ways {
            let proved = match way {
                Way::Basic => self.by_file(name, password).await,
                Way::Pam | Way::Ldap => self.by_directory(*way, name, password).await,
                Way::Peer
                | Way::Oidc
                | Way::Token
                | Way::ProxyHeader
                | Way::AccessKey
                | Way::Session
                | Way::Keystone
                | Way::Supposed => Err(NotMember::Unknown),
            };
            match proved {
                Err(NotMember::Unknown) => {}
                Err(error) => return Err(error),
                Ok(proved) => return Ok(proved),
            }
        }
        // Whether a name is there is not to be told by how long the answer takes.
        if ways.contains(&Way::Basic) {
            self.pretend(password).await?;
        }
        Err(NotMember::Unknown)
    }

    /// Somebody of this standing, with the groups of today.
    pub(super) async fn standing(&self, standing: &Standing) -> Result<Arc<Person>, NotMember> {
        let name = &standing.name;
        let elsewhere = match standing.way {
            Way::Basic => {
                self.still_in_file(standing).await?;
                self.system.of(name).await.to_vec()
            }
            Way::Pam => self.system.of(name).await.to_vec(),
            // Who is not known there any more has no standing.
            Way::Ldap => self.directory(Way::Ldap)?.groups(name).await?,
            Way::ProxyHeader | Way::Token | Way::AccessKey | Way::Session | Way::Keystone => {
                let mut groups = self.system.of(name).await.to_vec();
                for directory in &self.directories {
                    groups.extend(told(directory.groups(name).await)?);
                }
                groups
            }
            Way::Peer | Way::Oidc | Way::Supposed => return Err(NotMember::Unknown),
        };
        let member = Member {
            name: Arc::clone(name),
            groups: elsewhere,
        };
        self.person(standing.way, member).await
    }

    /// A member as a person: with the groups of the groups file, and what follows from them.
    pub(super) async fn person(&self, way: Way, member: Member) -> Result<Arc<Person>, NotMember> {
        let mut groups: BTreeSet<Arc<str>> = member.groups.into_iter().collect();
        if let Some(file) = &self.groups {
            let file = Arc::clone(file);
            let read = tokio::task::spawn_blocking(move || file.now()).await;
            let read = read.map_err(|_panicked| NotMember::NotReady)?;
            groups.extend(read.of(&member.name).iter().cloned());
        }
        let administrator = self.administrators.iter().any(|one| match one {
            Administrator::Person(name) => *name == member.name,
            Administrator::Group(group) => groups.contains(group),
            Administrator::Uid(_) => false,
        });
        Ok(Arc::new(Person {
            name: member.name,
            groups: groups.into_iter().collect(),
            way,
            administrator,
        }))
    }

    async fn by_file(
        &self,
        name: &Arc<str>,
        password: &SecretString,
    ) -> Result<(Standing, Arc<Person>), NotMember> {
        let users = Arc::clone(self.users.as_ref().ok_or(NotMember::Unknown)?);
        let (asked, password) = (Arc::clone(name), password.clone());
        let verified = self.workers.run(move || {
            let users = users.now();
            let hash = users.hash(&asked).ok_or(NotMember::Unknown)?;
            let right = hash.is_of(&password);
            right.then(|| fingerprint(hash)).ok_or(NotMember::Wrong)
        });
        let hash = verified.await??;
        let standing = Standing {
            way: Way::Basic,
            name: Arc::clone(name),
            hash: Some(hash),
        };
        let member = Member {
            name: Arc::clone(name),
            groups: self.system.of(name).await.to_vec(),
        };
        Ok((standing, self.person(Way::Basic, member).await?))
    }

    async fn by_directory(
        &self,
        way: Way,
        name: &Arc<str>,
        password: &SecretString,
    ) -> Result<(Standing, Arc<Person>), NotMember> {
        let mut member = self.directory(way)?.verify(name, password).await?;
        if way == Way::Pam {
            member
                .groups
                .extend_from_slice(&self.system.of(&member.name).await);
        }
        let standing = Standing::of(way, Arc::clone(&member.name));
        Ok((standing, self.person(way, member).await?))
    }

    fn directory(&self, way: Way) -> Result<&dyn Directory, NotMember> {
        let mut directories = self.directories.iter();
        let directory = directories.find(|directory| directory.way() == way);
        directory.map(AsRef::as_ref).ok_or(NotMember::Unknown)
    }

    /// Holds the password against somebody's hash, for the time that it takes.
    async fn pretend(&self, password: &SecretString) -> Result<(), NotMember> {
        let Some(users) = self.users.clone() else {
            return Ok(());
        };
        let password = password.clone();
        let verified = self.workers.run(move || {
            let users = users.now();
            users.any().is_some_and(|hash| hash.is_of(&password))
        });
        verified.await?;
        Ok(())
    }

    async fn still_in_file(&self, standing: &Standing) -> Result<(), NotMember> {
        let users = Arc::clone(self.users.as_ref().ok_or(NotMember::Unknown)?);
        let read = tokio::task::spawn_blocking(move || users.now()).await;
        let read = read.map_err(|_panicked| NotMember::NotReady)?;
        let hash = read.hash(&standing.name).ok_or(NotMember::Unknown)?;
        if standing.hash == Some(fingerprint(hash)) {
            Ok(())
        } else {
            Err(NotMember::Wrong)
        }
    }
}

/// Who is not known has no groups.
fn told(groups: Result<Vec<Arc<str>>, NotMember>) -> Result<Vec<Arc<str>>, NotMember> {
    match groups {
        Err(NotMember::Unknown) => Ok(Vec::new()),
        other => other,
    }
}

fn fingerprint(hash: &Hash) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, hash.text().as_bytes());
    let mut bytes = [0; 32];
    for (byte, of) in bytes.iter_mut().zip(digest.as_ref()) {
        *byte = *of;
    }
    bytes
}
