//! The tokens that a user has logged in with: the file `stored_tokens` and the active one in `token`.
//!
//! Both files are the Python client's (`utils._auth`), so a login made here is one there and the other way round.
//! `stored_tokens` is INI as Python's `configparser` reads it: a section a token, `hf_token` in it, for tokens of the
//! browser login also `refresh_token` and `expires_at`. What other fields a section has is kept.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hub_types::env::Env;
use hub_types::{Token, ValidationError};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// One stored token and what is known of it.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct StoredToken {
    /// In the file's order; names are lower case. Values are secrets, so their memory is cleared.
    fields: Vec<(String, Zeroizing<String>)>,
}

impl StoredToken {
    /// A token that does not expire.
    pub fn new(token: &Token) -> Self {
        Self {
            fields: vec![("hf_token".to_owned(), token.reveal().to_owned().into())],
        }
    }

    /// The same with what the browser login gives: how to renew it, and when it expires (seconds since 1970).
    pub fn with_refresh(mut self, refresh_token: Option<&Token>, expires_at: Option<i64>) -> Self {
        if let Some(refresh) = refresh_token {
            self.fields
                .push(("refresh_token".to_owned(), refresh.reveal().to_owned().into()));
        }
        if let Some(moment) = expires_at {
            self.fields.push(("expires_at".to_owned(), moment.to_string().into()));
        }
        self
    }

    /// The token itself, or `None` when the section has none or one that no header can carry.
    pub fn token(&self) -> Option<Token> {
        Token::new(self.field("hf_token")?).ok()
    }

    /// What renews it.
    pub fn refresh_token(&self) -> Option<Token> {
        Token::new(self.field("refresh_token")?).ok()
    }

    /// When it expires, in seconds since 1970.
    pub fn expires_at(&self) -> Option<i64> {
        self.field("expires_at")?.trim().parse().ok()
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for StoredToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Two of the values are secrets.
        f.debug_set().entries(self.fields.iter().map(|(key, _)| key)).finish()
    }
}

/// The file `stored_tokens`: named tokens, sorted by name.
#[derive(Debug, Clone)]
pub struct StoredTokens {
    path: PathBuf,
    tokens: BTreeMap<String, StoredToken>,
    /// Whether the file was there and could not be read as INI: it counts as empty, and is kept when saving.
    unreadable: bool,
}

impl StoredTokens {
    /// Reads the file. One that is not there is empty; so is one that is no INI file, as for the Python client.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when it is there and cannot be opened.
    pub fn load(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let bytes = match fs_err::read(&path) {
            Ok(bytes) => Zeroizing::new(bytes),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Zeroizing::default(),
            Err(err) => return Err(err.into()),
        };
        let parsed = std::str::from_utf8(&bytes).ok().and_then(parse);
        Ok(Self {
            path,
            unreadable: parsed.is_none(),
            tokens: parsed.unwrap_or_default(),
        })
    }

    /// Whether the file is there but is no INI file. Its tokens cannot be listed; saving keeps it under another name.
    pub fn is_unreadable(&self) -> bool {
        self.unreadable
    }

    /// Whether there is no token.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// The token of this name.
    pub fn get(&self, name: &str) -> Option<&StoredToken> {
        self.tokens.get(name)
    }

    /// The tokens with their names, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &StoredToken)> {
        self.tokens.iter().map(|(name, token)| (name.as_str(), token))
    }

    /// Adds a token, in place of the one that had its name.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a name that no section can have.
    pub fn insert(&mut self, name: &str, token: StoredToken) -> Result<()> {
        let refuse = |rule: &str| Err(ValidationError::new("token name", name, rule).into());
        if name.is_empty() || name.trim() != name {
            return refuse("must not be empty or begin or end with a blank");
        }
        if name.chars().any(char::is_control) {
            return refuse("must not contain control characters");
        }
        if name == "DEFAULT" {
            return refuse("is reserved in INI files");
        }
        self.tokens.insert(name.to_owned(), token);
        Ok(())
    }

    /// Takes a token out.
    pub fn remove(&mut self, name: &str) -> Option<StoredToken> {
        self.tokens.remove(name)
    }

    /// Writes the file: mode 0600, its folder 0700, in one rename.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn save(&self) -> Result<()> {
        if self.unreadable {
            // Another program's file may hold tokens that exist nowhere else.
            let mut kept = self.path.clone().into_os_string();
            kept.push(".unreadable");
            fs_err::rename(&self.path, PathBuf::from(kept))?;
        }
        let fields = self.tokens.values().flat_map(|token| &token.fields);
        let names: usize = self.tokens.keys().map(|name| name.len() + 4).sum();
        // Enough for all, so that it is not moved and no copy is left behind.
        let room = names
            + fields
                .map(|(key, value)| key.len() + value.len() * 2 + 4)
                .sum::<usize>();
        let mut text = Zeroizing::new(String::with_capacity(room));
        for (name, token) in &self.tokens {
            text.push_str(&format!("[{name}]\n"));
            for (key, value) in &token.fields {
                text.push_str(key);
                text.push_str(" = ");
                for (number, line) in value.split('\n').enumerate() {
                    // A further line of a value is indented, or it would be a line of its own.
                    text.push_str(if number > 0 { "\n\t" } else { "" });
                    text.push_str(line);
                }
                text.push('\n');
            }
            text.push('\n');
        }
        write_secret(&self.path, &text)
    }
}

/// Reads INI text as `configparser` does with its defaults; `None` where it would raise.
fn parse(text: &str) -> Option<BTreeMap<String, StoredToken>> {
    let mut sections: BTreeMap<String, StoredToken> = BTreeMap::new();
    let mut defaults: Vec<(String, Zeroizing<String>)> = Vec::new();
    let mut current: Option<String> = None;
    let mut in_value = false;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for line in text.lines() {
        let content = line.trim();
        if content.is_empty() || content.starts_with(['#', ';']) {
            continue;
        }
        let fields = match current.as_deref() {
            None => None,
            Some("DEFAULT") => Some(&mut defaults),
            Some(name) => sections.get_mut(name).map(|section| &mut section.fields),
        };
        if line.starts_with(char::is_whitespace) && in_value {
            let (_, value) = fields?.last_mut()?;
            value.push('\n');
            value.push_str(content);
            continue;
        }
        if let Some(inner) = content.strip_prefix('[')
            && let Some(end) = inner.rfind(']').filter(|end| *end > 0)
        {
            let name = inner[..end].to_owned();
            in_value = false;
            if name != "DEFAULT" && sections.insert(name.clone(), StoredToken::default()).is_some() {
                return None;
            }
            current = Some(name);
            continue;
        }
        let fields = fields?;
        let (key, value) = content.split_once(['=', ':'])?;
        let key = key.trim().to_lowercase();
        if key.is_empty() || fields.iter().any(|(known, _)| *known == key) {
            return None;
        }
        fields.push((key, value.trim().to_owned().into()));
        in_value = true;
    }
    for section in sections.values_mut() {
        for (key, value) in &defaults {
            if section.field(key).is_none() {
                section.fields.push((key.clone(), value.clone()));
            }
        }
    }
    Some(sections)
}

/// Writes a file that only its owner may read, in one rename; the folder is made so too.
fn write_secret(path: &Path, text: &str) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    fs_err::create_dir_all(folder)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As the Python client does; a folder of another owner is left as it is.
        let _ = fs_err::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    }
    // A temporary file has mode 0600 from its first moment.
    let named =
        |err: std::io::Error| std::io::Error::new(err.kind(), format!("cannot write {}: {err}", path.display()));
    let mut file = tempfile::Builder::new()
        .prefix(".token-")
        .tempfile_in(folder)
        .map_err(named)?;
    file.write_all(text.as_bytes()).map_err(named)?;
    file.as_file().sync_all().map_err(named)?;
    file.persist(path).map_err(|err| named(err.error))?;
    Ok(())
}

/// How a logout went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Logout {
    /// There was nothing to delete.
    NotLoggedIn,
    /// A stored token is gone; the active one is another and stays.
    Deleted,
    /// The active token is gone too.
    DeletedActive,
}

/// Both files: the stored tokens and the active one. Logs in and out without a request.
#[derive(Debug, Clone)]
pub struct TokenStore {
    token_path: PathBuf,
    stored_tokens_path: PathBuf,
}

impl TokenStore {
    /// The files at these paths.
    pub fn new(token_path: impl Into<PathBuf>, stored_tokens_path: impl Into<PathBuf>) -> Self {
        Self {
            token_path: token_path.into(),
            stored_tokens_path: stored_tokens_path.into(),
        }
    }

    /// The files that the environment names: `HF_TOKEN_PATH`, else `$HF_HOME/token`, and `stored_tokens` beside it.
    pub fn from_env(env: &Env) -> Self {
        Self::new(env.token_path(), env.stored_tokens_path())
    }

    /// The file of the active token.
    pub fn token_path(&self) -> &Path {
        &self.token_path
    }

    /// The file of all tokens.
    pub fn stored_tokens_path(&self) -> &Path {
        &self.stored_tokens_path
    }

    /// All tokens.
    ///
    /// # Errors
    ///
    /// See [`StoredTokens::load`].
    pub fn stored(&self) -> Result<StoredTokens> {
        StoredTokens::load(&self.stored_tokens_path)
    }

    /// The active token, as its file has it. The environment's, which would win, is not looked at.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] when the file is there and cannot be read, [`Error::Invalid`]
    /// when what it holds is no token.
    pub fn active(&self) -> Result<Option<Token>> {
        match fs_err::read_to_string(&self.token_path).map(Zeroizing::new) {
            Ok(text) if text.trim().is_empty() => Ok(None),
            Ok(text) => Ok(Some(Token::new(&text)?)),
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err.into()),
        }
    }

    /// The name of the active token, if it is a stored one.
    ///
    /// # Errors
    ///
    /// See [`TokenStore::active`] and [`TokenStore::stored`].
    pub fn active_name(&self) -> Result<Option<String>> {
        let Some(active) = self.active()? else { return Ok(None) };
        let stored = self.stored()?;
        let found = stored.iter().find(|(_, token)| token.token().as_ref() == Some(&active));
        Ok(found.map(|(name, _)| name.to_owned()))
    }

    /// Stores a token under a name and makes it the active one.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a name that cannot be stored or an entry without a token,
    /// [`Error::Io`].
    pub fn login(&self, name: &str, token: StoredToken) -> Result<()> {
        let _lock = self.lock()?;
        let mut stored = self.stored()?;
        stored.insert(name, token)?;
        stored.save()?;
        self.activate(&stored, name)
    }

    /// Makes a stored token the active one.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when no token has this name, [`Error::Io`].
    pub fn switch(&self, name: &str) -> Result<()> {
        let _lock = self.lock()?;
        self.activate(&self.stored()?, name)
    }

    /// Deletes one stored token, and the active one if that is it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn logout(&self, name: &str) -> Result<Logout> {
        let _lock = self.lock()?;
        let mut stored = self.stored()?;
        let Some(gone) = stored.remove(name) else {
            return Ok(Logout::NotLoggedIn);
        };
        stored.save()?;
        if gone.token().is_some() && self.active()? == gone.token() {
            remove(&self.token_path)?;
            return Ok(Logout::DeletedActive);
        }
        Ok(Logout::Deleted)
    }

    /// Deletes every stored token and the active one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn logout_all(&self) -> Result<Logout> {
        if !self.token_path.exists() && !self.stored_tokens_path.exists() {
            return Ok(Logout::NotLoggedIn);
        }
        let _lock = self.lock()?;
        let active = remove(&self.token_path)?;
        let stored = remove(&self.stored_tokens_path)?;
        Ok(match (active, stored) {
            (true, _) => Logout::DeletedActive,
            (false, true) => Logout::Deleted,
            (false, false) => Logout::NotLoggedIn,
        })
    }

    fn activate(&self, stored: &StoredTokens, name: &str) -> Result<()> {
        let Some(token) = stored.get(name).and_then(StoredToken::token) else {
            let rule = format!(
                "no token of this name is stored in {}",
                self.stored_tokens_path.display()
            );
            return Err(ValidationError::new("token name", name, rule).into());
        };
        write_secret(&self.token_path, token.reveal())
    }

    /// Puts what a token was renewed to in its place, in the store and, if it is the active one, there too. The caller
    /// holds the lock.
    pub(crate) fn renew(&self, name: &str, old: &Token, renewed: StoredToken) -> Result<()> {
        let mut stored = self.stored()?;
        let is_active = self.active()?.as_ref() == Some(old);
        stored.insert(name, renewed)?;
        stored.save()?;
        if is_active {
            self.activate(&stored, name)
        } else {
            Ok(())
        }
    }

    /// Keeps other processes from changing the files meanwhile.
    fn lock(&self) -> Result<Lock> {
        if !self.stored_tokens_path.parent().is_some_and(Path::is_dir) {
            return Ok(Lock::Without); // nothing is stored yet
        }
        let deadline = Instant::now() + LOCK_TIMEOUT;
        loop {
            match self.try_lock()? {
                Lock::Busy if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
                Lock::Busy => return Err(self.lock_timed_out()),
                lock => return Ok(lock),
            }
        }
    }

    /// Tries once to lock the files: on the lock file that the Python client uses when it renews a token.
    pub(crate) fn try_lock(&self) -> Result<Lock> {
        let file = fs_err::OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(self.lock_path())?;
        let (file, _) = file.into_parts();
        Ok(match file.try_lock() {
            Ok(()) => Lock::Held(file),
            Err(std::fs::TryLockError::WouldBlock) => Lock::Busy,
            // A file system without locks: each file is still written in one rename.
            Err(std::fs::TryLockError::Error(_)) => Lock::Without,
        })
    }

    fn lock_path(&self) -> PathBuf {
        let mut path = self.stored_tokens_path.clone().into_os_string();
        path.push(".lock");
        path.into()
    }

    pub(crate) fn lock_timed_out(&self) -> Error {
        let message = format!(
            "another process has held the lock {} for too long",
            self.lock_path().display()
        );
        std::io::Error::new(std::io::ErrorKind::TimedOut, message).into()
    }
}

/// How a try to lock the files went. Dropping it unlocks them.
#[derive(Debug)]
pub(crate) enum Lock {
    /// They are locked until this is dropped.
    Held(#[expect(dead_code, reason = "it is there to be dropped")] std::fs::File),
    /// Another process has locked them.
    Busy,
    /// They cannot be locked here.
    Without,
}

const LOCK_TIMEOUT: Duration = Duration::from_secs(30);

/// Deletes a file; whether it was there.
fn remove(path: &Path) -> Result<bool> {
    match fs_err::remove_file(path) {
        Ok(()) => Ok(true),
        Err(err) if err.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(err) => Err(err.into()),
    }
}

#[cfg(test)]
mod tests;
