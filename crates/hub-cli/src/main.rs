//! The `hub` command: parse, run, say how it went.

mod cli;
mod commands;
mod context;
mod error;
mod explain;
mod local;
mod logging;
mod old_names;
mod output;
mod progress;
mod repo_args;
mod settings;
mod space_args;

use std::process::ExitCode;

use hub_types::env::Env;

use crate::context::Context;
use crate::error::Report;
use crate::output::{Output, StdoutClosed};
use crate::settings::Settings;

fn main() -> ExitCode {
    let env = Env::process();
    let (cli, notice) = match cli::parse(std::env::args_os().collect()) {
        Ok(parsed) => parsed,
        Err(stop) => return stop.exit(),
    };
    let (settings, command) = match Settings::resolve(cli, env) {
        Ok(resolved) => resolved,
        Err((out, err)) => return fail(&out, &err),
    };
    let out = Output::new(&settings);
    if let Some(notice) = notice {
        out.warning(&notice);
    }
    if settings.token_is_seen {
        out.warning(
            "`--token <value>` leaves your token in your shell history and in process listings. Run `hub auth login` \
             once, export `HF_TOKEN` or use `--token-stdin`, and drop the flag.",
        );
    }
    logging::start(&settings);
    let context = Context::new(settings, out);
    let result = command.run(&context).map_err(|err| explain::explain(&context, err));
    context.close();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => fail(&context.out, &err),
    }
}

/// Says what went wrong, and gives the exit code.
fn fail(out: &Output, err: &anyhow::Error) -> ExitCode {
    // Whoever read our output has had enough of it.
    if err.is::<StdoutClosed>() {
        return ExitCode::SUCCESS;
    }
    let report = Report::new(err);
    out.error(&report);
    ExitCode::from(out.exit_code(report.class))
}
