//! What is measured.

use std::cell::Cell;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fs_err as fs;
use xshell::Shell;

use super::files::{self, COMMIT, Nginx, Repo};
use super::link::{self, Link};
use super::measure::{Measured, Run, Stopwatch};
use super::peers::{Peers, XetPeers};
use super::{Tool, text};

/// One thing that all tools do.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) what: fn(&Bench<'_>) -> String,
    /// Ours comes first.
    pub(super) tools: for<'a> fn(&'a Bench<'a>) -> Result<Vec<Tool<'a>>>,
}

pub(super) const CASES: &[Case] = &[
    Case {
        name: "version",
        what: |_| "Start of the command (`version`)".to_owned(),
        tools: |bench| {
            Ok(vec![
                bench.version("hub", &bench.peers.hub),
                bench.version("hf", &bench.peers.hf),
            ])
        },
    },
    Case {
        name: "large",
        what: |_| "Download of one large file, hashes not checked".to_owned(),
        tools: |bench| {
            let peers = bench.peers;
            Ok(vec![
                bench.download("hub", &peers.hub, &bench.endpoint, LARGE, &[("HUB_VERIFY", "0")]),
                bench.peer("hf-hub", LARGE),
                bench.curl(&bench.endpoint, LARGE, usize::MAX),
                bench.aria2c("aria2c", &bench.endpoint, LARGE, 1),
                bench.download(
                    "hf with hf_transfer",
                    &peers.hf_transfer,
                    &bench.endpoint,
                    LARGE,
                    &[("HF_HUB_ENABLE_HF_TRANSFER", "1")],
                ),
            ])
        },
    },
    Case {
        name: "verified",
        what: |_| "Download of one large file, its hash checked (by `hub` alone; no other tool can)".to_owned(),
        tools: |bench| {
            let peers = bench.peers;
            Ok(vec![
                bench.download("hub", &peers.hub, &bench.endpoint, LARGE, &[]),
                bench.peer("hf-hub, unchecked", LARGE),
                bench.download("hf, unchecked", &peers.hf, &bench.endpoint, LARGE, &[]),
            ])
        },
    },
    Case {
        name: "limited",
        what: |bench| format!("Download of {}, 16 MB/s a connection", sized(bench.middle())),
        tools: |bench| bench.over_link(Duration::ZERO),
    },
    Case {
        name: "far",
        what: |bench| {
            format!(
                "Download of {}, 16 MB/s a connection, 80 ms round trip",
                sized(bench.middle())
            )
        },
        tools: |bench| bench.over_link(Duration::from_millis(80)),
    },
    Case {
        name: "small",
        what: |_| "Download of 1,000 files of 4 KiB".to_owned(),
        tools: |bench| Ok(bench.snapshots(SMALL)),
    },
    Case {
        name: "many",
        what: |_| "Download of 2,000 files of 16 KiB".to_owned(),
        tools: |bench| Ok(bench.snapshots(MANY)),
    },
    Case {
        name: "cached",
        what: |_| "Snapshot of 1,000 files that are all in the cache".to_owned(),
        tools: |bench| bench.cached(),
    },
    Case {
        name: "scan",
        what: |_| "List of a cache with 500 repositories of 20 files".to_owned(),
        tools: |bench| bench.scan(),
    },
    Case {
        name: "upload",
        what: |_| "Upload of one large LFS file".to_owned(),
        tools: |bench| {
            Ok(vec![
                bench.upload("hub", &bench.peers.hub),
                bench.upload("hf", &bench.peers.hf),
            ])
        },
    },
    Case {
        name: "upload-folder",
        what: |_| "Upload of 2,000 files of 16 KiB".to_owned(),
        tools: |bench| {
            files::many(&bench.dir.join("folder"), 2000, 16 << 10, 77)?;
            Ok(vec![
                bench.upload_folder("hub", &bench.peers.hub),
                bench.upload_folder("hf", &bench.peers.hf),
            ])
        },
    },
    Case {
        name: "upload-100k",
        what: |_| "Upload of 100,000 files of 16 bytes: what it takes of memory".to_owned(),
        tools: |bench| {
            files::many(&bench.dir.join("tiny"), 100_000, 16, 78)?;
            Ok(vec![bench.upload_tiny("hub", &bench.peers.hub)])
        },
    },
    Case {
        name: "xet-download",
        what: |bench| format!("Download of {} by Xet", sized(bench.middle())),
        tools: |bench| bench.xet_downloads(),
    },
    Case {
        name: "xet-upload",
        what: |bench| format!("Upload of {} by Xet, nothing of it there", sized(bench.middle())),
        tools: |bench| {
            let (peers, xet) = (bench.peers, bench.xet()?);
            Ok(vec![
                bench.xet_upload("hub", &xet.hub_program, &[]),
                bench.xet_upload("hf-hub", &peers.hf_hub, &["upload"]),
                bench.xet_upload("hf", &peers.hf, &[]),
            ])
        },
    },
];

/// A size as a person says it.
fn sized(bytes: u64) -> String {
    match bytes >> 20 {
        mebibytes if mebibytes % 1024 == 0 => format!("{} GiB", mebibytes / 1024),
        mebibytes => format!("{mebibytes} MiB"),
    }
}

/// Names of the repositories that nginx serves.
const LARGE: &str = "large";
const MIDDLE: &str = "middle";
const SMALL: &str = "small";
const MANY: &str = "many";
/// The one file of the first two.
const FILE: &str = "part-00000.bin";
/// Bytes a second that a limited connection carries.
const LIMIT: f64 = 16e6;

/// Where it all happens.
pub(super) struct Bench<'a> {
    dir: PathBuf,
    peers: &'a Peers,
    watch: Stopwatch,
    nginx: Nginx,
    /// nginx, as a Hub.
    endpoint: String,
    hub: Hub,
    xet: Option<Xet>,
    repos: Vec<Repo>,
    /// Of the large file, in bytes.
    size: u64,
    /// How many homes there have been.
    homes: Cell<u64>,
}

impl<'a> Bench<'a> {
    pub(super) fn start(sh: &Shell, dir: &Path, peers: &'a Peers, size: u64) -> Result<Self> {
        let size = size << 20;
        let repo = |name, files, size| Repo { name, files, size };
        let repos = vec![
            repo(LARGE, 1, size),
            repo(MIDDLE, 1, middle(size)),
            repo(SMALL, 1000, 4 << 10),
            repo(MANY, 2000, 16 << 10),
        ];
        let served = dir.join("nginx");
        fs::create_dir_all(&served)?;
        // Its workers are of another user.
        Command::new("chmod").arg("a+rx").arg(dir).arg(&served).status()?;
        let nginx = Nginx::start(sh, &peers.nginx, &served, &repos)?;
        Ok(Self {
            dir: dir.to_owned(),
            peers,
            watch: Stopwatch {
                time: peers.time.clone(),
                dir: dir.to_owned(),
            },
            endpoint: format!("http://{}", nginx.address),
            nginx,
            hub: Hub::start(&peers.hub, &dir.join("hub"), None)?,
            xet: peers.xet.as_ref().map(|peers| Xet::start(peers, dir)).transpose()?,
            repos,
            size,
            homes: Cell::new(0),
        })
    }

    /// Size of the file for what takes longer.
    fn middle(&self) -> u64 {
        middle(self.size)
    }

    fn xet(&self) -> Result<&Xet> {
        self.xet.as_ref().context("a case of Xet has a storage")
    }

    fn repo(&self, name: &str) -> &Repo {
        self.repos
            .iter()
            .find(|repo| repo.name == name)
            .expect("a case names a repository that is served")
    }

    fn tool(
        &'a self,
        name: &'static str,
        bytes: u64,
        most_runs: usize,
        run: impl Fn(usize) -> Result<Measured> + 'a,
    ) -> Tool<'a> {
        Tool {
            name,
            most_runs,
            bytes,
            run: Box::new(run),
        }
    }

    fn version(&'a self, name: &'static str, program: &'a Path) -> Tool<'a> {
        self.tool(name, 0, usize::MAX, move |_| {
            self.watch.run(&Run::new(program, &["version"]))
        })
    }

    /// An empty home for one run.
    fn home(&self) -> Result<PathBuf> {
        let home = self.dir.join(format!("home-{}", self.homes.get()));
        self.homes.set(self.homes.get() + 1);
        fs::create_dir(&home)?;
        Ok(home)
    }

    /// Frees the room of a large file. Many small ones stay until the end: ext4 passes over the places of files that were
    /// deleted in the last minutes, one by one, and whoever makes files next takes several times as long.
    fn leave(&self, home: &Path, repo: &Repo) -> Result<()> {
        if repo.files == 1 {
            fs::remove_dir_all(home)?;
        }
        Ok(())
    }

    /// Runs a client with an empty home, and checks that as many bytes lie there as were to come.
    fn fetch(
        &self,
        program: &Path,
        args: &[&str],
        endpoint: &str,
        repo: &str,
        more: &[(&'static str, &str)],
    ) -> Result<Measured> {
        let home = self.home()?;
        let mut run = Run::new(program, args)
            .with("HF_ENDPOINT", endpoint)
            .with("HF_HOME", text(&home)?);
        run.variables
            .extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        let measured = self.watch.run(&run)?;
        let repo = self.repo(repo);
        let blobs = home.join(format!("hub/models--bench--{}/blobs", repo.name));
        let there = fs::read_dir(&blobs).with_context(|| format!("{} is missing", blobs.display()))?;
        let there = there
            .map(|entry| Ok(entry?.metadata()?.len()))
            .collect::<Result<Vec<u64>>>()?;
        ensure!(
            there.iter().sum::<u64>() == repo.files * repo.size,
            "{} has fetched {} files of {} bytes",
            program.display(),
            there.len(),
            there.iter().sum::<u64>()
        );
        self.leave(&home, repo)?;
        Ok(measured)
    }

    /// `hub download` or `hf download` of a repository's one file.
    fn download(
        &'a self,
        name: &'static str,
        program: &'a Path,
        endpoint: &'a str,
        repo: &'static str,
        more: &'static [(&'static str, &'static str)],
    ) -> Tool<'a> {
        self.tool(name, self.repo(repo).size, usize::MAX, move |_| {
            let id = format!("bench/{repo}");
            self.fetch(program, &["download", &id, FILE, "--quiet"], endpoint, repo, more)
        })
    }

    fn peer(&'a self, name: &'static str, repo: &'static str) -> Tool<'a> {
        self.tool(name, self.repo(repo).size, usize::MAX, move |_| {
            let id = format!("bench/{repo}");
            self.fetch(&self.peers.hf_hub, &["file", &id, FILE], &self.endpoint, repo, &[])
        })
    }

    /// A tool that knows no Hub, on the file's address; `into` is its option for the folder.
    fn plain(&self, program: &Path, args: &[&str], into: &str, endpoint: &str, repo: &str) -> Result<Measured> {
        let home = self.home()?;
        let url = format!("{endpoint}/bench/{repo}/resolve/{COMMIT}/{FILE}");
        let args = [args, &[into, text(&home)?, &url]].concat();
        let measured = self.watch.run(&Run::new(program, &args))?;
        ensure!(
            fs::metadata(home.join(FILE))?.len() == self.repo(repo).size,
            "a file is not whole"
        );
        self.leave(&home, self.repo(repo))?;
        Ok(measured)
    }

    fn curl(&'a self, endpoint: &'a str, repo: &'static str, most_runs: usize) -> Tool<'a> {
        self.tool("curl -o", self.repo(repo).size, most_runs, move |_| {
            let args = ["--silent", "--show-error", "--fail", "-o", FILE];
            self.plain(&self.peers.curl, &args, "--output-dir", endpoint, repo)
        })
    }

    fn aria2c(&'a self, name: &'static str, endpoint: &'a str, repo: &'static str, connections: usize) -> Tool<'a> {
        self.tool(name, self.repo(repo).size, usize::MAX, move |_| {
            let (many, split) = (format!("-x{connections}"), format!("-s{connections}"));
            let args = [
                "--quiet",
                "--no-conf",
                &many,
                &split,
                "-k1M",
                "--file-allocation=falloc",
                "--out",
                FILE,
            ];
            self.plain(&self.peers.aria2c, &args, "--dir", endpoint, repo)
        })
    }

    fn over_link(&'a self, round_trip: Duration) -> Result<Vec<Tool<'a>>> {
        let link = Link {
            rate: LIMIT,
            round_trip,
        };
        let address: SocketAddr = link::proxy(self.nginx.address, link)?;
        // For as long as the process: a few bytes.
        let endpoint: &'static str = Box::leak(format!("http://{address}").into_boxed_str());
        Ok(vec![
            self.download("hub", &self.peers.hub, endpoint, MIDDLE, &[]),
            self.aria2c("aria2c -x16", endpoint, MIDDLE, 16),
            self.curl(endpoint, MIDDLE, 1),
        ])
    }

    fn snapshots(&'a self, repo: &'static str) -> Vec<Tool<'a>> {
        let id = format!("bench/{repo}");
        let bytes = self.repo(repo).files * self.repo(repo).size;
        let official = |name, program: &'a Path| {
            let id = id.clone();
            self.tool(name, bytes, usize::MAX, move |_| {
                self.fetch(program, &["download", &id, "--quiet"], &self.endpoint, repo, &[])
            })
        };
        let peer = {
            let id = id.clone();
            self.tool("hf-hub", bytes, usize::MAX, move |_| {
                self.fetch(&self.peers.hf_hub, &["snapshot", &id], &self.endpoint, repo, &[])
            })
        };
        vec![official("hub", &self.peers.hub), peer, official("hf", &self.peers.hf)]
    }

    fn cached(&'a self) -> Result<Vec<Tool<'a>>> {
        let id = format!("bench/{SMALL}");
        let home = self.dir.join("cached");
        let run = move |program: &'a Path, first: &str, id: &str| {
            let args = if first == "snapshot" {
                vec!["snapshot", id]
            } else {
                vec!["download", id, "--quiet"]
            };
            Run::new(program, &args)
                .with("HF_ENDPOINT", self.endpoint.as_str())
                .with("HF_HOME", home.to_string_lossy())
        };
        self.watch.run(&run(&self.peers.hub, "download", &id))?;
        let tool = |name, program: &'a Path, first: &'static str, id: String| {
            let run = run.clone();
            self.tool(name, 0, usize::MAX, move |_| self.watch.run(&run(program, first, &id)))
        };
        let at_commit = {
            let run = run.clone();
            let id = id.clone();
            self.tool("hub, at a commit", 0, usize::MAX, move |_| {
                let mut run = run(&self.peers.hub, "download", &id);
                run.args.extend(["--revision".to_owned(), COMMIT.to_owned()]);
                self.watch.run(&run)
            })
        };
        Ok(vec![
            tool("hub", &self.peers.hub, "download", id.clone()),
            at_commit,
            tool("hf-hub", &self.peers.hf_hub, "snapshot", id.clone()),
            tool("hf", &self.peers.hf, "download", id),
        ])
    }

    fn scan(&'a self) -> Result<Vec<Tool<'a>>> {
        let home = self.dir.join("scanned");
        for repo in 0..500 {
            let dir = home.join(format!("hub/models--bench--repo-{repo}"));
            let snapshot = dir.join("snapshots").join(COMMIT);
            fs::create_dir_all(&snapshot)?;
            fs::create_dir_all(dir.join("blobs"))?;
            fs::create_dir_all(dir.join("refs"))?;
            fs::write(dir.join("refs/main"), COMMIT)?;
            for file in 0..20 {
                let blob = format!("{:040x}", repo * 100 + file);
                fs::write(dir.join("blobs").join(&blob), vec![b'x'; 100 + file])?;
                std::os::unix::fs::symlink(format!("../../blobs/{blob}"), snapshot.join(format!("file-{file}.txt")))?;
            }
        }
        let list = |name, program: &'a Path| {
            let home = home.clone();
            self.tool(name, 0, usize::MAX, move |_| {
                let run = Run::new(program, &["cache", "ls", "--quiet"]).with("HF_HOME", home.to_string_lossy());
                self.watch.run(&run)
            })
        };
        Ok(vec![list("hub", &self.peers.hub), list("hf", &self.peers.hf)])
    }

    /// Runs an upload to the embedded Hub.
    fn send(&self, program: &Path, args: &[&str]) -> Result<Measured> {
        let home = self.home()?;
        self.watch.run(
            &Run::new(program, args)
                .with("HF_ENDPOINT", self.hub.url.as_str())
                .with("HF_TOKEN", self.hub.token.as_str())
                .with("HF_HUB_DISABLE_XET", "1")
                .with("HF_HOME", text(&home)?),
        )
    }

    fn upload_tiny(&'a self, name: &'static str, program: &'a Path) -> Tool<'a> {
        // Minutes, and always as many.
        self.tool(name, 100_000 * 16, 1, move |number| {
            let id = format!("local/{name}-tiny-{number}");
            let folder = self.dir.join("tiny");
            self.send(program, &["upload", &id, text(&folder)?, "--quiet"])
        })
    }

    /// Runs a client against the Hub that has a storage for Xet.
    fn with_xet(&self, program: &Path, args: &[&str], home: &Path) -> Result<Measured> {
        let hub = &self.xet()?.hub;
        self.watch.run(
            &Run::new(program, args)
                .with("HF_ENDPOINT", hub.url.as_str())
                .with("HF_TOKEN", hub.token.as_str())
                .with("HF_HOME", text(home)?),
        )
    }

    fn xet_downloads(&'a self) -> Result<Vec<Tool<'a>>> {
        let (peers, xet) = (self.peers, self.xet()?);
        let file = self.dir.join("upload.bin");
        files::noise(&file, self.middle(), 99)?;
        self.with_xet(
            &xet.hub_program,
            &["upload", "local/xet", text(&file)?, FILE, "--quiet"],
            &self.home()?,
        )?;
        self.came_by_xet()?;
        let tool = |name, program: &'a Path, args: &'static [&'static str]| {
            self.tool(name, self.middle(), usize::MAX, move |_| {
                let home = self.home()?;
                let measured = self.with_xet(program, args, &home)?;
                let blobs = home.join("hub/models--local--xet/blobs");
                // A blob may be a link to what repositories share.
                let sizes = fs::read_dir(&blobs)?.map(|entry| Ok(fs::metadata(entry?.path())?.len()));
                let there: u64 = sizes.sum::<Result<u64>>()?;
                ensure!(there == self.middle(), "{name} has fetched {there} bytes");
                // An endless cache would make the next runs faster than the first.
                fs::remove_dir_all(&home)?;
                Ok(measured)
            })
        };
        let command: &[&str] = &["download", "local/xet", FILE, "--quiet"];
        Ok(vec![
            tool("hub", &xet.hub_program, command),
            tool("hf-hub", &peers.hf_hub, &["file", "local/xet", FILE]),
            tool("hf", &peers.hf, command),
        ])
    }

    /// `hub upload` and `hf upload`, or `peer upload`.
    fn xet_upload(&'a self, name: &'static str, program: &'a Path, words: &'static [&'static str]) -> Tool<'a> {
        self.tool(name, self.middle(), usize::MAX, move |number| {
            let file = self.dir.join("upload.bin");
            // Other bytes in each run: a storage that has them would ask for none.
            files::noise(&file, self.middle(), 5000 + name.len() as u64 * 1000 + number as u64)?;
            let id = format!("local/xet-{name}-{number}");
            let home = self.home()?;
            let hub = &self.xet()?.hub_program;
            self.with_xet(hub, &["repos", "create", &id, "--quiet"], &home)?;
            let file = text(&file)?;
            let measured = match words {
                [] => self.with_xet(program, &["upload", &id, file, "large.bin", "--quiet"], &home)?,
                words => self.with_xet(program, &[words, &[&id, file, "large.bin"]].concat(), &home)?,
            };
            self.came_by_xet()?;
            Ok(measured)
        })
    }

    /// A file that had come through LFS would lie in the Hub's own store.
    fn came_by_xet(&self) -> Result<()> {
        let stored = large_files(&self.dir.join("xet-hub/lfs"), self.middle())?;
        ensure!(stored.is_empty(), "a file has come through LFS and not by Xet");
        Ok(())
    }

    fn upload(&'a self, name: &'static str, program: &'a Path) -> Tool<'a> {
        self.tool(name, self.size, usize::MAX, move |number| {
            let file = self.dir.join("upload.bin");
            // Other bytes in each run: a Hub that has them would ask for none.
            files::noise(&file, self.size, name.len() as u64 * 1000 + number as u64)?;
            let stored = || large_files(&self.dir.join("hub/lfs"), self.size);
            // At the last moment: memory that lies idle for long costs a virtual machine more than all else.
            for path in stored()? {
                fs::remove_file(path)?;
            }
            let id = format!("local/{name}-{number}");
            let measured = self.send(program, &["upload", &id, text(&file)?, "large.bin", "--quiet"])?;
            ensure!(stored()?.len() == 1, "{name} has not stored one file");
            Ok(measured)
        })
    }

    fn upload_folder(&'a self, name: &'static str, program: &'a Path) -> Tool<'a> {
        self.tool(name, 2000 * (16 << 10), usize::MAX, move |number| {
            let id = format!("local/{name}-folder-{number}");
            let folder = self.dir.join("folder");
            self.send(program, &["upload", &id, text(&folder)?, "--quiet"])
        })
    }
}

/// The files below a folder that have so many bytes or more.
fn large_files(folder: &Path, size: u64) -> Result<Vec<PathBuf>> {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.metadata()?.len() >= size {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

fn middle(size: u64) -> u64 {
    size.min(1 << 30)
}

/// What stands for the Hub in cases of Xet.
struct Xet {
    hub: Hub,
    _storage: Storage,
    hub_program: PathBuf,
}

impl Xet {
    fn start(peers: &XetPeers, dir: &Path) -> Result<Self> {
        let storage = Storage::start(&peers.storage)?;
        Ok(Self {
            hub: Hub::start(&peers.hub, &dir.join("xet-hub"), Some(&storage.url))?,
            _storage: storage,
            hub_program: peers.hub.clone(),
        })
    }
}

/// The storage; it ends when this is dropped.
struct Storage {
    child: Child,
    url: String,
}

impl Storage {
    fn start(program: &Path) -> Result<Self> {
        let mut child = Command::new(program)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the storage")?;
        let stdout = child.stdout.take().context("stdout is piped")?;
        let mut storage = Self {
            child,
            url: String::new(),
        };
        BufReader::new(stdout).read_line(&mut storage.url)?;
        storage.url = storage.url.trim().to_owned();
        ensure!(storage.url.starts_with("http://"), "the storage named no address");
        Ok(storage)
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        // It waits for the end of its input.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

/// `hub serve`; it ends when this is dropped.
struct Hub {
    child: Child,
    url: String,
    token: String,
}

impl Hub {
    /// With its folder, and the address of a storage for Xet if it has one.
    fn start(program: &Path, root: &Path, storage: Option<&str>) -> Result<Self> {
        let mut child = Command::new(program)
            .args(["serve", "--json", "--port", "0", "--root"])
            .arg(root)
            .args(storage.iter().flat_map(|url| ["--xet-cas", url]))
            .env("HOME", root)
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start hub serve")?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("stdout is piped")?;
        let read = BufReader::new(stdout).read_line(&mut line);
        // From here on the child ends with the value.
        let mut hub = Self {
            child,
            url: String::new(),
            token: String::new(),
        };
        read?;
        let ready: serde_json::Value = serde_json::from_str(&line).context("hub serve did not say that it is ready")?;
        let field = |name: &str| ready[name].as_str().map(str::to_owned);
        hub.url = field("url").context("hub serve named no url")?;
        hub.token = field("token").context("hub serve named no token")?;
        Ok(hub)
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // So that it frees its folder in order.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
