//! The methods of the deprecated `Repository`, against hub-server.

#![expect(deprecated, reason = "what is deprecated is tested until it goes")]

use std::path::{Path, PathBuf};

use hub_git_compat::{
    CommitOptions, Error, LfsTracking, Pointer, PushOptions, Repository, Status, is_binary_file, is_git_repo,
    is_local_clone,
};
use hub_tests::{ADA, TestEnv, TestHub, noise};

use crate::git::{WEIGHTS, options, read, walk};

/// A repository that was made over HTTP, and a clone of it.
fn clone(env: &mut TestEnv) -> (TestHub, Repository) {
    let hub = env.start_hub();
    hub.api(ADA).create_repo("ada/demo").wait().unwrap();
    let repo = Repository::clone_from(env.work().join("clone"), "ada/demo", &options(env, &hub, ADA)).unwrap();
    (hub, repo)
}

fn write(repo: &Repository, name: &str, bytes: impl AsRef<[u8]>) {
    let path = repo.dir().join(name);
    fs_err::create_dir_all(path.parent().unwrap()).unwrap();
    fs_err::write(path, bytes).unwrap();
}

fn commit(repo: &Repository, name: &str, bytes: impl AsRef<[u8]>) {
    write(repo, name, bytes);
    repo.git_add(".", LfsTracking::AsIs).unwrap();
    repo.git_commit(&format!("Change {name}")).unwrap();
}

fn paths<const N: usize>(names: [&str; N]) -> Vec<PathBuf> {
    names.map(PathBuf::from).to_vec()
}

#[test]
fn branches_tags_and_commits_are_checked_out() {
    let mut env = TestEnv::new();
    let (hub, repo) = clone(&mut env);
    let first = repo.git_head_hash().unwrap();
    assert_eq!(
        repo.git_head_commit_url().unwrap(),
        format!("{}/ada/demo/commit/{first}", hub.url())
    );
    let err = repo.git_checkout("dev", false).unwrap_err();
    assert!(
        matches!(&err, Error::RevisionNotFound { revision } if revision == "dev"),
        "{err}"
    );
    repo.git_checkout("dev", true).unwrap();
    commit(&repo, "dev.txt", "dev\n");
    assert!(!repo.is_tracked_upstream().unwrap());
    assert_eq!(repo.commits_to_push().unwrap(), 1);
    repo.git_push().unwrap();
    assert!(repo.is_tracked_upstream().unwrap());
    assert_eq!(repo.commits_to_push().unwrap(), 0);
    assert_eq!(repo.branches().unwrap(), ["dev", "main"]);

    // What is in the way stops it, and no branch is made instead.
    commit(&repo, "same.txt", "of dev\n");
    repo.git_checkout("main", false).unwrap();
    assert!(!repo.dir().join("dev.txt").exists());
    write(&repo, "same.txt", "mine\n");
    let err = repo.git_checkout("dev", true).unwrap_err();
    assert!(matches!(err, Error::Git { .. }), "{err}");
    assert_eq!(repo.current_branch().unwrap(), "main");
    assert_eq!(read(repo.dir().join("same.txt")), b"mine\n");
    // A path is no revision: nothing is restored.
    let err = repo.git_checkout("same.txt", false).unwrap_err();
    assert!(matches!(err, Error::RevisionNotFound { .. }), "{err}");
    for bad in [".", "@{-1}x y", "a..b"] {
        assert!(repo.git_checkout(bad, true).is_err(), "{bad}");
    }

    fs_err::remove_file(repo.dir().join("same.txt")).unwrap();
    repo.git_checkout(first.as_str(), false).unwrap();
    assert_detached(&repo);
    repo.git_checkout("main", false).unwrap();

    // Another clone: a branch that only the Hub has is followed, `revision` is kept when it is opened again.
    let dir = env.work().join("other");
    let options = options(&env, &hub, ADA).revision("dev");
    let other = Repository::clone_from(&dir, "ada/demo", &options).unwrap();
    assert_eq!(other.current_branch().unwrap(), "dev");
    assert!(other.is_tracked_upstream().unwrap());
    assert_eq!(read(dir.join("dev.txt")), b"dev\n");
    let again = Repository::open(&dir, &options).unwrap();
    assert_eq!(again.current_branch().unwrap(), "dev");
    let at = options.revision(first.as_str());
    let opened = Repository::open(&dir, &at).unwrap();
    assert_eq!(opened.git_head_hash().unwrap(), first);
    let new = at.revision("brand/new");
    let opened = Repository::open(&dir, &new).unwrap();
    assert_eq!(opened.current_branch().unwrap(), "brand/new");
}

/// A commit leaves no branch checked out, and then none can be pushed.
#[track_caller]
fn assert_detached(repo: &Repository) {
    for err in [
        repo.current_branch().map(drop).unwrap_err(),
        repo.git_push().map(drop).unwrap_err(),
        repo.is_tracked_upstream().map(drop).unwrap_err(),
    ] {
        assert!(matches!(err, Error::DetachedHead { .. }), "{err}");
    }
    let body = |_: &Path| -> Result<(), Error> { panic!("it must not be called") };
    let err = repo.commit("x", &CommitOptions::new(), body).unwrap_err();
    assert!(matches!(err, Error::DetachedHead { .. }), "{err}");
}

#[test]
fn tags_are_made_and_deleted_here_and_there() {
    let mut env = TestEnv::new();
    let (hub, repo) = clone(&mut env);
    let api = hub.api(ADA);
    repo.add_tag("v1", Some("The first\n\nwith a text"), Some("origin"))
        .unwrap();
    repo.add_tag("v2", None, None).unwrap();
    assert_eq!(repo.tags(None).unwrap(), ["v1", "v2"]);
    assert_eq!(repo.tags(Some("origin")).unwrap(), ["v1"]);
    assert!(repo.tag_exists("v2", None).unwrap() && !repo.tag_exists("v2", Some("origin")).unwrap());
    let err = repo.add_tag("v2", None, Some("origin")).unwrap_err();
    assert!(err.to_string().contains("already exists"), "{err}");
    assert_eq!(api.list_repo_refs("ada/demo").wait().unwrap().tags.len(), 1);

    // Deleted here, it stays there.
    assert!(repo.delete_tag("v1", None).unwrap());
    assert!(!repo.delete_tag("v1", None).unwrap());
    assert!(repo.tag_exists("v1", Some("origin")).unwrap());
    // A branch of the same name is another thing.
    repo.git_checkout("v1", true).unwrap();
    repo.git_push().unwrap();
    assert!(repo.delete_tag("v1", Some("origin")).unwrap());
    assert!(!repo.delete_tag("v1", Some("origin")).unwrap());
    let refs = api.list_repo_refs("ada/demo").wait().unwrap();
    assert!(refs.tags.is_empty());
    assert!(refs.branches.iter().any(|branch| branch.name == "v1"));
    for bad in ["", "-d", "a b", "x..y", "x.lock"] {
        assert!(repo.add_tag(bad, None, None).is_err(), "{bad}");
    }
    let err = repo.add_tag("v3", None, Some("elsewhere")).unwrap_err();
    assert!(matches!(err, Error::OtherRepository { .. }), "{err}");
    assert!(!repo.tag_exists("v3", None).unwrap(), "the remote is looked at first");
}

#[test]
fn large_and_binary_files_are_tracked() {
    let mut env = TestEnv::new();
    let (_hub, repo) = clone(&mut env);
    let attributes = || fs_err::read_to_string(repo.dir().join(".gitattributes")).unwrap();
    write(&repo, "large.txt", vec![b'x'; 10 << 20]);
    write(&repo, "small.txt", vec![b'x'; 5 << 20]);
    write(&repo, "sub/binary", [1, 2, 0]);
    write(&repo, "sub/.gitignore", "ignored\n");
    write(&repo, "sub/ignored", vec![0; 11 << 20]);
    assert_eq!(repo.auto_track_large_files("sub").unwrap(), paths([]));
    assert_eq!(repo.auto_track_large_files(".").unwrap(), paths(["large.txt"]));
    assert_eq!(repo.auto_track_large_files(".").unwrap(), paths([]));
    assert_eq!(repo.auto_track_binary_files(".").unwrap(), paths(["sub/binary"]));
    assert!(repo.is_tracked_with_lfs("large.txt").unwrap() && repo.is_tracked_with_lfs("sub/binary").unwrap());
    assert!(!repo.is_tracked_with_lfs("small.txt").unwrap() && !repo.is_tracked_with_lfs("sub/ignored").unwrap());
    assert!(repo.is_git_ignored("sub/ignored").unwrap() && !repo.is_git_ignored("sub/binary").unwrap());

    repo.lfs_track(["*.dat2", "with space/*.x"]).unwrap();
    repo.lfs_track_files(["a[1] #.txt"]).unwrap();
    assert!(repo.is_tracked_with_lfs("deep/a.dat2").unwrap());
    assert!(repo.is_tracked_with_lfs("with space/a.x").unwrap());
    assert!(repo.is_tracked_with_lfs("a[1] #.txt").unwrap() && !repo.is_tracked_with_lfs("a1 #.txt").unwrap());
    assert!(!repo.is_tracked_with_lfs("space").unwrap());
    let before = attributes();
    repo.lfs_track(["*.dat2"]).unwrap();
    assert_eq!(attributes(), before);
    repo.lfs_untrack(["*.dat2", "with space/*.x", "a[1] #.txt"]).unwrap();
    assert!(!repo.is_tracked_with_lfs("deep/a.dat2").unwrap() && !repo.is_tracked_with_lfs("a[1] #.txt").unwrap());
    // Exactly `lfs`, not a word that contains it.
    write(
        &repo,
        ".gitattributes",
        format!("{}*.near filter=notlfs diff=lfs merge=lfs\n", attributes()),
    );
    assert!(!repo.is_tracked_with_lfs("x.near").unwrap());
    for outside in ["/etc/passwd", "../x", ""] {
        assert!(repo.is_git_ignored(outside).is_err(), "{outside}");
    }

    repo.git_add(".", LfsTracking::Auto).unwrap();
    repo.git_commit("All").unwrap();
    assert!(repo.tracked_files(".").unwrap().contains(&PathBuf::from("sub/binary")));
    fs_err::remove_file(repo.dir().join("large.txt")).unwrap();
    assert_eq!(repo.list_deleted_files().unwrap(), paths(["large.txt"]));
    assert_eq!(repo.auto_track_large_files(".").unwrap(), paths([]));
    assert!(!attributes().contains("large.txt"), "the line goes with the file");
}

#[test]
fn pruning_takes_old_copies_of_what_was_pushed() {
    let mut env = TestEnv::new();
    let (_hub, repo) = clone(&mut env);
    let held = || -> u64 {
        let files = walk(&repo.dir().join(".git/lfs/objects"));
        files.iter().map(|file| file.metadata().unwrap().len()).sum()
    };
    commit(&repo, "a.bin", noise(100_000, 1));
    repo.git_push().unwrap();
    commit(&repo, "a.bin", noise(100_000, 2));
    commit(&repo, "a.bin", noise(100_000, 4));
    assert_eq!(held(), 300_000);
    repo.lfs_prune(true).unwrap();
    assert_eq!(held(), 200_000, "what is not pushed stays");
    repo.git_push().unwrap();
    repo.lfs_prune(true).unwrap();
    assert_eq!(held(), 100_000);
    commit(&repo, "a.bin", noise(100_000, 3));
    repo.git_push_with(&PushOptions::new().auto_lfs_prune(true)).unwrap();
    assert_eq!(read(repo.dir().join("a.bin")), noise(100_000, 3));
}

#[test]
fn a_push_in_the_background_tells_how_it_goes() {
    let mut env = TestEnv::new();
    let (hub, repo) = clone(&mut env);
    write(&repo, "a name.bin", noise(3_000_000, 1));
    repo.git_add(".", LfsTracking::AsIs).unwrap();
    let head = repo.git_commit("Large").unwrap();
    let command = repo.start_push(&PushOptions::new()).unwrap();
    assert_eq!(command.title(), "push");
    let url = command.wait().unwrap();
    assert_eq!(url, format!("{}/ada/demo/commit/{head}", hub.url()));
    assert!(command.is_done() && !command.failed());
    assert_eq!((command.status(), command.pid()), (Status::Exited(0), None));
    assert!(command.stdout().contains("refs/heads/main"), "{}", command.stdout());
    let progress = command.progress().unwrap();
    assert_eq!(
        (&*progress.state, &*progress.name, progress.bytes, progress.total),
        ("upload", "a name.bin", 3_000_000, 3_000_000)
    );
    assert_eq!(command.to_string(), "[push command, status: ended with 0]");
    assert_eq!(repo.command_queue().len(), 1);
    repo.wait_for_commands().unwrap();
    assert!(repo.commands_failed().is_empty() && repo.commands_in_progress().is_empty());
    assert_eq!(hub.api(ADA).resolve_revision("ada/demo").wait().unwrap(), head);
    command.kill();
    assert_eq!(command.status(), Status::Exited(0), "it had ended");

    // One that fails is a failure, and waiting says so, in whatever language.
    fs_err::write(repo.dir().join("big.txt"), vec![b'x'; (10 << 20) + 1]).unwrap();
    repo.git_add(".", LfsTracking::AsIs).unwrap();
    repo.git_commit("Too large").unwrap();
    let command = repo.start_push(&PushOptions::new()).unwrap();
    let err = repo.wait_for_commands().unwrap_err();
    assert!(matches!(&*err, Error::PushRefused { .. }), "{err}");
    assert!(command.failed() && matches!(command.status(), Status::Exited(code) if code != 0));
    assert!(command.stderr().contains("larger than 10 MiB"), "{}", command.stderr());
    assert_eq!(repo.commands_failed().len(), 1);
    let err = repo.start_push(&PushOptions::new().branch("none")).unwrap_err();
    assert!(matches!(err, Error::RevisionNotFound { .. }), "{err}");
}

#[cfg(unix)]
#[test]
fn a_killed_push_is_neither_running_nor_done_well() {
    use std::os::unix::fs::PermissionsExt;

    let mut env = TestEnv::new();
    let (hub, repo) = clone(&mut env);
    commit(&repo, "a.txt", "a\n");
    // A git that never comes to the end of a push, and says when it has begun.
    let bin = env.root().join("bin");
    fs_err::create_dir(&bin).unwrap();
    let real = env.command("sh").args(["-c", "command -v git"]).success();
    let script = format!(
        "#!/bin/sh\ncase \"$1\" in push) echo begun >&2; sleep 600 & wait ;; esac\nexec {} \"$@\"\n",
        real.stdout.trim()
    );
    fs_err::write(bin.join("git"), script).unwrap();
    fs_err::set_permissions(bin.join("git"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = hub_types::env::Env::process();
    let (_, path) = path.iter().find(|(name, _)| *name == "PATH").unwrap();
    let path = format!("{}:{}", bin.display(), path.to_str().unwrap());
    env.set("PATH", path);
    let repo = Repository::open(repo.dir(), &options(&env, &hub, ADA)).unwrap();
    let command = repo.start_push(&PushOptions::new()).unwrap();
    while !command.stderr().contains("begun") {
        assert!(!command.is_done(), "{command:?} {}", command.stderr());
        std::thread::yield_now();
    }
    assert_eq!(command.status(), Status::Running);
    assert!(command.pid().is_some() && repo.commands_in_progress().len() == 1);
    command.kill();
    let err = command.wait().unwrap_err();
    assert!(matches!(&*err, Error::Killed { .. }), "{err}");
    assert_eq!(command.status(), Status::Signalled(9));
    assert!(command.failed() && repo.commands_failed().len() == 1);
}

#[test]
fn a_scope_commits_and_pushes_what_it_changed() {
    let mut env = TestEnv::new();
    let (hub, repo) = clone(&mut env);
    let api = hub.api(ADA);
    // Others go on meanwhile: the scope begins with a pull.
    api.upload_file("ada/demo", "theirs\n".as_bytes(), "theirs.txt")
        .wait()
        .unwrap();
    let here = std::env::current_dir().unwrap();
    let done = repo
        .commit("In a scope", &CommitOptions::new(), |dir| {
            assert_eq!(read(dir.join("theirs.txt")), b"theirs\n");
            fs_err::write(dir.join("mine.bin"), noise(1000, 1))?;
            fs_err::write(dir.join("binary"), noise(1000, 2))?;
            Ok::<_, Error>(7)
        })
        .unwrap();
    assert_eq!(done.value, 7);
    let head = done.commit.unwrap();
    assert_eq!(
        done.commit_url.unwrap(),
        format!("{}/ada/demo/commit/{head}", hub.url())
    );
    assert!(repo.is_tracked_with_lfs("binary").unwrap());
    assert_eq!(api.resolve_revision("ada/demo").wait().unwrap(), head);
    assert_eq!(std::env::current_dir().unwrap(), here);

    // Nothing changed: no commit, no error.
    let done = repo
        .commit("Nothing", &CommitOptions::new(), |_| Ok::<_, Error>(()))
        .unwrap();
    assert_eq!(done.commit, None);

    // On a branch of its own, in the background, with nothing tracked.
    let options = CommitOptions::new()
        .branch("dev")
        .blocking(false)
        .track_large_files(false);
    let done = repo
        .commit("On a branch", &options, |dir| {
            Ok::<_, Error>(fs_err::write(dir.join("raw"), [0, 1])?)
        })
        .unwrap();
    done.command.unwrap().wait().unwrap();
    assert_eq!(repo.current_branch().unwrap(), "dev");
    assert_eq!(repo.command_queue().len(), 1);
    assert!(!repo.is_tracked_with_lfs("raw").unwrap());
    assert_eq!(
        api.resolve_revision("ada/demo").revision("dev").wait().unwrap(),
        done.commit.unwrap()
    );
    assert_eq!(api.resolve_revision("ada/demo").wait().unwrap(), head);
}

#[test]
fn a_scope_whose_body_fails_pushes_nothing() {
    let mut env = TestEnv::new();
    let (hub, repo) = clone(&mut env);
    let api = hub.api(ADA);
    let before = repo.git_head_hash().unwrap();
    let err = repo
        .commit("Half", &CommitOptions::new(), |dir| {
            fs_err::write(dir.join("half.txt"), "half")?;
            Err::<(), Error>(std::io::Error::other("the work failed").into())
        })
        .unwrap_err();
    assert_eq!(err.to_string(), "the work failed");
    assert_eq!(repo.git_head_hash().unwrap(), before);
    assert_eq!(api.resolve_revision("ada/demo").wait().unwrap(), before);
    assert_eq!(repo.files_to_be_staged(".").unwrap(), paths(["half.txt"]));
    let output = env.git(["diff", "--cached", "--name-only"]).dir(repo.dir()).success();
    assert_eq!(output.stdout, "");
}

#[test]
fn push_to_hub_stages_commits_and_pushes() {
    let mut env = TestEnv::new();
    let (hub, repo) = clone(&mut env);
    assert_eq!(repo.push_to_hub("Nothing", true).unwrap(), None);
    let err = repo.push_to_hub("Nothing", false).unwrap_err();
    assert!(matches!(err, Error::NothingToCommit { .. }), "{err}");
    write(&repo, "a.txt", "a\n");
    let url = repo.push_to_hub("Add a", true).unwrap().unwrap();
    let head = hub.api(ADA).resolve_revision("ada/demo").wait().unwrap();
    assert_eq!(url, format!("{}/ada/demo/commit/{head}", hub.url()));
    write(&repo, "b.txt", "b\n");
    let command = repo.start_push_to_hub("Add b", true).unwrap().unwrap();
    command.wait().unwrap();
    assert!(hub.api(ADA).file_exists("ada/demo", "b.txt").wait().unwrap());
}

#[test]
fn an_empty_remote_can_be_cloned_and_pushed_to() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    hub.api(ADA).create_repo("ada/empty").wait().unwrap();
    let bare = hub.bare_repository("ada/empty");
    env.git(["update-ref", "-d", "refs/heads/main"]).dir(&bare).success();
    let repo = Repository::clone_from(env.work().join("empty"), "ada/empty", &options(&env, &hub, ADA)).unwrap();
    assert!(repo.list_deleted_files().unwrap().is_empty());
    write(&repo, "a.bin", noise(1000, 1));
    repo.git_checkout("main", true).unwrap();
    let done = repo
        .commit("The first", &CommitOptions::new(), |_| Ok::<_, Error>(()))
        .unwrap();
    assert_eq!(
        hub.api(ADA).resolve_revision("ada/empty").wait().unwrap(),
        done.commit.unwrap()
    );
}

#[cfg(unix)]
#[test]
fn names_that_are_not_unicode_survive() {
    use std::os::unix::ffi::OsStrExt;

    let mut env = TestEnv::new();
    let (hub, repo) = clone(&mut env);
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9 \"x\".bin2");
    let other = std::ffi::OsStr::from_bytes(b"t\xff.txt");
    fs_err::write(repo.dir().join(name), noise(1000, 1)).unwrap();
    fs_err::write(repo.dir().join(other), "text\n").unwrap();
    let mut found = repo.files_to_be_staged(".").unwrap();
    found.sort();
    assert_eq!(found, [PathBuf::from(name), PathBuf::from(other)]);
    assert_eq!(repo.git_add(".", LfsTracking::Auto).unwrap(), [PathBuf::from(name)]);
    assert!(repo.is_tracked_with_lfs(name).unwrap());
    repo.git_commit("Odd names").unwrap();
    assert!(repo.is_repo_clean().unwrap());
    fs_err::remove_file(repo.dir().join(name)).unwrap();
    assert_eq!(repo.list_deleted_files().unwrap(), [PathBuf::from(name)]);
    // The Hub has no such paths, and says so; git, told to, would send them.
    drop(hub);
}

#[test]
fn who_the_author_is_and_where_credentials_are_kept() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    hub.api(ADA).create_repo("ada/demo").wait().unwrap();
    let plain = hub_git_compat::RepositoryOptions::new(&env.env(), hub.url())
        .unwrap()
        .token(hub_types::Token::new(ADA).unwrap())
        .git_email("ada@example.org");
    let dir = env.work().join("clone");
    let mut repo = Repository::clone_from(&dir, "ada/demo", &plain).unwrap();
    let log = || env.git(["log", "-1", "--format=%an <%ae>"]).dir(&dir).success().stdout;
    commit(&repo, "a", "a");
    let who = hub.api(ADA).whoami().wait().unwrap();
    let name = who.fullname.unwrap_or(who.name);
    assert!(log().starts_with(&format!("{name} <")), "{}", log());
    repo.git_config_username_and_email(Some("-Ada of Lovelace"), Some("a b@example.org"))
        .unwrap();
    commit(&repo, "b", "b");
    assert_eq!(log(), "-Ada of Lovelace <a b@example.org>\n");
    assert!(repo.git_config_username_and_email(Some("a\nb"), None).is_err());
    repo.git_credential_helper_store().unwrap();
    let key = format!("credential.{}.helper", hub.url());
    let output = env.git(["config", "--local", "--get", &key]).dir(&dir).success();
    assert_eq!(output.stdout, "store\n");
    repo.git_push().unwrap();
    assert!(
        !env.home().join(".git-credentials").exists(),
        "nothing is kept by a push of ours"
    );
}

#[test]
fn what_a_folder_and_a_file_is() {
    let mut env = TestEnv::new();
    let (hub, repo) = clone(&mut env);
    let options = options(&env, &hub, ADA);
    assert!(is_git_repo(repo.dir(), &options).unwrap());
    assert!(!is_git_repo(repo.dir().join(".git"), &options).unwrap());
    assert!(!is_git_repo(env.work().join("none"), &options).unwrap());
    for source in ["ada/demo".to_owned(), format!("{}/ada/demo.git", hub.url())] {
        assert!(is_local_clone(repo.dir(), &source, &options).unwrap());
    }
    assert!(!is_local_clone(repo.dir(), "ada/other", &options).unwrap());
    assert!(!is_local_clone(env.work(), "ada/demo", &options).unwrap());
    for word in ["origin", "(fetch)"] {
        assert!(!is_local_clone(repo.dir(), word, &options).unwrap_or(false), "{word}");
    }
    assert!(is_binary_file(env.write("nul", [b'a', 0])).unwrap());
    assert!(!is_binary_file(env.write("text", "grüße\n")).unwrap());

    // A folder that others made and linked is worked in as it is.
    let linked = env.work().join("linked");
    fs_err::create_dir(&linked).unwrap();
    env.git(["init", "--quiet", "--initial-branch=main"])
        .dir(&linked)
        .success();
    let url = format!("{}/ada/demo", hub.url());
    env.git(["remote", "add", "origin", &url]).dir(&linked).success();
    let repo = Repository::clone_from(&linked, "ada/demo", &options).unwrap();
    repo.git_pull(false, true).unwrap();
    assert!(linked.join(".gitattributes").exists());
}

#[test]
fn the_head_of_a_card_is_read_and_written() {
    let mut env = TestEnv::new();
    let (_hub, repo) = clone(&mut env);
    assert_eq!(repo.repocard_metadata_load().unwrap(), None);
    repo.repocard_metadata_save("license: mit\ntags:\n- x\n").unwrap();
    write(
        &repo,
        "README.md",
        fs_err::read_to_string(repo.dir().join("README.md")).unwrap() + "# Demo\n",
    );
    assert_eq!(
        repo.repocard_metadata_load().unwrap().unwrap(),
        "license: mit\ntags:\n- x\n"
    );
    repo.repocard_metadata_save("license: apache-2.0").unwrap();
    assert_eq!(
        read(repo.dir().join("README.md")),
        b"---\nlicense: apache-2.0\n---\n# Demo\n"
    );
    assert!(repo.repocard_metadata_save("a: 1\n---\nb: 2").is_err());
}

#[test]
fn pointers_stay_until_they_are_asked_for() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    env.seed_model("ada/demo", &[]);
    hub.api(ADA).create_branch("ada/demo", "dev").wait().unwrap();
    let dir = env.work().join("clone");
    let options = options(&env, &hub, ADA).skip_lfs_files(true).revision("dev");
    let repo = Repository::clone_from(&dir, "ada/demo", &options).unwrap();
    assert!(Pointer::parse(&read(dir.join(WEIGHTS))).is_some());
    repo.git_checkout("main", false).unwrap();
    assert!(Pointer::parse(&read(dir.join(WEIGHTS))).is_some());
    repo.git_pull(true, true).unwrap();
    assert_eq!(read(dir.join(WEIGHTS)), noise(6_000_000, 1));
}
