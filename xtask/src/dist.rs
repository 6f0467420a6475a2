//! `cargo xtask dist`: the archive of a release for this machine's kind.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use xshell::{Shell, cmd};

use crate::setup;

const SHELLS: &[(&str, &str)] = &[
    ("bash", "hub.bash"),
    ("zsh", "_hub"),
    ("fish", "hub.fish"),
    ("elvish", "hub.elv"),
    ("powershell", "_hub.ps1"),
];

/// Builds `hub` as it is shipped, and packs it with its completions and texts.
pub(crate) fn run(sh: &Shell) -> Result<()> {
    cmd!(
        sh,
        "cargo build --locked --profile dist --package hub-cli --features xet"
    )
    .run()?;
    let target = setup::target_dir(sh)?;
    let executable = format!("hub{}", std::env::consts::EXE_SUFFIX);
    // The profile strips it.
    let hub = target.join("dist").join(&executable);
    let version = cmd!(sh, "{hub} --version").quiet().read()?;
    let name = format!("hub-{}-{}", version.trim(), host(sh)?);
    let out = target.join("archives");
    let folder = out.join(&name);
    sh.remove_path(&folder)?;
    sh.create_dir(folder.join("completions"))?;
    sh.copy_file(&hub, folder.join(&executable))?;
    for text in ["README.md", "CHANGELOG.md", "LICENSE"] {
        sh.copy_file(text, folder.join(text))?;
    }
    for (shell, file) in SHELLS {
        let script = cmd!(sh, "{hub} completion {shell}").quiet().read()?;
        ensure!(!script.is_empty(), "no completions for {shell}");
        sh.write_file(folder.join("completions").join(file), script + "\n")?;
    }
    pack(sh, &out, &name)?;
    sh.remove_path(&folder)
        .with_context(|| format!("cannot remove {}", folder.display()))
}

/// What the compiler calls this machine's kind.
fn host(sh: &Shell) -> Result<String> {
    let told = cmd!(sh, "rustc --version --verbose").quiet().read()?;
    let host = told.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc names no host")?.to_owned())
}

/// Packs a folder the same way each time: neither names of users nor times of this build are in it.
fn pack(sh: &Shell, out: &Path, name: &str) -> Result<()> {
    let _dir = sh.push_dir(out);
    let archive = format!("{name}.tar.gz");
    let unpacked = format!("{name}.tar");
    let seconds = cmd!(sh, "git log -1 --format=%ct").quiet().read().unwrap_or_default();
    let time = format!("--mtime=@{}", if seconds.is_empty() { "0" } else { seconds.trim() });
    cmd!(
        sh,
        "tar --create --sort=name --owner=0 --group=0 --numeric-owner {time} --file {unpacked} {name}"
    )
    .quiet()
    .run()?;
    cmd!(sh, "gzip --no-name --best --force {unpacked}").quiet().run()?;
    let sum = cmd!(sh, "sha256sum {archive}").quiet().read()?;
    sh.write_file(format!("{archive}.sha256"), format!("{sum}\n"))?;
    println!("{}", out.join(&archive).display());
    println!("{sum}");
    Ok(())
}
