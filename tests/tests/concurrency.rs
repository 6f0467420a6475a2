//! Many at once in one cache: processes and threads of ours, and of both releases of the official client.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout};

use hub_cache::{HubCache, scan};
use hub_http::HfApi;
use hub_tests::{ADA, Carried, Proxy, Python, Scanner, TestEnv, noise};
use hub_types::Token;

/// Small ones and large ones, and some that are alike.
fn files() -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for number in 0..30 {
        files.insert(format!("texts/{number}.txt"), format!("text {number}\n").into_bytes());
    }
    for number in 0..4 {
        files.insert(format!("large/{number}.bin"), noise(2_500_000, number));
        files.insert(format!("copies/{number}.bin"), noise(2_500_000, number));
        files.insert(format!("copies/{number}.txt"), format!("text {number}\n").into_bytes());
    }
    files
}

#[track_caller]
fn assert_files(folder: &Path, files: &BTreeMap<String, Vec<u8>>) {
    for (name, bytes) in files {
        assert!(
            &fs_err::read(folder.join(name)).unwrap() == bytes,
            "{name} has other bytes"
        );
    }
}

/// Every content was answered once, and once only; `.gitattributes` is among them or not.
#[track_caller]
fn assert_fetched_once(carried: &[Carried], contents: usize) {
    assert_eq!(Carried::fetched_again(carried), Vec::<&str>::new());
    let others: BTreeSet<&str> = carried
        .iter()
        .filter(|one| one.is_whole_content() && !one.address.ends_with(".gitattributes"))
        .map(|one| one.address.as_str())
        .collect();
    assert_eq!(others.len(), contents, "{others:#?}");
}

/// Nothing is left but contents and links to them.
#[track_caller]
fn assert_clean(cache: &Path, scanner: &mut Scanner) {
    let report = scan(cache).unwrap();
    assert_eq!(report.warnings, []);
    assert_eq!((report.partials, report.leftovers), (vec![], vec![]));
    scanner.scan(cache);
}

#[test]
fn eight_processes_of_eight_threads_fetch_every_file_once() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let files = files();
    hub.commit("ada/demo", &files);
    let proxy = Proxy::start();
    let cache = env.root().join("cache");
    let mut processes: Vec<Child> = (0..8)
        .map(|_| {
            let command = env.command(env!("CARGO_BIN_EXE_snapshot")).arg("ada/demo").arg(&cache);
            command.arg("8").env("http_proxy", proxy.url()).start()
        })
        .collect();
    for process in &mut processes {
        writeln!(process.stdin.as_mut().unwrap(), "go").unwrap();
    }
    let folders: Vec<PathBuf> = processes
        .into_iter()
        .map(|process| {
            let output = process.wait_with_output().unwrap();
            assert!(output.status.success(), "{}", output.status);
            PathBuf::from(String::from_utf8(output.stdout).unwrap().trim_end())
        })
        .collect();
    assert!(folders.iter().all(|folder| *folder == folders[0]), "{folders:?}");
    assert_files(&folders[0], &files);
    assert_fetched_once(&proxy.take(), 30 + 4);
    assert_clean(&cache, &mut Scanner::start(&env));
}

/// An official client that downloads a snapshot whenever it is told to.
struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn start(env: &TestEnv, python: Python, proxy: &Proxy) -> Self {
        let command = env.python(python, "python/rounds.py", ["ada/demo"]);
        let mut child = command.env("http_proxy", proxy.url()).start();
        let mut peer = Self {
            input: child.stdin.take().unwrap(),
            output: BufReader::new(child.stdout.take().unwrap()),
            child,
        };
        assert_eq!(peer.answer(), "ready");
        peer
    }

    fn ask(&mut self, cache: &Path) {
        writeln!(self.input, "{}", cache.display()).unwrap();
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn c_030_ours_and_both_official_clients_fill_one_cache_round_after_round() {
    const ROUNDS: u32 = 12;
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let proxy = Proxy::start();
    let mut scanner = Scanner::start(&env);
    let mut peers = Python::ALL.map(|python| Peer::start(&env, python, &proxy));
    let builder = HfApi::builder().endpoint(hub.url()).token(Token::new(ADA).unwrap());
    let api = builder.proxy(proxy.url()).build().unwrap();

    let mut files: BTreeMap<String, Vec<u8>> = files()
        .into_iter()
        .filter(|(name, _)| !name.starts_with("copies/"))
        .collect();
    let mut cache = env.root().join("cache-0");
    for round in 0..ROUNDS {
        // A new cache now and then; otherwise the next commit of what is there.
        let changed = if round % 4 == 0 {
            cache = env.root().join(format!("cache-{round}"));
            files.len()
        } else {
            5
        };
        for number in 0..4 {
            files.insert(
                format!("texts/{number}.txt"),
                format!("text {number} of round {round}\n").into_bytes(),
            );
        }
        files.insert("large/0.bin".to_owned(), noise(2_500_000, 100 + round));
        hub.commit("ada/demo", &files);

        let place = cache.clone();
        let ours = || {
            let cache = HubCache::new(api.clone(), &place);
            cache.snapshot_download("ada/demo").wait().unwrap()
        };
        let folders = std::thread::scope(|scope| {
            for peer in &mut peers {
                peer.ask(&place);
            }
            let binary = scope.spawn(|| {
                let command = env.hub(["--quiet", "download", "ada/demo", "--cache-dir"]).arg(&place);
                let output = command.env("http_proxy", proxy.url()).success();
                PathBuf::from(output.stdout.trim_end())
            });
            let running = [scope.spawn(ours), scope.spawn(ours), binary];
            let mut folders: Vec<PathBuf> = running.into_iter().map(|thread| thread.join().unwrap()).collect();
            folders.extend(peers.iter_mut().map(|peer| PathBuf::from(peer.answer())));
            folders
        });
        assert!(
            folders.iter().all(|folder| *folder == folders[0]),
            "round {round}: {folders:?}"
        );
        assert_files(&folders[0], &files);
        assert_fetched_once(&proxy.take(), changed);
        assert_clean(&cache, &mut scanner);
    }
}
