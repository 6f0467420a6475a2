//! `hub upload`

use std::path::{Path, PathBuf};
use std::time::Duration;

use hub_http::HfApi;
use hub_types::commits::CommitInfo;
use hub_types::repos::SpaceSdk;
use hub_types::{HubUri, RepoId, RepoPath, RepoType, Revision};

use super::repos::CreatePr;
use crate::context::Context;
use crate::error::{Class, Failure};
use crate::output::row;
use crate::progress::Transfer;
use crate::repo_args::{RevisionArg, TypeArg};
use crate::space_args::Private;

/// Upload a file or a folder, and create the repository if there is none
///
/// A folder of many files goes up in several commits. Run the same command again after a failure: it sends only what is
/// missing. Prints the commit's address.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The repository's id, with the type in front of it if you like, or an hf:// address
    repo_id: String,
    /// The file, the folder, or a pattern of files in this folder; by default what is named like the repository
    local_path: Option<String>,
    /// Where to put it; by default a file keeps its name, and a folder's files go to the root
    path_in_repo: Option<String>,
    #[command(flatten)]
    repo_type: TypeArg,
    #[command(flatten)]
    revision: RevisionArg,
    #[command(flatten)]
    private: Private,
    /// Take files that match this pattern, in which * crosses folders (can be repeated)
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,
    /// Leave files out that match this pattern (can be repeated)
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,
    /// Delete files of the repository that match this pattern, in the same commit (can be repeated)
    #[arg(long, value_name = "PATTERN")]
    delete: Vec<String>,
    /// The commit's title
    #[arg(long, value_name = "TEXT")]
    commit_message: Option<String>,
    /// The commit's description
    #[arg(long, value_name = "TEXT")]
    commit_description: Option<String>,
    #[command(flatten)]
    create_pr: CreatePr,
    /// Upload again every so many minutes, until Ctrl-C
    #[arg(long, value_name = "MINUTES")]
    every: Option<f64>,
}

/// What is uploaded, and where it goes.
#[derive(Debug, Clone, PartialEq)]
struct Source {
    local: PathBuf,
    is_file: bool,
    /// A file's path in the repository, or the folder that a folder's files go to.
    path_in_repo: String,
    include: Option<Vec<String>>,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let pause = self.every.map(minutes).transpose()?;
        let (repo, revision, path_in_repo) = self.target()?;
        let source = self.source(&repo, path_in_repo.as_deref())?;
        self.warn_of_unused(context, &source);
        let api = context.api()?.clone();
        match pause {
            None => self.once(context, &api, &repo, revision, &source),
            Some(pause) => self.again_and_again(context, &api, &repo, revision, &source, pause),
        }
    }

    fn once(
        &self,
        context: &Context,
        api: &HfApi,
        repo: &RepoId,
        revision: Option<Revision>,
        source: &Source,
    ) -> anyhow::Result<()> {
        let transfer = Transfer::new(context.settings.progress);
        let commit = context.block_on(async {
            let repo = self.prepared(context, api, repo, revision.as_ref()).await?;
            self.commit(api, &repo, revision, source, &transfer).await
        })?;
        transfer.finish(&context.out);
        let mut values = row! { "url": commit.commit_url };
        if let Some(number) = commit.pr_num() {
            values.extend(row! { "pr_url": commit.pr_url, "pr_num": number });
        }
        context.out.transfer_result("Uploaded", values)
    }

    /// Commits what has changed, waits, and so on; what changed last is committed when it ends.
    fn again_and_again(
        &self,
        context: &Context,
        api: &HfApi,
        repo: &RepoId,
        revision: Option<Revision>,
        source: &Source,
        pause: Duration,
    ) -> anyhow::Result<()> {
        let mut end = context.end()?;
        let minutes = pause.as_secs_f64() / 60.0;
        let round = |repo: RepoId| {
            let revision = revision.clone();
            async move {
                let transfer = Transfer::new(context.settings.progress);
                self.commit(api, &repo, revision, source, &transfer).await?;
                transfer.finish(&context.out);
                anyhow::Ok(())
            }
        };
        context.runtime()?.block_on(async {
            let repo = self.prepared(context, api, repo, revision.as_ref()).await?;
            context
                .out
                .text(&format!("Scheduling commits every {minutes} minutes to {}.", repo.id()))?;
            loop {
                // A round that failed is made up for by the next one.
                if let Err(err) = round(repo.clone()).await {
                    context
                        .out
                        .warning(&format!("not uploaded, trying again later: {err:#}"));
                }
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    _ = end.came() => break,
                }
            }
            round(repo).await
        })?;
        context.out.result("Stopped scheduled commits.", row! {})
    }

    /// Makes sure that the repository and the branch are there.
    async fn prepared(
        &self,
        context: &Context,
        api: &HfApi,
        repo: &RepoId,
        revision: Option<&Revision>,
    ) -> anyhow::Result<RepoId> {
        let mut create = api.create_repo(repo).exist_ok(true).private(self.private.choice());
        if repo.repo_type() == RepoType::Space {
            // As the Python client: a Space that does not exist yet has to be something.
            create = create.space_sdk(SpaceSdk::Gradio);
        }
        let repo = create.await?.repo;
        if let Some(revision) = revision.filter(|_| !self.create_pr.get()) {
            match api.repo_info(&repo).revision(revision.clone()).await {
                Err(hub_http::Error::RevisionNotFound(_)) => {
                    context
                        .out
                        .log(&format!("Branch '{revision}' not found. Creating it..."));
                    api.create_branch(&repo, revision.as_str()).exist_ok(true).await?;
                }
                other => drop(other?),
            }
        }
        Ok(repo)
    }

    async fn commit(
        &self,
        api: &HfApi,
        repo: &RepoId,
        revision: Option<Revision>,
        source: &Source,
        transfer: &Transfer,
    ) -> anyhow::Result<CommitInfo> {
        let commit = if source.is_file {
            api.upload_file(repo, source.local.clone(), source.path_in_repo.as_str())
                .revision(revision)
                .commit_message(self.commit_message.clone())
                .commit_description(self.commit_description.clone())
                .create_pr(self.create_pr.get())
                .progress(transfer.handle())
                .await?
        } else {
            api.upload_folder(repo, source.local.clone())
                .path_in_repo(source.path_in_repo.as_str())
                .revision(revision)
                .commit_message(self.commit_message.clone())
                .commit_description(self.commit_description.clone())
                .create_pr(self.create_pr.get())
                .allow_patterns(source.include.clone())
                .ignore_patterns(self.exclude.clone())
                .delete_patterns(self.delete.clone())
                .progress(transfer.handle())
                .await?
        };
        Ok(commit)
    }

    /// The repository, the revision, and the path in the repository, wherever they were said.
    fn target(&self) -> anyhow::Result<(RepoId, Option<Revision>, Option<String>)> {
        if !self.repo_id.starts_with("hf://") {
            let repo = self.repo_type.repo(&self.repo_id)?;
            return Ok((repo, self.revision.get()?, self.path_in_repo.clone()));
        }
        for (option, given) in [
            ("--type", self.repo_type.repo_type.is_some()),
            ("--revision", self.revision.revision.is_some()),
        ] {
            if given {
                let message = format!("'{option}' cannot be used with an 'hf://' URI ('{}').", self.repo_id);
                return Err(Failure::usage(message).into());
            }
        }
        let uri: HubUri = self.repo_id.parse()?;
        let Some(repo) = uri.repo_id() else {
            return Err(Failure::usage("Buckets are not supported by `hub upload`.").into());
        };
        let path = match (uri.path(), &self.path_in_repo) {
            ("", path) => path.clone(),
            (path, None) => Some(path.to_owned()),
            (path, Some(other)) => {
                let message = format!(
                    "Cannot combine a path in the hf:// URI ('{path}') with the `path_in_repo` argument ('{other}')."
                );
                return Err(Failure::usage(message).into());
            }
        };
        Ok((repo, uri.revision().cloned(), path))
    }

    /// What is uploaded: looked up on the disk before anything is asked of the Hub.
    fn source(&self, repo: &RepoId, path_in_repo: Option<&str>) -> anyhow::Result<Source> {
        let include = (!self.include.is_empty()).then(|| self.include.clone());
        let folder = |local: &str, include| Source {
            local: local.into(),
            is_file: false,
            path_in_repo: path_in_repo.unwrap_or(".").to_owned(),
            include,
        };
        let source = match self.local_path.as_deref() {
            // What exists is no pattern, whatever characters it has: `model [v2].safetensors`.
            Some(pattern) if pattern.contains(['*', '?', '[']) && !Path::new(pattern).exists() => {
                if include.is_some() {
                    return Err(Failure::usage("Cannot set --include when local_path contains a wildcard.").into());
                }
                if path_in_repo.is_some_and(|path| path != ".") {
                    return Err(Failure::usage("Cannot set path_in_repo when local_path contains a wildcard.").into());
                }
                folder(".", Some(vec![pattern.to_owned()]))
            }
            Some(path) if Path::new(path).is_file() => file(path, path_in_repo)?,
            Some(path) if Path::new(path).is_dir() => folder(path, include),
            Some(path) => {
                let message = format!("No such file or directory: '{path}'.");
                return Err(Failure::new(Class::Local, message).into());
            }
            None if Path::new(repo.name()).is_file() => file(repo.name(), path_in_repo)?,
            None if Path::new(repo.name()).is_dir() => folder(repo.name(), include),
            None => {
                let message = format!(
                    "'{}' is not a local file or folder. Please set local_path explicitly.",
                    repo.name()
                );
                return Err(Failure::usage(message).into());
            }
        };
        let is_root = matches!(source.path_in_repo.trim_matches('/'), "" | ".");
        if !is_root || source.is_file {
            RepoPath::for_commit(source.path_in_repo.trim_end_matches('/'))?;
        }
        Ok(source)
    }

    fn warn_of_unused(&self, context: &Context, source: &Source) {
        if !source.is_file {
            return;
        }
        for (option, given) in [
            ("--include", &self.include),
            ("--exclude", &self.exclude),
            ("--delete", &self.delete),
        ] {
            if !given.is_empty() {
                context
                    .out
                    .warning(&format!("Ignoring {option} since a single file is uploaded."));
            }
        }
    }
}

/// A file, which keeps its name where it is put into no other.
fn file(path: &str, path_in_repo: Option<&str>) -> anyhow::Result<Source> {
    let path_in_repo = match (path_in_repo, Path::new(path).file_name().and_then(|name| name.to_str())) {
        (Some(path), _) => path.to_owned(),
        (None, Some(name)) => name.to_owned(),
        (None, None) => return Err(Failure::usage(format!("'{path}' has no name: say where to put it")).into()),
    };
    Ok(Source {
        local: path.into(),
        is_file: true,
        path_in_repo,
        include: None,
    })
}

fn minutes(number: f64) -> anyhow::Result<Duration> {
    let pause = Duration::try_from_secs_f64(number * 60.0)
        .ok()
        .filter(|pause| !pause.is_zero());
    Ok(pause.ok_or_else(|| {
        Failure::usage(format!(
            "invalid value '{number}' for '--every': must be a positive value"
        ))
    })?)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn source(words: &[&str]) -> anyhow::Result<Source> {
        let words = std::iter::once("upload").chain(words.iter().copied());
        let args = Line::try_parse_from(words)?.args;
        let (repo, _, path) = args.target()?;
        args.source(&repo, path.as_deref())
    }

    #[test]
    fn files_keep_their_names_and_folders_go_to_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_str().unwrap();
        let path = format!("{folder}/a[1].txt");
        fs_err::write(&path, "x").unwrap();
        let of = |words: &[&str]| source(words).unwrap();
        assert_eq!(of(&["a/b", &path]).path_in_repo, "a[1].txt");
        assert_eq!(of(&["a/b", &path, "x/y.txt"]).path_in_repo, "x/y.txt");
        assert_eq!(of(&["hf://a/b/x/y.txt", &path]).path_in_repo, "x/y.txt");
        let whole = of(&["a/b", folder, "--include", "*.txt"]);
        assert_eq!((whole.is_file, whole.path_in_repo.as_str()), (false, "."));
        assert_eq!(whole.include.unwrap(), ["*.txt"]);
        let pattern = of(&["a/b", "*.nothing"]);
        assert_eq!(
            (pattern.local, pattern.include.unwrap()),
            (".".into(), vec!["*.nothing".to_owned()])
        );
    }

    #[test]
    fn what_cannot_be_is_refused_before_anything_is_asked() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().to_str().unwrap();
        for (words, part) in [
            (&["a/b", "/no/such/path"][..], "'/no/such/path'"),
            (&["a/nothing-like-this"], "'nothing-like-this' is not a local file"),
            (&["a/b", "*.x", "--include", "y"], "--include"),
            (&["a/b", "*.x", "dir"], "path_in_repo"),
            (&["a/b", folder, "../x"], "'../x'"),
            (&["a/b", folder, ".git"], "'.git'"),
            (&["hf://a/b/x", folder, "y"], "Cannot combine"),
            (&["hf://buckets/a/b", folder], "Buckets"),
            (&["a//b", folder], "'a//b'"),
        ] {
            let err = source(words).unwrap_err().to_string();
            assert!(err.contains(part), "{words:?}: {err}");
        }
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(minutes(bad).is_err());
        }
        assert_eq!(minutes(0.5).unwrap(), Duration::from_secs(30));
    }
}
