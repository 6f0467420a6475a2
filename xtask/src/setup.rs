//! What the tests need beyond a Rust toolchain: git with its HTTP server side, git-lfs, and the official Python clients.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

/// A release of the official client that the tests run against hub-server and our cache.
pub(crate) struct Python {
    pub(crate) version: &'static str,
    /// The environment variable by which the tests get its interpreter.
    pub(crate) variable: &'static str,
    /// What else is installed beside it.
    pub(crate) with: Option<&'static str>,
}

/// The release with `hf_transfer`, the fast way to download before Xet: only measured against.
pub(crate) const HF_TRANSFER: Python = Python {
    version: "0.36.2",
    variable: "",
    with: Some("hf_transfer==0.1.9"),
};

/// The YAML parser of the official client. With its release 6.0.4 the later of several merged mappings wins and not the
/// earlier one, as the merge key's definition, the releases before and ours have it.
const PYYAML: &str = "pyyaml==6.0.3";

/// The newest release, and the last one before the HTTP library changed and `Repository` went.
pub(crate) const PYTHONS: &[Python] = &[
    Python {
        version: "2.4.0",
        variable: "HUB_TEST_PYTHON_2_4",
        with: None,
    },
    Python {
        version: "0.36.2",
        variable: "HUB_TEST_PYTHON_0_36",
        with: None,
    },
];

pub(crate) fn run(sh: &Shell) -> Result<()> {
    git(sh)?;
    for python in PYTHONS {
        virtual_environment(sh, python)?;
    }
    Ok(())
}

/// Cargo's target folder, wherever the user keeps it.
pub(crate) fn target_dir(sh: &Shell) -> Result<PathBuf> {
    let text = cmd!(sh, "cargo metadata --no-deps --format-version 1").quiet().read()?;
    let metadata: serde_json::Value = serde_json::from_str(&text)?;
    let dir = metadata["target_directory"]
        .as_str()
        .context("cargo metadata names no target_directory")?;
    Ok(PathBuf::from(dir))
}

/// The Python interpreter that has this release of huggingface_hub.
pub(crate) fn interpreter(sh: &Shell, python: &Python) -> Result<PathBuf> {
    let path = environment(sh, python)?.join("bin").join("python");
    if !path.is_file() {
        bail!("{} is missing; run the step 'setup' first", path.display());
    }
    Ok(path)
}

fn environment(sh: &Shell, python: &Python) -> Result<PathBuf> {
    let name = match python.with {
        None => python.version.to_owned(),
        Some(with) => format!("{}+{with}", python.version),
    };
    Ok(target_dir(sh)?.join("python").join(name))
}

fn git(sh: &Shell) -> Result<()> {
    if !runs(sh, "git", &["version"]) {
        install(sh, &["git"])?;
    }
    if !runs(sh, "git", &["lfs", "version"]) {
        install(sh, &["git-lfs"])?;
    }
    let exec_path = PathBuf::from(cmd!(sh, "git --exec-path").quiet().read()?);
    let backend = exec_path.join(format!("git-http-backend{}", std::env::consts::EXE_SUFFIX));
    if !backend.is_file() {
        bail!("this git has no http-backend ({} is missing)", backend.display());
    }
    for command in ["version", "lfs version"] {
        let words = command.split(' ');
        println!("    {}", cmd!(sh, "git {words...}").quiet().read()?);
    }
    Ok(())
}

/// Makes a virtual environment with the release from the package index, unless a finished one is there.
pub(crate) fn virtual_environment(sh: &Shell, python: &Python) -> Result<()> {
    if !runs(sh, "python3", &["-c", "import ensurepip, venv"]) {
        install(sh, &["python3", "python3-venv"])?;
    }
    let dir = environment(sh, python)?;
    let requirements = [format!("huggingface_hub=={}", python.version), PYYAML.to_owned()];
    let requirements: Vec<String> = requirements.into_iter().chain(python.with.map(str::to_owned)).collect();
    let requirement = requirements.join(" ");
    let base = cmd!(sh, "python3 -c 'import sys; print(sys.version, sys.prefix)'")
        .quiet()
        .read()?;
    // Written last: an environment that was cut short, or is of another Python, is made again.
    let stamp = dir.join("stamp");
    let wanted = format!("{requirement}\n{base}\n");
    if sh.read_file(&stamp).is_ok_and(|found| found == wanted) {
        println!("    {requirement}: in {}", dir.display());
        return Ok(());
    }
    println!("    {requirement}: installing into {}", dir.display());
    sh.remove_path(&dir)?;
    cmd!(sh, "python3 -m venv {dir}").quiet().run()?;
    let interpreter = dir.join("bin").join("python");
    cmd!(
        sh,
        "{interpreter} -m pip install --quiet --disable-pip-version-check --no-input {requirements...}"
    )
    .quiet()
    .run()
    .with_context(|| format!("cannot install {requirement} from the Python package index"))?;
    sh.write_file(&stamp, wanted)?;
    Ok(())
}

/// The headers of the library that is the system's TLS on Linux.
pub(crate) fn openssl(sh: &Shell) -> Result<()> {
    if cfg!(target_os = "linux") && !runs(sh, "pkg-config", &["--exists", "openssl"]) {
        install(sh, &["pkg-config", "libssl-dev"])?;
    }
    Ok(())
}

/// GNU time, which says how much memory a command held. (A shell's own `time` does not.)
pub(crate) fn gnu_time(sh: &Shell) -> Result<PathBuf> {
    program(sh, "time", "time")
}

/// The path of a program that a Debian package brings, which is installed where it is missing.
pub(crate) fn program(sh: &Shell, name: &str, package: &str) -> Result<PathBuf> {
    let find = || {
        let folders = [
            "/usr/local/bin",
            "/usr/bin",
            "/bin",
            "/usr/local/sbin",
            "/usr/sbin",
            "/sbin",
        ];
        folders
            .iter()
            .map(|folder| PathBuf::from(folder).join(name))
            .find(|path| path.is_file())
    };
    if let Some(path) = find() {
        return Ok(path);
    }
    install(sh, &[package])?;
    find().with_context(|| format!("{name} is not there, although the package {package} is"))
}

fn runs(sh: &Shell, program: &str, args: &[&str]) -> bool {
    cmd!(sh, "{program} {args...}")
        .quiet()
        .ignore_stdout()
        .ignore_stderr()
        .run()
        .is_ok()
}

/// Installs Debian packages, or says what to install by hand.
fn install(sh: &Shell, packages: &[&str]) -> Result<()> {
    let list = packages.join(" ");
    if !runs(sh, "apt-get", &["--version"]) {
        bail!("{list} must be installed, and there is no apt-get to do it: install it and run this again");
    }
    let root = cmd!(sh, "id -u").quiet().read()? == "0";
    if !root && !runs(sh, "sudo", &["-n", "true"]) {
        bail!("{list} must be installed: run `sudo apt-get install {list}` and this again");
    }
    let sudo: &[&str] = if root { &[] } else { &["sudo", "-n"] };
    let apt: Vec<&str> = [sudo, &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]].concat();
    let (program, rest) = apt.split_first().expect("the list above is not empty");
    println!("    installing {list}");
    cmd!(sh, "{program} {rest...} update --quiet").run()?;
    cmd!(
        sh,
        "{program} {rest...} install --quiet --yes --no-install-recommends {packages...}"
    )
    .run()
    .with_context(|| format!("cannot install {list}"))
}
