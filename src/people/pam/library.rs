//! libpam, the C library: all of the daemon's dealings with it, and all code here that the compiler
//! cannot vouch for. It is opened when the first password is to be verified, so that hosts without
//! it lack nothing else.
//!
//! What holds in all of this file: a transaction is begun, used and ended by one call of
//! [`Library::ask`] on one thread; what libpam is lent outlives the call; what it is given to
//! keep, the answers, is allocated by the C library's allocator, which it frees them with.
#![expect(
    unsafe_code,
    reason = "libpam is a C library, opened when it is needed"
)]

use std::ffi::{CStr, CString, c_char, c_int, c_uint, c_void};
use std::ptr::{self, NonNull};

use libloading::Library as Shared;
use zeroize::Zeroizing;

use crate::secret::{ExposeSecret, SecretString};

/// As all distributions with Linux-PAM have it.
pub(super) const NAME: &str = "libpam.so.0";

const SUCCESS: c_int = 0;
const BUF_ERR: c_int = 5;
const CONV_ERR: c_int = 19;

const PROMPT_ECHO_OFF: c_int = 1;
const ERROR_MSG: c_int = 3;
const TEXT_INFO: c_int = 4;

const USER: c_int = 2;
const FAIL_DELAY: c_int = 10;

const DISALLOW_NULL_AUTHTOK: c_int = 0x0001;
const SILENT: c_int = 0x8000;

/// The most messages of one conversation (`PAM_MAX_NUM_MSG`).
const MOST_MESSAGES: c_int = 32;

/// A transaction; only libpam knows what is in it.
type Handle = c_void;

/// `struct pam_message`.
#[repr(C)]
struct Message {
    style: c_int,
    text: *const c_char,
}

/// `struct pam_response`.
#[repr(C)]
struct Response {
    text: *mut c_char,
    code: c_int,
}

/// `struct pam_conv`.
#[repr(C)]
struct Conversation {
    converse: extern "C" fn(c_int, *mut *const Message, *mut *mut Response, *mut c_void) -> c_int,
    data: *mut c_void,
}

type Start = unsafe extern "C" fn(
    *const c_char,
    *const c_char,
    *const Conversation,
    *mut *mut Handle,
) -> c_int;
type End = unsafe extern "C" fn(*mut Handle, c_int) -> c_int;
type Step = unsafe extern "C" fn(*mut Handle, c_int) -> c_int;
type GetItem = unsafe extern "C" fn(*const Handle, c_int, *mut *const c_void) -> c_int;
type Delay = extern "C" fn(c_int, c_uint, *mut c_void);
/// `pam_set_item`, for the one item that is set: its value is a function.
type SetDelay = unsafe extern "C" fn(*mut Handle, c_int, Delay) -> c_int;

/// The library, opened. The functions are valid as long as it is, and it is closed last.
pub(super) struct Library {
    start: Start,
    end: End,
    authenticate: Step,
    acct_mgmt: Step,
    get_item: GetItem,
    set_delay: SetDelay,
    _shared: Shared,
}

/// The library is not there, or not the one that it should be.
#[derive(Debug, thiserror::Error)]
#[error("{NAME} cannot be used: is PAM installed?")]
pub(super) struct NoLibrary(#[source] libloading::Error);

/// A number of libpam's that is not success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Code(pub(super) c_int);

impl Library {
    pub(super) fn open(name: &str) -> Result<Self, NoLibrary> {
        // SAFETY: libpam has no initialisers but those of its own data. The types are those of
        // security/pam_appl.h, whose binary interface has been the same for as long as the
        // library's version is 0. The functions are not used when `shared` is gone: they are
        // private to the same value.
        unsafe {
            let shared = Shared::new(name).map_err(NoLibrary)?;
            Ok(Self {
                start: *shared.get(c"pam_start").map_err(NoLibrary)?,
                end: *shared.get(c"pam_end").map_err(NoLibrary)?,
                authenticate: *shared.get(c"pam_authenticate").map_err(NoLibrary)?,
                acct_mgmt: *shared.get(c"pam_acct_mgmt").map_err(NoLibrary)?,
                get_item: *shared.get(c"pam_get_item").map_err(NoLibrary)?,
                set_delay: *shared.get(c"pam_set_item").map_err(NoLibrary)?,
                _shared: shared,
            })
        }
    }

    /// Has this service's stack verify a password, where there is one, and say whether the account
    /// may be used; gives the name that the stack settled on.
    pub(super) fn ask(
        &self,
        service: &CStr,
        name: &CStr,
        password: Option<&SecretString>,
    ) -> Result<Option<String>, Code> {
        let password = match password.map(c_string) {
            None => None,
            Some(Some(password)) => Some(password),
            Some(None) => return Err(Code(CONV_ERR)),
        };
        let lent = password.as_ref().map_or(ptr::null(), |text| text.as_ptr());
        let conversation = Conversation {
            converse,
            data: lent.cast_mut().cast(),
        };
        let mut handle = ptr::null_mut();
        // SAFETY: all four pointers are valid, and the first three until `pam_end` below.
        let started = unsafe {
            (self.start)(
                service.as_ptr(),
                name.as_ptr(),
                &raw const conversation,
                &raw mut handle,
            )
        };
        if started != SUCCESS {
            return Err(Code(started));
        }
        let (ended, settled) = self.run(handle, password.is_some());
        keep_modules();
        // SAFETY: `pam_start` succeeded with this handle, and nobody has it any more.
        let _ended = unsafe { (self.end)(handle, ended) };
        if ended == SUCCESS {
            Ok(settled)
        } else {
            Err(Code(ended))
        }
    }

    /// The steps of one transaction, up to the first that fails.
    fn run(&self, handle: *mut Handle, has_password: bool) -> (c_int, Option<String>) {
        let flags = SILENT | DISALLOW_NULL_AUTHTOK;
        // SAFETY: the handle is that of a transaction in progress on this thread. The item is a
        // function of the type that pam_fail_delay(3) asks for.
        unsafe {
            let _set = (self.set_delay)(handle, FAIL_DELAY, delay);
            if has_password {
                let authenticated = (self.authenticate)(handle, flags);
                if authenticated != SUCCESS {
                    return (authenticated, None);
                }
            }
            let usable = (self.acct_mgmt)(handle, flags);
            if usable != SUCCESS {
                return (usable, None);
            }
            let mut item = ptr::null();
            if (self.get_item)(handle, USER, &raw mut item) != SUCCESS || item.is_null() {
                return (SUCCESS, None);
            }
            // SAFETY: the item is a text of libpam's, which lives until it is set again.
            let user = CStr::from_ptr(item.cast());
            (SUCCESS, user.to_str().ok().map(str::to_owned))
        }
    }
}

/// Has the stack's modules stay loaded after `pam_end`. That of sssd up to 2.8 leaves a destructor
/// for data of the thread, and the thread ends later: in code that is gone.
fn keep_modules() {
    let mut found: Vec<CString> = Vec::new();
    // SAFETY: the callback is done when this returns; it is passed the vector that it expects.
    unsafe { libc::dl_iterate_phdr(Some(note_module), (&raw mut found).cast()) };
    let flags = libc::RTLD_NOW | libc::RTLD_NOLOAD | libc::RTLD_NODELETE;
    for path in &found {
        // SAFETY: what is loaded already is marked, no code of it runs; the handle is not used.
        unsafe {
            let module = libc::dlopen(path.as_ptr(), flags);
            if !module.is_null() {
                libc::dlclose(module);
            }
        }
    }
}

/// Notes a loaded library that is a module of PAM's.
///
/// # Safety
///
/// As `dl_iterate_phdr` calls it; `found` is a vector of texts that nobody else has now.
unsafe extern "C" fn note_module(
    library: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    found: *mut c_void,
) -> c_int {
    // SAFETY: as promised; the name is null or a text that lives during the call.
    unsafe {
        let name = (*library).dlpi_name;
        if !name.is_null() {
            let name = CStr::from_ptr(name);
            if name.to_bytes().windows(5).any(|part| part == b"/pam_") {
                (*found.cast::<Vec<CString>>()).push(name.to_owned());
            }
        }
    }
    0
}

/// The password as C has texts; `None` where it could not be one.
fn c_string(password: &SecretString) -> Option<Zeroizing<Vec<u8>>> {
    let text = password.expose_secret().as_bytes();
    // With room for the end, so that no copy of it stays behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(text.len() + 1));
    bytes.extend_from_slice(text);
    bytes.push(0);
    (!text.contains(&0)).then_some(bytes)
}

/// Who guesses is slowed before it comes here; to sleep on this thread would hold up others.
extern "C" fn delay(_code: c_int, _microseconds: c_uint, _data: *mut c_void) {}

/// Answers a stack's questions: the password to all that must not be shown, nothing to what is only
/// told. What else is asked nobody is there to answer, nor anything where there is no password.
extern "C" fn converse(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    password: *mut c_void,
) -> c_int {
    let Ok(length) = usize::try_from(count) else {
        return CONV_ERR;
    };
    if count == 0 || count > MOST_MESSAGES {
        return CONV_ERR;
    }
    // SAFETY: calloc with small numbers; a `Response` of zeros is one without a text.
    let made = unsafe { libc::calloc(length, size_of::<Response>()) };
    let Some(made) = NonNull::new(made.cast::<Response>()) else {
        return BUF_ERR;
    };
    for index in 0..length {
        // SAFETY: Linux-PAM passes an array of `count` pointers to messages; `made` has room for
        // as many answers; `password` is null or the text that `ask` lent.
        let answered = unsafe {
            match (**messages.add(index)).style {
                PROMPT_ECHO_OFF if !password.is_null() => {
                    let copy = libc::strdup(password.cast());
                    (*made.as_ptr().add(index)).text = copy;
                    !copy.is_null()
                }
                ERROR_MSG | TEXT_INFO => true,
                _ => false,
            }
        };
        if !answered {
            // SAFETY: `made` has `length` answers, and nobody else has it yet.
            unsafe { discard(made, length) };
            return CONV_ERR;
        }
    }
    // SAFETY: libpam passes where it wants the answers.
    unsafe { *responses = made.as_ptr() };
    SUCCESS
}

/// Frees answers, and leaves no password in freed memory.
///
/// # Safety
///
/// `made` has this many answers, allocated as in `converse`, that nobody else will use.
unsafe fn discard(made: NonNull<Response>, length: usize) {
    for index in 0..length {
        // SAFETY: as promised; each text is null or from strdup.
        unsafe {
            let text = (*made.as_ptr().add(index)).text;
            if !text.is_null() {
                libc::explicit_bzero(text.cast(), libc::strlen(text));
                libc::free(text.cast());
            }
        }
    }
    // SAFETY: as promised, from calloc.
    unsafe { libc::free(made.as_ptr().cast()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a stack that asks these questions is answered.
    fn answers(styles: &[c_int], password: Option<&CStr>) -> Result<Vec<Option<String>>, c_int> {
        let messages: Vec<Message> = styles
            .iter()
            .map(|style| Message {
                style: *style,
                text: c"?".as_ptr(),
            })
            .collect();
        let mut pointers: Vec<*const Message> = messages.iter().map(ptr::from_ref).collect();
        let mut responses = ptr::null_mut();
        let count = c_int::try_from(styles.len()).unwrap();
        let password = password.map_or(ptr::null(), CStr::as_ptr);
        let password = password.cast_mut().cast();
        let code = converse(count, pointers.as_mut_ptr(), &raw mut responses, password);
        if code != SUCCESS {
            assert!(responses.is_null());
            return Err(code);
        }
        let made = NonNull::new(responses).unwrap();
        let text = |index: usize| {
            // SAFETY: there are as many answers as questions, each null or a text.
            unsafe {
                let text = (*made.as_ptr().add(index)).text;
                (!text.is_null()).then(|| CStr::from_ptr(text).to_str().unwrap().to_owned())
            }
        };
        let answers = (0..styles.len()).map(text).collect();
        // SAFETY: nobody uses them any more.
        unsafe { discard(made, styles.len()) };
        Ok(answers)
    }

    #[test]
    fn the_password_answers_what_must_not_be_shown_and_nothing_else() {
        const PROMPT_ECHO_ON: c_int = 2;
        let shown = Some(c"secret");
        let secret = Some("secret".to_owned());
        let asked = [TEXT_INFO, PROMPT_ECHO_OFF, ERROR_MSG, PROMPT_ECHO_OFF];
        assert_eq!(
            answers(&asked, shown),
            Ok(vec![None, secret.clone(), None, secret])
        );
        let mixed = answers(&[PROMPT_ECHO_OFF, PROMPT_ECHO_ON], shown);
        assert_eq!(mixed, Err(CONV_ERR));
        assert_eq!(answers(&[], shown), Err(CONV_ERR));
        assert_eq!(answers(&[TEXT_INFO; 33], shown), Err(CONV_ERR));
        assert_eq!(answers(&asked, None), Err(CONV_ERR));
        assert_eq!(answers(&[TEXT_INFO], None), Ok(vec![None]));
    }

    #[test]
    fn a_library_that_is_not_there_is_named() {
        let error = Library::open("libnosuchpam.so.0").err().unwrap();
        assert!(error.to_string().contains("is PAM installed?"));
        // Not any library will do.
        assert!(Library::open("libc.so.6").is_err());
    }
}
