//! Copies of the store: backups, and what is brought back from them.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, OpenFlags, backup};

use super::sealing::Keys;
use super::{FILE, connect, fault, files, rows, schema};
use crate::authority::StateKey;
use crate::store::{Cause, Fault};

/// Where a copy is made ready to take the store's place.
const COMING: &str = "store.db.coming";
/// What the name of a backup ends with until it is whole.
const PARTIAL: &str = ".partial";
/// The name of a store that could not be opened when a backup took its place.
const DAMAGED: &str = "store.db.damaged";

/// What a copy holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backup {
    /// How many accounts.
    pub accounts: i64,
    /// How many connectors.
    pub connectors: i64,
    /// How many tokens.
    pub tokens: i64,
    /// How many access keys.
    pub keys: i64,
    /// How many MFA devices.
    pub devices: i64,
    /// Whether it opens only together with `store.keys` of the state directory.
    pub needs_ring: bool,
}

/// Copies the store of this directory, which a daemon may be using, to a new file. Its secrets stay
/// sealed.
pub fn backup(directory: &Path, to: &Path) -> Result<Backup, Fault> {
    let file: Arc<Path> = Arc::from(directory.join(FILE));
    if !file.exists() {
        return Err(fault(&file, Cause::Missing));
    }
    let opened = connect(&file, OpenFlags::SQLITE_OPEN_READ_WRITE);
    let from = opened.map_err(|cause| fault(&file, cause))?;
    copy_aside(&from, to).map_err(|cause| fault(&Arc::from(to), cause))
}

/// A copy that is there whole or not at all, whatever ends this process meanwhile.
fn copy_aside(from: &Connection, to: &Path) -> Result<Backup, Cause> {
    let is_taken = || io::Error::from_raw_os_error(libc::EEXIST);
    if to.symlink_metadata().is_ok() {
        return Err(is_taken().into());
    }
    let aside = named(to, PARTIAL);
    // What an interrupted one has left.
    drop(fs::remove_file(&aside));
    let copied = copy(from, &aside)?;
    // Not over what has come meanwhile, as far as the file system can tell.
    let settled = match fs::hard_link(&aside, to) {
        Ok(()) => fs::remove_file(&aside),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(error),
        Err(_no_links) => fs::rename(&aside, to),
    };
    if let Err(error) = settled {
        drop(fs::remove_file(&aside));
        return Err(error.into());
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    Ok(copied)
}

/// Puts a backup in the place of the store of this directory, which no daemon may be using. It is
/// read whole first: one that is damaged or sealed with another key changes nothing.
pub fn restore(directory: &Path, from: &Path, key: Option<&StateKey>) -> Result<Backup, Fault> {
    let file: Arc<Path> = Arc::from(directory.join(FILE));
    let only = files::only(directory).map_err(|cause| fault(&file, cause))?;
    let coming = directory.join(COMING);
    // What an interrupted one has left.
    drop(fs::remove_file(&coming));
    let checked = checked(directory, from, &coming, key);
    let backup = checked.map_err(|cause| {
        drop(fs::remove_file(&coming));
        fault(&Arc::from(from), cause)
    })?;
    let replaced = settle(directory, &file)
        .and_then(|()| Ok(fs::rename(&coming, &file)?))
        .and_then(|()| Ok(File::open(directory)?.sync_all()?));
    drop(only);
    replaced.map_err(|cause| fault(&file, cause))?;
    Ok(backup)
}

/// A copy that is surely whole, of this program's version, and opens with this key.
fn checked(
    directory: &Path,
    from: &Path,
    coming: &Path,
    key: Option<&StateKey>,
) -> Result<Backup, Cause> {
    if !from.exists() {
        return Err(Cause::Missing);
    }
    let kept = connect(from, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    complete(&kept, from)?;
    let backup = copy(&kept, coming)?;
    let mut connection = connect(coming, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let keys = schema::bring_up(&mut connection, |transaction, is_new| {
        Keys::open(transaction, is_new, directory, key)
    })?;
    rows::read(&connection, &keys)?;
    alone(&connection)?;
    Ok(backup)
}

/// Whether no end of the file is missing: what is missing would be read as zeros.
fn complete(connection: &Connection, file: &Path) -> Result<(), Cause> {
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, u32>(0));
    let long = u64::from(number("page_count")?).saturating_mul(number("page_size")?.into());
    if fs::metadata(file)?.len() < long {
        return Err(Cause::Damaged(Arc::from("its end is missing")));
    }
    Ok(())
}

/// A copy in a file of its own, checked.
fn copy(from: &Connection, to: &Path) -> Result<Backup, Cause> {
    if schema::version(from)? == 0 {
        return Err(Cause::Damaged(Arc::from("nothing is in it")));
    }
    let made = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)?;
    let copied = copy_into(from, to);
    if copied.is_err() {
        drop(fs::remove_file(to));
    }
    made.sync_all()?;
    copied
}

fn copy_into(from: &Connection, to: &Path) -> Result<Backup, Cause> {
    let mut into = connect(to, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // All at once: a reader of the store's log of writes keeps no writer waiting.
    let step = backup::Backup::new(from, &mut into)?.step(-1)?;
    if !matches!(step, backup::StepResult::Done) {
        return Err(Cause::Locked);
    }
    alone(&into)?;
    check(&into)?;
    let count = |sql: &str| into.query_row(sql, [], |row| row.get::<_, i64>(0));
    // An older program's file has not all of the tables.
    let count_in = |table: &str| {
        if into.table_exists(None, table)? {
            count(&format!("SELECT count(*) FROM {table}"))
        } else {
            Ok(0)
        }
    };
    Ok(Backup {
        accounts: count_in("accounts")?,
        connectors: count_in("connectors")?,
        tokens: count_in("tokens")?,
        keys: count_in("access_keys")?,
        devices: count_in("mfa_devices")?,
        needs_ring: count("SELECT count(*) FROM keys WHERE sealed_by = 'generated'")? > 0,
    })
}

/// Everything is in the one file from now on, no log of writes beside it.
fn alone(connection: &Connection) -> Result<(), Cause> {
    connection.pragma_update(None, "journal_mode", "DELETE")?;
    Ok(())
}

/// Whether all of it is as the database left it.
fn check(connection: &Connection) -> Result<(), Cause> {
    let told: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if told != "ok" {
        return Err(Cause::Damaged(Arc::from(told)));
    }
    let mut broken = connection.prepare("PRAGMA foreign_key_check")?;
    if broken.exists([])? {
        return Err(Cause::Damaged(Arc::from("a connector without its account")));
    }
    Ok(())
}

/// Leaves the old store without a log of writes beside it, which would be played into the new one.
/// Whatever happens meanwhile, the old store is there. One that cannot be opened any more is kept
/// under another name.
fn settle(directory: &Path, file: &Path) -> Result<(), Cause> {
    if !file.exists() {
        return Ok(());
    }
    let opened = connect(file, OpenFlags::SQLITE_OPEN_READ_WRITE);
    if opened.and_then(|old| alone(&old)).is_ok() {
        return Ok(());
    }
    let aside = directory.join(DAMAGED);
    drop(fs::remove_file(&aside));
    fs::hard_link(file, &aside)?;
    for beside in ["-wal", "-shm", "-journal"] {
        let from = named(file, beside);
        if from.exists() {
            fs::rename(from, named(&aside, beside))?;
        }
    }
    Ok(())
}

fn named(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}
