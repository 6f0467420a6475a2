//! A content, brought into the cache: under its lock, into a file of this process's own, checked, renamed, linked.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use hub_http::Error as HttpError;
use hub_http::transfer::{FetchOptions, FileSource};
use hub_types::{CommitHash, Etag, Revision};

use super::{FileJob, Known, Xet, fits};
use crate::disk;
use crate::error::{Error, Result};
use crate::fault;
use crate::hub::blocking;
use crate::link;
use crate::lock;
use crate::partial::Partial;

/// An address of bytes that is older than this when they are asked for may have expired.
const LOCATION_LASTS: Duration = Duration::from_secs(60);

impl FileJob {
    /// Brings a content into the cache, if it is not there, and links the file to it. With `system`, its file in a
    /// system-wide cache, nothing is fetched.
    pub(super) async fn bring(self, known: Known, system: Option<PathBuf>) -> Result<PathBuf> {
        let (job, seen) = (self.clone(), known.clone());
        match self.bring_here(known, system.clone()).await {
            // Where nothing can be written, the file is used where it is.
            Err(err) if err.is_unwritable() => {
                let file = || job.hub.cache().system_file(&job.repo, &seen.commit, &job.path);
                let found = if job.force { None } else { system.or_else(file) };
                found.ok_or_else(|| job.whose_folder(err, &seen.commit))
            }
            result => result,
        }
    }

    async fn bring_here(self, known: Known, system: Option<PathBuf>) -> Result<PathBuf> {
        let pointer = self.pointer(&known.commit);
        if !self.force && fits(&pointer, known.size) {
            // Nothing else is written, so that a read-only cache serves too.
            self.note_ref(&known.commit).await;
            return Ok(pointer);
        }
        let repo = self.layout();
        let prepare = self.clone();
        let commit = known.commit.clone();
        let links = blocking(move || {
            let (repo, cache) = (prepare.layout(), prepare.hub.cache());
            cache.prepare(&repo, &commit)?;
            disk::create_parents_below(&repo.snapshot(&commit), prepare.path.as_str())?;
            Ok(cache.links_in(&repo))
        })
        .await?;
        let lock = lock::lock_async(&repo.lock_file(&known.etag), self.hub.cache().lock_limit()).await?;

        // Another process may have brought it while this one waited.
        let again = self.clone();
        let seen = known.clone();
        if !self.force && blocking(move || again.use_what_is_here(&seen, links)).await? {
            drop(lock);
            self.note_ref(&known.commit).await;
            return Ok(pointer);
        }
        if let Some(file) = system {
            return Ok(file);
        }

        let mut attempts = 0;
        loop {
            attempts += 1;
            let (partial, etag, by_xet) = self
                .fetch(&known, repo.blobs(), known.etag.to_string(), |tag| {
                    repo.partial(&known.etag, tag)
                })
                .await?;
            let finish = self.clone();
            let target = repo.blob(&etag);
            let seen = Known { etag, ..known.clone() };
            let finished = blocking(move || {
                if finish.hub.cache().is_durable() {
                    disk::sync(partial.path())?;
                }
                fault::step("a content is on the disk");
                disk::rename_over(partial.path(), &target)?;
                fault::step("a content has its name");
                partial.done();
                // Only what came by Xet and was compared with its hash is for all.
                if by_xet
                    && links
                    && let (Some(entry), Some(size)) = (finish.shared(&seen), seen.size)
                {
                    entry.publish(&target, size, finish.force)?;
                }
                finish.place(&seen, links, true)
            });
            match finished.await {
                Ok(()) => break,
                // Somebody has pruned the partial file from under this process.
                Err(Error::Io(err)) if err.kind() == ErrorKind::NotFound && attempts < 3 => {
                    tracing::warn!(%err, "a file vanished while it was downloaded; once more");
                    self.hub.cache().create_blobs(&repo)?;
                    disk::create_parents_below(&repo.snapshot(&known.commit), self.path.as_str())?;
                }
                Err(err) => return Err(err),
            }
        }
        drop(lock);
        self.note_ref(&known.commit).await;
        Ok(pointer)
    }

    /// Uses the content if it is here already: in the snapshot, among the contents, as another file's copy, or in a
    /// system-wide cache.
    fn use_what_is_here(&self, known: &Known, links: bool) -> Result<bool> {
        let pointer = self.pointer(&known.commit);
        if fits(&pointer, known.size) {
            return Ok(true);
        }
        if fits(&self.layout().blob(&known.etag), known.size) {
            self.place(known, links, false)?;
            return Ok(true);
        }
        // Another repository may have the content in the store that all share.
        if links
            && let (Some(entry), Some(size)) = (self.shared(known), known.size)
            && entry.link(&self.layout().blob(&known.etag), size)
        {
            self.place(known, links, false)?;
            return Ok(true);
        }
        if self.use_donor(known, links)? {
            return Ok(true);
        }
        match self.system_content(known) {
            Some(source) => {
                let cache = self.hub.cache();
                cache.adopt(&self.repo, &self.asked(known), &source, links)
            }
            None => Ok(false),
        }
    }

    /// Uses the content of a file that is the same.
    fn use_donor(&self, known: &Known, links: bool) -> Result<bool> {
        let Some(donor) = self.donor.as_deref().filter(|donor| fits(donor, known.size)) else {
            return Ok(false);
        };
        let pointer = self.pointer(&known.commit);
        if !links {
            let temporary = self.layout().blobs().join(disk::temporary_name("new"));
            disk::copy_atomically(donor, &temporary, &pointer)?;
            return Ok(true);
        }
        // Where the file's own etag was another than the listing's, its content is here under that one.
        match link::etag_of(donor) {
            Some(etag) if fits(&self.layout().blob(&etag), known.size) => {
                let known = Known { etag, ..known.clone() };
                self.place(&known, links, false)?;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    pub(super) fn place(&self, known: &Known, links: bool, fresh: bool) -> Result<()> {
        let repo = self.layout();
        let pointer = repo.pointer(&known.commit, &self.path);
        link::place(&repo.blob(&known.etag), &pointer, &self.path, &known.etag, links, fresh).map(drop)
    }

    /// Notes what the revision resolved to. Best effort: only later calls without the Hub gain from it.
    async fn note_ref(&self, commit: &CommitHash) {
        if self.revision.as_str() == commit.as_str() {
            return;
        }
        let (job, commit) = (self.clone(), commit.clone());
        let noted = blocking(move || job.hub.cache().write_ref(&job.repo, &job.revision, &commit));
        if let Err(err) = noted.await {
            tracing::debug!(error = %err, revision = %self.revision, "cannot note what a revision resolved to");
        }
    }

    /// Says whose folder it is, where one that the file needs may not be written to.
    pub(super) fn whose_folder(&self, err: Error, commit: &CommitHash) -> Error {
        let pointer = self.pointer(commit);
        let folder = pointer.parent().unwrap_or(&pointer);
        disk::whose_folder(err, &[folder, &self.layout().blobs()])
    }

    /// What is asked for, and what is known of it.
    pub(super) fn source(&self, known: &Known) -> FileSource {
        let mut source = FileSource::new(self.repo.clone(), Revision::from(&known.commit), self.path.clone());
        source.location = known
            .location
            .as_ref()
            .filter(|(_, since)| since.elapsed() < LOCATION_LASTS)
            .map(|(location, _)| location.clone());
        source.xet = known.xet.clone().map(|xet| match xet {
            Xet::File(data) => data,
            Xet::Hash(hash) => self.hub.api().xet_file(&source.place, hash),
        });
        source.etag = Some(known.etag.clone());
        source.size = known.size;
        source.commit_hash = Some(known.commit.clone());
        source
    }

    /// Fetches a content into a partial file of this process's own, going on with one whose process has died. Gives it
    /// with the etag that the file turned out to have.
    pub(super) async fn fetch(
        &self,
        known: &Known,
        dir: PathBuf,
        prefix: String,
        name: impl Fn(&str) -> PathBuf,
    ) -> Result<(Partial, Etag, bool)> {
        let anew = self.force;
        let needed = known.size;
        let fresh = name(&disk::hex8());
        let partial = blocking(move || {
            let partial = Partial::claim(&dir, &prefix, fresh, needed, anew)?;
            if let Some(size) = needed {
                disk::check_space(&dir, size.saturating_sub(partial.taken()))?;
            }
            Ok(partial)
        })
        .await?;
        let source = self.source(known);
        let options = FetchOptions {
            resume: !anew,
            keep_journal: true,
            // A listing gives no address; the file's own headers, which are what the official client goes by, do.
            listed: known.location.is_none(),
            progress: self.progress.clone(),
            ..FetchOptions::default()
        };
        // Bytes of another hash are asked for once more by the engine; what is wrong then is not kept.
        match self.hub.api().fetch_to_file(&source, partial.path(), &options).await {
            Ok(fetched) => {
                let etag = fetched.etag.unwrap_or_else(|| known.etag.clone());
                let is_right = fetched.sha256.is_some() && fetched.sha256 == etag.as_sha256();
                Ok((partial, etag, fetched.by_xet && is_right))
            }
            Err(err) => {
                let wrong = matches!(err, HttpError::Integrity { .. });
                blocking(move || {
                    match wrong {
                        true => partial.discard(),
                        false => drop(partial),
                    }
                    Ok(())
                })
                .await?;
                Err(err.into())
            }
        }
    }
}
