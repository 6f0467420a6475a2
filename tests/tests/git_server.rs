//! What hub-server must be to git: shallow and partial clones, protocol v2, private repositories, locks, one history.

use hub_tests::{ADA, ADA_READS, BOB, TestEnv, TestHub, noise};

use crate::git::{git, read};

fn model(env: &mut TestEnv) -> TestHub {
    let hub = env.start_hub();
    let api = hub.api(ADA);
    api.create_repo("ada/demo").private(true).wait().unwrap();
    for text in ["one\n", "two\n", "three\n"] {
        api.upload_file("ada/demo", text.as_bytes(), "a.txt").wait().unwrap();
    }
    api.upload_file("ada/demo", noise(100_000, 1), "large.bin")
        .wait()
        .unwrap();
    hub
}

#[test]
fn shallow_clones_are_deepened_and_push() {
    let mut env = TestEnv::new();
    let hub = model(&mut env);
    let url = format!("{}/ada/demo", hub.url());
    git(
        &env,
        &hub,
        Some(ADA),
        &["clone", "--quiet", "--depth", "1", &url, "copy"],
    )
    .success();
    let copy = env.work().join("copy");
    let run = |args: &[&str]| git(&env, &hub, Some(ADA), args).dir(&copy).success().stdout;
    let count = || run(&["rev-list", "--count", "HEAD"]).trim().parse::<u32>().unwrap();
    assert_eq!(count(), 1);
    fs_err::write(copy.join("b.txt"), "b\n").unwrap();
    run(&["add", "b.txt"]);
    run(&["commit", "--quiet", "--message", "From a shallow clone"]);
    run(&["push", "--quiet", "origin", "main"]);
    run(&["fetch", "--quiet", "--deepen", "1"]);
    assert_eq!(count(), 3);
    run(&["fetch", "--quiet", "--unshallow"]);
    assert_eq!(count(), 6);
    assert!(hub.api(ADA).file_exists("ada/demo", "b.txt").wait().unwrap());
    let since = run(&["log", "-1", "--format=%cI", "HEAD~2"]);
    let args = ["clone", "--quiet", "--shallow-since", since.trim(), &url, "since"];
    git(&env, &hub, Some(ADA), &args).success();
}

#[test]
fn partial_clones_fetch_what_they_need_later() {
    let mut env = TestEnv::new();
    let hub = model(&mut env);
    let url = format!("{}/ada/demo", hub.url());
    let args = ["clone", "--quiet", "--filter=blob:none", "--no-checkout", &url, "copy"];
    git(&env, &hub, Some(ADA), &args).success();
    let copy = env.work().join("copy");
    let run = |args: &[&str]| git(&env, &hub, Some(ADA), args).dir(&copy).success().stdout;
    let missing = || {
        run(&["rev-list", "--objects", "--all", "--missing=print"])
            .matches("\n?")
            .count()
    };
    assert!(missing() >= 3, "the filter is not allowed");
    run(&["checkout", "--quiet", "main"]);
    assert_eq!(read(copy.join("a.txt")), b"three\n");
    assert_eq!(read(copy.join("large.bin")), noise(100_000, 1));
    assert_eq!(run(&["show", "HEAD~2:a.txt"]), "two\n");
    let args = ["clone", "--quiet", "--filter=tree:0", "--sparse", &url, "sparse"];
    git(&env, &hub, Some(ADA), &args).success();
    assert_eq!(read(env.work().join("sparse/a.txt")), b"three\n");
}

#[test]
fn every_version_of_the_protocol_is_spoken() {
    let mut env = TestEnv::new();
    let hub = model(&mut env);
    let url = format!("{}/ada/demo", hub.url());
    for version in ["0", "1", "2"] {
        let key = format!("protocol.version={version}");
        let output = git(&env, &hub, Some(ADA), &["-c", &key, "ls-remote", &url])
            .env("GIT_TRACE_PACKET", "1")
            .success();
        assert!(output.stdout.contains("refs/heads/main"), "{output}");
        assert_eq!(output.stderr.contains("ls-refs"), version == "2", "{version}: {output}");
    }
}

#[test]
fn a_private_repository_is_shown_to_whom_it_belongs() {
    let mut env = TestEnv::new();
    let hub = model(&mut env);
    let url = format!("{}/ada/demo", hub.url());
    let list = |token: Option<&str>| git(&env, &hub, token, &["ls-remote", &url]);
    list(Some(ADA)).success();
    list(Some(ADA_READS)).success();
    for token in [None, Some(BOB), Some("hf_wrongwrongwrong")] {
        let output = list(token).failure(128);
        assert!(!output.stderr.contains("refs/heads"), "{output}");
    }
}

#[test]
fn locks_are_not_there_and_nobody_minds() {
    let mut env = TestEnv::new();
    let hub = model(&mut env);
    let url = format!("{}/ada/demo", hub.url());
    git(&env, &hub, Some(ADA), &["clone", "--quiet", &url, "copy"]).success();
    let copy = env.work().join("copy");
    let run = |args: &[&str]| git(&env, &hub, Some(ADA), args).dir(&copy);
    run(&["lfs", "install", "--local"]).success();
    // A lock is refused; a push, which asks for locks first when told to, goes on.
    assert_ne!(run(&["lfs", "lock", "large.bin"]).run().code, Some(0));
    fs_err::write(copy.join("large.bin"), noise(100_000, 2)).unwrap();
    run(&["commit", "--quiet", "--all", "--message", "Another"]).success();
    let output = run(&["push", "origin", "main"]).success();
    assert!(!output.stderr.contains("rror"), "{output}");
    let cache = hub_cache::HubCache::new(hub.api(ADA), env.cache());
    assert_eq!(
        read(cache.download_file("ada/demo", "large.bin").wait().unwrap()),
        noise(100_000, 2)
    );
}

#[test]
fn both_ways_have_one_history() {
    let mut env = TestEnv::new();
    let hub = model(&mut env);
    let api = hub.api(ADA);
    let url = format!("{}/ada/demo", hub.url());
    git(&env, &hub, Some(ADA), &["clone", "--quiet", &url, "copy"]).success();
    let copy = env.work().join("copy");
    let run = |args: &[&str]| git(&env, &hub, Some(ADA), args).dir(&copy).success().stdout;
    fs_err::write(copy.join("b.txt"), "by git\n").unwrap();
    run(&["add", "b.txt"]);
    run(&["commit", "--quiet", "--message", "By git"]);
    run(&["push", "--quiet", "origin", "main"]);
    api.upload_file("ada/demo", "by http\n".as_bytes(), "c.txt")
        .commit_message("By HTTP")
        .wait()
        .unwrap();
    api.create_tag("ada/demo", "v1")
        .tag_message("The first")
        .wait()
        .unwrap();
    api.create_branch("ada/demo", "dev").wait().unwrap();
    run(&["pull", "--quiet", "--tags", "origin", "main"]);
    let theirs: Vec<(String, String)> = api
        .list_repo_commits("ada/demo")
        .wait()
        .unwrap()
        .map(Result::unwrap)
        .map(|commit| (commit.id, commit.title))
        .collect();
    let log = run(&["log", "--format=%H %s"]);
    let ours: Vec<(String, String)> = log
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(id, title)| (id.to_owned(), title.to_owned()))
        .collect();
    assert_eq!(ours, theirs);
    assert_eq!(ours[0].1, "By HTTP");
    assert_eq!(
        run(&["tag", "--list", "--format=%(contents)", "v1"]).trim(),
        "The first"
    );
    assert!(run(&["ls-remote", "--heads", "origin"]).contains("refs/heads/dev"));
    let bare = hub.bare_repository("ada/demo");
    env.git(["fsck", "--strict", "--full"]).dir(&bare).success();
}
