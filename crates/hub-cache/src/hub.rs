//! [`HubCache`]: a cache together with a way to the Hub.

use std::path::{Path, PathBuf};

use fs_err as fs;
use hub_http::{HfApi, HfApiBuilder, ProgressHandle};
use hub_types::env::Env;

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::local_dir::LocalDir;

/// A cache that fetches what it lacks. Cheap to clone.
///
/// ```no_run
/// # async fn example() -> hub_cache::Result<()> {
/// let hub = hub_cache::HubCache::from_env()?;
/// let config = hub.download_file("ada/demo", "config.json").revision("v1").await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct HubCache {
    api: HfApi,
    cache: Cache,
}

impl HubCache {
    /// The cache and the client that the environment describes. See [`Cache::from_env`] and [`HfApi::from_env`] for what
    /// is read.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a variable that cannot be right, [`Error::Http`] when the client cannot be set up.
    pub fn from_env() -> Result<Self> {
        let env = Env::process();
        let api = HfApiBuilder::from_env(&env)?.build()?;
        Ok(Self::with_cache(api, Cache::from_env(&env)))
    }

    /// The cache at `root`, with a client to fetch what it lacks.
    pub fn new(api: HfApi, root: impl Into<PathBuf>) -> Self {
        Self::with_cache(api, Cache::new(root))
    }

    /// A cache with its own settings, and a client to fetch what it lacks.
    pub fn with_cache(api: HfApi, cache: Cache) -> Self {
        Self { api, cache }
    }

    /// The client.
    pub fn api(&self) -> &HfApi {
        &self.api
    }

    /// The cache.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The same for a call that may name another cache's folder, whose requests count as one download and whose retries
    /// are told.
    pub(crate) fn for_call(&self, cache_dir: Option<&Path>, progress: &ProgressHandle) -> Self {
        let root = cache_dir.unwrap_or(self.cache.root());
        Self {
            api: self.api.counting_download().telling(progress),
            cache: self.cache.at(real_path(root)),
        }
    }
}

/// Where a call puts files.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// Into the cache: contents, and links to them.
    Cache,
    /// Into a plain folder.
    Local(LocalDir),
}

impl Place {
    pub(crate) fn new(local_dir: Option<&Path>) -> Self {
        match local_dir {
            Some(dir) => Self::Local(LocalDir::new(real_path(dir))),
            None => Self::Cache,
        }
    }
}

/// A path as the Python client gives it back: `~` replaced, absolute, without links. It need not exist.
fn real_path(path: &Path) -> PathBuf {
    let path = match (path.strip_prefix("~"), std::env::home_dir()) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    };
    let path = std::path::absolute(&path).unwrap_or(path);
    let mut missing = Vec::new();
    let mut at = path.as_path();
    loop {
        if let Ok(mut real) = fs::canonicalize(at) {
            real.extend(missing.iter().rev());
            return real;
        }
        match (at.parent(), at.file_name()) {
            (Some(parent), Some(name)) => {
                missing.push(name);
                at = parent;
            }
            _ => return path,
        }
    }
}

/// Runs what blocks on a thread that may. A dropped caller lets it end.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    joined(tokio::task::spawn_blocking(work).await)
}

/// What a task gave. A panic in it goes on here.
pub(crate) fn joined<T>(ended: Result<Result<T>, tokio::task::JoinError>) -> Result<T> {
    match ended {
        Ok(result) => result,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(Error::Http(hub_http::Error::Aborted)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_path_is_made_real_as_far_as_it_exists() {
        let dir = tempfile::tempdir().unwrap();
        let real = fs::canonicalize(dir.path()).unwrap();
        fs::create_dir(real.join("there")).unwrap();
        std::os::unix::fs::symlink("there", real.join("link")).unwrap();
        assert_eq!(real_path(&real.join("link/not/yet")), real.join("there/not/yet"));
        assert_eq!(real_path(Path::new("~/x")), std::env::home_dir().unwrap().join("x"));
    }
}
