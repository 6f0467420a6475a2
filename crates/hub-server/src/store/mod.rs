//! The folder: repositories, large files, database; and the lock that keeps a second server out.
//!
//! Everything here blocks. Routes come in through [`App::run`](crate::app::App::run).

pub(crate) mod access;
pub(crate) mod blobs;
pub(crate) mod card;
pub(crate) mod collections;
pub(crate) mod db;
pub(crate) mod discussions;
pub(crate) mod downloads;
pub(crate) mod draft;
pub(crate) mod edit;
pub(crate) mod git;
pub(crate) mod lfs;
pub(crate) mod likes;
pub(crate) mod lookup;
pub(crate) mod push;
pub(crate) mod repos;
pub(crate) mod rules;
pub(crate) mod spaces;
pub(crate) mod users;
pub(crate) mod webhooks;
pub(crate) mod xet;

use std::collections::HashMap;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hub_types::{RepoId, RepoType, Token};
use rand::Rng as _;

use crate::auth::Role;
use crate::error::{Error, Result};
use crate::signing::Signer;
use crate::xet::Storage;

pub(crate) use db::Db;
pub(crate) use git::GitRepo;
pub(crate) use repos::{Gated, Repo, Visibility};

/// The user whom the first start makes.
pub(crate) const LOCAL_USER: &str = "local";

/// A Hub's folder, held by this process.
#[derive(Debug)]
pub(crate) struct Store {
    root: PathBuf,
    pub(crate) db: Db,
    pub(crate) signer: Signer,
    /// Where files are that came by Xet, if any may.
    pub(crate) xet: Option<Storage>,
    /// One lock a repository, by its row: whoever moves a ref or the folder holds it.
    locks: Mutex<HashMap<i64, Arc<Mutex<()>>>>,
    /// Held by whoever gives or takes a large file.
    blobs: Mutex<()>,
    /// Held as long as the store lives; the system lets go of it when the process ends, however that happens.
    _held: File,
}

impl Store {
    pub(crate) fn open(root: &Path, xet: Option<Storage>) -> Result<Self> {
        fs_err::create_dir_all(root)?;
        let root = fs_err::canonicalize(root)?;
        let held = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(root.join("lock"))?
            .into_parts()
            .0;
        match held.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::InUse { root }),
            Err(TryLockError::Error(source)) => return Err(Error::Io { source }),
        }
        fs_err::create_dir_all(root.join("repos"))?;
        blobs::prepare(&root)?;
        let db = Db::open(&root.join("hub.db"))?;
        let signer = Signer::new(db.secret()?);
        Ok(Self {
            root,
            db,
            signer,
            xet,
            locks: Mutex::default(),
            blobs: Mutex::default(),
            _held: held,
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The token of the user `local`, made at the first start.
    ///
    /// A `token` file that was deleted or changed is honoured: a new one is made, or the one that stands there is added.
    pub(crate) fn local_token(&self) -> Result<Token> {
        let path = self.root.join("token");
        let text = match fs_err::read_to_string(&path) {
            Ok(text) => text,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => {
                let token = random_token();
                write_secret(&path, &token)?;
                token
            }
            Err(err) => return Err(err.into()),
        };
        let token = Token::new(&text)?;
        self.db.put_user(LOCAL_USER, token.reveal(), Role::Write, "local")?;
        Ok(token)
    }

    /// The bare repository's folder.
    pub(crate) fn repo_dir(&self, id: &RepoId) -> PathBuf {
        self.repos_dir(id.repo_type())
            .join(id.namespace().unwrap_or("_"))
            .join(format!("{}.git", id.name()))
    }

    fn repos_dir(&self, kind: RepoType) -> PathBuf {
        self.root.join("repos").join(kind.plural())
    }

    pub(crate) fn git(&self, repo: &Repo) -> Result<GitRepo> {
        GitRepo::open(&self.repo_dir(&repo.id))
    }

    /// Runs `work` while no one else changes the repository.
    pub(crate) fn locked<T>(&self, repo: &Repo, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let lock = Arc::clone(hold(&self.locks).entry(repo.row).or_default());
        let _held = hold(&lock);
        work()
    }
}

/// A lock that a panicking thread left is as good as any: what it guards is on the disk, and whole.
pub(crate) fn hold<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `bytes` random bytes as hexadecimal digits.
pub(crate) fn random_hex(bytes: usize) -> String {
    let mut rng = rand::rng();
    (0..bytes).map(|_| format!("{:02x}", rng.random::<u8>())).collect()
}

fn random_token() -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rng = rand::rng();
    let body: String = (0..34)
        .map(|_| char::from(LETTERS[rng.random_range(0..LETTERS.len())]))
        .collect();
    format!("hf_{body}")
}

/// Writes a file that only its owner can read, whole or not at all.
fn write_secret(path: &Path, text: &str) -> Result<()> {
    use std::io::Write as _;

    let dir = path.parent().unwrap_or(Path::new("."));
    // A temporary file is made with mode 0600.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    writeln!(file, "{text}")?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|err| err.error)?;
    Ok(())
}
