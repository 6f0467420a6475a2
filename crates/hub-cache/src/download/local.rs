//! A content, brought into a plain folder, with a note of what it is.

use std::path::PathBuf;

use super::{FileJob, Known, fits, is_content};
use crate::disk;
use crate::error::Result;
use crate::fault;
use crate::hub::blocking;
use crate::local_dir::LocalDir;
use crate::lock;

impl FileJob {
    /// Brings a content into a plain folder, if it is not there.
    pub(super) async fn bring_into(self, dir: LocalDir, known: Known) -> Result<PathBuf> {
        let target = dir.file(&self.path);
        let (job, folder, seen) = (self.clone(), dir.clone(), known.clone());
        let here = blocking(move || {
            folder.prepare(&job.path)?;
            Ok(!job.force && job.is_in(&folder, &seen)?)
        });
        if here.await? {
            return Ok(target);
        }
        let lock = lock::lock_async(&dir.lock_file(&self.path), self.hub.cache().lock_limit()).await?;
        let (job, folder, seen) = (self.clone(), dir.clone(), known.clone());
        let here = blocking(move || {
            if job.force {
                return Ok(false);
            }
            if job.is_in(&folder, &seen)? {
                return Ok(true);
            }
            let Some(source) = job.in_cache(&seen) else {
                return Ok(false);
            };
            // Half a copy lies among the notes, never in the caller's folder.
            let temporary = folder.partial(&job.path, &seen.etag, &disk::hex8());
            disk::copy_to_new(&source, &temporary)?;
            disk::move_atomically(&temporary, &folder.file(&job.path))?;
            folder.write_metadata(&job.path, &seen.commit, &seen.etag)?;
            Ok(true)
        });
        if here.await? {
            return Ok(target);
        }
        let (folder, prefix) = dir.partial_prefix(&self.path, &known.etag);
        let (partial, etag, _) = self
            .fetch(&known, folder, prefix, |tag| dir.partial(&self.path, &known.etag, tag))
            .await?;
        let path = self.path.clone();
        let durable = self.hub.cache().is_durable();
        let finished = blocking(move || {
            if durable {
                disk::sync(partial.path())?;
            }
            fault::step("a content is on the disk");
            disk::move_atomically(partial.path(), &dir.file(&path))?;
            fault::step("a content has its name");
            partial.done();
            dir.write_metadata(&path, &known.commit, &etag)
        })
        .await;
        drop(lock);
        finished?;
        Ok(target)
    }

    /// Whether the folder has this content: its note says so, or, where no note holds, the file's own hash does. The
    /// note is then brought up to date.
    fn is_in(&self, dir: &LocalDir, known: &Known) -> Result<bool> {
        let target = dir.file(&self.path);
        if !fits(&target, known.size) {
            return Ok(false);
        }
        let same = match dir.read_metadata(&self.path) {
            Some(noted) => noted.etag == known.etag.as_str(),
            None => is_content(&target, &known.etag)?,
        };
        if same {
            dir.write_metadata(&self.path, &known.commit, &known.etag)?;
        }
        Ok(same)
    }

    /// The content in the cache, if it is there: at this commit or at another.
    fn in_cache(&self, known: &Known) -> Option<PathBuf> {
        let repo = self.layout();
        [repo.blob(&known.etag), repo.pointer(&known.commit, &self.path)]
            .into_iter()
            .find(|path| fits(path, known.size))
            .or_else(|| self.system_content(known))
    }
}
