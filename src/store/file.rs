//! The store as files: who holds them, whether they still stand at their path, and that what is read from them is on disk.
//!
//! Two locks, both `flock(2)`, which SQLite's own locks (`fcntl`) do not see:
//!
//! ```text
//! database file   exclusive from before SQLite opens it until the process ends: a daemon has this store
//! its -wal file   exclusive while commits work, free while they do not: how `status` learns of it on a full or read-only disk
//! ```
//! A lock belongs to the file, whatever name it was opened by: a second daemon is refused through a symbolic link, a hard link
//! and with every other file beside the store removed. Whoever closes any descriptor of the database file drops the locks that
//! SQLite holds on it in the same process, so a descriptor opened here stays open until SQLite has closed.
//!
//! Not noticed: a file that is overwritten in place (`cp backup.db forecourt.db`) while the daemon runs.

use std::fs::{File, Metadata, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::warn;

use super::errors::OpenError;
use super::permissions;

/// `forecourt status` holds a lock for a moment while it looks.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_millis(25);

/// The database file, ours alone.
pub(super) struct StoreFile {
    path: PathBuf,
    /// Its name without symbolic links, as SQLite uses it for the files beside.
    real: PathBuf,
    file: File,
    wal: Option<File>,
    /// What stood at each path when SQLite had opened it.
    expected: Vec<(PathBuf, (u64, u64))>,
    commits: bool,
}

/// What marks one file among all of a host: a copy differs, even one that got the freed inode of the original.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileMark {
    pub inode: u64,
    /// Nanoseconds since 1970; 0 where the file system does not say.
    pub made_at_ns: i64,
}

impl StoreFile {
    /// Opens the file (makes it, when absent) and takes the lock. Call it before SQLite opens the store.
    pub(super) fn lock(path: &Path) -> Result<Self, OpenError> {
        let at = |source| OpenError::File { path: path.to_owned(), source };
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        make_folder(folder).map_err(at)?;
        let file = permissions::open(path).map_err(at)?;
        take(&file).map_err(|error| match error {
            TryLockError::WouldBlock => OpenError::Locked { path: path.to_owned() },
            TryLockError::Error(source) => at(source),
        })?;
        let real = path.canonicalize().map_err(at)?;
        if file.metadata().map_err(at)?.nlink() > 1 {
            warn!(store = %path.display(), "the store has more than one name (hard links); SQLite keeps its -wal file beside one of them");
        }
        Ok(Self { path: path.to_owned(), real, file, wal: None, expected: Vec::new(), commits: false })
    }

    /// Makes what SQLite will read durable. After a failed fsync the kernel keeps pages that never reached the disk and calls
    /// them clean; records of the log that are read from such pages, and everything appended after them, would be gone after a
    /// power cut. Written again, the same bytes are dirty, and the fsync that follows means what it says.
    pub(super) fn make_durable(&self) -> io::Result<()> {
        match File::options().read(true).write(true).open(self.beside("-wal")) {
            Ok(wal) => write_again(&wal)?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.file.sync_all()?;
        let folder = self.real.parent().unwrap_or(Path::new("/"));
        File::open(folder)?.sync_all()
    }

    /// Remembers the files that SQLite works with now.
    pub(super) fn opened(&mut self) -> io::Result<()> {
        let id = |metadata: Metadata| (metadata.dev(), metadata.ino());
        let wal = File::options().read(true).write(true).open(self.beside("-wal"))?;
        self.expected = vec![
            (self.path.clone(), id(self.file.metadata()?)),
            (self.beside("-wal"), id(wal.metadata()?)),
            (self.beside("-shm"), id(std::fs::metadata(self.beside("-shm"))?)),
        ];
        self.wal = Some(wal);
        self.commits(true);
        match self.displaced() {
            None => Ok(()),
            Some(what) => Err(io::Error::other(what)),
        }
    }

    /// Whether somebody removed or replaced a file under us; what happened. Three calls of `stat`, a few microseconds.
    pub(super) fn displaced(&self) -> Option<String> {
        self.expected.iter().find_map(|(path, expected)| match std::fs::metadata(path) {
            Ok(found) if (found.dev(), found.ino()) == *expected => None,
            Ok(_) => Some(format!("{} was replaced by another file while the store was open", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                Some(format!("{} was removed while the store was open", path.display()))
            }
            Err(error) => Some(format!("{}: {error}", path.display())),
        })
    }

    /// Tells other processes whether commits work.
    pub(super) fn commits(&mut self, work: bool) {
        let Some(wal) = self.wal.as_ref().filter(|_| work != self.commits) else { return };
        // A lock that cannot be had because somebody looks right now is taken at the next commit.
        self.commits = match work {
            true => wal.try_lock().is_ok(),
            false => wal.unlock().is_err(),
        };
    }

    pub(super) fn mark(&self) -> io::Result<FileMark> {
        let metadata = self.file.metadata()?;
        let made = metadata.created().ok().and_then(|made| made.duration_since(std::time::UNIX_EPOCH).ok());
        let made_at_ns = made.and_then(|made| i64::try_from(made.as_nanos()).ok()).unwrap_or(0);
        Ok(FileMark { inode: metadata.ino(), made_at_ns })
    }

    fn beside(&self, ending: &str) -> PathBuf {
        beside(&self.real, ending)
    }
}

fn beside(store: &Path, ending: &str) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// A new folder's own entry is on disk before anything in it is promised.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    std::fs::create_dir_all(folder)?;
    for above in folder.ancestors().skip(1).map(|above| if above.as_os_str().is_empty() { Path::new(".") } else { above }) {
        File::open(above)?.sync_all()?;
    }
    Ok(())
}

fn write_again(file: &File) -> io::Result<()> {
    let mut buffer = vec![0; 1024 * 1024];
    let mut at = 0;
    loop {
        let read = file.read_at(&mut buffer, at)?;
        if read == 0 {
            return file.sync_all();
        }
        file.write_all_at(&buffer[..read], at)?;
        at += read as u64;
    }
}

fn take(file: &File) -> Result<(), TryLockError> {
    let start = std::time::Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if start.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
            other => return other,
        }
    }
}

/// What other processes can tell about the daemon of a store, without a word from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// No daemon runs.
    Nobody,
    /// A daemon runs, and its commits work as far as it knows.
    Commits,
    /// A daemon runs and cannot commit (or is about to start).
    CannotCommit,
}

/// Looks at the locks of a store. Harmless: it holds a shared lock for a moment, which a starting daemon waits for.
pub fn holder(store: &Path) -> Holder {
    let Ok(file) = File::open(store) else { return Holder::Nobody };
    let daemon = is_held(&file);
    // Closed, it would take the locks with it that a reader of this process holds. One descriptor for the life of a command.
    std::mem::forget(file);
    if !daemon {
        return Holder::Nobody;
    }
    let real = store.canonicalize().unwrap_or_else(|_| store.to_owned());
    match File::open(beside(&real, "-wal")) {
        Ok(wal) if is_held(&wal) => Holder::Commits,
        _ => Holder::CannotCommit,
    }
}

fn is_held(file: &File) -> bool {
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => true,
        Ok(()) => {
            let _ = file.unlock();
            false
        }
        Err(TryLockError::Error(_)) => false,
    }
}
