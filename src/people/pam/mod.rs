//! Passwords that the system's PAM takes.
//!
//! A stack may do what it likes, and takes as long as it likes: each verification has a thread of
//! its own, few run at once, and none is waited for longer than a while; what hangs gives its turn
//! to others, up to a bound. Its people's groups are those of the system.

mod library;
mod turns;

use std::ffi::CString;
use std::io;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::directory::{Asked, Directory, Member, NotMember, is_name};
use super::told::Told;
use super::workers::NICE;
use crate::clock::Clock;
use crate::grants::Way;
use crate::priority::give_way;
use crate::secret::SecretString;
use crate::transport::causes;
use library::{Code, Library, NoLibrary};
pub use turns::Hanging;
use turns::Turns;

/// How long one's turn is waited for, and then an answer.
const DEADLINE: Duration = Duration::from_secs(10);

/// So many run or wait; what comes above is told that there is no answer.
const OPEN: usize = 64;

/// PAM, as one service uses it.
#[derive(Debug)]
pub struct Pam {
    service: String,
    library: Arc<Opened>,
    open: Semaphore,
    turns: Turns,
    clock: Clock,
    told: Told,
}

/// The library, once it was needed.
struct Opened {
    name: &'static str,
    library: OnceLock<Library>,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opened").finish_non_exhaustive()
    }
}

/// Why PAM gives no answer. Who asks is told none of it.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error(transparent)]
    Library(#[from] NoLibrary),
    #[error("no thread can be started")]
    Thread(#[source] io::Error),
    #[error("its stack fails with code {0}; the system's log may say why")]
    Stack(i32),
    #[error("it took too long; {0} stacks hang")]
    Late(usize),
    #[error(
        "{0} stacks hang, and none is asked until one of them ends: what its modules wait for must \
         be mended, or the daemon restarted"
    )]
    Stuck(usize),
    #[error("too many questions are open")]
    Busy,
    #[error("the question did not end by itself")]
    Fault,
}

/// What a stack says of somebody.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Proved(String),
    Not(NotMember),
}

impl Pam {
    /// The stack of this service. Nothing is opened yet.
    pub fn new(service: String, clock: Clock, hanging: Hanging) -> Self {
        Self::with(library::NAME, service, clock, hanging)
    }

    fn with(library: &'static str, service: String, clock: Clock, hanging: Hanging) -> Self {
        Self {
            service,
            library: Arc::new(Opened {
                name: library,
                library: OnceLock::new(),
            }),
            open: Semaphore::new(OPEN),
            turns: Turns::new(hanging),
            clock,
            told: Told::default(),
        }
    }

    /// Asks the stack about somebody: whether this is the password, where there is one, and whether
    /// the account may be used.
    async fn ask(&self, name: &str, password: Option<&SecretString>) -> Result<Member, NotMember> {
        if !is_name(name) {
            return Err(NotMember::Unknown);
        }
        let (service, asked) = (self.service.clone(), name.to_owned());
        let (library, password) = (Arc::clone(&self.library), password.cloned());
        let verdict = self.run(move || library.ask(service, asked, password.as_ref()));
        match verdict.await {
            Ok(Verdict::Proved(settled)) if is_name(&settled) => Ok(Member {
                name: Arc::from(settled),
                groups: Vec::new(),
            }),
            Ok(Verdict::Proved(_)) => Err(NotMember::Wrong),
            Ok(Verdict::Not(why)) => Err(why),
            Err(why) => {
                self.tell(&why);
                Err(NotMember::NotReady)
            }
        }
    }

    /// Does this on a thread of its own when it is its turn.
    async fn run(
        &self,
        work: impl FnOnce() -> Result<Verdict, NoAnswer> + Send + 'static,
    ) -> Result<Verdict, NoAnswer> {
        let _place = self.open.try_acquire().map_err(|_full| NoAnswer::Busy)?;
        let Ok(turn) = timeout(DEADLINE, self.turns.take()).await else {
            let hanging = self.turns.hanging();
            return Err(if self.turns.are_stuck() {
                NoAnswer::Stuck(hanging)
            } else {
                NoAnswer::Late(hanging)
            });
        };
        let turn = Arc::new(turn.ok_or(NoAnswer::Fault)?);
        let (done, told) = oneshot::channel();
        let ends = Arc::clone(&turn);
        thread::Builder::new()
            .name("pam".to_owned())
            .spawn(move || {
                give_way(NICE);
                let verdict = work();
                drop(ends);
                let _gone = done.send(verdict);
            })
            .map_err(NoAnswer::Thread)?;
        if let Ok(told) = timeout(DEADLINE, told).await {
            return told.unwrap_or(Err(NoAnswer::Fault));
        }
        turn.hangs();
        Err(NoAnswer::Late(self.turns.hanging()))
    }

    /// Tells the operator what is wrong with PAM.
    fn tell(&self, why: &NoAnswer) {
        if !self.told.is_due((), self.clock.boot()) {
            return;
        }
        let service = self.service.as_str();
        tracing::warn!(service, reason = %causes(why), "PAM gives no answer");
    }
}

impl Opened {
    fn ask(
        &self,
        service: String,
        name: String,
        password: Option<&SecretString>,
    ) -> Result<Verdict, NoAnswer> {
        let library = match self.library.get() {
            Some(library) => library,
            // Two may open it at once: the system counts.
            None => self.library.get_or_init({
                let opened = Library::open(self.name)?;
                move || opened
            }),
        };
        let (Ok(c_service), Ok(c_name)) = (CString::new(service), CString::new(name.as_str()))
        else {
            return Ok(Verdict::Not(NotMember::Unknown));
        };
        match library.ask(&c_service, &c_name, password) {
            Ok(settled) => Ok(Verdict::Proved(settled.unwrap_or(name))),
            Err(code) => verdict(code).map(Verdict::Not),
        }
    }
}

/// What a failure says of a person, if it does.
fn verdict(code: Code) -> Result<NotMember, NoAnswer> {
    match code.0 {
        // PAM_USER_UNKNOWN
        10 => Ok(NotMember::Unknown),
        // PAM_PERM_DENIED, PAM_AUTH_ERR, PAM_CRED_INSUFFICIENT, PAM_MAXTRIES,
        // PAM_NEW_AUTHTOK_REQD, PAM_ACCT_EXPIRED, PAM_CRED_EXPIRED, PAM_CONV_ERR,
        // PAM_AUTHTOK_EXPIRED
        6 | 7 | 8 | 11 | 12 | 13 | 16 | 19 | 27 => Ok(NotMember::Wrong),
        code => Err(NoAnswer::Stack(code)),
    }
}

impl Directory for Pam {
    fn way(&self) -> Way {
        Way::Pam
    }

    fn verify<'a>(&'a self, name: &'a str, password: &'a SecretString) -> Asked<'a, Member> {
        Box::pin(self.ask(name, Some(password)))
    }

    fn member<'a>(&'a self, _name: &'a str) -> Asked<'a, Member> {
        Box::pin(async { Err(NotMember::Unknown) })
    }

    fn still<'a>(&'a self, name: &'a str) -> Asked<'a, Member> {
        Box::pin(self.ask(name, None))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::SystemTime;

    use super::*;

    fn clock() -> Clock {
        Clock::simulated(SystemTime::UNIX_EPOCH)
    }

    fn pam(service: &str) -> Pam {
        Pam::new(service.to_owned(), clock(), Hanging::told(|_| {}))
    }

    #[tokio::test]
    async fn without_the_library_nobody_is_proved_and_the_operator_is_told_why() {
        let pam = Pam::with(
            "libnosuchpam.so.0",
            "rolecall".to_owned(),
            clock(),
            Hanging::told(|_| {}),
        );
        let password = SecretString::from("p");
        assert_eq!(
            pam.verify("jane", &password).await,
            Err(NotMember::NotReady)
        );
        assert!(!pam.told.is_due((), pam.clock.boot()), "it was told");
        assert_eq!(pam.turns.hanging(), 0);
    }

    #[tokio::test]
    async fn the_systems_own_stack_knows_no_such_password() {
        // A service without a file gets the stack of those that have none, which lets nobody in.
        let pam = pam("rolecall-no-such-service");
        let password = SecretString::from("no such password");
        for name in ["rolecall-no-such-user", "root"] {
            assert!(pam.verify(name, &password).await.is_err(), "{name}");
        }
        for name in ["rolecall-no-such-user", "a\n"] {
            assert!(pam.still(name).await.is_err(), "{name}");
        }
        let nul = SecretString::from("a\0b");
        assert!(pam.verify("root", &nul).await.is_err());
    }

    /// Work that ends when the other end is dropped.
    fn endless() -> (
        mpsc::Sender<()>,
        impl FnOnce() -> Result<Verdict, NoAnswer> + Send,
    ) {
        let (end, ended) = mpsc::channel();
        let work = move || {
            assert!(ended.recv().is_err());
            Ok(Verdict::Not(NotMember::Wrong))
        };
        (end, work)
    }

    async fn is_asked(pam: &Pam) -> bool {
        let unknown = || Ok(Verdict::Not(NotMember::Unknown));
        matches!(pam.run(unknown).await, Ok(Verdict::Not(NotMember::Unknown)))
    }

    /// What this gives, while no time passes.
    async fn at_a_stroke<T>(work: impl Future<Output = T>) -> T {
        let awake = tokio::spawn(async {
            loop {
                tokio::task::yield_now().await;
            }
        });
        let given = work.await;
        awake.abort();
        given
    }

    #[tokio::test(start_paused = true)]
    async fn stacks_that_hang_give_their_turns_to_others_up_to_a_bound() {
        let hanging = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&hanging);
        let told = Hanging::told(move |count| counted.store(count, Ordering::Relaxed));
        let pam = Pam::new("rolecall".to_owned(), clock(), told);
        let mut ends = Vec::new();
        for number in 1..=turns::MOST_HANGING {
            let (end, work) = endless();
            ends.push(end);
            let late = pam.run(work).await;
            assert!(
                matches!(late, Err(NoAnswer::Late(is)) if is == number),
                "{late:?}"
            );
            assert!(at_a_stroke(is_asked(&pam)).await, "{number}");
        }
        assert_eq!(hanging.load(Ordering::Relaxed), turns::MOST_HANGING);
        for _ in 0..turns::AT_ONCE {
            let (end, work) = endless();
            ends.push(end);
            assert!(pam.run(work).await.is_err());
        }
        let stuck = pam.run(|| panic!("a turn was given")).await;
        assert!(matches!(stuck, Err(NoAnswer::Stuck(_))), "{stuck:?}");
        // It goes on when they end.
        drop(ends);
        while hanging.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
        assert!(at_a_stroke(is_asked(&pam)).await);
    }

    #[tokio::test]
    async fn few_wait() {
        let pam = pam("rolecall");
        let _full = pam.open.acquire_many(64).await.unwrap();
        let surplus = pam.run(|| panic!("a turn was given")).await;
        assert!(matches!(surplus, Err(NoAnswer::Busy)), "{surplus:?}");
    }

    #[tokio::test]
    async fn a_thread_that_panics_keeps_no_turn() {
        let pam = pam("rolecall");
        for _ in 0..=turns::AT_ONCE {
            let fault = pam.run(|| panic!("a fault")).await;
            assert!(matches!(fault, Err(NoAnswer::Fault)), "{fault:?}");
        }
        assert!(is_asked(&pam).await);
    }

    #[test]
    fn codes_of_the_person_are_told_from_those_of_the_stack() {
        assert!(matches!(verdict(Code(10)), Ok(NotMember::Unknown)));
        for code in [6, 7, 8, 11, 12, 13, 16, 19, 27] {
            assert!(
                matches!(verdict(Code(code)), Ok(NotMember::Wrong)),
                "{code}"
            );
        }
        for code in [1, 2, 3, 4, 5, 9, 25, 26, 28] {
            assert!(
                matches!(verdict(Code(code)), Err(NoAnswer::Stack(_))),
                "{code}"
            );
        }
    }

    #[tokio::test]
    async fn it_tells_no_groups() {
        let pam = pam("rolecall");
        assert_eq!(pam.member("jane").await, Err(NotMember::Unknown));
    }
}
