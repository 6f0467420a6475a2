//! A process that is killed at any point leaves a cache that is right, and the next call goes on from there.
//!
//! The real `hub` binary is ended by SIGKILL at every step of its ways to write (hooks that only test builds have) and at
//! random places. After each kill the cache is looked at by the official client and by ours, every file in it is compared
//! with the Hub's, and then it is completed, with the bytes counted that this takes.

#![cfg(unix)]

mod deletions;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::process::ExitStatusExt;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hub_cache::{Cache, DeletionPlan, HubCache, PruneOptions, scan};
use hub_http::HfApi;
use hub_tests::{ADA, Carried, Cmd, Proxy, Scanner, TestEnv, TestHub, files_below, noise};
use hub_types::env::{Env, Kind, Variable};
use hub_types::{GitOid, RepoPath, Sha256, Token};

const HUB_TEST_KILLS: Variable = Variable {
    name: "HUB_TEST_KILLS",
    kind: Kind::Number,
    default: "50",
    meaning: "How many times the crash test kills a process; from 500 on, also at every pass of every step.",
};

/// What a run that is to be killed does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// Into the cache, with links.
    Cache,
    /// Into the cache, without links.
    Copies,
    /// Into a plain folder.
    Folder,
}

impl Way {
    const ALL: [Self; 3] = [Self::Cache, Self::Copies, Self::Folder];
}

/// When a run is killed.
#[derive(Debug, Clone)]
enum Kill {
    /// At the nth pass of a step.
    Step(String, u64),
    /// So long after so many bytes have come.
    Bytes(u64, Duration),
}

/// Runs that are killed one after the other on one cache.
#[derive(Debug, Clone)]
struct Round {
    way: Way,
    /// Whether an older commit is there from the start.
    older: bool,
    kills: Vec<Kill>,
}

/// A Hub with a repository of two commits.
struct World {
    env: TestEnv,
    hub: TestHub,
    /// Each commit's files.
    commits: BTreeMap<String, BTreeMap<String, Vec<u8>>>,
    /// The commit that `main` is.
    head: String,
    /// A cache that has the older commit, for each way.
    older: BTreeMap<Way, PathBuf>,
}

impl World {
    fn new() -> Self {
        let mut env = TestEnv::new();
        let hub = env.start_hub();
        let mut world = Self {
            hub,
            commits: BTreeMap::new(),
            head: String::new(),
            older: BTreeMap::new(),
            env,
        };
        let (large, middle) = (noise(18_000_000, 1), noise(2_500_000, 2));
        world.commit(&[
            ("config.json", b"{\"version\": 1}\n"),
            ("sub/kept.bin", &middle),
            ("sub/notes.txt", "grüße\n".as_bytes()),
        ]);
        for way in Way::ALL {
            let root = world.env.root().join(format!("older-{way:?}"));
            let proxy = Proxy::start();
            world.complete(way, &root, &proxy);
            world.older.insert(way, root);
        }
        world.commit(&[
            ("config.json", b"{\"version\": 2}\n"),
            ("sub/large.bin", &large),
            ("same.txt", b"the same text\n"),
            ("sub/same.txt", b"the same text\n"),
        ]);
        world
    }

    /// Commits files; the others stay.
    fn commit(&mut self, files: &[(&str, &[u8])]) {
        self.hub.commit("ada/demo", files.iter().copied());
        let api = self.hub.api(ADA);
        self.head = api.resolve_revision("ada/demo").wait().unwrap().to_string();
        let names: Vec<String> = api.list_repo_files("ada/demo").wait().unwrap();
        let all = names
            .into_iter()
            .map(|name| {
                let bytes = api.download_bytes("ada/demo", &*name).wait().unwrap();
                (name, bytes.to_vec())
            })
            .collect();
        self.commits.insert(self.head.clone(), all);
    }

    fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.commits[&self.head]
    }

    /// What a whole download would fetch.
    fn bytes(&self) -> u64 {
        self.files().values().map(|bytes| bytes.len() as u64).sum()
    }

    /// The `hub` command that fetches everything to `root`.
    fn command(&self, way: Way, root: &Path, proxy: &Proxy) -> Cmd {
        let place = if way == Way::Folder {
            "--local-dir"
        } else {
            "--cache-dir"
        };
        let command = self.env.hub(["--quiet", "download", "ada/demo", place]).arg(root);
        let command = command.env("http_proxy", proxy.url()).env("HF_HUB_CACHE", spare(root));
        match way {
            Way::Copies => command.env("HF_HUB_DISABLE_SYMLINKS", "1"),
            _ => command,
        }
    }

    /// Fetches what is missing, in this process.
    fn complete(&self, way: Way, root: &Path, proxy: &Proxy) {
        let builder = HfApi::builder()
            .endpoint(self.hub.url())
            .token(Token::new(ADA).unwrap());
        let api = builder.proxy(proxy.url()).build().unwrap();
        if way == Way::Folder {
            let cache = HubCache::new(api, spare(root));
            cache.snapshot_download("ada/demo").local_dir(root).wait().unwrap();
        } else {
            let cache = Cache::new(root).with_links(way != Way::Copies);
            let cache = HubCache::with_cache(api, cache);
            cache.snapshot_download("ada/demo").wait().unwrap();
        }
    }
}

/// The cache of a run that is not to use any.
fn spare(root: &Path) -> PathBuf {
    root.with_extension("unused")
}

/// A cache, or plain folder, at some point of its life.
struct Look<'a> {
    world: &'a World,
    way: Way,
    root: &'a Path,
}

impl Look<'_> {
    /// Nothing is wrong in it: no warning of either scan, no ref without a snapshot, no file that is not the Hub's.
    fn assert_sound(&self, scanner: &mut Scanner) {
        if self.way == Way::Folder {
            for (name, path) in files_below(self.root) {
                if !name.starts_with(".cache/") {
                    let bytes = fs_err::read(&path).unwrap();
                    let right = self
                        .world
                        .commits
                        .values()
                        .any(|files| files.get(&name) == Some(&bytes));
                    assert!(right, "{name} has {} bytes that the Hub does not have", bytes.len());
                }
            }
            return;
        }
        if !self.root.exists() {
            return;
        }
        let report = scan(self.root).unwrap();
        assert_eq!(report.warnings, []);
        let ours: BTreeSet<String> = report
            .repos
            .iter()
            .flat_map(|repo| &repo.revisions)
            .flat_map(|revision| {
                revision
                    .files
                    .iter()
                    .map(move |file| format!("{}/{}", revision.commit, file.path))
            })
            .collect();
        assert_eq!(scanner.scan(self.root), ours, "the scans differ");

        let repo = self.root.join("models--ada--demo");
        for (name, path) in files_below(&repo.join("snapshots")) {
            let (commit, file) = name.split_once('/').unwrap();
            let right = self.world.commits[commit]
                .get(file)
                .unwrap_or_else(|| panic!("{name} is no file of the Hub"));
            assert!(
                &fs_err::read(path).unwrap() == right,
                "{name} has other bytes than the Hub"
            );
        }
        for (name, path) in files_below(&repo.join("refs")) {
            let commit = fs_err::read_to_string(path).unwrap();
            assert!(
                repo.join("snapshots").join(&commit).is_dir(),
                "the ref {name} names '{commit}'"
            );
        }
        for (name, path) in files_below(&repo.join("blobs")) {
            let bytes = || fs_err::read(&path).unwrap();
            match name.len() {
                40 => assert_eq!(GitOid::of(&bytes()).to_string(), name),
                64 => assert_eq!(Sha256::of(&bytes()).to_string(), name),
                _ => assert!(
                    name.starts_with('.') || name.contains(".incomplete"),
                    "{name} among the contents"
                ),
            }
        }
        for (name, path) in files_below(&repo.join("trees"))
            .into_iter()
            .filter(|(name, _)| name.ends_with(".json"))
        {
            let commit = name.strip_suffix(".json").unwrap();
            let tree = hub_cache::Tree::read(&path).expect("a cached listing is whole");
            let names: Vec<&str> = tree.files.keys().map(RepoPath::as_str).collect();
            let right: Vec<&String> = self.world.commits[commit].keys().collect();
            assert_eq!(names, right);
        }
    }

    /// The bytes that the next call has to fetch: what is neither here whole nor noted as here.
    fn missing(&self) -> u64 {
        // What another commit has is of no use where there are no links.
        let older = self.world.commits.keys().filter(|commit| **commit != self.world.head);
        let elsewhere: Vec<String> = older.map(|commit| format!("snapshots/{commit}/")).collect();
        let here: BTreeSet<Vec<u8>> = files_below(self.root)
            .into_iter()
            .filter(|(name, path)| {
                let temporary = name.rsplit('/').next().unwrap().starts_with('.') && !name.ends_with(".gitattributes");
                let elsewhere = elsewhere.iter().any(|folder| name.contains(folder));
                !temporary && !elsewhere && !name.contains(".incomplete") && path.is_file()
            })
            .map(|(_, path)| fs_err::read(path).unwrap())
            .collect();
        let mut partials: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        for (name, path) in files_below(self.root) {
            let Some(rest) = name.strip_suffix(".incomplete") else {
                continue;
            };
            let etag = rest.rsplit('.').nth(1).unwrap().rsplit('/').next().unwrap().to_owned();
            partials.entry(etag).or_default().push(noted(&path));
        }
        let mut wanted = BTreeSet::new();
        let mut missing = 0;
        for (name, bytes) in self.world.files() {
            let there = match self.way {
                Way::Folder => fs_err::read(self.root.join(name)).is_ok_and(|found| &found == bytes),
                _ => here.contains(bytes) || !wanted.insert(bytes),
            };
            if there {
                continue;
            }
            let etags = [GitOid::of(bytes).to_string(), Sha256::of(bytes).to_string()];
            let noted = etags.iter().find_map(|etag| partials.get_mut(etag)?.pop());
            missing += bytes.len() as u64 - noted.unwrap_or(0);
        }
        missing
    }
}

impl Look<'_> {
    /// The size of the largest partial file that is whole and noted to be.
    fn whole(&self) -> usize {
        let partials = files_below(self.root)
            .into_iter()
            .filter(|(name, _)| name.ends_with(".incomplete"));
        let whole = partials.filter_map(|(_, path)| {
            let bytes = fs_err::read(&path).unwrap();
            let right = self.world.files().values().any(|file| *file == bytes);
            (right && noted(&path) == bytes.len() as u64).then_some(bytes.len())
        });
        whole.max().unwrap_or(0)
    }
}

/// How much of a partial file can be gone on with: what its journal says, or all of a small file that is whole.
fn noted(partial: &Path) -> u64 {
    let mut journal = partial.as_os_str().to_owned();
    journal.push(".journal");
    if let Ok(text) = fs_err::read(Path::new(&journal)) {
        let journal: serde_json::Value = serde_json::from_slice(&text).expect("a journal is whole");
        let ranges = journal["done"].as_array().unwrap();
        return ranges
            .iter()
            .map(|range| range[1].as_u64().unwrap() - range[0].as_u64().unwrap())
            .sum();
    }
    let bytes = fs_err::read(partial).unwrap();
    let name = partial.file_name().unwrap().to_str().unwrap();
    let hashes = [GitOid::of(&bytes).to_string(), Sha256::of(&bytes).to_string()];
    let whole = bytes.len() <= 1 << 20 && hashes.iter().any(|hash| name.contains(hash));
    if whole { bytes.len() as u64 } else { 0 }
}

/// Who works through rounds: a proxy to count at, a scanner, a folder.
struct Worker<'a> {
    world: &'a World,
    proxy: Proxy,
    scanner: Scanner,
}

impl<'a> Worker<'a> {
    fn new(world: &'a World) -> Self {
        Self {
            world,
            proxy: Proxy::start(),
            scanner: Scanner::start(&world.env),
        }
    }

    /// Goes through a round; gives how many processes were killed.
    fn go(&mut self, number: usize, round: &Round) -> usize {
        let root = self.world.env.root().join(format!("cache-{number}"));
        if round.older {
            let copy = self
                .world
                .env
                .command("cp")
                .arg("-a")
                .arg(&self.world.older[&round.way]);
            let _ = copy.arg(&root).success();
        }
        let look = Look {
            world: self.world,
            way: round.way,
            root: &root,
        };
        let mut killed = 0;
        for kill in &round.kills {
            let status = self.run_and_kill(round.way, &root, kill);
            match (status.signal(), kill) {
                (Some(9), _) => killed += 1,
                // How often a step is passed may be up to the clock: how far the run before had come, who was first.
                (None, Kill::Step(_, nth)) if status.success() && (round.kills.len() > 1 || *nth > 1) => {}
                (None, Kill::Bytes(..)) if status.success() => {}
                _ => panic!("the process ended by itself: {status}"),
            }
            look.assert_sound(&mut self.scanner);
            if let (Some(9), Kill::Step(step, _)) = (status.signal(), kill) {
                // Here a file is whole, and only its name is missing: it counts.
                let least = match step.as_str() {
                    "the bytes are right" => 1 << 20,
                    "a small file is whole" | "a content is on the disk" => 1,
                    _ => 0,
                };
                assert!(least == 0 || look.whole() >= least, "a whole file is lost");
            }
        }
        let missing = look.missing();
        self.proxy.take();
        self.world.complete(round.way, &root, &self.proxy);
        let carried = self.proxy.take();
        let fetched = Carried::content_bytes(&carried);
        assert!(
            fetched <= missing,
            "{fetched} bytes were fetched where {missing} were missing: {carried:#?}"
        );

        look.assert_sound(&mut self.scanner);
        let folder = match round.way {
            Way::Folder => root.clone(),
            _ => root.join("models--ada--demo/snapshots").join(&self.world.head),
        };
        for (name, bytes) in self.world.files() {
            assert!(&fs_err::read(folder.join(name)).unwrap() == bytes, "{name}");
        }
        let left: Vec<String> = files_below(&root)
            .into_keys()
            .filter(|name| name.ends_with(".incomplete"))
            .collect();
        assert_eq!(left, [""; 0], "partial files are left");
        if round.way != Way::Folder {
            self.assert_cleaned(&root, &folder);
        }
        fs_err::remove_dir_all(&root).unwrap();
        killed
    }

    /// What killed processes have left is found and pruned, and nothing else is.
    fn assert_cleaned(&mut self, root: &Path, snapshot: &Path) {
        let now = PruneOptions {
            min_age: Duration::ZERO,
            ..PruneOptions::default()
        };
        DeletionPlan::prune(&scan(root).unwrap(), &now).execute().unwrap();
        for (name, path) in files_below(root) {
            let parts: Vec<&str> = name.split('/').collect();
            let known = match parts[..] {
                ["CACHEDIR.TAG"] | ["models--ada--demo", "refs", "main"] => true,
                [".locks", "models--ada--demo", lock] => lock.ends_with(".lock"),
                ["models--ada--demo", "blobs", blob] => matches!(blob.len(), 40 | 64),
                ["models--ada--demo", "trees", tree] => tree.len() == 45,
                ["models--ada--demo", "snapshots", ..] => path.starts_with(snapshot),
                _ => false,
            };
            assert!(known, "{name} is left");
        }
        let locks = fs_err::read_dir(root.join(".locks")).unwrap();
        let locks: Vec<_> = locks.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(locks, ["models--ada--demo"]);
        for (name, bytes) in self.world.files() {
            assert!(&fs_err::read(snapshot.join(name)).unwrap() == bytes, "{name}");
        }
        self.scanner.scan(root);
    }

    fn run_and_kill(&self, way: Way, root: &Path, kill: &Kill) -> ExitStatus {
        let command = self.world.command(way, root, &self.proxy);
        let before = self.proxy.bytes();
        let (bytes, pause) = match kill {
            Kill::Step(name, nth) => {
                return command
                    .env("HUB_FAULT_KILL_AT", format!("{name}:{nth}"))
                    .start()
                    .wait()
                    .unwrap();
            }
            Kill::Bytes(bytes, pause) => (*bytes, *pause),
        };
        let mut child = command.start();
        let began = Instant::now();
        while child.try_wait().unwrap().is_none() && self.proxy.bytes() - before < bytes {
            assert!(began.elapsed() < Duration::from_secs(60), "the download hangs");
            std::thread::sleep(Duration::from_micros(200));
        }
        std::thread::sleep(pause);
        // It may have ended by itself.
        let _ = child.kill();
        child.wait().unwrap()
    }

    /// The steps that a run passes, each with how often.
    fn steps(&self, way: Way, root: &Path) -> BTreeMap<String, u64> {
        let command = self.world.command(way, root, &self.proxy);
        let steps = traced_steps(command, &self.world.env.root().join("trace"));
        fs_err::remove_dir_all(root).unwrap();
        steps
    }
}

/// The steps that a command passes, each with how often.
fn traced_steps(command: Cmd, trace: &Path) -> BTreeMap<String, u64> {
    let _ = fs_err::remove_file(trace);
    let _ = command.env("HUB_FAULT_TRACE", trace).success();
    let text = fs_err::read_to_string(trace).expect("the hub binary was built with its fault hooks");
    let mut steps = BTreeMap::new();
    for line in text.lines() {
        *steps.entry(line.to_owned()).or_default() += 1;
    }
    steps
}

/// Rounds that kill at steps: at each one's first pass, or at every one; each step in the first way that has it.
fn rounds_of_steps(worker: &Worker<'_>, every: bool) -> Vec<Round> {
    let mut seen = BTreeSet::new();
    let mut rounds = Vec::new();
    let root = worker.world.env.root().join("traced");
    for way in Way::ALL {
        for resumed in [false, true] {
            let first = Kill::Step("bytes are written".to_owned(), 4);
            let earlier = if resumed { vec![first] } else { Vec::new() };
            for kill in &earlier {
                assert_eq!(worker.run_and_kill(way, &root, kill).signal(), Some(9));
            }
            for (name, passes) in worker.steps(way, &root) {
                // Listing, tag, ref and notes are all small files.
                let small = name.starts_with("a small file");
                if !every && !seen.insert((name.clone(), if small { way } else { Way::Cache })) {
                    continue;
                }
                // How often bytes are written and journals saved is up to the network's pieces and the clock.
                let varies = name.contains("bytes are written") || name.contains("journal");
                let last = match every {
                    true if varies => (passes / 3).max(1),
                    true => passes,
                    false if small => passes.min(3),
                    false => 1,
                };
                for nth in 1..=last {
                    let mut kills = earlier.clone();
                    kills.push(Kill::Step(name.clone(), nth));
                    rounds.push(Round {
                        way,
                        older: false,
                        kills,
                    });
                }
            }
        }
    }
    for step in [
        "a repository's folder is made",
        "a journal is written",
        "a partial file is taken over",
        "a content has its name",
        "a content is moved",
    ] {
        assert!(
            rounds
                .iter()
                .any(|round| matches!(round.kills.last(), Some(Kill::Step(name, _)) if name == step)),
            "{step}"
        );
    }
    rounds
}

/// A round of random kills; the same for the same number.
fn random_round(number: u64, bytes: u64) -> Round {
    let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x2545_f491_4f6c_dd1d;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let kills = (0..1 + next(3))
        .map(|_| Kill::Bytes(next(bytes), Duration::from_micros(next(4000))))
        .collect();
    Round {
        way: [Way::Cache, Way::Cache, Way::Cache, Way::Copies, Way::Folder][next(5) as usize],
        older: next(3) == 0,
        kills,
    }
}

#[test]
fn c_017_c_028_c_029_a_killed_process_leaves_a_cache_that_is_right() {
    let wanted = Env::process().number(HUB_TEST_KILLS).unwrap().unwrap_or(50) as usize;
    let every = wanted >= 500;
    let world = World::new();
    let first = Worker::new(&world);
    let steps = rounds_of_steps(&first, every);
    // In the long mode the kills at steps come on top.
    let least_at_random = if every {
        wanted
    } else {
        wanted.saturating_sub(steps.len()).max(wanted / 2)
    };
    let last_step = steps.len();
    let random = (0..).map(|number| random_round(number, world.bytes()));
    let rounds = Mutex::new(steps.into_iter().chain(random).enumerate());
    let killed = Mutex::new((0, 0));
    let work = |mut worker: Worker<'_>| {
        while killed.lock().unwrap().1 < least_at_random {
            let (number, round) = rounds.lock().unwrap().next().expect("random rounds do not end");
            let kills = std::panic::catch_unwind(AssertUnwindSafe(|| worker.go(number, &round)))
                .unwrap_or_else(|_| panic!("round {number}: {round:?}"));
            let mut killed = killed.lock().unwrap();
            killed.0 += kills;
            killed.1 += if number >= last_step { kills } else { 0 };
        }
    };
    std::thread::scope(|scope| {
        let second = scope.spawn(|| work(Worker::new(&world)));
        work(first);
        second.join().unwrap();
    });
    let (killed, _) = killed.into_inner().unwrap();
    assert!(killed >= wanted, "{killed} processes were killed");
}
