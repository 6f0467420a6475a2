//! The pairs of `docs/from-repository-to-hfapi.md`: each is run on a Hub of its own, and both ways must end alike.
//!
//! What stands between two lines `// guide: NAME` and `// guide` is shown in the guide word by word: the first of a name
//! on the left, the second on the right.

#![expect(deprecated, reason = "what is deprecated is tested until it goes")]

mod page;

use std::fmt::Debug;
use std::path::{Path, PathBuf};

use anyhow::Result;
use hub_cache::HubCache;
use hub_git_compat::{CommitOptions, LfsTracking, PushOptions, Repository, RepositoryOptions};
use hub_http::HfApi;
use hub_http::api::upload::CommitOperation;
use hub_tests::{ADA, TestEnv, TestHub, noise};
use hub_types::Sha256;

use crate::git::{options, read, walk};

/// A Hub with one model, and a folder that is a clone of it or will be one.
struct World {
    env: TestEnv,
    hub: TestHub,
    api: HfApi,
    cache: HubCache,
    options: RepositoryOptions,
    dir: PathBuf,
}

impl World {
    fn new() -> Self {
        let mut env = TestEnv::new();
        let hub = env.start_hub();
        let api = hub.api(ADA);
        api.create_repo("ada/demo").wait().unwrap();
        let files = [
            ("README.md", b"---\nlicense: mit\n---\n# Demo\n".to_vec()),
            ("config.json", b"{}\n".to_vec()),
            ("model.bin", noise(50_000, 1)),
        ];
        let operations = files.map(|(name, bytes)| CommitOperation::add(name, bytes)).to_vec();
        api.create_commit("ada/demo", operations, "Add a model").wait().unwrap();
        api.create_tag("ada/demo", "v0").wait().unwrap();
        api.upload_file("ada/demo", "{\"v\": 1}\n".as_bytes(), "config.json")
            .wait()
            .unwrap();
        Self {
            cache: HubCache::new(api.clone(), env.cache()),
            options: options(&env, &hub, ADA),
            dir: env.work().join("demo"),
            env,
            hub,
            api,
        }
    }

    fn repository(&self) -> Repository {
        Repository::clone_from(&self.dir, "ada/demo", &self.options).unwrap()
    }

    /// Every branch and tag of the Hub, with the tree of its files.
    fn trees(&self) -> String {
        let bare = self.hub.bare_repository("ada/demo");
        let args = [
            "for-each-ref",
            "--format=%(refname) %(tree)%(*tree)",
            "refs/heads",
            "refs/tags",
        ];
        self.env.git(args).dir(bare).success().stdout
    }
}

/// Runs both ways, each on a Hub of its own: what they give and what the Hubs then hold must be the same.
#[track_caller]
fn pair<T: PartialEq + Debug>(git: impl FnOnce(&World) -> Result<T>, http: impl FnOnce(&World) -> Result<T>) {
    let (left, right) = (World::new(), World::new());
    assert_eq!(git(&left).unwrap(), http(&right).unwrap());
    assert_eq!(left.trees(), right.trees());
}

/// The files below a folder, without what git and we keep there.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let own = |path: &PathBuf| !path.starts_with(dir.join(".git")) && !path.starts_with(dir.join(".cache"));
    let mut files: Vec<(String, Vec<u8>)> = walk(dir)
        .into_iter()
        .filter(own)
        .map(|path| {
            (
                path.strip_prefix(dir).unwrap().to_string_lossy().into_owned(),
                read(&path),
            )
        })
        .collect();
    files.sort();
    files
}

#[test]
fn downloads() {
    pair(
        |World { options, dir, .. }| {
            // guide: clone
            let repo = Repository::clone_from(dir, "ada/demo", options)?;
            // guide
            Ok(files(repo.dir()))
        },
        |World { cache, dir, .. }| {
            // guide: clone
            let dir = cache.snapshot_download("ada/demo").local_dir(dir).wait()?;
            // guide
            Ok(files(&dir))
        },
    );
    pair(
        |World { options, dir, .. }| {
            // guide: revision
            let options = options.clone().revision("v0");
            let repo = Repository::clone_from(dir, "ada/demo", &options)?;
            // guide
            Ok(files(repo.dir()))
        },
        |World { cache, dir, .. }| {
            // guide: revision
            let dir = cache
                .snapshot_download("ada/demo")
                .revision("v0")
                .local_dir(dir)
                .wait()?;
            // guide
            Ok(files(&dir))
        },
    );
    pair(
        |World { options, dir, .. }| {
            // guide: skip-lfs
            let options = options.clone().skip_lfs_files(true);
            let repo = Repository::clone_from(dir, "ada/demo", &options)?;
            let config = fs_err::read(repo.dir().join("config.json"))?;
            // guide
            Ok(config)
        },
        |World { cache, .. }| {
            // guide: skip-lfs
            let dir = cache.snapshot_download("ada/demo").ignore_patterns(["*.bin"]).wait()?;
            let config = fs_err::read(dir.join("config.json"))?;
            // guide
            Ok(config)
        },
    );
    pair(
        |world @ World { api, options, dir, .. }| {
            world.repository();
            api.upload_file("ada/demo", "new\n".as_bytes(), "new.txt").wait()?;
            // guide: pull
            let repo = Repository::open(dir, options)?;
            repo.git_pull(false, true)?;
            // guide
            Ok(files(repo.dir()))
        },
        |World { api, cache, dir, .. }| {
            cache.snapshot_download("ada/demo").local_dir(dir).wait()?;
            api.upload_file("ada/demo", "new\n".as_bytes(), "new.txt").wait()?;
            // guide: pull
            // Only what has changed is fetched.
            let dir = cache.snapshot_download("ada/demo").local_dir(dir).wait()?;
            // guide
            Ok(files(&dir))
        },
    );
    pair(
        |world| {
            let repo = world.repository();
            // guide: checkout
            repo.git_checkout("v0", false)?;
            let config = fs_err::read(repo.dir().join("config.json"))?;
            // guide
            Ok(config)
        },
        |World { cache, .. }| {
            // guide: checkout
            let config = cache.download_file("ada/demo", "config.json").revision("v0").wait()?;
            let config = fs_err::read(config)?;
            // guide
            Ok(config)
        },
    );
    pair(
        |world| {
            let repo = world.repository();
            // guide: card
            let yaml = repo.repocard_metadata_load()?;
            repo.repocard_metadata_save("license: apache-2.0\n")?;
            repo.push_to_hub("Change the license", true)?;
            // guide
            Ok(yaml.is_some_and(|yaml| yaml.contains("license: mit")))
        },
        |World { api, cache, .. }| {
            // guide: card
            let card = cache.download_file("ada/demo", "README.md").wait()?;
            let card = fs_err::read_to_string(card)?;
            let changed = card.replace("license: mit", "license: apache-2.0");
            api.upload_file("ada/demo", changed.into_bytes(), "README.md")
                .commit_message("Change the license")
                .wait()?;
            // guide
            Ok(card.contains("license: mit"))
        },
    );
}

#[test]
fn commits() {
    pair(
        |world| {
            let repo = world.repository();
            // guide: push
            fs_err::write(repo.dir().join("model.bin"), noise(60_000, 2))?;
            repo.git_add(".", LfsTracking::Auto)?;
            repo.git_commit("Train on")?;
            let url = repo.git_push()?;
            // guide
            assert_eq!(url, repo.git_head_commit_url()?);
            Ok(url.contains("/ada/demo/commit/"))
        },
        |World { api, .. }| {
            // guide: push
            let commit = api
                .upload_file("ada/demo", noise(60_000, 2), "model.bin")
                .commit_message("Train on")
                .wait()?;
            let url = commit.commit_url;
            // guide
            Ok(url.contains("/ada/demo/commit/"))
        },
    );
    pair(
        |world| {
            let repo = world.repository();
            let write = |name: &str| fs_err::write(repo.dir().join(name), name);
            write("a.txt")?;
            write("b.txt")?;
            // guide: push-to-hub
            repo.push_to_hub("All of the folder", true)?;
            let again = repo.push_to_hub("Nothing is new", true)?;
            // guide
            Ok(again.is_none())
        },
        |World { api, dir, .. }| {
            fs_err::create_dir(dir)?;
            fs_err::write(dir.join("a.txt"), "a.txt")?;
            fs_err::write(dir.join("b.txt"), "b.txt")?;
            // guide: push-to-hub
            let commit = api
                .upload_folder("ada/demo", dir)
                .commit_message("All of the folder")
                .wait()?;
            // What has not changed is not sent, and makes no commit.
            let again = api.upload_folder("ada/demo", dir).wait()?;
            // guide
            Ok(again.oid == commit.oid)
        },
    );
    pair(
        |world| {
            let repo = world.repository();
            // guide: scope
            let done = repo.commit("Two changes", &CommitOptions::new(), |dir| {
                fs_err::write(dir.join("a.txt"), "a\n")?;
                fs_err::remove_file(dir.join("config.json"))?;
                Ok::<_, hub_git_compat::Error>(())
            })?;
            // guide
            Ok(done.commit.is_some())
        },
        |World { api, .. }| {
            // guide: scope
            let operations = vec![
                CommitOperation::add("a.txt", "a\n".as_bytes()),
                CommitOperation::delete("config.json"),
            ];
            let commit = api.create_commit("ada/demo", operations, "Two changes").wait()?;
            // guide
            Ok(!commit.oid.is_empty())
        },
    );
    pair(
        |world| {
            let repo = world.repository();
            fs_err::write(repo.dir().join("a.txt"), "a\n")?;
            repo.git_add(".", LfsTracking::AsIs)?;
            repo.git_commit("In the background")?;
            // guide: background
            let command = repo.start_push(&PushOptions::new())?;
            // Other work.
            if !command.is_done() {
                println!("{:?} {:?}", command.status(), command.progress());
            }
            repo.wait_for_commands()?;
            // guide
            Ok(command.failed())
        },
        |World { api, .. }| {
            // guide: background
            let job = api.upload_file("ada/demo", "a\n".as_bytes(), "a.txt").spawn();
            // Other work.
            if !job.is_done() {
                println!("{:?}", job.progress());
            }
            let commit = job.wait()?;
            // guide
            Ok(commit.oid.is_empty())
        },
    );
    pair(
        |world| {
            let repo = world.repository();
            // guide: delete
            fs_err::remove_file(repo.dir().join("config.json"))?;
            repo.push_to_hub("Remove the configuration", true)?;
            // guide
            Ok(repo.list_deleted_files()?.len())
        },
        |World { api, .. }| {
            // guide: delete
            api.delete_file("ada/demo", "config.json")
                .commit_message("Remove the configuration")
                .wait()?;
            // guide
            Ok(0)
        },
    );
    pair(
        |world| {
            let repo = world.repository();
            // guide: conflict
            world
                .api
                .upload_file("ada/demo", "theirs\n".as_bytes(), "theirs.txt")
                .wait()?;
            fs_err::write(repo.dir().join("mine.txt"), "mine\n")?;
            repo.git_add("mine.txt", LfsTracking::AsIs)?;
            repo.git_commit("Mine")?;
            let refused = repo.git_push().is_err();
            repo.git_pull(true, false)?;
            repo.git_push()?;
            // guide
            Ok(refused)
        },
        |World { api, .. }| {
            // guide: conflict
            let seen = api.resolve_revision("ada/demo").wait()?;
            api.upload_file("ada/demo", "theirs\n".as_bytes(), "theirs.txt")
                .wait()?;
            let mine = || api.upload_file("ada/demo", "mine\n".as_bytes(), "mine.txt");
            let refused = mine().parent_commit(seen.as_str()).wait().is_err();
            // Without `parent_commit` it goes on top of what is there.
            mine().wait()?;
            // guide
            Ok(refused)
        },
    );
}

#[test]
fn large_files() {
    let sha256 = |api: &HfApi, name: &str| -> Result<Option<String>> {
        let infos = api.get_paths_info("ada/demo", [name]).wait()?;
        let lfs = infos[0].as_file().and_then(|file| file.lfs.as_ref());
        Ok(lfs.map(|lfs| lfs.sha256.to_string()))
    };
    let large = vec![b'x'; 10 << 20];
    // How the Hub stores a file is compared, not the trees: git needs a line in `.gitattributes`, HTTP does not.
    let (left, right) = (World::new(), World::new());
    let git = |world: &World| -> Result<()> {
        let repo = world.repository();
        // guide: large
        fs_err::write(repo.dir().join("large.txt"), &large)?;
        repo.auto_track_large_files(".")?;
        repo.auto_track_binary_files(".")?;
        repo.git_add(".", LfsTracking::AsIs)?;
        repo.git_commit("A large text")?;
        repo.git_push()?;
        // guide
        Ok(())
    };
    let http = |World { api, .. }: &World| -> Result<()> {
        // guide: large
        // The Hub says what is large; a file of any size goes up in parts.
        api.upload_file("ada/demo", large.as_slice(), "large.txt").wait()?;
        // guide
        Ok(())
    };
    git(&left).unwrap();
    http(&right).unwrap();
    let expected = Some(Sha256::of(&large).to_string());
    assert_eq!(sha256(&left.api, "large.txt").unwrap(), expected);
    assert_eq!(sha256(&right.api, "large.txt").unwrap(), expected);

    pair(
        |world| {
            let repo = world.repository();
            // guide: track
            repo.lfs_track(["*.vectors"])?;
            repo.push_to_hub("Track vectors", true)?;
            // guide
            Ok(repo.is_tracked_with_lfs("a.vectors")?)
        },
        |World { api, cache, .. }| {
            // guide: track
            let old = cache.download_file("ada/demo", ".gitattributes").wait()?;
            let line = "*.vectors filter=lfs diff=lfs merge=lfs -text\n";
            let new = fs_err::read_to_string(old)? + line;
            api.upload_file("ada/demo", new.into_bytes(), ".gitattributes")
                .commit_message("Track vectors")
                .wait()?;
            // guide
            api.upload_file("ada/demo", "a".as_bytes(), "a.vectors").wait()?;
            let tracked = sha256(api, "a.vectors")?.is_some();
            api.delete_file("ada/demo", "a.vectors").wait()?;
            Ok(tracked)
        },
    );
    pair(
        |world| {
            let repo = world.repository();
            // guide: is-lfs
            let large = repo.is_tracked_with_lfs("model.bin")?;
            // guide
            Ok(large)
        },
        |World { api, .. }| {
            // guide: is-lfs
            let infos = api.get_paths_info("ada/demo", ["model.bin"]).wait()?;
            let large = infos[0].as_file().is_some_and(|file| file.lfs.is_some());
            // guide
            Ok(large)
        },
    );
}

#[test]
fn branches_and_tags() {
    pair(
        |world| {
            let repo = world.repository();
            // guide: branch
            repo.git_checkout("dev", true)?;
            repo.git_push()?;
            // guide
            // guide: branches
            let branches = repo.branches()?;
            // guide
            Ok(branches)
        },
        |World { api, .. }| {
            // guide: branch
            api.create_branch("ada/demo", "dev").exist_ok(true).wait()?;
            // guide
            // guide: branches
            let refs = api.list_repo_refs("ada/demo").wait()?;
            let mut branches: Vec<String> = refs.branches.into_iter().map(|branch| branch.name).collect();
            branches.sort();
            // guide
            Ok(branches)
        },
    );
    pair(
        |world| {
            let repo = world.repository();
            // guide: add-tag
            repo.add_tag("v1", Some("The first"), Some("origin"))?;
            // guide
            // guide: tags
            let there = repo.tag_exists("v1", Some("origin"))?;
            let tags = repo.tags(Some("origin"))?;
            // guide
            // guide: delete-tag
            let deleted = repo.delete_tag("v1", Some("origin"))?;
            // guide
            Ok((there, tags, deleted))
        },
        |World { api, .. }| {
            // guide: add-tag
            api.create_tag("ada/demo", "v1").tag_message("The first").wait()?;
            // guide
            // guide: tags
            let there = api.revision_exists("ada/demo", "v1").wait()?;
            let refs = api.list_repo_refs("ada/demo").wait()?;
            let mut tags: Vec<String> = refs.tags.into_iter().map(|tag| tag.name).collect();
            tags.sort();
            // guide
            // guide: delete-tag
            let deleted = api.delete_tag("ada/demo", "v1").wait().is_ok();
            // guide
            Ok((there, tags, deleted))
        },
    );
}

#[test]
fn questions() {
    pair(
        |world| {
            let repo = world.repository();
            // guide: head
            let head = repo.git_head_hash()?;
            // guide
            Ok(head == world.api.resolve_revision("ada/demo").wait()?)
        },
        |World { api, .. }| {
            // guide: head
            let head = api.resolve_revision("ada/demo").revision("main").wait()?;
            // guide
            let newest = api.list_repo_commits("ada/demo").wait()?.next();
            Ok(newest.transpose()?.is_some_and(|commit| commit.id == head.as_str()))
        },
    );
    pair(
        |world| {
            let repo = world.repository();
            // guide: files
            let files = repo.tracked_files(".")?;
            // guide
            Ok(files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>())
        },
        |World { api, .. }| {
            // guide: files
            let files = api.list_repo_files("ada/demo").wait()?;
            // guide
            let mut files: Vec<String> = files.iter().map(ToString::to_string).collect();
            files.sort();
            Ok(files)
        },
    );
    pair(
        |world| {
            let repo = world.repository();
            // guide: url
            let url = repo.git_remote_url();
            // guide
            Ok(url.replace(world.hub.url(), ""))
        },
        |world @ World { api, .. }| {
            // guide: url
            let url = api.create_repo("ada/demo").exist_ok(true).wait()?.to_string();
            // guide
            Ok(url.replace(world.hub.url(), ""))
        },
    );
}
