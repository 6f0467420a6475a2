//! `hub completion`

use anyhow::Context as _;
use clap_complete::Shell;
use hub_types::env;

use crate::context::Context;
use crate::error::Failure;

/// Print the completion script of a shell
///
/// Load it in the shell's start-up file, for example with `eval "$(hub completion bash)"`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which shell, by default that of SHELL
    shell: Option<Shell>,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let shell = match self.shell {
            Some(shell) => shell,
            None => {
                let path = context.settings.env.text(env::SHELL)?;
                path.and_then(Shell::from_shell_path)
                    .ok_or_else(|| Failure::usage("say which shell the completion script is for"))?
            }
        };
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut crate::cli::parser(), "hub", &mut script);
        let script = String::from_utf8(script).context("the script is no text")?;
        context.out.raw(script.trim_end())
    }
}
