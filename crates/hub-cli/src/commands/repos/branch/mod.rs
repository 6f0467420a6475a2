//! `hub repos branch`

mod create;
mod delete;
mod list;

use super::super::{commands, group};
use crate::context::Context;

group! {
    /// Make, delete and list branches
    Args
}

commands! {
    Create => create::Args,
    Delete => delete::Args,
    #[command(visible_alias = "ls")]
    List => list::Args,
}
