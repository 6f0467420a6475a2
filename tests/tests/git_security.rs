//! What the Python class of this name does wrong must not happen here: a test for each finding.

#![expect(deprecated, reason = "what is deprecated is tested until it goes")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use hub_git_compat::{CommitOptions, Error, GitCredentials, LfsTracking, PushOptions, Repository, RepositoryOptions};
use hub_server::Role;
use hub_tests::{ADA, TestEnv, TestHub, noise};
use hub_types::Token;
use hub_types::env::Env;

use crate::git::{options, read, walk};

/// A token that no other test of this process has in its arguments.
const PLANTED: &str = "hf_plantedplantedplantedplanted";

fn start(env: &mut TestEnv) -> TestHub {
    let hub = env.start_hub_with(|builder| builder.user("ada", PLANTED, Role::Write));
    hub.api(ADA).create_repo("ada/demo").private(true).wait().unwrap();
    hub
}

fn planted(env: &TestEnv, hub: &TestHub) -> RepositoryOptions {
    options(env, hub, PLANTED)
}

fn clone(env: &TestEnv, hub: &TestHub) -> Repository {
    Repository::clone_from(env.work().join("clone"), "ada/demo", &planted(env, hub)).unwrap()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// All that is logged while `work` runs, at the finest level.
fn logged<T>(work: impl FnOnce() -> T) -> (T, String) {
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);
    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let value = tracing::subscriber::with_default(subscriber, work);
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    (value, text)
}

/// Looks at the arguments of every process again and again, until told to stop; says how many there were of git's.
#[cfg(target_os = "linux")]
fn watch_arguments(stop: &AtomicBool) -> (usize, Vec<String>) {
    let (mut seen, mut found) = (0, Vec::new());
    while !stop.load(Ordering::Relaxed) {
        for entry in fs_err::read_dir("/proc").unwrap().flatten() {
            let Ok(bytes) = fs_err::read(entry.path().join("cmdline")) else {
                continue;
            };
            seen += usize::from(holds(&bytes, "git"));
            if holds(&bytes, PLANTED) {
                found.push(String::from_utf8_lossy(&bytes).replace('\0', " "));
            }
        }
    }
    (seen, found)
}

/// Findings 1 and 3: the token in arguments, in the configuration, in messages and logs.
#[cfg(target_os = "linux")]
#[test]
fn finding_1_and_3_the_token_is_in_no_argument_file_message_or_log() {
    let mut env = TestEnv::new();
    let hub = start(&mut env);
    let stop = AtomicBool::new(false);
    let ((repo, messages), log) = thread::scope(|scope| {
        let watching = scope.spawn(|| watch_arguments(&stop));
        let done = logged(|| {
            let repo = clone(&env, &hub);
            fs_err::write(repo.dir().join("a.bin"), noise(2_000_000, 1)).unwrap();
            repo.push_to_hub("Large", true).unwrap();
            repo.add_tag("v1", Some("text"), Some("origin")).unwrap();
            repo.git_pull(true, true).unwrap();
            // What fails speaks too: a push that is refused, and one whose token is.
            let mut messages = vec![format!("{repo:?} {:?}", planted(&env, &hub))];
            let command = repo.start_push(&PushOptions::new()).unwrap();
            command.wait().unwrap();
            messages.push(format!(
                "{command:?} {command} {} {}",
                command.stdout(),
                command.stderr()
            ));
            fs_err::write(repo.dir().join("large.txt"), vec![b'x'; (10 << 20) + 1]).unwrap();
            repo.git_add(".", LfsTracking::AsIs).unwrap();
            repo.git_commit("Refused").unwrap();
            for err in [
                repo.git_push().map(drop).unwrap_err(),
                repo.git_checkout("none", false).unwrap_err(),
                Repository::clone_from(env.work().join("none"), "ada/none", &planted(&env, &hub))
                    .map(drop)
                    .unwrap_err(),
            ] {
                messages.push(format!("{err} {err:?} {:?}", err.hint()));
            }
            (repo, messages)
        });
        stop.store(true, Ordering::Relaxed);
        let (seen, found) = watching.join().unwrap();
        assert!(seen > 10, "the watcher saw git {seen} times");
        assert!(found.is_empty(), "{found:?}");
        done
    });
    assert!(log.contains("git ended"), "{log}");
    assert!(!log.contains(PLANTED), "{log}");
    for message in messages {
        assert!(!message.contains(PLANTED), "{message}");
    }
    for file in [walk(repo.dir()), walk(&env.home())].concat() {
        assert!(!holds(&read(&file), PLANTED), "the token stands in {}", file.display());
    }
    let remote = env.git(["remote", "-v"]).dir(repo.dir()).success();
    assert!(
        remote.stdout.contains("/ada/demo") && !remote.stdout.contains('@'),
        "{remote}"
    );
    assert!(!repo.git_remote_url().contains('@') && !repo.git_head_commit_url().unwrap().contains('@'));
}

/// Finding 2: the helper `store` keeps copies, which are used although no token was given.
#[test]
fn finding_2_no_copy_is_kept_and_none_is_used() {
    let mut env = TestEnv::new();
    let hub = start(&mut env);
    let config = "[credential]\n\thelper = store\n";
    fs_err::write(env.home().join(".gitconfig"), config).unwrap();
    let repo = clone(&env, &hub);
    fs_err::write(repo.dir().join("a.bin"), noise(1000, 1)).unwrap();
    repo.push_to_hub("A file", true).unwrap();
    assert!(!env.home().join(".git-credentials").exists());
    assert_eq!(fs_err::read_to_string(env.home().join(".gitconfig")).unwrap(), config);
    let local = fs_err::read_to_string(repo.dir().join(".git/config")).unwrap();
    assert!(!local.contains('@') && !local.contains("helper"), "{local}");

    // One that the user keeps is not found by a repository without a token.
    let host = hub.url().strip_prefix("http://").unwrap().replace(':', "%3a");
    fs_err::write(
        env.home().join(".git-credentials"),
        format!("http://hf_user:{PLANTED}@{host}\n"),
    )
    .unwrap();
    let without = RepositoryOptions::new(&env.env(), hub.url())
        .unwrap()
        .git_user("Ada")
        .git_email("ada@example.org");
    let repo = Repository::open(repo.dir(), &without).unwrap();
    let err = repo.git_pull(false, false).unwrap_err();
    assert!(matches!(err, Error::Unauthorized { .. }), "{err}");
}

/// Finding 4: a value that begins with `-` is an option to git, and runs a program.
#[test]
fn finding_4_no_value_reaches_git_as_an_option() {
    let mut env = TestEnv::new();
    let hub = start(&mut env);
    let repo = clone(&env, &hub);
    let mark = env.work().join("ran");
    let program = format!("touch {}", mark.display());
    let source = format!("--upload-pack={program}");
    let err = Repository::clone_from(env.work().join("x"), &source, &planted(&env, &hub)).unwrap_err();
    assert!(matches!(err, Error::InvalidArgument(_)), "{err}");
    let option = format!("--receive-pack={program}");
    let body = |_: &Path| Ok::<_, Error>(());
    let errors = [
        repo.git_push_with(&PushOptions::new().branch(&*option)).map(drop),
        repo.start_push(&PushOptions::new().branch(&*option)).map(drop),
        repo.git_checkout("--orphan=x", true),
        repo.git_checkout("-b", true),
        repo.tag_exists(&option, None).map(drop),
        repo.tag_exists("v1", Some(&option)).map(drop),
        repo.add_tag("-d", None, None),
        repo.add_tag("v1", None, Some(&option)),
        repo.delete_tag("v1", Some(&option)).map(drop),
        repo.tags(Some("-x")).map(drop),
        repo.lfs_track(["--filename"]),
        repo.lfs_track_files(["-x"]),
        repo.lfs_untrack(["-x"]),
        repo.git_add("--cached", LfsTracking::AsIs).map(drop),
        repo.files_to_be_staged("--cached").map(drop),
        repo.tracked_files("-o").map(drop),
        repo.auto_track_large_files("-o").map(drop),
        repo.auto_track_binary_files("-o").map(drop),
        repo.commit("x", &CommitOptions::new().branch("--detach"), body)
            .map(drop),
        Repository::open(repo.dir(), &planted(&env, &hub).revision("--detach")).map(drop),
    ];
    for (index, result) in errors.into_iter().enumerate() {
        let err = result.unwrap_err();
        assert!(matches!(err, Error::InvalidArgument(_)), "{index}: {err}");
    }
    assert!(!mark.exists());
    assert!(repo.tags(None).unwrap().is_empty() && repo.current_branch().unwrap() == "main");

    // A file of such a name is a file, and a message a message.
    for name in ["--force", "-x"] {
        fs_err::write(repo.dir().join(name), name).unwrap();
    }
    assert!(!repo.is_git_ignored("-x").unwrap() && !repo.is_tracked_with_lfs("--force").unwrap());
    assert_eq!(repo.files_to_be_staged(".").unwrap().len(), 2);
    repo.git_add(".", LfsTracking::Auto).unwrap();
    repo.git_commit("--amend").unwrap();
    repo.add_tag("v2", Some("--delete"), None).unwrap();
    repo.git_push().unwrap();
    assert!(hub.api(ADA).file_exists("ada/demo", "--force").wait().unwrap());
}

/// Finding 5: a line break in a credential makes it another host's.
#[test]
fn finding_5_a_credential_is_one_line() {
    let env = TestEnv::new();
    fs_err::write(env.home().join(".gitconfig"), "[credential]\n\thelper = store\n").unwrap();
    assert!(Token::new("hf_x\0").is_err() && Token::new("hf_x y").is_err());
    // Line breaks are taken out of a token, as the Python client does; so they end no line.
    let token = Token::new("hf_x\nhost=evil.example\n").unwrap();
    let credentials = GitCredentials::new(&env.env(), "https://hub.example").unwrap();
    credentials.store(&token).unwrap();
    let kept = fs_err::read_to_string(env.home().join(".git-credentials")).unwrap();
    assert_eq!(kept, "https://hf_user:hf_xhost%3devil.example@hub.example\n");
    for bad in [
        "https://user@hub.example",
        "https://hub.example?x",
        "https://evil.example#@hub.example",
    ] {
        assert!(GitCredentials::new(&env.env(), bad).is_err(), "{bad}");
        assert!(RepositoryOptions::new(&env.env(), bad).is_err(), "{bad}");
    }
}

/// Finding 6: variables of the caller lead git to another repository, or make it talk.
#[test]
fn finding_6_variables_of_the_caller_do_not_pass() {
    let mut env = TestEnv::new();
    let hub = start(&mut env);
    let other = env.work().join("other");
    fs_err::create_dir(&other).unwrap();
    env.git(["init", "--quiet"]).dir(&other).success();
    let mark = env.work().join("ran");
    let trace = env.work().join("trace");
    env.set("GIT_DIR", other.join(".git"))
        .set("GIT_WORK_TREE", &other)
        .set("GIT_INDEX_FILE", other.join("index"))
        .set("GIT_EXTERNAL_DIFF", format!("touch {}", mark.display()))
        .set("GIT_SSH_COMMAND", format!("touch {}", mark.display()))
        .set("GIT_ASKPASS", format!("touch {}", mark.display()))
        .set("GIT_CONFIG_PARAMETERS", "'core.fsmonitor=false'")
        .set("GIT_TRACE", &trace)
        .set("GIT_TRACE_CURL", &trace);
    let repo = clone(&env, &hub);
    fs_err::write(repo.dir().join("a.txt"), "a\n").unwrap();
    repo.push_to_hub("Here", true).unwrap();
    assert!(hub.api(ADA).file_exists("ada/demo", "a.txt").wait().unwrap());
    assert!(!other.join("index").exists() && !mark.exists() && !trace.exists());
}

/// Finding 7: what git says in another language is not understood.
#[test]
fn finding_7_the_language_of_the_user_makes_no_difference() {
    let mut env = TestEnv::new();
    let hub = start(&mut env);
    env.set("LC_ALL", "de_DE.UTF-8")
        .set("LANG", "de_DE.UTF-8")
        .set("LANGUAGE", "de");
    let repo = clone(&env, &hub);
    let err = repo.git_commit("Nichts").unwrap_err();
    assert!(matches!(err, Error::NothingToCommit { .. }), "{err}");
    let err = Repository::clone_from(env.work().join("none"), "ada/none", &planted(&env, &hub)).unwrap_err();
    assert!(
        matches!(err, Error::RepoNotFound { .. } | Error::Unauthorized { .. }),
        "{err}"
    );
    let err = Repository::clone_from(
        env.work().join("wrong"),
        "ada/demo",
        &options(&env, &hub, "hf_wrongwrong"),
    )
    .unwrap_err();
    assert!(matches!(err, Error::Unauthorized { .. }), "{err}");
}

/// Finding 8: git waits at a terminal for a password.
#[test]
fn finding_8_nobody_is_asked_anything() {
    let mut env = TestEnv::new();
    let hub = start(&mut env);
    let mark = env.work().join("asked");
    let ask = env.write("ask", format!("#!/bin/sh\ntouch {}\necho {PLANTED}\n", mark.display()));
    env.command("chmod").arg("755").arg(&ask).success();
    env.set("SSH_ASKPASS", &ask)
        .set("GIT_ASKPASS", &ask)
        .set("DISPLAY", ":0");
    let config = format!("[core]\n\taskPass = {}\n", ask.display());
    fs_err::write(env.home().join(".gitconfig"), config).unwrap();
    let start = Instant::now();
    let without = RepositoryOptions::new(&env.env(), hub.url()).unwrap();
    let err = Repository::clone_from(env.work().join("clone"), "ada/demo", &without).unwrap_err();
    assert!(matches!(err, Error::Unauthorized { .. }), "{err}");
    assert!(!mark.exists());
    assert!(start.elapsed() < Duration::from_secs(60));
}

/// Finding 9: things change outside the repository.
#[test]
fn finding_9_nothing_outside_the_clone_changes() {
    let mut env = TestEnv::new();
    let hub = start(&mut env);
    let here = std::env::current_dir().unwrap();
    let before: Vec<(std::ffi::OsString, std::ffi::OsString)> = std::env::vars_os().collect();
    let repo = clone(&env, &hub);
    let body = |dir: &Path| Ok::<_, Error>(fs_err::write(dir.join("a.bin"), noise(1000, 1))?);
    repo.commit("Large", &CommitOptions::new(), body).unwrap();
    assert_eq!(walk(&env.home()), Vec::<PathBuf>::new());
    assert_eq!(std::env::current_dir().unwrap(), here);
    assert!(std::env::vars_os().eq(before));
    let hooks = repo.dir().join(".git/hooks");
    let installed = walk(&hooks)
        .into_iter()
        .filter(|path| path.extension().is_none_or(|end| end != "sample"));
    assert_eq!(installed.count(), 0);
}

/// Finding 10: a folder that someone else prepared runs what its configuration and its hooks name; so does a clone that
/// brings programs along.
#[test]
fn finding_10_what_a_folder_or_a_clone_brings_is_not_run() {
    let mut env = TestEnv::new();
    let hub = start(&mut env);
    let repo = clone(&env, &hub);
    let mark = env.work().join("ran");
    let touch = format!("touch {}", mark.display());
    let script = format!("#!/bin/sh\nenv >>{}\n", mark.display());
    for hook in [
        "applypatch-msg",
        "commit-msg",
        "fsmonitor-watchman",
        "post-checkout",
        "post-commit",
        "post-index-change",
        "post-merge",
        "post-rewrite",
        "pre-auto-gc",
        "pre-commit",
        "pre-merge-commit",
        "pre-push",
        "pre-rebase",
        "prepare-commit-msg",
        "reference-transaction",
    ] {
        let path = repo.dir().join(".git/hooks").join(hook);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(&path, &script).unwrap();
        env.command("chmod").arg("755").arg(&path).success();
    }
    let set = |key: &str, value: &str| {
        env.git(["config", "--local", key, value]).dir(repo.dir()).success();
    };
    // Passed by.
    for key in [
        "core.fsmonitor",
        "core.sshCommand",
        "core.askPass",
        "core.editor",
        "core.pager",
        "gpg.program",
    ] {
        set(key, &touch);
    }
    set("core.hooksPath", &repo.dir().join(".git/hooks").to_string_lossy());
    set("credential.helper", &format!("!{touch}"));
    set(&format!("credential.{}.helper", hub.url()), &format!("!{touch}"));
    set("commit.gpgSign", "true");
    set("tag.gpgSign", "true");
    set("filter.lfs.process", &touch);
    set("filter.lfs.clean", &touch);
    set("lfs.standalonetransferagent", "evil");
    // The tree may bring files that look like configuration, and a submodule.
    fs_err::write(
        repo.dir().join(".gitattributes"),
        "*.evil filter=evil diff=evil merge=evil\n",
    )
    .unwrap();
    fs_err::write(
        repo.dir().join(".gitmodules"),
        format!("[submodule \"x\"]\n\tpath = x\n\turl = ext::{touch}\n"),
    )
    .unwrap();
    fs_err::write(repo.dir().join("a.evil"), "evil\n").unwrap();
    let repo = Repository::open(repo.dir(), &planted(&env, &hub)).unwrap();
    repo.push_to_hub("All of it", true).unwrap();
    repo.git_checkout("dev", true).unwrap();
    fs_err::write(repo.dir().join("more.bin"), noise(1000, 1)).unwrap();
    repo.push_to_hub("More", true).unwrap();
    repo.add_tag("v1", Some("text"), Some("origin")).unwrap();
    repo.git_checkout("main", false).unwrap();
    repo.git_pull(true, true).unwrap();
    repo.lfs_prune(false).unwrap();
    Repository::clone_from(env.work().join("second"), "ada/demo", &planted(&env, &hub)).unwrap();
    assert!(!mark.exists(), "{}", fs_err::read_to_string(&mark).unwrap_or_default());

    // What cannot be passed by is refused, before git does anything with it.
    for key in [
        "filter.evil.clean",
        "filter.evil.smudge",
        "filter.evil.process",
        "diff.evil.command",
        "diff.evil.textconv",
        "merge.evil.driver",
        "include.path",
        "core.worktree",
        "lfs.extension.x.clean",
        "lfs.customtransfer.evil.path",
        "url.ext::x.insteadOf",
        "http.proxy",
        "http.extraHeader",
        "http.sslVerify",
    ] {
        set(key, if key == "core.worktree" { ".." } else { &touch });
        let err = Repository::open(repo.dir(), &planted(&env, &hub)).unwrap_err();
        let named = matches!(&err, Error::UnsafeConfiguration { keys, .. }
            if keys.iter().any(|found| found.eq_ignore_ascii_case(key)));
        assert!(named, "{key}: {err}");
        env.git(["config", "--local", "--unset-all", key])
            .dir(repo.dir())
            .success();
    }
    assert!(!mark.exists());
}

/// A host that must not be spoken to; it notes what it is told.
struct Evil {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Evil {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.4:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::<Mutex<Vec<String>>>::default();
        let shared = Arc::clone(&heard);
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let mut buf = [0; 4096];
                let length = stream.read(&mut buf).unwrap_or(0);
                shared
                    .lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&buf[..length]).into_owned());
                let _ = stream.write_all(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n");
            }
        });
        Self { url, heard }
    }
}

/// Finding 11: a `.lfsconfig` that comes with the clone names another host for large files.
#[test]
fn finding_11_a_lfsconfig_leads_nobody_to_another_host() {
    let mut env = TestEnv::new();
    let hub = start(&mut env);
    let evil = Evil::start();
    let text = format!(
        "[lfs]\n\turl = {0}/lfs\n\tpushurl = {0}/lfs\n[remote \"origin\"]\n\tlfsurl = {0}/lfs\n\tlfspushurl = {0}/lfs\n",
        evil.url
    );
    let api = hub.api(ADA);
    api.upload_file("ada/demo", text.as_bytes(), ".lfsconfig")
        .wait()
        .unwrap();
    api.upload_file("ada/demo", noise(1000, 7), "there.bin").wait().unwrap();
    let repo = clone(&env, &hub);
    assert_eq!(read(repo.dir().join("there.bin")), noise(1000, 7));
    fs_err::write(repo.dir().join("a.bin"), noise(1000, 1)).unwrap();
    repo.push_to_hub("Large", true).unwrap();
    repo.git_pull(true, true).unwrap();
    let heard = evil.heard.lock().unwrap();
    assert!(heard.is_empty(), "{heard:?}");
}

/// A `PATH` whose first folder has these scripts; `{git}` in them is the real one.
#[cfg(unix)]
fn with_programs(env: &mut TestEnv, programs: &[(&str, &str)], keep_rest: bool) {
    use std::os::unix::fs::PermissionsExt;

    let (_, path) = {
        let process = Env::process();
        let (name, value) = process.iter().find(|(name, _)| *name == "PATH").unwrap();
        (name.to_owned(), value.to_owned())
    };
    let real = env.command("sh").args(["-c", "command -v git"]).success();
    let bin = env.root().join("bin");
    fs_err::create_dir_all(&bin).unwrap();
    for (name, script) in programs {
        let text = format!("#!/bin/sh\n{}\n", script.replace("{git}", real.stdout.trim()));
        fs_err::write(bin.join(name), text).unwrap();
        fs_err::set_permissions(bin.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let rest = if keep_rest { path.to_str().unwrap() } else { "" };
    env.set("PATH", format!("{}:{rest}", bin.display()));
}

/// Finding 12: a folder of another user's is called no clone at all.
#[cfg(unix)]
#[test]
fn finding_12_a_folder_of_another_user_is_said_to_be_one() {
    let mut env = TestEnv::new();
    let hub = start(&mut env);
    let repo = clone(&env, &hub);
    with_programs(
        &mut env,
        &[("git", "GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec {git} \"$@\"")],
        true,
    );
    let err = Repository::open(repo.dir(), &planted(&env, &hub)).unwrap_err();
    assert!(err.to_string().contains("dubious ownership"), "{err}");
}

/// Finding 13: old programs have holes, and a missing one is found out late.
#[cfg(unix)]
#[test]
fn finding_13_a_program_that_is_missing_or_old_is_named() {
    let check = |programs: &[(&str, &str)], keep_rest: bool| {
        let mut env = TestEnv::new();
        with_programs(&mut env, programs, keep_rest);
        let options = RepositoryOptions::new(&env.env(), "http://127.0.0.1:9").unwrap();
        let dir = env.work().join("x");
        let (result, log) = logged(|| Repository::clone_from(&dir, "ada/demo", &options));
        assert!(!dir.exists(), "a folder is left behind");
        (result.unwrap_err(), log)
    };
    let (err, _) = check(&[], false);
    assert!(matches!(err, Error::ProgramMissing { program: "git" }), "{err}");
    assert_eq!(err.hint(), Some("install a current git"));
    let (err, _) = check(&[("git", "echo git version 2.30.9")], false);
    assert_eq!(err.to_string(), "git 2.30.9 is too old, 2.31 or later is needed");
    assert_eq!(err.hint(), Some("install a current git"));
    let missing = "case \"$1\" in version) echo git version 2.40.0 ;; *) exit 1 ;; esac";
    let (err, _) = check(&[("git", missing)], false);
    assert!(matches!(err, Error::ProgramMissing { program: "git-lfs" }), "{err}");
    assert!(err.hint().unwrap().contains("apt-get install git-lfs"));
    let old = "if [ \"$1 $2\" = 'lfs version' ]; then echo 'git-lfs/3.0.1 (x)'; exit; fi; exec {git} \"$@\"";
    let (_, log) = check(&[("git", old)], true);
    assert!(log.contains("3.7.1 or later") && log.contains("git-lfs/3.0.1"), "{log}");
}
