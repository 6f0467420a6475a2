//! `hub repos`: create and change repositories.

mod branch;
mod create;
mod delete;
mod delete_files;
mod duplicate;
mod list;
#[path = "move.rs"]
mod move_;
mod settings;
mod tag;

use super::{commands, group};
use crate::context::Context;

group! {
    /// Create and change repositories
    Args
}

commands! {
    #[command(visible_alias = "ls")]
    List => list::Args,
    Create => create::Args,
    Duplicate => duplicate::Args,
    Delete => delete::Args,
    Move => move_::Args,
    Settings => settings::Args,
    DeleteFiles => delete_files::Args,
    Branch => branch::Args,
    Tag => tag::Args,
}

crate::cli::switch!(
    CreatePr,
    "create-pr",
    "no-create-pr",
    "Open a pull request in place of a commit"
);
crate::cli::switch!(ExistOk, "exist-ok", "no-exist-ok", "Do not fail if it exists already");
