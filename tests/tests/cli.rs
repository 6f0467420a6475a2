//! The `hub` binary as its users run it: exit code, standard output and standard error together.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use hub_tests::{ADA, ADA_READS, Output, TestEnv, TestHub};

/// A test's folders and a Hub, without the lines that tell how fast a transfer was.
fn with_hub() -> (TestEnv, TestHub) {
    let mut env = TestEnv::new();
    env.set("HF_HUB_DISABLE_PROGRESS_BARS", "1");
    let hub = env.start_hub();
    (env, hub)
}

/// All that a command printed, without the ids of requests too.
fn told(output: &Output) -> String {
    let text = output.snapshot();
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(at) = rest.find("(Request ID: ") {
        let end = rest[at..].find(')').map_or(rest.len(), |end| at + end + 1);
        out.push_str(&rest[..at]);
        out.push_str("(Request ID: [ID])");
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// The only line on standard output.
#[track_caller]
fn line(output: &Output) -> &str {
    let line = output.stdout.strip_suffix('\n').expect("a line");
    assert!(!line.contains('\n'), "{output}");
    line
}

#[test]
fn a_version_in_every_mode() {
    let env = TestEnv::new();
    let version = env!("CARGO_PKG_VERSION");
    let of = |args: &[&str]| env.hub(args).success().stdout;
    assert_eq!(of(&["version"]), format!("✓ hub version\n  version: {version}\n"));
    assert_eq!(of(&["version", "--json"]), format!("{{\"version\": \"{version}\"}}\n"));
    assert_eq!(of(&["version", "-q"]), format!("{version}\n"));
    assert_eq!(of(&["version", "--format", "agent"]), format!("version={version}\n"));
    assert_eq!(of(&["--version"]), format!("{version}\n"));
    assert_eq!(of(&["-v"]), format!("{version}\n"));
}

#[test]
fn a_command_line_that_cannot_be_right_is_told_on_stderr_with_code_2() {
    let env = TestEnv::new();
    insta::assert_snapshot!(told(&env.hub(["donwload", "a/b"]).run()), @r"
    exit code: 2
    ----- stdout -----

    ----- stderr -----
    Error: unrecognized subcommand 'donwload'
    Hint: a similar subcommand exists: 'download'
    Hint: the commands are download, upload, auth, cache, repos, env, version, serve, completion
    ");
    insta::assert_snapshot!(told(&env.hub(["version", "--json", "-q"]).run()), @r"
    exit code: 2
    ----- stdout -----

    ----- stderr -----
    Error: --json and --quiet cannot be used together
    ");
    insta::assert_snapshot!(told(&env.hub(["download"]).run()), @r"
    exit code: 2
    ----- stdout -----

    ----- stderr -----
    Error: the following required arguments were not provided: <REPO_ID>
    Hint: usage: hub download <REPO_ID> [FILENAMES]...
    ");
    for bare in [&[][..], &["repos"], &["repos", "tag"]] {
        let output = env.hub(bare).failure(2);
        assert!(
            output.stdout.is_empty() && output.stderr.contains("Commands:"),
            "{output}"
        );
    }
    let help = env.hub(["download", "--help"]).success();
    assert!(help.stdout.contains("--local-dir") && help.stderr.is_empty(), "{help}");
}

#[test]
fn bad_input_is_refused_before_anything_is_asked_or_written() {
    let mut env = TestEnv::new();
    // Nothing listens there: what reached the network would end with another code.
    env.set("HF_ENDPOINT", "http://127.0.0.1:9");
    let before = files(env.root());
    for (args, said) in [
        (
            &["download", "a//b"][..],
            "invalid repo id 'a//b': must be 'name' or 'namespace/name'",
        ),
        (&["download", "a/b", "--revision", "x..y"], "invalid revision 'x..y'"),
        (
            &["download", "a/b", "../x"],
            "invalid path in repo '../x': must not contain '..'",
        ),
        (&["download", "a/b", "/x"], "invalid path in repo '/x'"),
        (&["download", "a/b", "x\\y", "z"], "invalid path in repo 'x\\y'"),
        (&["download", "a/b", "--revision="], "invalid revision"),
        (&["download", "hf://a"], "'hf://a'"),
        (&["download", "datasets/a/b", "--type", "model"], "--type"),
        (&["download", "a/b", "--max-workers", "0"], "'--max-workers'"),
        (&["download", "a/b", "--endpoint", "ftp://x"], "'ftp://x'"),
        (&["upload", "a/b", ".", ".git"], "invalid path in repo '.git'"),
        (&["repos", "create", "a b"], "invalid repo id 'a b'"),
        (&["repos", "branch", "create", "a/b", "x y"], "invalid revision 'x y'"),
        (
            &["repos", "create", "a/b", "--private", "--public"],
            "only one of --private",
        ),
        (&["repos", "settings", "a/b", "--gated", "yes"], "'yes'"),
        (
            &["cache", "ls", "--filter", "size>1.5GB"],
            "invalid filter 'size>1.5GB'",
        ),
        (&["version", "--timeout", "soon"], "'soon'"),
    ] {
        let output = env.hub(args).failure(2);
        assert!(output.stdout.is_empty(), "{output}");
        assert!(
            output.stderr.starts_with("Error: ") && output.stderr.contains(said),
            "{args:?}\n{output}"
        );
    }
    for (name, value) in [
        ("HF_HUB_ETAG_TIMEOUT", "soon"),
        ("HF_ENDPOINT", "not a url"),
        ("HUB_FORMAT", "xml"),
        ("HUB_CONNECTIONS", "-1"),
    ] {
        let output = env.hub(["download", "a/b"]).env(name, value).failure(2);
        assert!(output.stderr.contains(value), "{name}\n{output}");
    }
    assert_eq!(files(env.root()), before);
}

#[test]
fn a_token_is_never_shown() {
    let env = TestEnv::new();
    let secret = "hf_plantedplantedplantedplantedplanted";
    for args in [
        &["auth", "login", secret][..],
        &["version", "--tokn", secret],
        &["auth", "whoami", "--token", "hf_planted planted"],
        &["serve", "--root", "x", "--user", "ada:hf_planted:admin"],
        &["auth", "whoami", "--token", "x", "--token-stdin"],
    ] {
        let output = env.hub(args).stdin("hf_planted planted").failure(2);
        assert!(!output.to_string().contains("planted"), "{output}");
    }
    let output = env
        .hub(["auth", "whoami", "--token-stdin"])
        .stdin("hf_planted planted")
        .failure(2);
    assert!(!output.stderr.contains("planted"), "{output}");
    let output = env
        .hub(["auth", "whoami"])
        .env("HF_TOKEN", "hf_planted planted")
        .failure(2);
    assert!(
        output.stderr.contains("HF_TOKEN") && !output.stderr.contains("planted"),
        "{output}"
    );
}

#[test]
fn one_signs_in_chooses_and_signs_out() {
    let (mut env, hub) = with_hub();
    env.set("HF_TOKEN", "");
    let stored = env.hf_home().join("stored_tokens");
    insta::assert_snapshot!(told(&env.hub(["auth", "whoami"]).run()), @r"
    exit code: 4
    ----- stdout -----

    ----- stderr -----
    Error: Not logged in. Run `hub auth login` first.
    ");
    let wrong = env
        .hub(["auth", "login", "--token-stdin"])
        .stdin("hf_nobody\n")
        .failure(4);
    assert!(!stored.exists() && !wrong.stderr.contains("nobody"), "{wrong}");

    let login = env
        .hub(["auth", "login", "--token-stdin"])
        .stdin(format!("{ADA}\n"))
        .success();
    assert!(
        login.stdout.is_empty() && login.stderr.contains("permission: write"),
        "{login}"
    );
    assert_eq!(fs_err::read_to_string(env.hf_home().join("token")).unwrap(), ADA);
    let name = fs_err::read_to_string(&stored).unwrap();
    let name = name.lines().next().unwrap().trim_matches(['[', ']']).to_owned();
    assert_eq!(
        fs_err::read_to_string(&stored).unwrap(),
        format!("[{name}]\nhf_token = {ADA}\n\n")
    );
    #[cfg(unix)]
    for file in ["token", "stored_tokens"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs_err::metadata(env.hf_home().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }

    let me = env.hub(["auth", "whoami", "--json"]).success();
    let expected = format!("{{\"user\": \"ada\", \"orgs\": null, \"endpoint\": \"{}\"}}", hub.url());
    assert_eq!(line(&me), expected);
    let token = env.hub(["auth", "token", "-q"]).success();
    assert_eq!((line(&token), token.stderr.as_str()), (ADA, ""));
    let list = env.hub(["auth", "list", "--json"]).success();
    let masked = format!("hf_****{}", &ADA[ADA.len() - 4..]);
    assert_eq!(
        line(&list),
        format!("[{{\"name\": \"{name}\", \"token\": \"{masked}\", \"active\": true}}]")
    );

    // A second one, as Python writes it.
    let two = format!("[reader]\nhf_token = {ADA_READS}\n\n[{name}]\nhf_token = {ADA}\n");
    fs_err::write(&stored, two).unwrap();
    let _ = env.hub(["auth", "switch", "--token-name", "reader"]).success();
    assert_eq!(line(&env.hub(["auth", "token"]).success()), ADA_READS);
    let nobody = env.hub(["auth", "switch", "--token-name", "nobody"]).failure(3);
    assert!(nobody.stderr.contains("nobody"), "{nobody}");
    let _ = env.hub(["auth", "logout", "--token-name", &name]).success();
    assert_eq!(line(&env.hub(["auth", "list", "-q"]).success()), "reader");
    // What the environment holds cannot be signed out of.
    let still = env.hub(["auth", "logout"]).env("HF_TOKEN", ADA).failure(1);
    assert!(still.stderr.contains("HF_TOKEN") && !stored.exists(), "{still}");
    let again = env.hub(["auth", "logout"]).success();
    assert_eq!(again.stderr, "Warning: Not logged in!\n");
}

#[test]
fn files_go_up_and_come_down() {
    let (env, hub) = with_hub();
    let big: Vec<u8> = (0..6_000_000_u32)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    env.write("demo/config.json", "{}\n");
    env.write("demo/weights/model.safetensors", &big);
    env.write("demo/notes.txt", "first\n");

    // The folder is found by the repository's name, which is made on the way.
    let up = env.hub(["upload", "ada/demo"]).success();
    let url = up.stdout.strip_prefix("✓ Uploaded\n  url: ").unwrap().trim_end();
    assert!(url.starts_with(&format!("{}/ada/demo/commit/", hub.url())), "{up}");
    assert!(up.stderr.is_empty(), "{up}");
    let commit = url.rsplit('/').next().unwrap();

    let down = env.hub(["download", "ada/demo", "-q"]).success();
    let snapshot = env.cache().join("models--ada--demo/snapshots").join(commit);
    assert_eq!((line(&down), down.stderr.as_str()), (snapshot.to_str().unwrap(), ""));
    assert_eq!(fs_err::read(snapshot.join("weights/model.safetensors")).unwrap(), big);

    // The same again moves nothing; one file's path is its own.
    let one = env.hub(["download", "ada/demo", "config.json", "--json"]).success();
    assert_eq!(
        line(&one),
        format!("{{\"path\": \"{}\"}}", snapshot.join("config.json").display())
    );
    let bare = env.hub(["download", "ada/demo"]).env("HUB_STDOUT", "path").success();
    assert_eq!(line(&bare), snapshot.to_str().unwrap());
    let offline = env.hub(["download", "ada/demo", "-q", "--offline"]).success();
    assert_eq!(line(&offline), snapshot.to_str().unwrap());

    let _ = env
        .hub(["download", "ada/demo", "weights/", "config.json", "--local-dir", "out"])
        .success();
    assert_eq!(
        fs_err::read(env.work().join("out/weights/model.safetensors")).unwrap(),
        big
    );
    assert!(!env.work().join("out/notes.txt").exists());

    let dry = env
        .hub([
            "download",
            "ada/demo",
            "--dry-run",
            "--force-download",
            "--include",
            "*.json",
        ])
        .success();
    let lines: Vec<&str> = dry.stdout.lines().map(str::trim_end).collect();
    assert_eq!(
        lines,
        [
            "[dry-run] Will download 1 files (out of 1) totalling 3.0.",
            "FILE        SIZE",
            "----------- ----",
            "config.json 3.0",
        ]
    );
    let verified = env.hub(["cache", "verify", "ada/demo", "--json"]).success();
    assert!(line(&verified).contains("\"checked\": "), "{verified}");
}

#[test]
fn branches_and_pull_requests() {
    let (env, hub) = with_hub();
    env.write("a.txt", "a\n");
    let _ = env.hub(["upload", "datasets/ada/notes", "a.txt"]).success();
    let branch = env
        .hub(["upload", "datasets/ada/notes", "a.txt", "b.txt", "--revision", "dev"])
        .success();
    assert_eq!(branch.stderr, "Branch 'dev' not found. Creating it...\n");
    let pr = env
        .hub([
            "upload",
            "datasets/ada/notes",
            "a.txt",
            "c.txt",
            "--create-pr",
            "--json=pr_num,pr_url",
        ])
        .success();
    assert_eq!(
        line(&pr),
        format!(
            "{{\"pr_num\": 1, \"pr_url\": \"{}/datasets/ada/notes/discussions/1\"}}",
            hub.url()
        )
    );
    for (revision, file) in [("dev", "b.txt"), ("refs/pr/1", "c.txt")] {
        let path = env
            .hub([
                "download",
                "ada/notes",
                "--type",
                "dataset",
                file,
                "--revision",
                revision,
                "-q",
            ])
            .success();
        assert_eq!(fs_err::read_to_string(line(&path)).unwrap(), "a\n");
    }
    let names = env
        .hub(["repos", "branch", "list", "datasets/ada/notes", "-q"])
        .success();
    assert_eq!(names.stdout, "dev\nmain\n");
    let _ = env
        .hub(["repos", "tag", "create", "datasets/ada/notes", "v1"])
        .success();
    insta::assert_snapshot!(told(&env.hub(["repos", "tag", "create", "datasets/ada/notes", "v1"]).run()), @r"
    exit code: 11
    ----- stdout -----

    ----- stderr -----
    Error: Tag 'v1' already exists on 'ada/notes'.
    Cause: conflict: 409 Conflict for POST [HUB]/api/datasets/ada/notes/tag/main (Request ID: [ID]): Reference already exists: refs/tags/v1
    ");
    let _ = env.hub(["repos", "delete-files", "datasets/ada/notes", "a*"]).success();
    let gone = env.hub(["download", "datasets/ada/notes", "a.txt"]).failure(3);
    assert!(
        gone.stderr
            .starts_with("Error: dataset 'ada/notes' has no 'a.txt' at 'main'\n"),
        "{gone}"
    );
}

#[test]
fn repositories_are_made_changed_and_deleted() {
    let (env, hub) = with_hub();
    insta::assert_snapshot!(told(&env.hub(["repos", "create", "demo", "--private"]).run()), @r"
    exit code: 0
    ----- stdout -----
    ✓ Repo created
      repo_id: ada/demo
      url: [HUB]/ada/demo

    ----- stderr -----
    ");
    let _ = env.hub(["repos", "create", "ada/demo"]).failure(11);
    let _ = env.hub(["repos", "create", "ada/demo", "--exist-ok"]).success();
    let _ = env.hub(["repos", "create", "bob/demo"]).failure(4);
    let _ = env.hub(["repos", "settings", "ada/demo", "--public"]).success();
    let moved = env.hub(["repos", "move", "ada/demo", "ada/moved", "--json"]).success();
    assert_eq!(line(&moved), "{\"from_id\": \"ada/demo\", \"to_id\": \"ada/moved\"}");
    let list = env.hub(["repos", "ls", "--json=id,type,visibility"]).success();
    assert_eq!(
        line(&list),
        "[{\"id\": \"ada/moved\", \"type\": \"model\", \"visibility\": \"public\"}]"
    );

    // Nobody is there to be asked: nothing happens.
    insta::assert_snapshot!(told(&env.hub(["repos", "delete", "ada/moved"]).run()), @r"
    exit code: 1
    ----- stdout -----

    ----- stderr -----
    Error: You are about to permanently delete model 'ada/moved'. Use --yes to skip confirmation.
    ");
    let _ = env.hub(["repos", "delete", "ada/moved", "-y"]).success();
    let _ = env.hub(["repos", "delete", "ada/moved", "-y"]).failure(3);
    let _ = env
        .hub(["repos", "delete", "ada/moved", "-y", "--missing-ok"])
        .success();
    assert_eq!(env.hub(["repos", "ls"]).success().stdout, "No results found.\n");
    drop(hub);
}

#[test]
fn errors_say_what_was_meant_and_how_to_go_on() {
    let (env, hub) = with_hub();
    env.write("demo/config.json", "{}");
    let _ = env.hub(["upload", "datasets/ada/demo", "demo"]).success();
    insta::assert_snapshot!(told(&env.hub(["download", "ada/demo"]).run()), @r"
    exit code: 3
    ----- stdout -----

    ----- stderr -----
    Error: model 'ada/demo' not found
    Cause: repository not found: 404 Not Found for GET [HUB]/api/models/ada/demo/revision/main (Request ID: [ID]): Repository not found
    Hint: it is a dataset: use --type dataset
    Hint: the token in HF_TOKEN was sent: that account may not see it, or it does not exist
    ");
    insta::assert_snapshot!(told(&env.hub(["download", "datasets/ada/demo", "confg.json"]).run()), @r"
    exit code: 3
    ----- stdout -----

    ----- stderr -----
    Error: dataset 'ada/demo' has no 'confg.json' at 'main'
    Cause: entry not found: 404 Not Found for HEAD [HUB]/datasets/ada/demo/resolve/main/confg.json (Request ID: [ID]): Entry not found
    Hint: did you mean 'config.json'?
    Hint: its files are .gitattributes, config.json
    ");
    insta::assert_snapshot!(told(&env.hub(["download", "datasets/ada/demo", "--revision", "mian"]).run()), @r"
    exit code: 3
    ----- stdout -----

    ----- stderr -----
    Error: dataset 'ada/demo' has no revision 'mian'
    Cause: revision not found: 404 Not Found for GET [HUB]/api/datasets/ada/demo/revision/mian (Request ID: [ID]): Invalid rev id: mian
    Hint: did you mean 'main'?
    Hint: its branches and tags are main
    ");
    let some = env
        .hub(["download", "datasets/ada/demo", "config.json", "none.txt", "-q"])
        .failure(8);
    assert!(
        some.stdout.contains("snapshots") && some.stderr.contains("'none.txt'"),
        "{some}"
    );
    let none = env.hub(["download", "datasets/ada/demo", "none/"]).failure(3);
    assert!(none.stdout.is_empty(), "{none}");
    let refused = env
        .hub(["upload", "ada/demo", "demo"])
        .env("HF_TOKEN", ADA_READS)
        .failure(4);
    assert!(refused.stdout.is_empty(), "{refused}");
    let unknown = env.hub(["auth", "whoami"]).env("HF_TOKEN", "hf_unknown").failure(4);
    assert!(
        unknown.stderr.contains("HF_TOKEN") && !unknown.stderr.contains("hf_unknown"),
        "{unknown}"
    );

    let json = env
        .hub(["download", "ada/none", "--error-format", "json", "--json"])
        .failure(3);
    let error: serde_json::Value = serde_json::from_str(&json.stderr).unwrap();
    assert_eq!(error["code"], "not_found");
    assert_eq!(
        (error["status"].as_u64(), error["exit_code"].as_u64()),
        (Some(404), Some(3))
    );
    assert!(json.stdout.is_empty() && error["request_id"].is_string(), "{json}");
    let _ = env
        .hub(["download", "ada/none"])
        .env("HUB_EXIT_CODES", "simple")
        .failure(1);

    let url = hub.url().to_owned();
    drop(hub);
    let gone = env.hub(["download", "ada/other", "--retries", "0"]).failure(5);
    assert!(
        gone.stderr.starts_with(&format!("Error: cannot connect to {url}/")),
        "{gone}"
    );
    let offline = env.hub(["download", "ada/other", "--offline"]).failure(5);
    assert!(offline.stderr.contains("offline mode is on"), "{offline}");
}

#[test]
fn the_cache_is_listed_and_cleaned_and_never_another_repo_hit() {
    let (env, _hub) = with_hub();
    let empty = env.hub(["cache", "ls"]).success();
    assert_eq!(empty.stdout, "No results found.\n");
    let _ = env.hub(["cache", "ls", "--cache-dir", "nowhere"]).failure(1);

    // Of other content: the same files uploaded within one second would be the same commit.
    for (id, config) in [("ada/old", "{}"), ("ada/other", "{\"other\":true}")] {
        env.write("demo/config.json", config);
        let _ = env.hub(["upload", id, "demo"]).success();
        let _ = env.hub(["download", id]).success();
    }
    // One repository under two names has the same commits.
    let _ = env.hub(["repos", "move", "ada/old", "ada/new"]).success();
    let path = env.hub(["download", "ada/new", "-q"]).success();
    let commit = Path::new(line(&path)).file_name().unwrap().to_str().unwrap().to_owned();

    let ids = env.hub(["cache", "ls", "-q"]).success();
    assert_eq!(ids.stdout, "model/ada/new\nmodel/ada/old\nmodel/ada/other\n");
    let filtered = env.hub(["cache", "ls", "-q", "--filter", "size>1GB"]).success();
    assert_eq!(filtered.stdout, "");
    let both = env.hub(["cache", "rm", &commit, "-y"]).failure(2);
    assert!(both.stderr.contains("model/ada/new and model/ada/old"), "{both}");

    let dry = env
        .hub(["cache", "rm", "model/ada/old", "--dry-run", "--json"])
        .success();
    assert!(
        line(&dry).starts_with("{\"dry_run\": true, \"repos\": 1, \"revisions\": 1, "),
        "{dry}"
    );
    let _ = env.hub(["cache", "rm", "model/ada/old"]).failure(1);
    let gone = env.hub(["cache", "rm", "model/ada/old", "-y", "-q"]).success();
    assert_eq!(line(&gone), "1");
    let ids = env.hub(["cache", "ls", "-q"]).success();
    assert_eq!(ids.stdout, "model/ada/new\nmodel/ada/other\n");
    let file = env.hub(["cache", "rm", "hf://ada/new/config.json", "-y"]).success();
    assert!(file.stdout.contains("Deleted 1 file(s)"), "{file}");
    let missing = env.hub(["cache", "rm", "model/ada/none", "-y"]).success();
    assert_eq!(
        told(&missing),
        "exit code: 0\n----- stdout -----\nNothing to delete.\n\n----- stderr -----\nWarning: Could not find in cache:\n  - model/ada/none\n"
    );
    let pruned = env.hub(["cache", "prune", "-y"]).success();
    assert!(pruned.stdout.contains("Nothing to prune"), "{pruned}");

    let blob = fs_err::read_dir(env.cache().join("models--ada--other/blobs")).unwrap();
    for entry in blob {
        fs_err::write(entry.unwrap().path(), "damaged").unwrap();
    }
    let damaged = env.hub(["cache", "verify", "ada/other"]).failure(1);
    assert!(damaged.stdout.contains("config.json: expected"), "{damaged}");
}

#[test]
fn c_090_patterns_that_match_nothing_are_told() {
    let (env, _hub) = with_hub();
    let _ = env.hub(["repo", "create", "ada/demo"]).success();
    let none = env
        .hub(["download", "ada/demo", "--include", "*.none", "--quiet"])
        .success();
    assert!(none.stderr.contains("no file matches the patterns"), "{none}");
    let folder = std::path::PathBuf::from(line(&none));
    assert_eq!(fs_err::read_dir(&folder).unwrap().count(), 0);
    let all = env.hub(["download", "ada/demo", "--quiet"]).success();
    assert_eq!((line(&all), all.stderr.as_str()), (line(&none), ""));
}

#[test]
fn old_names_still_work_and_tell_the_new_ones() {
    let (env, hub) = with_hub();
    let me = env.hub(["whoami", "-q"]).success();
    assert_eq!(
        (line(&me), me.stderr.as_str()),
        ("ada", "Warning: `whoami` is an old name; use `hub auth whoami`\n")
    );
    let _ = env.hub(["repo", "create", "ada/demo"]).success();
    env.write("demo/a.json", "{}");
    env.write("demo/b.txt", "b");
    let _ = env
        .hub([
            "upload-large-folder",
            "ada/demo",
            "demo",
            "--num-workers",
            "2",
            "--no-report",
        ])
        .success();
    let _ = env.hub(["tag", "ada/demo", "v1"]).success();
    let down = env
        .hub([
            "download",
            "--resume-download",
            "ada/demo",
            "--local-dir",
            "d",
            "--local-dir-use-symlinks",
            "False",
        ])
        .success();
    assert!(env.work().join("d/b.txt").is_file(), "{down}");
    let _ = env
        .hub([
            "download",
            "ada/demo",
            "--local-dir",
            "e",
            "--include",
            "*.json",
            "*.txt",
        ])
        .success();
    assert!(env.work().join("e/b.txt").is_file() && env.work().join("e/a.json").is_file());
    let _ = env.hub(["repo-files", "ada/demo", "delete", "*.txt"]).success();
    let scan = env.hub(["scan-cache"]).success();
    assert_eq!(scan.stdout, "No results found.\n");
    drop(hub);
}

#[test]
fn the_embedded_hub_is_there_for_any_command() {
    let mut env = TestEnv::new();
    env.set("HF_HUB_DISABLE_PROGRESS_BARS", "1");
    // The person's own token and Hub stay out of it.
    env.set("HF_TOKEN", ADA).set("HF_ENDPOINT", "http://127.0.0.1:9");
    let first = env.hub(["--local", "download", "hub/welcome", "-q"]).success();
    let snapshot = Path::new(line(&first));
    assert!(
        snapshot.join("README.md").is_file() && first.stderr.is_empty(),
        "{first}"
    );
    assert!(!env.cache().exists(), "the cache of the public Hub is untouched");
    let me = env.hub(["--local", "auth", "whoami", "-q"]).success();
    assert_eq!(line(&me), "local");
    env.write("run/notes.txt", "A first note.\n");
    let _ = env.hub(["--local", "upload", "local/demo", "run"]).success();
    let mine = env.hub(["repos", "list", "-q", "--local"]).success();
    assert_eq!(line(&mine), "local/demo");
    let refused = env.hub(["--local", "auth", "logout"]).failure(2);
    assert!(refused.stderr.contains("--local"), "{refused}");
}

#[test]
fn a_served_hub_says_when_it_is_ready_and_ends_cleanly() {
    let env = TestEnv::new();
    let (mut server, mut stdout) = serve(&env, &["--json", "--user", &format!("ada:{ADA}:write")]);
    let mut ready = String::new();
    stdout.read_line(&mut ready).unwrap();
    let ready: serde_json::Value = serde_json::from_str(&ready).unwrap();
    let url = ready["url"].as_str().unwrap();
    assert!(url.starts_with("http://127.0.0.1:"), "{ready}");
    assert!(
        ready["blob_url"].as_str().unwrap().starts_with("http://127.0.0.2:"),
        "{ready}"
    );
    let root = env.work().join("served");
    assert_eq!(ready["root"].as_str(), root.to_str());
    let token = fs_err::read_to_string(root.join("token")).unwrap();
    assert_eq!(ready["token"].as_str(), Some(token.trim()));
    for (token, user) in [(token.trim(), "local"), (ADA, "ada")] {
        let me = env
            .hub(["auth", "whoami", "-q", "--endpoint", url])
            .env("HF_TOKEN", token)
            .success();
        assert_eq!(line(&me), user);
    }
    end(&mut server, &mut stdout, "TERM", Some(0));

    let (mut server, mut stdout) = serve(&env, &[]);
    let mut ready = String::new();
    stdout.read_line(&mut ready).unwrap();
    assert!(
        ready.starts_with("ready http://127.0.0.1:") && ready.ends_with('\n'),
        "{ready}"
    );
    end(&mut server, &mut stdout, "INT", Some(0));
}

/// Starts `hub serve` in a folder of this test.
fn serve(env: &TestEnv, args: &[&str]) -> (Child, BufReader<std::process::ChildStdout>) {
    let mut server = Command::new(env.hub_path())
        .args(["serve", "--root"])
        .arg(env.work().join("served"))
        .args(["--port", "0"])
        .args(args)
        .env_clear()
        .env("HOME", env.home())
        .env("HF_HOME", env.hf_home())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(server.stdout.take().unwrap());
    (server, stdout)
}

/// Sends a signal and waits for the end, before which nothing more may be printed.
fn end(child: &mut Child, stdout: &mut impl Read, signal: &str, code: Option<i32>) {
    let id = child.id().to_string();
    let sent = Command::new("kill").args(["-s", signal, &id]).status().unwrap();
    assert!(sent.success());
    assert_eq!(child.wait().unwrap().code(), code);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

#[test]
fn a_closed_pipe_and_ctrl_c_end_quietly() {
    let (env, hub) = with_hub();
    for n in 0..40 {
        let dir = env.cache().join(format!("models--ada--repo{n}/snapshots/{n:040x}"));
        fs_err::create_dir_all(dir).unwrap();
    }
    let hub_path = env.hub_path();
    let script = format!(
        "'{}' cache ls -q | head -n 1; exec 2>&1; '{0}' completion bash | true",
        hub_path.display()
    );
    let output = env.command("sh").args(["-c", &script]).success();
    assert_eq!((line(&output), output.stderr.as_str()), ("model/ada/repo0", ""));

    // A Hub that accepts and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let mut child = Command::new(hub_path)
        .args(["download", "ada/demo", "--endpoint", &url])
        .env_clear()
        .env("HF_HOME", env.hf_home())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let _waiting = silent.accept().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    end(&mut child, &mut stdout, "INT", Some(130));
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(
        stderr,
        "Error: interrupted\nHint: what is complete is kept; run the same command again to go on\n"
    );
    drop(hub);
}

/// Every file below a folder, with its size.
fn files(root: &Path) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(root).unwrap() {
        let entry = entry.unwrap();
        let path = entry.path();
        if path.is_dir() {
            found.push((path.display().to_string(), 0));
            found.extend(files(&path));
        } else {
            found.push((path.display().to_string(), entry.metadata().unwrap().len()));
        }
    }
    found.sort();
    found
}
