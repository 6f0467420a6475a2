//! What is transferred, and nginx serving it as the Hub does, so that clients are measured and not our server.

use fs_err::{self as fs, File};
use std::fmt::Write as _;
use std::io::{BufWriter, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use xshell::{Shell, cmd};

/// The commit of all repositories that nginx serves.
pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Writes a file of so many bytes that no compression shortens.
pub(super) fn noise(path: &Path, size: u64, seed: u64) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut left = size;
    while left > 0 {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let bytes = state.to_le_bytes();
        let take = left.min(8) as usize;
        out.write_all(&bytes[..take])?;
        left -= take as u64;
    }
    out.flush()?;
    Ok(())
}

/// Writes so many files of one size.
pub(super) fn many(dir: &Path, count: u64, size: u64, seed: u64) -> Result<()> {
    fs::create_dir_all(dir)?;
    for number in 0..count {
        noise(
            &dir.join(format!("part-{number:05}.bin")),
            size,
            seed * 1_000_003 + number,
        )?;
    }
    Ok(())
}

/// A repository that nginx serves.
pub(super) struct Repo {
    /// Behind `bench/`.
    pub(super) name: &'static str,
    pub(super) files: u64,
    /// Of each file, in bytes.
    pub(super) size: u64,
}

/// nginx; it ends when this is dropped.
pub(super) struct Nginx {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Nginx {
    /// Makes the repositories below `dir` and serves them.
    pub(super) fn start(sh: &Shell, program: &Path, dir: &Path, repos: &[Repo]) -> Result<Self> {
        let mut hashes = String::new();
        fs::create_dir_all(dir.join("api"))?;
        for (number, repo) in (0..).zip(repos) {
            let folder = dir.join("files").join(repo.name);
            many(&folder, repo.files, repo.size, number)?;
            fs::write(
                dir.join(format!("api/{}-tree.json", repo.name)),
                tree(sh, &folder, repo, &mut hashes)?,
            )?;
            fs::write(dir.join(format!("api/{}.json", repo.name)), info(&folder, repo)?)?;
        }
        fs::write(dir.join("hashes"), hashes)?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let config = dir.join("nginx.conf");
        fs::write(&config, configuration(dir, address)?)?;
        let child = Command::new(program)
            .arg("-c")
            .arg(&config)
            .arg("-p")
            .arg(dir)
            .stdout(Stdio::null())
            .spawn()
            .context("cannot start nginx")?;
        // From here on it ends with the value.
        let mut nginx = Self { child, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            if let Some(status) = nginx.child.try_wait()? {
                bail!("nginx ended: {status}");
            }
            ensure!(begun.elapsed() < Duration::from_secs(10), "nginx does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(nginx)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGTERM ends its workers too.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

fn configuration(dir: &Path, address: SocketAddr) -> Result<String> {
    let dir = dir.to_str().context("the temporary folder's name is text")?;
    // Its own ETag would be of its own kind; the Hub's is the content's hash.
    Ok(format!(
        r#"
daemon off;
worker_processes auto;
pid {dir}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  etag off;
  client_body_temp_path {dir}/temp1;
  proxy_temp_path {dir}/temp2;
  fastcgi_temp_path {dir}/temp3;
  uwsgi_temp_path {dir}/temp4;
  scgi_temp_path {dir}/temp5;
  map_hash_bucket_size 256;
  map_hash_max_size 65536;
  map "$repo/$path" $hash {{ include {dir}/hashes; }}
  server {{
    listen {address};
    location ~ "^/bench/(?<repo>[^/]+)/resolve/[^/]+/(?<path>.+)$" {{
      default_type application/octet-stream;
      add_header X-Repo-Commit {COMMIT};
      add_header ETag '"$hash"';
      alias {dir}/files/$repo/$path;
    }}
    # What clients ask a Hub beside files.
    location /api/agent-harnesses {{
      types {{ }}
      default_type application/json;
      return 200 '{{}}';
    }}
    location ~ "^/api/models/bench/(?<repo>[^/]+)/tree/" {{
      types {{ application/json json; }}
      alias {dir}/api/$repo-tree.json;
    }}
    location ~ "^/api/models/bench/(?<repo>[^/]+)(/revision/[^/]+)?$" {{
      types {{ application/json json; }}
      alias {dir}/api/$repo.json;
    }}
  }}
}}
"#
    ))
}

fn paths(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<PathBuf>>>()?;
    paths.sort();
    Ok(paths)
}

fn name(path: &Path) -> &str {
    path.file_name()
        .and_then(|name| name.to_str())
        .expect("the names are ours")
}

/// What the Hub says of a repository's files. Large ones are LFS files.
fn tree(sh: &Shell, folder: &Path, repo: &Repo, hashes: &mut String) -> Result<String> {
    let paths = paths(folder)?;
    let lfs = repo.size > 10 << 20;
    let list = paths
        .iter()
        .map(|path| format!("{}\n", path.display()))
        .collect::<String>();
    let files = &paths;
    let found = if lfs {
        let sums = cmd!(sh, "sha256sum {files...}").quiet().read()?;
        sums.lines()
            .filter_map(|line| line.split(' ').next())
            .map(str::to_owned)
            .collect::<Vec<_>>()
    } else {
        let sums = cmd!(sh, "git hash-object --no-filters --stdin-paths")
            .stdin(list)
            .quiet()
            .read()?;
        sums.lines().map(str::to_owned).collect()
    };
    ensure!(found.len() == paths.len(), "a file has no hash");
    let mut entries = Vec::new();
    for (path, hash) in paths.iter().zip(found) {
        writeln!(hashes, "\"{}/{}\" {hash};", repo.name, name(path))?;
        let mut entry = serde_json::json!({ "type": "file", "oid": hash, "size": repo.size, "path": name(path) });
        if lfs {
            // A pointer's own id, which nobody asks for.
            entry["oid"] = COMMIT.into();
            entry["lfs"] = serde_json::json!({ "oid": hash, "size": repo.size, "pointerSize": 135 });
        }
        entries.push(entry);
    }
    Ok(serde_json::Value::from(entries).to_string())
}

fn info(folder: &Path, repo: &Repo) -> Result<String> {
    let siblings: Vec<_> = paths(folder)?
        .iter()
        .map(|path| serde_json::json!({ "rfilename": name(path) }))
        .collect();
    let id = format!("bench/{}", repo.name);
    Ok(serde_json::json!({
        "_id": "0", "id": id, "modelId": id, "sha": COMMIT, "private": false, "disabled": false, "gated": false,
        "downloads": 0, "likes": 0, "tags": [], "siblings": siblings,
        "createdAt": "2026-01-01T00:00:00.000Z", "lastModified": "2026-01-01T00:00:00.000Z",
    })
    .to_string())
}
