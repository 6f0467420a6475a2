//! The whole life of a repository, three times: through our `Repository`, with git by hand, and through the Python
//! client's own `Repository`. All three end in the same commits and files.

#![expect(deprecated, reason = "what is deprecated is tested until it goes")]

use std::path::Path;

use hub_git_compat::{LfsTracking, PushOptions, Repository};
use hub_tests::{ADA, Python, TestEnv, TestHub};

use crate::git::{git, options, read, walk};

/// The bytes that the scripts of the official client make of this seed.
fn large(env: &TestEnv, length: usize, seed: u32) -> Vec<u8> {
    let path = env.work().join(format!("bytes-{seed}"));
    let args = [
        length.to_string(),
        seed.to_string(),
        path.to_string_lossy().into_owned(),
    ];
    env.python(Python::V0_36, "python/bytes.py", args).success();
    read(path)
}

struct Life<'a> {
    env: &'a TestEnv,
    hub: &'a TestHub,
    id: &'a str,
    dir: &'a Path,
    bytes: &'a [Vec<u8>; 3],
}

impl Life<'_> {
    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.dir.join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, bytes).unwrap();
    }

    fn first_files(&self) {
        self.write("sub/notes.txt", b"notes\n");
        self.write("weights.bin", &self.bytes[0]);
        self.write("raw", &self.bytes[1]);
    }

    fn change_elsewhere(&self) {
        let api = self.hub.api(ADA);
        api.upload_file(self.id, "theirs\n".as_bytes(), "theirs.txt")
            .commit_message("From elsewhere")
            .wait()
            .unwrap();
    }

    fn through_repository(&self) {
        let repo = Repository::clone_from(self.dir, self.id, &options(self.env, self.hub, ADA)).unwrap();
        let save = |message: &str| {
            repo.git_add(".", LfsTracking::Auto).unwrap();
            repo.git_commit(message).unwrap();
        };
        self.first_files();
        save("Add files");
        repo.git_push().unwrap();
        repo.add_tag("v1", Some("The first"), Some("origin")).unwrap();
        assert!(repo.tag_exists("v1", Some("origin")).unwrap());

        repo.git_checkout("dev", true).unwrap();
        self.write("dev.txt", b"dev\n");
        save("On a branch");
        repo.git_push().unwrap();
        repo.git_checkout("main", false).unwrap();

        self.change_elsewhere();
        self.write("weights.bin", &self.bytes[2]);
        save("Change the weights");
        repo.git_pull(true, false).unwrap();
        repo.git_push().unwrap();
        fs_err::remove_file(self.dir.join("raw")).unwrap();
        save("Remove a file");
        let command = repo.start_push(&PushOptions::new()).unwrap();
        repo.wait_for_commands().unwrap();
        assert!(!command.failed() && repo.is_repo_clean().unwrap());
    }

    fn by_hand(&self) {
        let url = format!("{}/{}", self.hub.url(), self.id);
        let dir = self.dir.to_str().unwrap();
        git(self.env, self.hub, Some(ADA), &["clone", "--quiet", &url, dir]).success();
        let run = |args: &[&str]| drop(git(self.env, self.hub, Some(ADA), args).dir(self.dir).success());
        let save = |message: &str| {
            run(&["add", "--all"]);
            run(&["commit", "--quiet", "--message", message]);
        };
        run(&["lfs", "install", "--local"]);
        self.first_files();
        run(&["lfs", "track", "--filename", "raw"]);
        save("Add files");
        run(&["push", "--quiet", "origin", "main"]);
        run(&["tag", "--annotate", "v1", "--message", "The first"]);
        run(&["push", "--quiet", "origin", "v1"]);

        run(&["checkout", "--quiet", "-b", "dev"]);
        self.write("dev.txt", b"dev\n");
        save("On a branch");
        run(&["push", "--quiet", "--set-upstream", "origin", "dev"]);
        run(&["checkout", "--quiet", "main"]);

        self.change_elsewhere();
        self.write("weights.bin", &self.bytes[2]);
        save("Change the weights");
        run(&["pull", "--quiet", "--rebase"]);
        run(&["push", "--quiet"]);
        fs_err::remove_file(self.dir.join("raw")).unwrap();
        run(&["lfs", "untrack", "raw"]);
        save("Remove a file");
        run(&["push", "--quiet"]);
    }

    fn through_python(&self) {
        let args = [self.id.as_ref(), self.dir.as_os_str()];
        let output = self.env.python(Python::V0_36, "python/life.py", args).success();
        assert!(output.stdout.ends_with("ok\n"), "{output}");
    }

    /// The commits (who, what, and the tree of files) of every ref, and the files of the clone.
    fn outcome(&self) -> (String, Vec<(String, Vec<u8>)>) {
        let bare = self.hub.bare_repository(self.id);
        let mut commits = String::new();
        for name in ["refs/heads/main", "refs/heads/dev", "refs/tags/v1"] {
            let args = ["log", "--format=%T %an <%ae> %s", name];
            let log = self.env.git(args).dir(&bare).success().stdout;
            commits.push_str(&format!("{name}\n{log}"));
        }
        let tag = ["cat-file", "-t", "refs/tags/v1"];
        commits.push_str(&self.env.git(tag).dir(&bare).success().stdout);
        self.env.git(["fsck", "--strict", "--full"]).dir(&bare).success();
        let mut files: Vec<(String, Vec<u8>)> = walk(self.dir)
            .into_iter()
            .filter(|path| !path.starts_with(self.dir.join(".git")))
            .map(|path| {
                let name = path.strip_prefix(self.dir).unwrap().to_string_lossy().into_owned();
                (name, read(&path))
            })
            .collect();
        files.sort();
        (commits, files)
    }
}

#[test]
fn three_ways_end_in_the_same_commits_and_files() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let bytes = [
        large(&env, 2_000_000, 1),
        large(&env, 5_000, 2),
        large(&env, 2_000_000, 3),
    ];
    let mut outcomes = Vec::new();
    for id in ["ada/ours", "ada/hand", "ada/python"] {
        hub.api(ADA).create_repo(id).wait().unwrap();
        let dir = env.work().join(id.replace('/', "-"));
        let life = Life {
            env: &env,
            hub: &hub,
            id,
            dir: &dir,
            bytes: &bytes,
        };
        match id {
            "ada/ours" => life.through_repository(),
            "ada/hand" => life.by_hand(),
            _ => life.through_python(),
        }
        outcomes.push(life.outcome());
    }
    assert_eq!(
        outcomes[0].1.iter().map(|(name, _)| &**name).collect::<Vec<_>>(),
        [".gitattributes", "sub/notes.txt", "theirs.txt", "weights.bin"]
    );
    assert!(outcomes[0].1[3].1 == bytes[2]);
    assert_eq!(outcomes[0].0, outcomes[1].0, "ours and by hand");
    assert_eq!(outcomes[0].0, outcomes[2].0, "ours and Python's");
    assert!(outcomes[0].1 == outcomes[1].1 && outcomes[0].1 == outcomes[2].1);
}
