//! The table of commands. A new command is a file, its `mod` line and its line in the table.

mod auth;
mod cache;
mod completion;
mod download;
mod env;
mod lfs_enable_largefiles;
mod lfs_multipart_upload;
mod repos;
mod serve;
mod upload;
mod version;

use crate::context::Context;

/// A table of commands: the enum that the parser fills, and the way from each to its `run`.
macro_rules! commands {
    ($($(#[$meta:meta])* $variant:ident => $args:path,)*) => {
        #[derive(Debug, clap::Subcommand)]
        pub(crate) enum Command {
            $($(#[$meta])* $variant($args),)*
        }

        impl Command {
            pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
                match self {
                    $(Self::$variant(args) => args.run(context),)*
                }
            }
        }
    };
}
use commands;

/// A command that is only a group of others.
macro_rules! group {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Debug, clap::Args)]
        #[command(subcommand_required = true, arg_required_else_help = true)]
        pub(crate) struct $name {
            #[command(subcommand)]
            command: Command,
        }

        impl $name {
            pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
                self.command.run(context)
            }
        }
    };
}
use group;

commands! {
    Download => download::Args,
    Upload => upload::Args,
    Auth => auth::Args,
    Cache => cache::Args,
    Repos => repos::Args,
    Env => env::Args,
    Version => version::Args,
    Serve => serve::Args,
    #[command(visible_alias = "completions")]
    Completion => completion::Args,
    #[command(hide = true)]
    LfsEnableLargefiles => lfs_enable_largefiles::Args,
    #[command(hide = true)]
    LfsMultipartUpload => lfs_multipart_upload::Args,
}
