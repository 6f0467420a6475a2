//! Caches that several users share: a system-wide one that each may only read, and one that a group fills together.

#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use hub_cache::{Cache, DeletionPlan, HubCache, Target, scan};
use hub_http::HfApi;
use hub_tests::fake::{Answer, Fake, listed_lfs};
use hub_tests::{ADA, Cmd, Output, Python, Scanner, TestEnv, TestHub, noise};
use hub_types::{GitOid, RepoType, Sha256};

/// Persons and their group, by their numbers: nothing needs to know their names.
const EVE: u32 = 61_001;
const MAX: u32 = 61_002;
const GROUP: u32 = 61_100;

/// Files of other users can be made by root alone. Elsewhere this is said aloud, and what can be tested without is.
fn is_root(test: &str) -> bool {
    let root = fs_err::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0);
    if !root {
        let mut said = std::io::stderr();
        let _ = writeln!(said, "{test}: not run as root, so everything belongs to one user");
    }
    root
}

fn set_mode(path: &Path, mode: u32) {
    fs_err::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// All that lies below a folder, with mode, owner, group and time of the last change.
fn state(root: &Path) -> BTreeMap<PathBuf, (u32, u32, u32, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs_err::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                folders.push(path.clone());
            }
            let what = (meta.mode(), meta.uid(), meta.gid(), meta.ctime(), meta.ctime_nsec());
            found.insert(path, what);
        }
    }
    found
}

/// A Hub with a model, a system-wide cache with all of it but the weights, and people with homes.
struct Machine {
    env: TestEnv,
    hub: TestHub,
    program: PathBuf,
    system: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let mut env = TestEnv::new();
        let hub = env.start_hub();
        env.seed_model("ada/demo", &[]);
        // Everybody may look into the test's folder and run the program, wherever it was built.
        set_mode(env.root(), 0o755);
        let program = env.root().join("hub-program");
        fs_err::copy(env.hub_path(), &program).unwrap();
        set_mode(&program, 0o755);
        let system = env.root().join("system");
        HubCache::new(hub.api(ADA), &system)
            .snapshot_download("ada/demo")
            .ignore_patterns("*.safetensors")
            .wait()
            .unwrap();
        Self {
            env,
            hub,
            program,
            system,
        }
    }

    /// A home of this user's own, or of whoever runs the test.
    fn home(&self, user: u32) -> PathBuf {
        let home = self.env.root().join(format!("home-{user}"));
        if !home.exists() {
            fs_err::create_dir(&home).unwrap();
            if is_root("shared_caches") {
                std::os::unix::fs::chown(&home, Some(user), Some(GROUP)).unwrap();
            }
        }
        home
    }

    /// The program, run by this user with this umask.
    fn hub(&self, user: u32, umask: &str, args: &[&str]) -> Cmd {
        let home = self.home(user);
        let command = self
            .env
            .command("sh")
            .args(["-c", &format!("umask {umask} && exec \"$0\" \"$@\"")])
            .arg(&self.program)
            .args(args)
            .dir(&home)
            .env("HOME", &home)
            .env("TMPDIR", &home)
            .env("HF_HOME", home.join("hf"));
        match is_root("shared_caches") {
            true => command.user(user, GROUP),
            false => command,
        }
    }

    /// A download of the whole model into this user's own cache, with the system-wide one below it.
    fn download(&self, user: u32) -> Cmd {
        let command = self.hub(user, "022", &["--quiet", "download", "ada/demo"]);
        command.env("HUB_SYSTEM_CACHE", &self.system)
    }

    #[track_caller]
    fn assert_model(&self, output: &Output) -> PathBuf {
        let folder = PathBuf::from(output.stdout.trim_end());
        for name in ["config.json", "model.safetensors", "sub/notes.txt"] {
            let seed = self.env.work().join("seed").join(name);
            assert!(
                fs_err::read(folder.join(name)).unwrap() == fs_err::read(seed).unwrap(),
                "{name} has other bytes"
            );
        }
        folder
    }
}

#[test]
fn another_user_s_cache_is_read_through_and_stays_as_it_is() {
    let machine = Machine::new();
    let before = state(&machine.system);
    let output = machine.download(EVE).success();
    let folder = machine.assert_model(&output);
    let home = fs_err::canonicalize(machine.home(EVE)).unwrap();
    assert!(folder.starts_with(&home), "{}", folder.display());
    let leads_to = |name: &str| fs_err::canonicalize(folder.join(name)).unwrap();
    let system = fs_err::canonicalize(&machine.system).unwrap();
    assert!(leads_to("config.json").starts_with(&system));
    assert!(leads_to("sub/notes.txt").starts_with(&system));
    assert!(
        leads_to("model.safetensors").starts_with(&home),
        "it was not in the system-wide cache"
    );
    assert_eq!(state(&machine.system), before, "no lock, no time, no mode has changed");

    // The official client, which knows the private cache alone, finds all of it and nothing odd.
    let cache = home.join("hf/hub");
    let files = Scanner::start(&machine.env).scan(&cache);
    assert_eq!(files.len(), 4, "{files:?}");
    let report = scan(&cache).unwrap();
    assert_eq!((report.warnings, report.leftovers), (vec![], vec![]));
    assert_eq!(report.size, 6_000_000);
    for python in [Python::V0_36, Python::V2_4] {
        let script = machine.env.python(python, "python/cache_system.py", ["ada/demo"]);
        let command = script.arg(folder.as_os_str()).env("HF_HUB_CACHE", &cache);
        assert_eq!(command.success().stdout, "ok\n");
    }
    assert_eq!(state(&machine.system), before);
    // It has deleted the only revision: the links went, the contents did not.
    assert!(!folder.exists());
    machine.assert_model(&machine.download(EVE).success());
}

#[test]
fn what_may_not_be_read_there_is_fetched() {
    let machine = Machine::new();
    if !is_root("what_may_not_be_read_there_is_fetched") {
        // Whoever owns a file may take the right to read it from themselves.
        let config = machine.system.join("models--ada--demo/blobs");
        for blob in fs_err::read_dir(config).unwrap() {
            set_mode(&blob.unwrap().path(), 0o000);
        }
    } else {
        set_mode(&machine.system.join("models--ada--demo/blobs"), 0o700);
    }
    let output = machine.download(EVE).success();
    let folder = machine.assert_model(&output);
    let home = fs_err::canonicalize(machine.home(EVE)).unwrap();
    let content = fs_err::canonicalize(folder.join("config.json")).unwrap();
    assert!(content.starts_with(home), "{}", content.display());
}

#[test]
fn without_a_place_to_write_a_system_wide_cache_serves_by_itself() {
    let machine = Machine::new();
    HubCache::new(machine.hub.api(ADA), &machine.system)
        .snapshot_download("ada/demo")
        .wait()
        .unwrap();
    let before = state(&machine.system);
    let nowhere = machine.home(EVE).join("closed");
    fs_err::create_dir(&nowhere).unwrap();
    set_mode(&nowhere, 0o555);
    let run = |args: &[&str]| {
        let command = machine.hub(EVE, "022", args).env("HUB_SYSTEM_CACHE", &machine.system);
        command.env("HF_HUB_CACHE", nowhere.join("hub")).success()
    };
    let folder = machine.assert_model(&run(&["--quiet", "download", "ada/demo"]));
    assert!(folder.starts_with(&machine.system), "{}", folder.display());
    let one = run(&["--quiet", "download", "ada/demo", "config.json"]);
    assert_eq!(Path::new(one.stdout.trim_end()), folder.join("config.json"));
    assert_eq!(state(&machine.system), before);
    assert_eq!(fs_err::read_dir(&nowhere).unwrap().count(), 0);
}

/// A read-only mount, where the kernel lets this test make one: in a mount namespace of its own.
#[cfg(target_os = "linux")]
#[test]
fn a_system_wide_cache_may_be_mounted_read_only() {
    let machine = Machine::new();
    let before = state(&machine.system);
    let script = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && ! touch \"$1/x\" 2>/dev/null && \
                  exec \"$0\" --quiet download ada/demo";
    let probe = machine
        .env
        .command("unshare")
        .args(["--mount", "--map-root-user", "true"])
        .run();
    if probe.code != Some(0) {
        let mut said = std::io::stderr();
        let _ = writeln!(
            said,
            "a_system_wide_cache_may_be_mounted_read_only: no mount namespace to be had: {probe}"
        );
        return;
    }
    let command = machine
        .env
        .command("unshare")
        .args(["--mount", "--map-root-user", "sh", "-c", script]);
    let command = command.arg(&machine.program).arg(&machine.system);
    let output = command.env("HUB_SYSTEM_CACHE", &machine.system).success();
    let folder = machine.assert_model(&output);
    assert!(
        fs_err::canonicalize(folder.join("config.json"))
            .unwrap()
            .starts_with(&machine.system)
    );
    assert_eq!(state(&machine.system), before);
}

/// A cache that a group fills together: its folder is the group's, and passes that on.
fn group_cache(machine: &Machine) -> PathBuf {
    let shared = machine.env.root().join("group");
    fs_err::create_dir(&shared).unwrap();
    std::os::unix::fs::chown(&shared, Some(EVE), Some(GROUP)).unwrap();
    set_mode(&shared, 0o2775);
    shared
}

#[test]
fn users_of_one_group_fill_a_cache_in_turn() {
    if !is_root("users_of_one_group_fill_a_cache_in_turn") {
        return;
    }
    let machine = Machine::new();
    let shared = group_cache(&machine);
    let run = |user: u32, args: &[&str]| {
        let command = machine.hub(user, "002", args).env("HF_HUB_CACHE", &shared);
        command.success().stdout
    };
    run(EVE, &["--quiet", "download", "ada/demo", "config.json"]);
    // The second goes on where the first has stopped, and the first then uses what the second has brought.
    let output = run(MAX, &["--quiet", "download", "ada/demo"]);
    assert_eq!(run(EVE, &["--quiet", "download", "ada/demo"]), output);
    let blobs = shared.join("models--ada--demo/blobs");
    let owners: BTreeSet<u32> = state(&blobs).values().map(|(_, owner, ..)| *owner).collect();
    assert_eq!(owners, BTreeSet::from([EVE, MAX]), "nothing was fetched twice");
    // A new commit moves the ref, which the other user wrote.
    let ada = machine.hub.api(ADA);
    ada.upload_file("ada/demo", b"more".to_vec(), "more.txt")
        .wait()
        .unwrap();
    let commit = ada.resolve_revision("ada/demo").wait().unwrap().to_string();
    run(EVE, &["--quiet", "download", "ada/demo"]);
    let named = shared.join("models--ada--demo/refs/main");
    assert_eq!(fs_err::read_to_string(named).unwrap(), commit);
    for (path, (mode, _, group, ..)) in state(&shared) {
        assert_eq!(group, GROUP, "{}", path.display());
        let is_link = path.is_symlink();
        assert!(is_link || mode & 0o060 == 0o060, "{} has mode {mode:o}", path.display());
    }
    let files = Scanner::start(&machine.env).scan(&shared);
    assert_eq!(files.len(), 4 + 5, "{files:?}");
}

#[test]
fn a_folder_that_the_group_may_not_write_to_is_told_and_nothing_is_lost() {
    if !is_root("a_folder_that_the_group_may_not_write_to_is_told_and_nothing_is_lost") {
        return;
    }
    let machine = Machine::new();
    let shared = group_cache(&machine);
    let hub = |user: u32, umask: &str, args: &[&str]| machine.hub(user, umask, args).env("HF_HUB_CACHE", &shared);
    hub(EVE, "022", &["--quiet", "download", "ada/demo", "config.json"]).success();
    let before = state(&shared);
    let output = hub(MAX, "022", &["download", "ada/demo"]).failure(9);
    let folder = fs_err::canonicalize(shared.join("models--ada--demo")).unwrap();
    let said = format!("no permission to write into {}", folder.display());
    let whose = format!("it belongs to user {EVE} and group {GROUP}, mode 2755");
    for part in [&*said, &*whose, "chmod -R g+rwXs", "umask 002"] {
        assert!(output.stderr.contains(part), "{part} is not in {}", output.stderr);
    }
    assert_eq!(state(&shared), before, "what may not be written to is as it was");
    // What is there serves the other user as well, and the owner goes on.
    hub(MAX, "022", &["--quiet", "download", "ada/demo", "config.json"]).success();
    machine.assert_model(&hub(EVE, "022", &["--quiet", "download", "ada/demo"]).success());
    machine.assert_model(&hub(MAX, "022", &["--quiet", "download", "ada/demo"]).success());

    // As the hint says.
    let script = "chmod -R g+rwXs \"$0\"";
    machine
        .env
        .command("sh")
        .args(["-c", script])
        .arg(&shared)
        .user(EVE, GROUP)
        .success();
    hub(
        MAX,
        "002",
        &["--quiet", "download", "ada/demo", "config.json", "--force-download"],
    )
    .success();
}

#[test]
fn the_environment_names_system_wide_caches() {
    let mut env = TestEnv::new();
    let shown = env.hub(["env"]).success().stdout;
    assert!(shown.contains("\n- HUB_SYSTEM_CACHE: None\n"), "{shown}");
    env.set("HUB_SYSTEM_CACHE", "/srv/hub:~/other");
    let shown = env.hub(["env"]).success().stdout;
    let expected = format!(
        "\n- HUB_SYSTEM_CACHE: /srv/hub, {}\n",
        env.home().join("other").display()
    );
    assert!(shown.contains(&expected), "{shown}");
    let cache = Cache::from_env(&env.env());
    assert_eq!(cache.system_caches().count(), 2);
}

/// The store that the repositories of a cache share. The official client puts a content there with its own code; ours
/// links it, and the official client goes by what ours has noted. What comes by Xet is in the tests of Xet.
#[test]
fn the_official_client_s_shared_store_is_ours_too() {
    const FILE: &str = "weights.bin";
    let bytes = noise(300_000, 5);
    let etag = Sha256::of(&bytes).to_string();
    let hash = "0123456789abcdef".repeat(4);
    let (content, name, xet) = (bytes.clone(), etag.clone(), hash.clone());
    let fake = Fake::hub(serde_json::json!([listed_lfs(FILE, &bytes)]), move |asked| {
        let (repo, _) = asked.target.split_once("/resolve/")?;
        // A commit of its own for each repository: the official client deletes by the commit alone.
        let file = Answer::new("200 OK").header("x-repo-commit", GitOid::of(repo.as_bytes()));
        let file = file
            .header("etag", format!("\"{name}\""))
            .header("content-length", content.len());
        let file = file.header("x-xet-hash", &xet).body(&content);
        Some(file.header("x-xet-refresh-route", "/api/models/ada/demo/xet-read-token/main"))
    });
    let mut env = TestEnv::new();
    env.set("HF_ENDPOINT", fake.url());
    let python = |args: &[&str], xet: bool| {
        let command = env.python(Python::V2_4, "python/shared_blobs.py", args);
        let output = command.env("HF_HUB_DISABLE_XET", if xet { "0" } else { "1" }).success();
        output.stdout.trim_end().to_owned()
    };
    let bodies = || fake.asked().iter().filter(|asked| asked.method == "GET").count();
    let root = fs_err::canonicalize(env.hf_home()).unwrap().join("hub");
    let link = format!("../../blobs/01/{hash}");
    assert_eq!(python(&["publish", "ada/theirs", FILE, &hash], false), link);
    assert_eq!(bodies(), 1);

    let cache = HubCache::new(HfApi::builder().endpoint(fake.url()).build().unwrap(), &root);
    let path = cache.download_file("ada/ours", FILE).wait().unwrap();
    assert!(fs_err::read(path).unwrap() == bytes);
    let blob = |repo: &str| root.join(format!("models--ada--{repo}/blobs/{etag}"));
    assert_eq!(fs_err::read_link(blob("ours")).unwrap(), Path::new(&link));
    // And once more the official client, with the lock and the manifest that ours has used.
    assert_eq!(python(&["download", "ada/again", FILE], true), link);
    assert_eq!(bodies(), 1, "one body for three repositories");

    let state = || -> serde_json::Value { serde_json::from_str(&python(&["state"], true)).unwrap() };
    let line = |repo: &str| format!("models--ada--{repo}/blobs/{etag}");
    let expected = serde_json::json!({ &hash: [line("again"), line("ours"), line("theirs")] });
    let seen = state();
    assert_eq!(
        (&seen["payloads"], &seen["warnings"]),
        (&expected, &serde_json::json!([]))
    );
    let report = scan(&root).unwrap();
    assert_eq!(
        (report.warnings.len(), report.size),
        (0, seen["size"].as_u64().unwrap())
    );
    let references = report.shared[0].references.clone().unwrap();
    assert_eq!(references, ["again", "ours", "theirs"].map(blob));

    // Either client's deletion leaves what the other needs, and the last takes the payload with it.
    assert_eq!(python(&["delete", "ada/theirs"], true), "0");
    let delete = |repo: &str| {
        let target = Target::Repo(RepoType::Model, format!("ada/{repo}"));
        DeletionPlan::delete(&scan(&root).unwrap(), &[target])
            .execute()
            .unwrap()
            .shared
    };
    assert_eq!(delete("ours"), 0);
    assert!(fs_err::read(blob("again")).unwrap() == bytes);
    assert_eq!(state()["payloads"], serde_json::json!({ &hash: [line("again")] }));
    // Sharing, undone: what is left becomes the repository's own file.
    let unshare = |flag: &str| -> serde_json::Value {
        let output = env
            .hub(["cache", "unshare", "--json", flag, "--cache-dir"])
            .arg(&root)
            .success();
        serde_json::from_str(output.stdout.trim_end()).unwrap()
    };
    assert_eq!(unshare("--dry-run")["files"], 1);
    assert!(blob("again").is_symlink(), "a dry run copies nothing");
    let done = unshare("--yes");
    assert_eq!(
        (&done["files_copied"], &done["shared_blobs_deleted"]),
        (&1.into(), &1.into())
    );
    assert!(!blob("again").is_symlink() && fs_err::read(blob("again")).unwrap() == bytes);
    let seen = state();
    assert_eq!(
        (&seen["payloads"], &seen["warnings"]),
        (&serde_json::json!({}), &serde_json::json!([]))
    );
    assert_eq!(python(&["delete", "ada/again"], true), "300000");
    assert_eq!(scan(&root).unwrap().shared, []);
    assert_eq!(
        fs_err::read_dir(root.join("blobs/01")).unwrap().count(),
        1,
        "the lock stays"
    );
}
