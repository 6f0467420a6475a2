//! Small files of one commit, brought into the cache with few steps: what many of them take is the way to the disk.
//!
//! A content comes into memory and is checked there. One piece of work on the disk then puts it in its place, and takes
//! the next one's lock. What is out of the ordinary is left to the way that every file can go.

use std::collections::HashSet;
use std::io::{ErrorKind, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use fs_err as fs;
use hub_http::transfer::{FetchOptions, SMALL};
use hub_types::{CommitHash, Etag};

use super::{FileJob, Known, fits};
use crate::cache::Cache;
use crate::disk;
use crate::error::{Error, Result};
use crate::fault;
use crate::hub::Place;
use crate::layout::{self, RepoLayout};
use crate::lock::{self, Attempt, FileLock};

/// Where the small files of one commit go, and what needs to be found out only once for all of them.
#[derive(Debug)]
pub(crate) struct Ground {
    repo: RepoLayout,
    commit: CommitHash,
    durable: bool,
    /// Contents that earlier processes have begun: these are gone on with.
    begun: HashSet<String>,
    /// The folders of the snapshot that are known to be there.
    folders: Mutex<HashSet<String>>,
}

/// What is to be done about a file.
enum Next {
    /// Nothing: its content was there.
    Nothing,
    /// Fetch its content; this process has the lock.
    Fetch(FileLock),
    /// Somebody else has the lock, or something does not work as it should.
    OrdinaryWay,
}

/// A content that has come, on its way to the disk.
struct Arrived {
    job: FileJob,
    known: Known,
    chunks: Vec<Bytes>,
    /// Held until it is there.
    _lock: FileLock,
}

impl Ground {
    /// Makes the commit's folders. None where small files need more than these: copies instead of links, or a look into
    /// system-wide caches. Blocks.
    pub(crate) fn prepare(cache: &Cache, repo: RepoLayout, commit: &CommitHash) -> Result<Option<Self>> {
        if cache.system_caches().next().is_some() {
            return Ok(None);
        }
        cache.prepare(&repo, commit)?;
        if !cache.links_in(&repo) {
            return Ok(None);
        }
        let mut begun = HashSet::new();
        for entry in fs::read_dir(repo.blobs())? {
            if let Some(etag) = entry?.file_name().to_str().and_then(layout::etag_of_partial) {
                begun.insert(etag.to_owned());
            }
        }
        Ok(Some(Self {
            repo,
            commit: commit.clone(),
            durable: cache.is_durable(),
            begun,
            folders: Mutex::default(),
        }))
    }

    /// Whether a file can go this way.
    pub(crate) fn takes(&self, job: &FileJob) -> bool {
        let Some(known) = &job.known else { return false };
        let is_checked = known.etag.as_sha256().is_some() || known.etag.as_git_oid().is_some();
        matches!(job.place, Place::Cache)
            && !job.force
            && !job.local_only
            && job.donor.is_none()
            && known.xet.is_none()
            && known.commit == self.commit
            && known.size.is_some_and(|size| (1..=SMALL).contains(&size))
            && is_checked
            && !self.begun.contains(known.etag.as_str())
    }

    /// Looks whether the content is there, with its lock. Blocks.
    fn begin(&self, job: &FileJob, known: &Known) -> Result<Next> {
        self.make_folders(job, false)?;
        let Attempt::Held(lock) = lock::try_lock(&self.repo.lock_file(&known.etag))? else {
            return Ok(Next::OrdinaryWay);
        };
        // Another process may have brought it since it was found missing.
        if fits(&self.repo.blob(&known.etag), known.size) {
            job.place(known, true, false)?;
            return Ok(Next::Nothing);
        }
        Ok(Next::Fetch(lock))
    }

    /// Makes the folders that the file's path names, unless that was done; `anew` does it again.
    fn make_folders(&self, job: &FileJob, anew: bool) -> Result<()> {
        let Some((parent, _)) = job.path.as_str().rsplit_once('/') else {
            return Ok(());
        };
        let known = || self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if anew || !known().contains(parent) {
            disk::create_parents_below(&self.repo.snapshot(&self.commit), job.path.as_str())?;
            known().insert(parent.to_owned());
        }
        Ok(())
    }

    /// Puts a content and its file in their places. Blocks.
    fn put(&self, arrived: &Arrived) -> Result<()> {
        let Arrived { job, known, chunks, .. } = arrived;
        let mut attempts = 0;
        loop {
            attempts += 1;
            let put = self.write(&known.etag, chunks).map_err(Error::from);
            match put.and_then(|()| job.place(known, true, true)) {
                // Somebody has pruned what is in use.
                Err(Error::Io(err)) if err.kind() == ErrorKind::NotFound && attempts < 3 => {
                    tracing::warn!(%err, "a file vanished while it was downloaded; once more");
                    let cache = job.hub.cache();
                    cache.create_snapshot(&self.repo, &self.commit)?;
                    cache.create_blobs(&self.repo)?;
                    self.make_folders(job, true)?;
                }
                result => return result.map_err(|err| job.whose_folder(err, &self.commit)),
            }
        }
    }

    fn write(&self, etag: &Etag, chunks: &[Bytes]) -> std::io::Result<()> {
        let temporary = self.repo.partial(etag, &disk::hex8());
        let write = |temporary: &Path| {
            let mut file = fs::OpenOptions::new().write(true).create_new(true).open(temporary)?;
            for chunk in chunks {
                file.write_all(chunk)?;
            }
            fault::step("a small file is whole");
            if self.durable {
                file.sync_data()?;
            }
            drop(file);
            fault::step("a content is on the disk");
            disk::rename_over(temporary, &self.repo.blob(etag))
        };
        write(&temporary).inspect_err(|_| {
            let _ = fs::remove_file(&temporary);
        })?;
        fault::step("a content has its name");
        Ok(())
    }
}

/// One after the other, as long as there are any: the lane of a snapshot that small files take.
pub(crate) struct Lane {
    ground: Arc<Ground>,
    arrived: Option<Arrived>,
}

impl Lane {
    pub(crate) fn new(ground: Arc<Ground>) -> Self {
        Self { ground, arrived: None }
    }

    /// Fetches a file's content. It is in its place after the next call, or after [`Lane::end`].
    pub(crate) async fn bring(&mut self, job: FileJob) -> Result<()> {
        let Some(known) = job.known.clone() else {
            return job.run().await.map(drop);
        };
        let (ground, arrived) = (self.ground.clone(), self.arrived.take());
        let (job, known, next) = crate::hub::blocking(move || {
            if let Some(arrived) = arrived {
                ground.put(&arrived)?;
            }
            // What went wrong is told in full by the other way.
            let next = ground.begin(&job, &known).unwrap_or(Next::OrdinaryWay);
            Ok((job, known, next))
        })
        .await?;
        let lock = match next {
            Next::Nothing => return Ok(()),
            Next::OrdinaryWay => return job.run().await.map(drop),
            Next::Fetch(lock) => lock,
        };
        let options = FetchOptions {
            listed: known.location.is_none(),
            progress: job.progress.clone(),
            ..FetchOptions::default()
        };
        let (fetched, chunks) = job.hub.api().fetch_to_memory(&job.source(&known), &options).await?;
        let etag = fetched.etag.unwrap_or_else(|| known.etag.clone());
        self.arrived = Some(Arrived {
            job,
            known: Known { etag, ..known },
            chunks,
            _lock: lock,
        });
        Ok(())
    }

    /// Puts the last file in its place.
    pub(crate) async fn end(&mut self) -> Result<()> {
        match self.arrived.take() {
            Some(arrived) => {
                let ground = self.ground.clone();
                crate::hub::blocking(move || ground.put(&arrived)).await
            }
            None => Ok(()),
        }
    }
}
