//! The world of one test.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use hub_types::env::{Env, Kind, Variable};
use tempfile::TempDir;

use crate::Cmd;

const HUB_TEST_BIN: Variable = Variable {
    name: "HUB_TEST_BIN",
    kind: Kind::Path,
    default: "built when first needed",
    meaning: "The hub binary that the tests run.",
};

const PATH: Variable = Variable {
    name: "PATH",
    kind: Kind::Text,
    default: "none",
    meaning: "Where programs are.",
};

/// A release of the official Python client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Python {
    /// huggingface_hub 2.4.0.
    V2_4,
    /// huggingface_hub 0.36.2.
    V0_36,
}

impl Python {
    /// Both releases.
    pub const ALL: [Self; 2] = [Self::V2_4, Self::V0_36];

    const fn variable(self) -> Variable {
        let (name, default) = match self {
            Self::V2_4 => ("HUB_TEST_PYTHON_2_4", "python/2.4.0 below the target folder"),
            Self::V0_36 => ("HUB_TEST_PYTHON_0_36", "python/0.36.2 below the target folder"),
        };
        Variable {
            name,
            kind: Kind::Path,
            default,
            meaning: "A Python interpreter that has this release of huggingface_hub.",
        }
    }

    fn folder(self) -> &'static str {
        match self {
            Self::V2_4 => "2.4.0",
            Self::V0_36 => "0.36.2",
        }
    }

    /// A command beside its interpreter, such as `hf`.
    ///
    /// # Panics
    ///
    /// When the release is not installed.
    pub fn program(self, name: &str) -> PathBuf {
        self.interpreter().with_file_name(name)
    }

    /// Its interpreter, as `cargo xtask test setup` has made it.
    fn interpreter(self) -> PathBuf {
        let path = Env::process().path(self.variable()).unwrap_or_else(|| {
            let bin = target_dir().join("python").join(self.folder()).join("bin");
            bin.join("python")
        });
        assert!(
            path.is_file(),
            "{} is missing: run `cargo xtask test setup`",
            path.display()
        );
        path
    }
}

/// A folder of its own for one test, with a home, a cache and a temporary folder in it. Removed when dropped.
#[derive(Debug)]
pub struct TestEnv {
    root: TempDir,
    variables: Vec<(OsString, OsString)>,
}

impl Default for TestEnv {
    fn default() -> Self {
        Self::new()
    }
}

impl TestEnv {
    /// Makes the folders.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn new() -> Self {
        let root = TempDir::with_prefix("hub-test-").expect("a temporary folder can be made");
        let env = Self {
            variables: Vec::new(),
            root,
        };
        for dir in [env.home(), env.hf_home(), env.work(), env.tmp()] {
            fs_err::create_dir_all(dir).expect("a folder can be made in the temporary folder");
        }
        env
    }

    /// Sets a variable for every command of this test.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> &mut Self {
        self.variables.push((name.into(), value.into()));
        self
    }

    /// The folder that holds all others.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// The home folder.
    pub fn home(&self) -> PathBuf {
        self.root().join("home")
    }

    /// `HF_HOME`.
    pub fn hf_home(&self) -> PathBuf {
        self.root().join("hf")
    }

    /// The cache, shared by our programs and the Python clients of this test.
    pub fn cache(&self) -> PathBuf {
        self.hf_home().join("hub")
    }

    /// Where commands run.
    pub fn work(&self) -> PathBuf {
        self.root().join("work")
    }

    fn tmp(&self) -> PathBuf {
        self.root().join("tmp")
    }

    /// Writes a file below [`TestEnv::work`] and gives its path.
    ///
    /// # Panics
    ///
    /// When that fails.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.work().join(name);
        let parent = path.parent().expect("the path is below a folder");
        fs_err::create_dir_all(parent).expect("a folder can be made in the temporary folder");
        fs_err::write(&path, bytes).expect("a file can be written in the temporary folder");
        path
    }

    /// The variables that every command of this test has.
    fn environment(&self) -> Vec<(OsString, OsString)> {
        let path = Env::process().text(PATH).ok().flatten().map(OsString::from);
        let mut variables: Vec<(OsString, OsString)> = vec![
            ("PATH".into(), path.unwrap_or_default()),
            ("HOME".into(), self.home().into()),
            ("TMPDIR".into(), self.tmp().into()),
            ("HF_HOME".into(), self.hf_home().into()),
            ("LC_ALL".into(), "C.UTF-8".into()),
            ("TZ".into(), "UTC".into()),
            ("COLUMNS".into(), "120".into()),
            ("HF_HUB_DISABLE_TELEMETRY".into(), "1".into()),
            ("HF_HUB_DISABLE_UPDATE_CHECK".into(), "1".into()),
            ("GIT_CONFIG_NOSYSTEM".into(), "1".into()),
        ];
        variables.extend(self.variables.iter().cloned());
        variables
    }

    /// The environment of this test for a library call: `HfApi::builder().from_env(&env.env())` and the like.
    pub fn env(&self) -> Env {
        Env::from_pairs(self.environment())
    }

    /// Any program.
    pub fn command(&self, program: impl Into<OsString>) -> Cmd {
        let mut cmd = Cmd::new(&program.into(), self.root()).dir(self.work());
        for (name, value) in self.environment() {
            cmd = cmd.env(name, value);
        }
        cmd
    }

    /// Where the `hub` binary is, for a test that has to hold the process itself.
    pub fn hub_path(&self) -> &'static Path {
        hub_binary()
    }

    /// The `hub` binary.
    pub fn hub<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Cmd {
        self.command(hub_binary()).args(args)
    }

    /// A script of `tests/fixtures` run by this release of the official client, which has neither Xet nor progress bars.
    pub fn python<S: AsRef<std::ffi::OsStr>>(
        &self,
        python: Python,
        script: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Cmd {
        self.command(python.interpreter())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("PYTHONUTF8", "1")
            .env("HF_HUB_DISABLE_XET", "1")
            .env("HF_HUB_DISABLE_PROGRESS_BARS", "1")
            .arg(fixture(script))
            .args(args)
    }

    /// `git`, with a person to commit as, no prompt and nobody's configuration.
    pub fn git<S: AsRef<std::ffi::OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Cmd {
        self.command("git")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.org")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.org")
            .args(args)
    }
}

/// A file of `tests/fixtures`.
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

/// The `hub` binary of this workspace: the one that was handed over, or built here so that it is never an old one.
fn hub_binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(path) = Env::process().path(HUB_TEST_BIN) {
            return path;
        }
        // Both packages, so that features are those of the build that made this test.
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "-p", "hub-cli", "-p", "hub-tests", "--bins"])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status()
            .expect("cargo can be run");
        assert!(status.success(), "the hub binary cannot be built");
        target_dir()
            .join("debug")
            .join(format!("hub{}", std::env::consts::EXE_SUFFIX))
    })
}

/// Cargo's target folder: this program lies in `debug/deps` below it.
fn target_dir() -> PathBuf {
    let exe = std::env::current_exe().expect("the test binary has a path");
    exe.ancestors()
        .nth(3)
        .expect("the test binary is in target/debug/deps")
        .to_owned()
}
