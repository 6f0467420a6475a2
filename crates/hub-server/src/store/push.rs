//! Receiving a push.
//!
//! The server's half of git's push protocol, for which `git receive-pack` is not run: what the Hub checks before a ref
//! moves (large files, pointers to files that never came) it would have to check in a hook, that is in a shell script
//! which knows nothing of the database. Instead the pack goes through `git index-pack` into a quarantine of its own, is
//! checked there, and moves into the repository whole or not at all.
//!
//! The protocol is that of `gitprotocol-pack`, version 0, without the extensions that are not offered.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use git2::{ObjectType, Oid};
use hub_types::Revision;

use crate::error::{Error, Result};
use crate::store::git::LARGE;
use crate::store::lfs::Pointer;
use crate::store::{GitRepo, Repo, Store};

/// What is offered, and so may be asked for.
const CAPABILITIES: &str =
    "report-status delete-refs side-band-64k quiet atomic ofs-delta object-format=sha1 agent=hub-server";

/// Refs that one push may change.
const COMMANDS_LIMIT: usize = 10_000;

/// What a pkt-line may carry.
const PACKET: usize = 65_515;

/// A `git` with an environment that is chosen here: nothing of the server's own reaches it but where programs are.
pub(crate) fn git_command() -> Command {
    let mut command = Command::new("git");
    command.env_clear();
    for (name, value) in hub_types::env::Env::process().iter() {
        let keep = ["PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "LD_LIBRARY_PATH"];
        if keep.iter().any(|kept| name.eq_ignore_ascii_case(kept)) {
            command.env(name, value);
        }
    }
    command
        .env("LC_ALL", "C")
        .env("HOME", "/nonexistent")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        // The folder is ours whoever owns it: it may lie on a mounted volume.
        .env("GIT_CONFIG_COUNT", "1")
        .env("GIT_CONFIG_KEY_0", "safe.directory")
        .env("GIT_CONFIG_VALUE_0", "*");
    command
}

fn packet(out: &mut Vec<u8>, payload: &[u8]) {
    let _ = write!(out, "{:04x}", payload.len() + 4);
    out.extend_from_slice(payload);
}

/// The refs, as a push is told them first.
pub(crate) fn advertisement(git: &GitRepo) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    packet(&mut out, b"# service=git-receive-pack\n");
    out.extend_from_slice(b"0000");
    let mut refs = Vec::new();
    for reference in git.0.references()? {
        let reference = reference?;
        if let (Ok(name), Some(oid)) = (reference.name(), reference.target()) {
            refs.push(format!("{oid} {name}"));
        }
    }
    refs.sort_by(|a, b| a[40..].cmp(&b[40..]));
    if refs.is_empty() {
        refs.push(format!("{} capabilities^{{}}", Oid::ZERO_SHA1));
    }
    for (index, line) in refs.iter().enumerate() {
        let line = if index == 0 {
            format!("{line}\0{CAPABILITIES}\n")
        } else {
            format!("{line}\n")
        };
        packet(&mut out, line.as_bytes());
    }
    out.extend_from_slice(b"0000");
    Ok(out)
}

/// One ref that a push wants to move.
#[derive(Debug)]
struct RefUpdate {
    old: Option<Oid>,
    new: Option<Oid>,
    name: String,
    /// Why not.
    refused: Option<String>,
}

/// A push as asked for.
#[derive(Debug, Default)]
struct Request {
    updates: Vec<RefUpdate>,
    capabilities: String,
}

impl Request {
    fn asks(&self, capability: &str) -> bool {
        self.capabilities.split(' ').any(|word| word == capability)
    }
}

fn broken(what: &str) -> Error {
    Error::bad_request(format!("not a git push: {what}"))
}

/// Reads one pkt-line; `None` for a flush.
fn read_packet(input: &mut impl Read) -> Result<Option<Vec<u8>>> {
    let mut digits = [0; 4];
    input.read_exact(&mut digits).map_err(|_| broken("it ends early"))?;
    let length = std::str::from_utf8(&digits)
        .ok()
        .and_then(|text| usize::from_str_radix(text, 16).ok())
        .ok_or_else(|| broken("no pkt-line"))?;
    if length == 0 {
        return Ok(None);
    }
    let mut payload = vec![0; length.checked_sub(4).ok_or_else(|| broken("no pkt-line"))?];
    input.read_exact(&mut payload).map_err(|_| broken("it ends early"))?;
    Ok(Some(payload))
}

fn read_request(input: &mut impl Read) -> Result<Request> {
    let mut request = Request::default();
    while let Some(payload) = read_packet(input)? {
        let text = String::from_utf8(payload).map_err(|_| broken("a name is not UTF-8"))?;
        let line = match text.split_once('\0') {
            Some((line, capabilities)) => {
                request.capabilities = capabilities.trim_end_matches('\n').to_owned();
                line
            }
            None => text.trim_end_matches('\n'),
        };
        if line.starts_with("shallow ") {
            // What a shallow clone pushes is checked to be complete here like everything else.
            continue;
        }
        let mut words = line.splitn(3, ' ');
        let mut oid = || -> Result<Option<Oid>> {
            let text = words.next().unwrap_or_default();
            let oid = Oid::from_str(text).map_err(|_| broken("no object id"))?;
            if text.len() != 40 {
                return Err(broken("no object id"));
            }
            Ok((!oid.is_zero()).then_some(oid))
        };
        let (old, new) = (oid()?, oid()?);
        let name = words.next().ok_or_else(|| broken("no ref"))?.to_owned();
        request.updates.push(RefUpdate {
            old,
            new,
            name,
            refused: None,
        });
        if request.updates.len() > COMMANDS_LIMIT {
            return Err(broken("too many refs"));
        }
    }
    Ok(request)
}

/// Who pushes.
#[derive(Debug, Clone)]
pub(crate) struct Pusher {
    pub(crate) name: String,
    /// Whether they may push to the pull requests that they have opened and to nothing else.
    pub(crate) only_proposes: bool,
}

impl Pusher {
    /// What they may not do.
    fn check(&self, store: &Store, repo: &Repo, update: &RefUpdate) -> Result<Option<String>> {
        if !self.only_proposes {
            return Ok(None);
        }
        let num = update.name.strip_prefix("refs/pr/").and_then(|num| num.parse().ok());
        let opened = num.map(|num| store.db.discussion(repo, num)).transpose();
        match opened {
            Ok(Some(opened)) if opened.author == self.name => Ok(None),
            Ok(_) | Err(Error::NotFound(_)) => Ok(Some(
                "you may push to the pull requests that you opened only".to_owned(),
            )),
            Err(err) => Err(err),
        }
    }
}

/// Takes a push and gives the reply's body.
pub(crate) fn receive(store: &Store, repo: &Repo, pusher: &Pusher, input: impl Read) -> Result<Vec<u8>> {
    let mut input = BufReader::with_capacity(1 << 16, input);
    let mut request = read_request(&mut input)?;
    let mut talk = String::new();
    let mut unpacked: Result<(), String> = Ok(());
    if !request.updates.is_empty() {
        let git = store.git(repo)?;
        for update in &mut request.updates {
            update.refused = match check_name(&git, update)? {
                None => pusher.check(store, repo, update)?,
                refused => refused,
            };
        }
        let quarantine = Quarantine::new(&store.repo_dir(&repo.id))?;
        if request.updates.iter().any(|update| update.new.is_some()) {
            unpacked = match input.fill_buf() {
                Ok([]) => Ok(()),
                Ok(_) => quarantine.unpack(&mut input)?,
                Err(_) => return Err(broken("it ends early")),
            };
        }
        if unpacked.is_ok() {
            let wanted: Vec<Oid> = request.updates.iter().filter_map(|update| update.new).collect();
            if let Some(reason) = quarantine.check(store, repo, &wanted, &mut talk)? {
                refuse_all(&mut request, &reason);
            }
        } else {
            refuse_all(&mut request, "unpacker error");
        }
        if request.asks("atomic") && request.updates.iter().any(|update| update.refused.is_some()) {
            refuse_all(&mut request, "atomic push failed");
        }
        if request.updates.iter().any(|update| update.refused.is_none()) {
            quarantine.release()?;
            store.locked(repo, || apply(store, repo, &git, &pusher.name, &mut request))?;
            store.index(repo)?;
        }
    }
    Ok(reply(&request, &unpacked, &talk))
}

fn refuse_all(request: &mut Request, reason: &str) {
    for update in &mut request.updates {
        update.refused.get_or_insert_with(|| reason.to_owned());
    }
}

/// What is wrong with a ref's name, or with what is to become of it.
fn check_name(git: &GitRepo, update: &RefUpdate) -> Result<Option<String>> {
    let name = &update.name;
    let refuse = |reason: &str| Ok(Some(reason.to_owned()));
    let valid = name.parse::<Revision>().is_ok() && git2::Reference::is_valid_name(name);
    if !valid {
        return refuse("funny refname");
    }
    if name.starts_with("refs/pr/") {
        if update.new.is_none() {
            return refuse("a pull request's ref cannot be deleted");
        }
        if git.ref_target(name)?.is_none() {
            return refuse("no such pull request: open it first");
        }
        return Ok(None);
    }
    if !["refs/heads/", "refs/tags/", "refs/convert/"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
    {
        return refuse("only branches, tags and pull requests can be pushed");
    }
    if name == "refs/heads/main" && update.new.is_none() {
        return refuse("deletion of the main branch is prohibited");
    }
    Ok(None)
}

/// Moves the refs. The caller holds the repository's lock.
fn apply(store: &Store, repo: &Repo, git: &GitRepo, pusher: &str, request: &mut Request) -> Result<()> {
    let atomic = request.asks("atomic");
    let stands = |update: &RefUpdate| -> Result<bool> {
        let now = match git.0.find_reference(&update.name) {
            Ok(reference) => reference.target(),
            Err(_) => None,
        };
        Ok(now == update.old)
    };
    if atomic {
        let mut all = true;
        for update in &request.updates {
            all &= stands(update)?;
        }
        if !all {
            refuse_all(request, "atomic push failed: a ref has moved");
            return Ok(());
        }
    }
    for update in &mut request.updates {
        if update.refused.is_some() {
            continue;
        }
        if !stands(update)? {
            update.refused = Some("fetch first: the ref has moved".to_owned());
            continue;
        }
        let moved = match update.new {
            Some(new) if update.name.starts_with("refs/heads/") && git.0.find_commit(new).is_err() => {
                Err("a branch must be a commit".to_owned())
            }
            Some(new) => git
                .0
                .reference(&update.name, new, true, &format!("push by {pusher}"))
                .map(drop)
                .map_err(|err| err.message().to_owned()),
            None => match git.0.find_reference(&update.name) {
                Ok(mut reference) => reference.delete().map_err(|err| err.message().to_owned()),
                Err(_) => Ok(()),
            },
        };
        match moved {
            Err(reason) => update.refused = Some(reason),
            Ok(()) => {
                let num = update.name.strip_prefix("refs/pr/").and_then(|num| num.parse().ok());
                if let (Some(num), Some(old), Some(new)) = (num, update.old, update.new) {
                    store.note_commits(repo, git, num, old, new)?;
                }
            }
        }
    }
    Ok(())
}

fn reply(request: &Request, unpacked: &Result<(), String>, talk: &str) -> Vec<u8> {
    let mut report = Vec::new();
    match unpacked {
        Ok(()) => packet(&mut report, b"unpack ok\n"),
        Err(reason) => packet(&mut report, format!("unpack {reason}\n").as_bytes()),
    }
    for update in &request.updates {
        let line = match &update.refused {
            None => format!("ok {}\n", update.name),
            Some(reason) => format!("ng {} {}\n", update.name, reason.replace('\n', " ")),
        };
        packet(&mut report, line.as_bytes());
    }
    report.extend_from_slice(b"0000");
    if !request.asks("report-status") {
        report.clear();
    }
    if !request.asks("side-band-64k") {
        return report;
    }
    let mut out = Vec::new();
    let mut band = |number: u8, bytes: &[u8]| {
        for chunk in bytes.chunks(PACKET) {
            let mut payload = vec![number];
            payload.extend_from_slice(chunk);
            packet(&mut out, &payload);
        }
    };
    band(2, talk.as_bytes());
    band(1, &report);
    out.extend_from_slice(b"0000");
    out
}

/// Objects that have arrived, and that no one sees until they have been checked. Dropped, they are gone.
struct Quarantine {
    dir: tempfile::TempDir,
    git_dir: PathBuf,
}

impl Quarantine {
    fn new(git_dir: &Path) -> Result<Self> {
        let dir = tempfile::Builder::new()
            // A name that `git prune` knows, should this process die.
            .prefix("tmp_objdir-incoming-")
            .tempdir_in(git_dir.join("objects"))?;
        fs_err::create_dir_all(dir.path().join("pack"))?;
        Ok(Self {
            dir,
            git_dir: git_dir.to_owned(),
        })
    }

    fn git(&self) -> Command {
        let mut command = git_command();
        command
            .env("GIT_DIR", &self.git_dir)
            .env("GIT_OBJECT_DIRECTORY", self.dir.path())
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", self.git_dir.join("objects"));
        command
    }

    /// Stores the pack that follows. The inner error is for the one who pushes.
    fn unpack(&self, input: &mut impl Read) -> Result<Result<(), String>> {
        let mut child = self
            .git()
            .args(["index-pack", "--stdin", "--fix-thin"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let copied = match child.stdin.take() {
            Some(mut stdin) => copy(input, &mut stdin),
            None => Err(Error::Internal),
        };
        let done = child.wait_with_output()?;
        if done.status.success() {
            copied?;
            return Ok(Ok(()));
        }
        let said = String::from_utf8_lossy(&done.stderr);
        let line = said.lines().last().unwrap_or("index-pack failed").trim();
        Ok(Err(line.to_owned()))
    }

    /// Checks that everything that `wanted` leads to is there, and that the Hub's rules hold for what is new of it.
    ///
    /// The reason to refuse it all, if there is one; what there is to say about it goes to `talk`.
    fn check(&self, store: &Store, repo: &Repo, wanted: &[Oid], talk: &mut String) -> Result<Option<String>> {
        if wanted.is_empty() {
            return Ok(None);
        }
        let mut child = self
            .git()
            .args(["rev-list", "--objects", "--stdin", "--not", "--all"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            let list: String = wanted.iter().map(|oid| format!("{oid}\n")).collect();
            // Refused input shows in the exit status.
            let _ = stdin.write_all(list.as_bytes());
        }
        let git = GitRepo::open(&self.git_dir)?;
        let objects = git.0.odb()?;
        if let Some(dir) = self.dir.path().to_str() {
            objects.add_disk_alternate(dir)?;
        }
        let mut verdict = Verdict::default();
        if let Some(out) = child.stdout.take() {
            for line in BufReader::new(out).split(b'\n') {
                let line = line?;
                let Some((oid, path)) = object_line(&line) else {
                    continue;
                };
                let (size, kind) = objects.read_header(oid)?;
                if kind != ObjectType::Blob {
                    continue;
                }
                if size as u64 > LARGE {
                    verdict.large.push(path);
                } else if let Some(pointer) = pointer_of(&git, oid, size)?
                    && store.db.lfs_size(repo, &pointer.sha256)? != Some(pointer.size)
                {
                    verdict.missing.push(format!("{path} ({})", pointer.sha256));
                }
            }
        }
        if !child.wait()?.success() {
            return Ok(Some("missing necessary objects".to_owned()));
        }
        Ok(verdict.reason(talk))
    }

    /// Gives what has arrived to the repository.
    fn release(&self) -> Result<()> {
        let from = self.dir.path().join("pack");
        let to = self.git_dir.join("objects").join("pack");
        fs_err::create_dir_all(&to)?;
        let mut names: Vec<PathBuf> = Vec::new();
        for entry in fs_err::read_dir(&from)? {
            names.push(entry?.file_name().into());
        }
        // The index last: a pack is there once its index is.
        names.sort_by_key(|name| name.extension().is_some_and(|kind| kind == "idx"));
        for name in names {
            fs_err::rename(from.join(&name), to.join(&name))?;
        }
        Ok(())
    }
}

fn copy(input: &mut impl Read, output: &mut impl std::io::Write) -> Result<()> {
    let mut chunk = vec![0; 1 << 16];
    loop {
        let count = input.read(&mut chunk).map_err(|_| broken("it ends early"))?;
        if count == 0 {
            return Ok(());
        }
        if output.write_all(&chunk[..count]).is_err() {
            // It has given up and says why; the rest is read, so that the client hears of it.
            while input.read(&mut chunk).map_err(|_| broken("it ends early"))? > 0 {}
            return Ok(());
        }
    }
}

/// `<id> <path>`, or only the id for a commit.
fn object_line(line: &[u8]) -> Option<(Oid, String)> {
    let id = std::str::from_utf8(line.get(..40)?).ok()?;
    let path = line.get(41..).unwrap_or_default();
    Some((Oid::from_str(id).ok()?, String::from_utf8_lossy(path).into_owned()))
}

fn pointer_of(git: &GitRepo, oid: Oid, size: usize) -> Result<Option<Pointer>> {
    if size > 1024 {
        return Ok(None);
    }
    Ok(Pointer::parse(git.0.find_blob(oid)?.content()))
}

/// What is wrong with the files of a push.
#[derive(Debug, Default)]
struct Verdict {
    large: Vec<String>,
    missing: Vec<String>,
}

impl Verdict {
    fn reason(&self, talk: &mut String) -> Option<String> {
        const RULE: &str = "-------------------------------------------------------------------------";
        if !self.large.is_empty() {
            let _ = writeln!(
                talk,
                "{RULE}\nYour push was rejected because it contains files larger than 10 MiB.\nPlease use \
                 https://git-lfs.github.com/ to store large files.\nSee also: \
                 https://hf.co/docs/hub/repositories-getting-started#terminal\n\nOffending files:"
            );
            for path in self.large.iter().take(50) {
                let _ = writeln!(talk, "  - {path}");
            }
            let _ = writeln!(talk, "{RULE}");
            return Some("pre-receive hook declined".to_owned());
        }
        if !self.missing.is_empty() {
            let _ = writeln!(
                talk,
                "{RULE}\nYour push was rejected because an LFS pointer pointed to a file that does not exist.\nUpload it \
                 first: git lfs push --all origin\n\nOffending files:"
            );
            for path in self.missing.iter().take(50) {
                let _ = writeln!(talk, "  - {path}");
            }
            let _ = writeln!(talk, "{RULE}");
            return Some("pre-receive hook declined".to_owned());
        }
        None
    }
}

#[cfg(test)]
mod tests;
