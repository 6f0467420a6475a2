//! `git` with git-lfs against hub-server, and the deprecated `Repository` on top of them.

#![expect(deprecated, reason = "what is deprecated is tested until it goes")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hub_git_compat::{Error, LfsTracking, Pointer, Repository, RepositoryOptions};
use hub_tests::{ADA, ADA_READS, BOB, Cmd, Python, TestEnv, TestHub, noise};
use hub_types::{Sha256, Token};

/// The large file of the seeded model.
pub(crate) const WEIGHTS: &str = "model.safetensors";

/// The weights of a model that the official client has uploaded.
pub(crate) fn model(env: &TestEnv, id: &str, options: &[&str]) -> Vec<u8> {
    let files = env.seed_model(id, options);
    let (_, weights) = files.into_iter().find(|(name, _)| *name == WEIGHTS).unwrap();
    weights
}

/// Git with the LFS filters, and with a token where one is given.
pub(crate) fn git(env: &TestEnv, hub: &TestHub, token: Option<&str>, args: &[&str]) -> Cmd {
    let git = env
        .git(args)
        .env("GIT_CONFIG_COUNT", "4")
        .env("GIT_CONFIG_KEY_0", "filter.lfs.process")
        .env("GIT_CONFIG_VALUE_0", "git-lfs filter-process")
        .env("GIT_CONFIG_KEY_1", "filter.lfs.required")
        .env("GIT_CONFIG_VALUE_1", "true")
        .env("GIT_CONFIG_KEY_2", "init.defaultBranch")
        .env("GIT_CONFIG_VALUE_2", "main")
        .env("GIT_CONFIG_KEY_3", format!("credential.{}.helper", hub.url()));
    match token {
        Some(token) => {
            let answer = format!("!f() {{ test \"$1\" = get && printf 'username=ada\\npassword={token}\\n'; }}; f");
            git.env("GIT_CONFIG_VALUE_3", answer)
        }
        None => git.env("GIT_CONFIG_VALUE_3", ""),
    }
}

pub(crate) fn read(path: impl AsRef<Path>) -> Vec<u8> {
    fs_err::read(path.as_ref()).unwrap()
}

#[test]
fn git_clones_text_and_large_files() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let weights = model(&env, "ada/demo", &[]);
    for (folder, suffix) in [("plain", ""), ("dotted", ".git")] {
        let url = format!("{}/ada/demo{suffix}", hub.url());
        git(&env, &hub, None, &["clone", "--quiet", &url, folder]).success();
        assert_eq!(read(env.work().join(folder).join("config.json")), b"{\"hidden\": 4}\n");
        assert_eq!(read(env.work().join(folder).join(WEIGHTS)), weights);
    }
    let bare = hub.bare_repository("ada/demo");
    env.git(["-C"])
        .arg(&bare)
        .args(["fsck", "--strict", "--full"])
        .success();
}

#[test]
fn git_pushes_text_large_files_branches_and_tags() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    model(&env, "ada/demo", &[]);
    let url = format!("{}/ada/demo", hub.url());
    git(&env, &hub, None, &["clone", "--quiet", &url, "copy"]).success();
    let copy = env.work().join("copy");
    let run = |args: &[&str]| git(&env, &hub, Some(ADA), args).dir(&copy).success();

    let large = noise(3_000_000, 9);
    fs_err::write(copy.join("new.bin"), &large).unwrap();
    fs_err::write(copy.join("new.txt"), "new\n").unwrap();
    run(&["lfs", "install", "--local"]);
    run(&["add", "."]);
    run(&["commit", "--quiet", "--message", "New files"]);
    run(&["tag", "--annotate", "v1", "--message", "The first"]);
    run(&["push", "--quiet", "origin", "main", "main:dev/copy", "v1"]);
    let head = run(&["rev-parse", "HEAD"]).stdout.trim().to_owned();

    let args = ["ada/demo", "new.bin", "v1", &Sha256::of(&large).to_string(), &head];
    env.python(Python::V2_4, "python/pushed.py", args).success();
    git(
        &env,
        &hub,
        None,
        &["clone", "--quiet", "--branch", "dev/copy", &url, "again"],
    )
    .success();
    assert_eq!(read(env.work().join("again/new.bin")), large);
    assert_eq!(read(env.work().join("again/new.txt")), b"new\n");
}

#[test]
fn git_sees_what_it_may_see() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    model(&env, "ada/secret", &["private"]);
    let url = format!("{}/ada/secret", hub.url());
    let clone = |token: Option<&str>, folder: &str| git(&env, &hub, token, &["clone", "--quiet", &url, folder]);
    let output = clone(None, "anonymous").failure(128);
    assert!(output.stderr.contains("could not read Username"), "{output}");
    let output = clone(Some(BOB), "bob").failure(128);
    assert!(output.stderr.contains("not found"), "{output}");
    clone(Some(ADA_READS), "reader").success();

    let copy = env.work().join("reader");
    let run = |args: &[&str]| git(&env, &hub, Some(ADA_READS), args).dir(&copy);
    fs_err::write(copy.join("new.txt"), "new\n").unwrap();
    run(&["add", "."]).success();
    run(&["commit", "--quiet", "--message", "Not allowed"]).success();
    let output = run(&["push", "--quiet", "origin", "main"]).failure(128);
    assert!(output.stderr.contains("403"), "{output}");
}

pub(crate) fn options(env: &TestEnv, hub: &TestHub, token: &str) -> RepositoryOptions {
    RepositoryOptions::new(&env.env(), hub.url())
        .unwrap()
        .token(Token::new(token).unwrap())
        .git_user("Ada")
        .git_email("ada@example.org")
        .timeout(Duration::from_secs(120))
}

/// Every file below a folder.
pub(crate) fn walk(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs_err::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            files.extend(walk(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files
}

/// Looks for a token in every file of a clone and of the home folder.
#[track_caller]
pub(crate) fn assert_no_token(env: &TestEnv, dir: &Path) {
    for file in [walk(dir), walk(&env.home())].concat() {
        let bytes = read(&file);
        let found = bytes.windows(ADA.len()).any(|window| window == ADA.as_bytes());
        assert!(!found, "the token stands in {}", file.display());
    }
}

#[test]
fn repository_clones_commits_and_pushes() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let weights = model(&env, "ada/demo", &["private"]);
    let dir = env.work().join("clone");
    let options = options(&env, &hub, ADA);
    let repo = Repository::clone_from(&dir, "ada/demo", &options).unwrap();
    assert_eq!(read(dir.join(WEIGHTS)), weights);
    assert!(repo.is_repo_clean().unwrap());
    assert_eq!(repo.current_branch().unwrap(), "main");

    // One by its size, one by its content, one that `.gitattributes` has already, and plain text.
    let text = vec![b'x'; 10 << 20];
    fs_err::create_dir(dir.join("sub dir")).unwrap();
    fs_err::write(dir.join("sub dir/-large é[1].txt"), &text).unwrap();
    fs_err::write(dir.join("binary"), noise(5000, 1)).unwrap();
    fs_err::write(dir.join("more.safetensors"), noise(5000, 2)).unwrap();
    fs_err::write(dir.join("notes.txt"), "notes\n").unwrap();
    let mut tracked = repo.git_add(".", LfsTracking::Auto).unwrap();
    tracked.sort();
    assert_eq!(
        tracked,
        [PathBuf::from("binary"), PathBuf::from("sub dir/-large é[1].txt")]
    );
    let head = repo.git_commit("Add files").unwrap();
    let err = repo.git_commit("Again").unwrap_err();
    assert!(matches!(err, Error::NothingToCommit { .. }), "{err}");
    assert_eq!(
        repo.git_push().unwrap(),
        format!("{}/ada/demo/commit/{head}", hub.url())
    );
    assert_no_token(&env, &dir);

    // Another clone gets all of it, and the Hub has the large ones in its LFS storage.
    let again = env.work().join("again");
    Repository::clone_from(&again, &format!("{}/ada/demo", hub.url()), &options).unwrap();
    assert_eq!(read(again.join("sub dir/-large é[1].txt")), text);
    assert_eq!(read(again.join("binary")), noise(5000, 1));
    for (name, bytes) in [
        ("sub dir/-large é[1].txt", &text),
        ("more.safetensors", &noise(5000, 2)),
    ] {
        let args = ["ada/demo", name, "main", &Sha256::of(bytes).to_string(), head.as_str()];
        env.python(Python::V2_4, "python/pushed.py", args).success();
    }

    // A deleted file takes its line along.
    fs_err::remove_file(dir.join("binary")).unwrap();
    repo.git_add(".", LfsTracking::Auto).unwrap();
    repo.git_commit("Remove a file").unwrap();
    repo.git_push().unwrap();
    let attributes = fs_err::read_to_string(dir.join(".gitattributes")).unwrap();
    assert!(
        !attributes.contains("\nbinary ") && attributes.contains("large"),
        "{attributes}"
    );
}

#[test]
fn repository_pulls_and_rebases() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    model(&env, "ada/demo", &[]);
    let options = options(&env, &hub, ADA);
    let (one, two) = (env.work().join("one"), env.work().join("two"));
    let first = Repository::clone_from(&one, "ada/demo", &options).unwrap();
    let second = Repository::clone_from(&two, "ada/demo", &options).unwrap();
    let change = |repo: &Repository, name: &str, text: &str| {
        fs_err::write(repo.dir().join(name), text).unwrap();
        repo.git_add(".", LfsTracking::AsIs).unwrap();
        repo.git_commit(&format!("Change {name}")).unwrap()
    };
    let head = change(&first, "a.txt", "a\n");
    first.git_push().unwrap();
    second.git_pull(false, false).unwrap();
    assert_eq!(second.git_head_hash().unwrap(), head);

    change(&first, "a.txt", "a of the first\n");
    first.git_push().unwrap();
    change(&second, "b.txt", "b of the second\n");
    let err = second.git_push().unwrap_err();
    assert!(matches!(&err, Error::Diverged { branch } if branch == "main"), "{err}");
    let err = second.git_pull(false, false).unwrap_err();
    assert!(matches!(err, Error::Diverged { .. }), "{err}");
    second.git_pull(true, false).unwrap();
    second.git_push().unwrap();
    first.git_pull(false, false).unwrap();
    assert_eq!(read(one.join("b.txt")), b"b of the second\n");

    // A rebase that meets a conflict is taken back.
    change(&first, "a.txt", "mine\n");
    first.git_push().unwrap();
    let ours = change(&second, "a.txt", "yours\n");
    second.git_pull(true, false).unwrap_err();
    assert_eq!(second.git_head_hash().unwrap(), ours);
    assert!(second.is_repo_clean().unwrap());
    assert_eq!(second.current_branch().unwrap(), "main");
}

#[test]
fn repository_leaves_large_files_for_later() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let weights = model(&env, "ada/demo", &[]);
    let dir = env.work().join("clone");
    let options = options(&env, &hub, ADA).skip_lfs_files(true);
    let repo = Repository::clone_from(&dir, "ada/demo", &options).unwrap();
    let pointer = Pointer::parse(&read(dir.join(WEIGHTS))).unwrap();
    assert_eq!(
        (pointer.sha256, pointer.size),
        (Sha256::of(&weights), weights.len() as u64)
    );
    assert!(repo.is_repo_clean().unwrap());
    repo.git_pull(false, true).unwrap();
    assert_eq!(read(dir.join(WEIGHTS)), weights);
}

#[test]
fn repository_refuses_what_is_not_its_own() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    model(&env, "ada/demo", &[]);
    model(&env, "ada/other", &[]);
    let options = options(&env, &hub, ADA);
    let clone = |dir: &Path, source: &str| Repository::clone_from(dir, source, &options);

    let full = env.work().join("full");
    fs_err::create_dir(&full).unwrap();
    fs_err::write(full.join(".hidden"), "").unwrap();
    let err = clone(&full, "ada/demo").unwrap_err();
    assert!(matches!(err, Error::NotEmpty { .. }), "{err}");
    let err = Repository::open(&full, &options).unwrap_err();
    assert!(matches!(err, Error::NotARepository { .. }), "{err}");

    let dir = env.work().join("demo");
    clone(&dir, "ada/demo").unwrap();
    clone(&dir, "ada/demo").unwrap();
    let err = clone(&dir, "ada/other").unwrap_err();
    assert!(matches!(err, Error::OtherRepository { .. }), "{err}");
    let err = Repository::open(dir.join(".git"), &options).unwrap_err();
    assert!(matches!(err, Error::NotARepository { .. }), "{err}");

    // A failed clone leaves nothing behind.
    let none = env.work().join("none");
    clone(&none, "ada/none").unwrap_err();
    assert!(!none.exists());
}

#[test]
fn repository_gives_up_at_once_when_the_token_is_refused() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    model(&env, "ada/secret", &["private"]);
    let start = Instant::now();
    let dir = env.work().join("wrong");
    let err = Repository::clone_from(&dir, "ada/secret", &options(&env, &hub, "hf_wrongwrongwrongwrong")).unwrap_err();
    assert!(matches!(err, Error::Unauthorized { .. }), "{err}");

    // May read, must not write: the large file is refused before any commit is pushed.
    let dir = env.work().join("reader");
    let reader = Repository::clone_from(&dir, "ada/secret", &options(&env, &hub, ADA_READS)).unwrap();
    fs_err::write(dir.join("new.bin"), noise(5000, 4)).unwrap();
    reader.git_add(".", LfsTracking::AsIs).unwrap();
    reader.git_commit("Not allowed").unwrap();
    let err = reader.git_push().unwrap_err();
    assert!(matches!(err, Error::Unauthorized { .. }), "{err} {err:?}");
    assert!(!format!("{err:?}").contains(ADA_READS), "{err:?}");
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn repository_says_why_a_push_is_refused() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    model(&env, "ada/demo", &[]);
    let dir = env.work().join("demo");
    let repo = Repository::clone_from(&dir, "ada/demo", &options(&env, &hub, ADA)).unwrap();
    fs_err::write(dir.join("large.txt"), vec![b'x'; (10 << 20) + 1]).unwrap();
    repo.git_add(".", LfsTracking::AsIs).unwrap();
    repo.git_commit("Too large for git itself").unwrap();
    let err = repo.git_push().unwrap_err();
    assert!(
        matches!(&err, Error::PushRefused { reason, .. } if reason.contains("larger than 10 MiB")),
        "{err}"
    );
}

#[test]
fn repository_does_not_run_what_a_prepared_folder_names() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    model(&env, "ada/demo", &[]);
    let options = options(&env, &hub, ADA);
    let dir = env.work().join("demo");
    Repository::clone_from(&dir, "ada/demo", &options).unwrap();
    let mark = env.work().join("ran");
    let touch = format!("touch {}", mark.display());

    // Hooks, a file system monitor and a credential helper are passed by.
    fs_err::create_dir_all(dir.join(".git/hooks")).unwrap();
    for hook in ["pre-commit", "post-commit", "pre-push", "post-checkout"] {
        let path = dir.join(".git/hooks").join(hook);
        fs_err::write(&path, format!("#!/bin/sh\n{touch}\n")).unwrap();
        env.command("chmod").arg("755").arg(&path).success();
    }
    let configure = |key: &str, value: &str| {
        env.git(["config", "--local", key, value]).dir(&dir).success();
    };
    configure("core.fsmonitor", &touch);
    configure("credential.helper", &format!("!{touch}"));
    configure("core.sshCommand", &touch);
    let repo = Repository::open(&dir, &options).unwrap();
    fs_err::write(dir.join("new.txt"), "new\n").unwrap();
    repo.git_add(".", LfsTracking::Auto).unwrap();
    repo.git_commit("New").unwrap();
    repo.git_push().unwrap();
    repo.git_pull(false, true).unwrap();
    assert!(!mark.exists());

    // What cannot be passed by is refused.
    configure("filter.evil.clean", &touch);
    let err = Repository::open(&dir, &options).unwrap_err();
    assert!(
        matches!(&err, Error::UnsafeConfiguration { keys, .. } if keys.len() == 1 && keys[0] == "filter.evil.clean"),
        "{err}"
    );
    Repository::open(&dir, &options.clone().trust_local_config(true)).unwrap();
    assert!(!mark.exists());
}

#[test]
fn python_0_36_repository_works_and_ours_opens_its_clone() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    model(&env, "ada/demo", &["private"]);
    let dir = env.work().join("clone");
    let output = env
        .python(
            Python::V0_36,
            "python/repository.py",
            ["ada/demo".as_ref(), dir.as_os_str()],
        )
        .success();
    assert!(output.stdout.ends_with("ok\n"), "{output}");

    // That class leaves the token in the configuration; ours takes it out and goes on working.
    let repo = Repository::open(&dir, &options(&env, &hub, ADA)).unwrap();
    assert!(!repo.git_remote_url().contains(ADA));
    repo.remove_stored_credentials().unwrap();
    let config = fs_err::read_to_string(dir.join(".git/config")).unwrap();
    assert!(!config.contains(ADA), "{config}");
    repo.git_pull(false, true).unwrap();
    assert_eq!(read(dir.join("added.txt")), b"by git\n");
}
