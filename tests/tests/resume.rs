//! A download that was interrupted goes on where it stopped, whoever takes it over and whatever has happened meanwhile.

#![cfg(unix)]

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use hub_tests::{ADA, Carried, Cmd, Proxy, Python, TestEnv, TestHub, noise};

const SIZE: usize = 24_000_000;
/// So much is noted, at least, of a download that was interrupted.
const NOTED: u64 = 5_000_000;

/// A Hub with one large file, and a line to it.
struct World {
    env: TestEnv,
    hub: TestHub,
    proxy: Proxy,
    bytes: Vec<u8>,
}

/// Where a download goes.
#[derive(Debug, Clone, Copy, PartialEq)]
enum To {
    Cache,
    Folder,
}

/// What an interrupted download has left.
struct Left {
    partial: PathBuf,
    journal: PathBuf,
    /// How many bytes of it are noted as there.
    noted: u64,
}

impl World {
    fn new() -> Self {
        let mut env = TestEnv::new();
        let hub = env.start_hub();
        let bytes = noise(SIZE, 1);
        hub.api(ADA).create_repo("ada/demo").wait().unwrap();
        let world = Self {
            proxy: Proxy::start(),
            hub,
            bytes,
            env,
        };
        world.upload(&world.bytes);
        world
    }

    fn upload(&self, bytes: &[u8]) {
        let upload = self
            .hub
            .api(ADA)
            .upload_file("ada/demo", bytes.to_vec(), "dir/weights.bin");
        upload.wait().unwrap();
    }

    fn command(&self, to: To, root: &Path, proxy: &Proxy) -> Cmd {
        let command = self.env.hub(["--quiet", "download", "ada/demo", "dir/weights.bin"]);
        let command = command.env("http_proxy", proxy.url());
        match to {
            To::Cache => command.arg("--cache-dir").arg(root),
            To::Folder => command.arg("--local-dir").arg(root),
        }
    }

    /// Starts a download on a line that stalls midway, and waits until a good part of it is noted.
    fn begin(&self, to: To, root: &Path) -> Child {
        self.proxy.hold_after(14_000_000);
        let mut child = self.command(to, root, &self.proxy).start();
        let began = Instant::now();
        while left(root).is_none_or(|left| left.noted < NOTED) {
            assert!(child.try_wait().unwrap().is_none(), "the download has ended");
            assert!(began.elapsed() < Duration::from_secs(60), "the download hangs");
            std::thread::sleep(Duration::from_millis(2));
        }
        child
    }

    /// A download that was killed midway.
    fn interrupted(&self, to: To, root: &Path) -> Left {
        let mut child = self.begin(to, root);
        child.kill().unwrap();
        child.wait().unwrap();
        left(root).unwrap()
    }

    /// Downloads to the end; gives the bytes that this took and the file.
    #[track_caller]
    fn finish(&self, to: To, root: &Path, revision: Option<&str>) -> (u64, Vec<u8>) {
        self.proxy.go_on();
        self.proxy.take();
        let mut command = self.command(to, root, &self.proxy);
        if let Some(revision) = revision {
            command = command.args(["--revision", revision]);
        }
        let path = command.success().stdout;
        let bytes = fs_err::read(path.trim_end()).unwrap();
        let carried = self.proxy.take();
        (Carried::content_bytes(&carried), bytes)
    }

    /// A copy of what an interrupted download has left, to do something to.
    fn copy(&self, root: &Path, name: &str) -> (PathBuf, Left) {
        let copy = self.env.root().join(name);
        let _ = self.env.command("cp").arg("-a").arg(root).arg(&copy).success();
        let left = left(&copy).unwrap();
        (copy, left)
    }
}

/// The partial file below a root, if its journal is there.
fn left(root: &Path) -> Option<Left> {
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "journal") {
                let journal: serde_json::Value = serde_json::from_slice(&fs_err::read(&path).ok()?).ok()?;
                let ranges = journal["done"].as_array()?;
                let noted = ranges
                    .iter()
                    .map(|range| range[1].as_u64().unwrap() - range[0].as_u64().unwrap());
                return Some(Left {
                    noted: noted.sum(),
                    partial: path.with_extension(""),
                    journal: path,
                });
            }
        }
    }
    None
}

#[track_caller]
fn assert_nothing_left(root: &Path) {
    let left = left(root).map(|left| left.partial);
    assert_eq!(left, None, "a partial file is left");
}

#[test]
fn c_042_w_002_another_process_goes_on_with_what_a_killed_one_has_left() {
    let world = World::new();
    for to in [To::Cache, To::Folder] {
        let root = world.env.root().join(format!("{to:?}"));
        let left = world.interrupted(to, &root);
        let (fetched, bytes) = world.finish(to, &root, None);
        assert!(bytes == world.bytes);
        assert_eq!(fetched, SIZE as u64 - left.noted, "{to:?}");
        assert_nothing_left(&root);
    }
}

#[test]
fn c_028_the_official_client_prunes_what_a_killed_process_has_left() {
    let world = World::new();
    let root = world.env.root().join("cache");
    let left = world.interrupted(To::Cache, &root);
    assert!(left.partial.parent().unwrap().ends_with("models--ada--demo/blobs"));
    let name = left.partial.file_name().unwrap().to_str().unwrap().to_owned();
    assert!(name.ends_with(".incomplete"), "{name}");
    let hf = Python::V2_4.program("hf");
    let pruned = world
        .env
        .command(hf)
        .args(["cache", "prune", "--yes", "--cache-dir"])
        .arg(&root);
    let _ = pruned.success();
    assert!(!left.partial.exists());
    // Its journal alone says nothing, and goes with the next download.
    let (fetched, bytes) = world.finish(To::Cache, &root, None);
    assert!(bytes == world.bytes);
    assert_eq!(fetched, SIZE as u64);
    assert!(!left.journal.exists());
}

#[test]
fn a_process_that_waits_takes_over_when_the_other_is_killed() {
    let world = World::new();
    let root = world.env.root().join("cache");
    let mut first = world.begin(To::Cache, &root);
    let other = Proxy::start();
    let second = world.command(To::Cache, &root, &other).start();
    // It has asked what there is, and waits for the lock.
    while other.carried().iter().all(|one| one.status == 0) {
        std::thread::sleep(Duration::from_millis(2));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    let output = second.wait_with_output().unwrap();
    assert!(output.status.success());
    let path = String::from_utf8(output.stdout).unwrap();
    assert!(fs_err::read(path.trim_end()).unwrap() == world.bytes);
    // The first one's journal when it died is gone by now; it had this much at least.
    let fetched = Carried::content_bytes(&other.carried());
    assert!(fetched <= SIZE as u64 - NOTED, "{fetched}");
    assert_nothing_left(&root);
}

#[test]
fn d03_an_interrupt_leaves_what_can_be_gone_on_with() {
    let world = World::new();
    for (signal, to) in [("INT", To::Cache), ("TERM", To::Folder)] {
        let root = world.env.root().join(signal);
        let mut child = world.begin(to, &root);
        let pid = child.id().to_string();
        let _ = world
            .env
            .command("sh")
            .args(["-c", &format!("kill -s {signal} {pid}")])
            .success();
        let status = child.wait().unwrap();
        assert!(!status.success(), "{signal}: {status}");
        let left = left(&root).unwrap();
        let (fetched, bytes) = world.finish(to, &root, None);
        assert!(bytes == world.bytes);
        assert_eq!(fetched, SIZE as u64 - left.noted, "{signal}");
    }
}

#[test]
fn c_041_a_file_that_changed_meanwhile_is_fetched_from_nothing() {
    let world = World::new();
    let old = world
        .hub
        .api(ADA)
        .resolve_revision("ada/demo")
        .wait()
        .unwrap()
        .to_string();
    let new = noise(SIZE, 2);
    let roots = [To::Cache, To::Folder].map(|to| {
        let root = world.env.root().join(format!("{to:?}"));
        let left = world.interrupted(to, &root);
        (to, root, left)
    });
    world.upload(&new);
    for (to, root, left) in roots {
        let (fetched, bytes) = world.finish(to, &root, None);
        assert!(bytes == new, "{to:?}");
        assert_eq!(fetched, SIZE as u64, "{to:?}");
        // What had come of the old one still counts for the old one.
        let (fetched, bytes) = world.finish(to, &root, Some(&old));
        assert!(bytes == world.bytes, "{to:?}");
        assert_eq!(fetched, SIZE as u64 - left.noted, "{to:?}");
    }
}

#[test]
fn c_042_what_was_damaged_meanwhile_is_found_out() {
    let world = World::new();
    let root = world.env.root().join("cache");
    let interrupted = world.interrupted(To::Cache, &root);

    // Bytes that have changed: only the hash tells, and then all is fetched anew.
    let (damaged, left) = world.copy(&root, "damaged");
    let file = std::fs::File::options().write(true).open(&left.partial).unwrap();
    file.write_all_at(b"not what was sent", 1000).unwrap();
    let (fetched, bytes) = world.finish(To::Cache, &damaged, None);
    assert!(bytes == world.bytes);
    assert_eq!(fetched, SIZE as u64);
    assert_nothing_left(&damaged);

    // A file or a journal that cannot be right: nothing of it is used.
    let text = fs_err::read_to_string(&interrupted.journal).unwrap();
    let other = text.replacen(r#""etag":""#, r#""etag":"00"#, 1);
    let beyond = text.replace(r#""done":["#, &format!(r#""done":[[{},{}],"#, SIZE - 1, SIZE + 1));
    assert!(other != text && beyond != text);
    for (name, journal) in [
        ("half", &text[..text.len() / 2]),
        ("empty", ""),
        ("other", &*other),
        ("beyond", &*beyond),
    ] {
        let (copy, left) = world.copy(&root, name);
        fs_err::write(&left.journal, journal).unwrap();
        let (fetched, bytes) = world.finish(To::Cache, &copy, None);
        assert!(bytes == world.bytes, "{name}");
        assert_eq!(fetched, SIZE as u64, "{name}");
        assert_nothing_left(&copy);
    }
    let (short, left) = world.copy(&root, "short");
    let file = std::fs::File::options().write(true).open(&left.partial).unwrap();
    file.set_len(1000).unwrap();
    assert!(world.finish(To::Cache, &short, None).1 == world.bytes);
    assert_nothing_left(&short);
    let (long, left) = world.copy(&root, "long");
    let file = std::fs::File::options().write(true).open(&left.partial).unwrap();
    file.set_len(SIZE as u64 + 1000).unwrap();
    let (fetched, bytes) = world.finish(To::Cache, &long, None);
    assert!(bytes == world.bytes);
    assert!(fetched <= SIZE as u64 - interrupted.noted);
    assert_nothing_left(&long);
}
