//! Copies on the Hub's side: from repositories and buckets into buckets, and from repositories into repositories.

use hub_types::buckets::{BucketEntry, BucketFile, BucketId};
use hub_types::files::{RepoFile, TreeEntry};
use hub_types::{HubUri, RepoId, Revision, ValidationError, XetHash};

use super::files::{BucketAdd, BucketCopy};
use crate::api::upload::CommitOperation;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::transfer::xet;

operation! {
    impl HfApi, Error;

    /// Copies a file or a folder from one place on the Hub to another, without its bytes coming by here.
    ///
    /// A folder lands inside the destination under its own name where that is there already, as with `cp -r`; with a
    /// slash at the end of `source` its contents do, as with `rsync`. Into a bucket, `.gitattributes` is left out, and
    /// files that the Hub does not keep by Xet are fetched and added, which needs the feature `xet`. Into a repository
    /// it is one commit. From a bucket into a repository nothing can be copied. Source and destination must be in one
    /// storage region.
    ///
    /// Endpoints: listings of both, then those of [`HfApi::batch_bucket_files`] or [`HfApi::create_commit`].
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.copy_files("hf://ada/demo/model.safetensors", "hf://buckets/ada/box/").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::FilesNotFound`] when there is nothing at `source`; [`Error::Invalid`] for what is no address or cannot
    /// be copied so; [`Error::MissingFeature`]; see [`Error`] for those any call can return.
    pub fn copy_files(
        /// An `hf://` address: a repository, a bucket, or what is in one.
        source: String,
        /// An `hf://` address.
        destination: String,
    ) -> CopyFiles(CopyFilesArgs) => () {}
}

impl CopyFilesArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let source: HubUri = self.source.parse()?;
        let destination: HubUri = self.destination.parse()?;
        let nothing = || Error::FilesNotFound {
            paths: vec![self.source.clone()],
            place: source.id().to_owned(),
        };
        let mut target = Target {
            path: destination.path().trim_end_matches('/').to_owned(),
            is_directory: false,
            was_directory: false,
            contents_only: self.source.ends_with('/'),
        };
        let slash = self.destination.ends_with('/');
        match (source.repo_id(), destination.repo_id()) {
            (None, Some(_)) => {
                let rule = "must be a bucket where the source is one";
                Err(ValidationError::new("destination", &self.destination, rule).into())
            }
            (Some(from), Some(into)) => {
                target.look_at_repo(&api, &into, destination.revision(), slash).await?;
                let files = repo_files(&api, &from, &source).await?;
                let operations: Vec<CommitOperation> = files
                    .iter()
                    .map(|(file, root)| CommitOperation::Copy {
                        src_path_in_repo: file.path.to_string(),
                        path_in_repo: target.of(file.path.as_str(), root.as_deref()),
                        src_revision: source.revision().cloned(),
                        src_repo: (from != into).then(|| from.clone()),
                    })
                    .collect();
                if operations.is_empty() {
                    return Err(nothing());
                }
                let message = format!("Copy files from {}/{}", from.repo_type().plural(), from.id());
                let commit = api.create_commit(into, operations, message);
                commit.revision(destination.revision().cloned()).await.map(drop)
            }
            (from, None) => {
                let bucket: BucketId = destination.id().parse()?;
                target.look_at_bucket(&api, &bucket, slash).await?;
                let mut copies = Vec::new();
                let mut plain = Vec::new();
                match &from {
                    Some(repo) => {
                        for (file, root) in repo_files(&api, repo, &source).await? {
                            if file.path.rsplit('/').next() == Some(".gitattributes") {
                                continue;
                            }
                            let path = target.of(file.path.as_str(), root.as_deref());
                            match file.xet_hash {
                                Some(hash) => copies.push(copy(repo.repo_type().as_str(), repo.id(), hash, path)),
                                None => plain.push((file, path)),
                            }
                        }
                    }
                    None => {
                        for (file, root) in bucket_files(&api, &source).await? {
                            let path = target.of(&file.path, root.as_deref());
                            let hash = file.xet_hash.ok_or_else(|| {
                                Error::malformed(&self.source, format!("no xetHash for '{}'", file.path))
                            })?;
                            copies.push(copy("bucket", source.id(), hash, path));
                        }
                    }
                }
                if copies.is_empty() && plain.is_empty() {
                    return Err(nothing());
                }
                let mut add = Vec::new();
                if let Some(repo) = from.filter(|_| !plain.is_empty()) {
                    xet::available(&api)?;
                    for (file, destination) in plain {
                        let revision = source.revision().cloned();
                        let bytes = api.download_bytes(repo.clone(), file.path).revision(revision).await?;
                        let source = bytes.into();
                        add.push(BucketAdd { source, destination });
                    }
                }
                api.batch_bucket_files(bucket).add(add).copy(copies).await
            }
        }
    }
}

fn copy(kind: &str, id: &str, xet_hash: XetHash, destination: String) -> BucketCopy {
    BucketCopy {
        source_repo_type: kind.to_owned(),
        source_repo_id: id.to_owned(),
        xet_hash,
        destination,
    }
}

/// The files at an address of a repository, each with the folder that it was found below, if it was not named itself.
async fn repo_files(api: &HfApi, repo: &RepoId, source: &HubUri) -> Result<Vec<(RepoFile, Option<String>)>> {
    let revision = source.revision().cloned();
    let path = source.path().trim_end_matches('/').to_owned();
    if !path.is_empty() {
        let info = api
            .get_paths_info(repo.clone(), path.clone())
            .revision(revision.clone())
            .await?;
        if let [TreeEntry::File(file)] = info.as_slice() {
            return Ok(vec![(file.clone(), None)]);
        }
    }
    let root = Some(path).filter(|path| !path.is_empty());
    let listing = api.list_repo_tree(repo.clone()).path_in_repo(root.clone());
    let mut listing = listing.recursive(true).revision(revision).await?;
    let mut files = Vec::new();
    while let Some(entry) = listing.next().await.transpose()? {
        if let TreeEntry::File(file) = entry {
            files.push((file, Some(root.clone().unwrap_or_default())));
        }
    }
    Ok(files)
}

/// The files at an address of a bucket.
async fn bucket_files(api: &HfApi, source: &HubUri) -> Result<Vec<(BucketFile, Option<String>)>> {
    let bucket: BucketId = source.id().parse()?;
    let path = source.path().trim_end_matches('/').to_owned();
    let mut info = api.get_bucket_paths_info(bucket.clone(), path.clone()).await?;
    if let Some(file) = info.drain(..).next() {
        return Ok(vec![(file, None)]);
    }
    let prefix = Some(path.clone()).filter(|path| !path.is_empty());
    let mut listing = api.list_bucket_tree(bucket).prefix(prefix).recursive(true).await?;
    let mut files = Vec::new();
    while let Some(entry) = listing.next().await.transpose()? {
        if let BucketEntry::File(file) = entry {
            files.push((file, Some(path.clone())));
        }
    }
    Ok(files)
}

/// Where copies land.
struct Target {
    path: String,
    /// Whether a single file lands inside it.
    is_directory: bool,
    /// Whether it was there as a folder before.
    was_directory: bool,
    contents_only: bool,
}

impl Target {
    async fn look_at_bucket(&mut self, api: &HfApi, bucket: &BucketId, slash: bool) -> Result<()> {
        if self.path.is_empty() {
            (self.is_directory, self.was_directory) = (true, true);
        } else if api
            .get_bucket_paths_info(bucket.clone(), self.path.clone())
            .await?
            .is_empty()
        {
            let mut listing = api
                .list_bucket_tree(bucket.clone())
                .prefix(&self.path)
                .recursive(false)
                .await?;
            self.was_directory = listing.next().await.transpose()?.is_some();
            self.is_directory = self.was_directory || slash;
        }
        Ok(())
    }

    async fn look_at_repo(
        &mut self,
        api: &HfApi,
        repo: &RepoId,
        revision: Option<&Revision>,
        slash: bool,
    ) -> Result<()> {
        if self.path.is_empty() {
            (self.is_directory, self.was_directory) = (true, true);
            return Ok(());
        }
        let info = api
            .get_paths_info(repo.clone(), self.path.clone())
            .revision(revision.cloned());
        match info.await?.as_slice() {
            [TreeEntry::File(_)] => {}
            [TreeEntry::Folder(_)] => (self.is_directory, self.was_directory) = (true, true),
            _ => {
                let listing = api.list_repo_tree(repo.clone()).path_in_repo(&self.path);
                let mut listing = listing.revision(revision.cloned()).await?;
                self.was_directory = match listing.next().await.transpose() {
                    Ok(first) => first.is_some(),
                    Err(Error::EntryNotFound(_)) => false,
                    Err(err) => return Err(err),
                };
                self.is_directory = self.was_directory || slash;
            }
        }
        Ok(())
    }

    /// Where a file lands that was named itself, or found below the folder `root`.
    fn of(&self, path: &str, root: Option<&str>) -> String {
        let name = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
        let Some(root) = root else {
            return match (self.path.as_str(), self.is_directory) {
                ("", _) => name(path),
                (folder, true) => format!("{folder}/{}", name(path)),
                (file, false) => file.to_owned(),
            };
        };
        let mut below = match path.strip_prefix(root) {
            Some(rest) if !root.is_empty() && !rest.is_empty() => rest.trim_start_matches('/').to_owned(),
            Some(_) if !root.is_empty() => name(path),
            _ => path.to_owned(),
        };
        if self.was_directory && !self.contents_only && !root.is_empty() {
            below = format!("{}/{below}", name(root));
        }
        match self.path.as_str() {
            "" => below,
            folder => format!("{folder}/{below}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_land_where_cp_and_rsync_put_them() {
        let target = |path: &str, is_directory, was_directory, contents_only| Target {
            path: path.to_owned(),
            is_directory,
            was_directory,
            contents_only,
        };
        for (target, path, root, expected) in [
            (target("", true, true, false), "a/b.txt", None, "b.txt"),
            (target("d", true, false, false), "a/b.txt", None, "d/b.txt"),
            (target("d", false, false, false), "a/b.txt", None, "d"),
            (target("", true, true, false), "a/b/c", Some("a"), "a/b/c"),
            (target("", true, true, true), "a/b/c", Some("a"), "b/c"),
            (target("d", true, true, false), "a/b/c", Some("a/b"), "d/b/c"),
            (target("d", true, true, true), "a/b/c", Some("a/b"), "d/c"),
            (target("d", true, false, false), "a/b/c", Some("a/b"), "d/c"),
            (target("d", true, true, false), "a/b/c", Some(""), "d/a/b/c"),
        ] {
            assert_eq!(
                target.of(path, root),
                expected,
                "{path} below {root:?} to '{}'",
                target.path
            );
        }
    }
}
