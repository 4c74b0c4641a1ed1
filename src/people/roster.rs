//! Who is known: by the users file and by directories, with the groups that count.

use std::collections::BTreeSet;
use std::sync::Arc;

use aws_lc_rs::digest;

use super::directory::{Directory, Member, NotMember};
use super::file::Watched;
use super::groups::{Groups, SystemGroups};
use super::memory::Marker;
use super::password::Hash;
use super::users::Users;
use super::workers::{Busy, Workers};
use crate::clock::Clock;
use crate::config::{self, Administrator};
use crate::grants::{Person, Way};
use crate::secret::SecretString;

/// What a name stands on once it was proved: while this holds, it need not be proved again.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Standing {
    /// What proved it.
    pub way: Way,
    /// The name.
    pub name: Arc<str>,
    /// Of the users file's hash: with another password this is another standing.
    pub hash: Option<[u8; 32]>,
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
    marker: Marker,
}

/// Nobody is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) why: NotMember,
    /// Whether anything said so that had looked: then it was a guess, whatever else did not answer.
    pub(super) was_looked_at: bool,
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
            marker: Marker::default(),
        }
    }

    /// Whose name and password these are, by the first of these ways that knows the name.
    ///
    /// Who is refused cannot tell by the time that it took which of them knew the name: each way
    /// does its work for every refusal, the later ones for somebody who is not there.
    pub(super) async fn proved(
        &self,
        ways: &[Way],
        name: &Arc<str>,
        password: &SecretString,
    ) -> Result<(Standing, Arc<Person>), Refusal> {
        let mut refusal = Refusal {
            why: NotMember::Unknown,
            was_looked_at: false,
        };
        let mut was_held = false;
        for way in ways {
            let is_open = refusal.why == NotMember::Unknown;
            let told = match way {
                Way::Basic if is_open => {
                    let told = self.by_file(name, password).await;
                    was_held = !matches!(told, Err(NotMember::Unknown));
                    told
                }
                Way::Pam | Way::Ldap if is_open => self.by_directory(*way, name, password).await,
                Way::Pam | Way::Ldap => {
                    let absent = self.ask_for_nobody(*way, name).await;
                    refusal.why = refusal.why.max(absent);
                    continue;
                }
                Way::Basic
                | Way::Peer
                | Way::Oidc
                | Way::Token
                | Way::ProxyHeader
                | Way::AccessKey
                | Way::Session
                | Way::Keystone
                | Way::Supposed => continue,
            };
            match told {
                Ok(proved) => return Ok(proved),
                Err(why) => {
                    refusal.why = refusal.why.max(why);
                    refusal.was_looked_at |= why != NotMember::NotReady;
                }
            }
        }
        if ways.contains(&Way::Basic)
            && let Err(Busy) = self.pretend(name, password, was_held).await
        {
            refusal.why = NotMember::NotReady;
        }
        Err(refusal)
    }

    /// Whether a list of names has this one: the users file, or a directory that tells of groups.
    pub(super) async fn knows(&self, name: &Arc<str>) -> Result<bool, NotMember> {
        if let Some(users) = self.users.clone() {
            let asked = Arc::clone(name);
            let read = tokio::task::spawn_blocking(move || users.now().hash(&asked).is_some());
            if read.await.map_err(|_panicked| NotMember::NotReady)? {
                return Ok(true);
            }
        }
        for directory in &self.directories {
            match directory.member(name).await {
                Ok(member) if member.name == *name => return Ok(true),
                Ok(_) | Err(NotMember::Unknown | NotMember::Wrong) => {}
                Err(NotMember::NotReady) => return Err(NotMember::NotReady),
            }
        }
        Ok(false)
    }

    /// Everybody whom the users file lists.
    pub(super) async fn listed(&self) -> Result<Vec<Arc<str>>, NotMember> {
        let Some(users) = self.users.clone() else {
            return Ok(Vec::new());
        };
        let read = tokio::task::spawn_blocking(move || users.now().names().cloned().collect());
        read.await.map_err(|_panicked| NotMember::NotReady)
    }

    /// Somebody of this standing, with the groups of today.
    pub(super) async fn standing(&self, standing: &Standing) -> Result<Arc<Person>, NotMember> {
        let name = &standing.name;
        let member = match standing.way {
            Way::Basic => {
                self.still_in_file(standing).await?;
                let groups = self.system.of(name).await?.groups.clone();
                let name = Arc::clone(name);
                Member { name, groups }
            }
            Way::Pam => {
                let mut member = self.directory(Way::Pam)?.still(name).await?;
                let system = self.system.of(&member.name).await?;
                member.groups.extend_from_slice(&system.groups);
                member
            }
            // Who is not known there any more has no standing.
            Way::Ldap => self.directory(Way::Ldap)?.still(name).await?,
            Way::ProxyHeader | Way::Token | Way::AccessKey | Way::Session | Way::Keystone => {
                self.known_as(name).await?
            }
            Way::Peer | Way::Oidc | Way::Supposed => return Err(NotMember::Unknown),
        };
        self.person(standing.way, member).await
    }

    /// Somebody whose name others vouch for, in the spelling of who knows it here: whoever asks is
    /// one principal, however the name was typed.
    async fn known_as(&self, name: &Arc<str>) -> Result<Member, NotMember> {
        let mut member = Member::clone(&*self.system.of(name).await?);
        for directory in &self.directories {
            match directory.member(name).await {
                Ok(known) => {
                    member.name = known.name;
                    member.groups.extend(known.groups);
                }
                Err(NotMember::Unknown) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(member)
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
            groups: self.system.of(name).await?.groups.clone(),
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
                .extend_from_slice(&self.system.of(&member.name).await?.groups);
        }
        let standing = Standing::of(way, Arc::clone(&member.name));
        Ok((standing, self.person(way, member).await?))
    }

    fn directory(&self, way: Way) -> Result<&dyn Directory, NotMember> {
        let mut directories = self.directories.iter();
        let directory = directories.find(|directory| directory.way() == way);
        directory.map(AsRef::as_ref).ok_or(NotMember::Unknown)
    }

    /// Takes as long for a name whose password was held against no hash as for one whose was.
    async fn pretend(
        &self,
        name: &Arc<str>,
        password: &SecretString,
        was_held: bool,
    ) -> Result<(), Busy> {
        let Some(users) = self.users.clone() else {
            return Ok(());
        };
        let number = self.marker.number_of(name).ok_or(Busy)?;
        let password = password.clone();
        let done = self.workers.run(move || {
            let users = users.now();
            let other = users.any(number).filter(|_| !was_held);
            other.is_some_and(|hash| hash.is_of(&password))
        });
        done.await.map(drop)
    }

    /// Asks a directory what it says of who is not there. For one name it is always the same one:
    /// directories remember whom they do not know.
    async fn ask_for_nobody(&self, way: Way, instead_of: &str) -> NotMember {
        let Some(number) = self.marker.number_of(instead_of) else {
            return NotMember::NotReady;
        };
        let (name, password) = (format!("nobody-{number:016x}"), SecretString::from("none"));
        let asked = match self.directory(way) {
            Ok(directory) => directory.verify(&name, &password).await,
            Err(error) => Err(error),
        };
        match asked {
            Err(NotMember::NotReady) => NotMember::NotReady,
            Ok(_) | Err(NotMember::Unknown | NotMember::Wrong) => NotMember::Unknown,
        }
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

fn fingerprint(hash: &Hash) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, hash.text().as_bytes());
    let mut bytes = [0; 32];
    for (byte, of) in bytes.iter_mut().zip(digest.as_ref()) {
        *byte = *of;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Mutex;
    use std::time::SystemTime;

    use nix::errno::Errno;
    use tempfile::TempDir;

    use super::*;
    use crate::people::directory::Asked;
    use crate::secret::ExposeSecret as _;

    /// A directory that knows `dora` by the password `right`, unless it is down.
    #[derive(Debug, Default)]
    struct Fake {
        is_down: bool,
        asked: Mutex<Vec<(String, String)>>,
    }

    impl Directory for Fake {
        fn way(&self) -> Way {
            Way::Ldap
        }

        fn verify<'a>(&'a self, name: &'a str, password: &'a SecretString) -> Asked<'a, Member> {
            let password = password.expose_secret();
            let asked = (name.to_owned(), password.to_owned());
            self.asked.lock().unwrap().push(asked);
            Box::pin(async move {
                match (name, password) {
                    _ if self.is_down => Err(NotMember::NotReady),
                    ("dora", "right") => Ok(Member {
                        name: Arc::from("dora"),
                        groups: Vec::new(),
                    }),
                    ("dora", _) => Err(NotMember::Wrong),
                    _ => Err(NotMember::Unknown),
                }
            })
        }

        fn member<'a>(&'a self, _name: &'a str) -> Asked<'a, Member> {
            Box::pin(async { Err(NotMember::Unknown) })
        }
    }

    const BOTH: [[Way; 2]; 2] = [[Way::Basic, Way::Ldap], [Way::Ldap, Way::Basic]];

    struct Scene {
        _home: TempDir,
        directory: Arc<Fake>,
        roster: Roster,
    }

    impl Scene {
        /// A users file with `ann`, whose password is `right`.
        fn new(is_down: bool) -> Self {
            let home = tempfile::tempdir().unwrap();
            let users = home.path().join("users");
            fs::write(
                &users,
                format!("ann:{}\n", bcrypt::hash("right", 4).unwrap()),
            )
            .unwrap();
            let people = config::People {
                users_file: Some(users),
                ..config::People::default()
            };
            let directory = Arc::new(Fake {
                is_down,
                ..Fake::default()
            });
            let known: Arc<dyn Directory> = Arc::<Fake>::clone(&directory);
            let clock = Clock::simulated(SystemTime::UNIX_EPOCH);
            Self {
                _home: home,
                roster: Roster::new(&people, vec![known], &clock),
                directory,
            }
        }

        async fn refused(&self, ways: &[Way], name: &str) -> (NotMember, bool) {
            let password = SecretString::from("wrong");
            let proved = self.roster.proved(ways, &Arc::from(name), &password).await;
            let refusal = proved.unwrap_err();
            (refusal.why, refusal.was_looked_at)
        }

        fn asked(&self) -> Vec<(String, String)> {
            std::mem::take(&mut *self.directory.asked.lock().unwrap())
        }
    }

    #[tokio::test]
    async fn every_refusal_asks_the_directory_once() {
        let scene = Scene::new(false);
        for ways in BOTH {
            for (name, why) in [
                ("ann", NotMember::Wrong),
                ("dora", NotMember::Wrong),
                ("zoe", NotMember::Unknown),
            ] {
                let refused = scene.refused(&ways, name).await;
                assert_eq!(refused, (why, true), "{ways:?} {name}");
                assert_eq!(scene.asked().len(), 1, "{ways:?} {name}");
            }
        }
    }

    #[tokio::test]
    async fn what_the_file_refuses_no_directory_is_told() {
        let scene = Scene::new(false);
        let mut seen = Vec::new();
        for _ in 0..2 {
            scene.refused(&BOTH[0], "ann").await;
            seen.append(&mut scene.asked());
        }
        let (name, password) = &seen[0];
        assert!(
            name.starts_with("nobody-") && password != "wrong",
            "{seen:?}"
        );
        assert_eq!(
            seen[0], seen[1],
            "directories remember whom they do not know"
        );
        let right = SecretString::from("right");
        let ann = Arc::from("ann");
        assert!(scene.roster.proved(&BOTH[0], &ann, &right).await.is_ok());
        assert!(scene.asked().is_empty());
    }

    #[tokio::test]
    async fn who_may_have_groups_is_not_let_in_without_them() {
        let mut scene = Scene::new(false);
        let clock = Clock::simulated(SystemTime::UNIX_EPOCH);
        scene.roster.system = SystemGroups::asking(|_| Err(Errno::EIO), &clock);
        let (ann, right) = (Arc::from("ann"), SecretString::from("right"));
        let proved = scene.roster.proved(&[Way::Basic], &ann, &right).await;
        assert_eq!(proved.unwrap_err().why, NotMember::NotReady);
        for way in [Way::ProxyHeader, Way::Token] {
            let standing = Standing::of(way, Arc::clone(&ann));
            let person = scene.roster.standing(&standing).await;
            assert_eq!(person.unwrap_err(), NotMember::NotReady, "{way:?}");
        }
    }

    #[tokio::test]
    async fn every_refusal_takes_a_turn_of_the_hashes() {
        let scene = Scene::new(false);
        let _all = scene.roster.workers.occupied();
        for ways in BOTH {
            for name in ["ann", "dora", "zoe"] {
                let (why, _) = scene.refused(&ways, name).await;
                assert_eq!(why, NotMember::NotReady, "{ways:?} {name}");
                assert_eq!(scene.asked().len(), 1, "{ways:?} {name}");
            }
        }
    }

    #[tokio::test]
    async fn while_the_directory_is_silent_guesses_count_and_no_name_is_told() {
        let scene = Scene::new(true);
        for name in ["ann", "dora", "zoe"] {
            for (ways, was_looked_at) in [
                (&BOTH[0][..], true),
                (&BOTH[1], false),
                (&[Way::Ldap], false),
            ] {
                let refused = scene.refused(ways, name).await;
                assert_eq!(
                    refused,
                    (NotMember::NotReady, was_looked_at),
                    "{ways:?} {name}"
                );
            }
        }
    }
}
