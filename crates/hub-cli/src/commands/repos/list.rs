//! `hub repos list`

use clap::ValueEnum;
use futures_util::TryStreamExt;
use hub_types::repos::RepoStorageInfo;

use crate::context::Context;
use crate::output::{Row, Table, row, storage};

/// List your own repositories with their visibility and storage
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// List those of this organisation
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// List only this type
    #[arg(long = "type", alias = "repo-type", value_enum, value_name = "TYPE")]
    repo_type: Option<Kind>,
    /// List only those whose id has this text in it
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// How many to list at most; 0 for all
    #[arg(long, value_name = "N", default_value_t = 30)]
    limit: usize,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Kind {
    Model,
    Dataset,
    Space,
    Bucket,
}

impl Args {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let listing = context.api()?.list_user_repos().namespace(self.namespace);
        let repos: Vec<RepoStorageInfo> = context.block_on(async move { Ok(listing.await?.try_collect().await?) })?;
        let kind = self.repo_type.and_then(|kind| kind.to_possible_value());
        let search = self.search.map(|text| text.to_lowercase());
        let found: Vec<RepoStorageInfo> = repos
            .into_iter()
            .filter(|repo| kind.as_ref().is_none_or(|kind| kind.get_name() == repo.repo_type))
            .filter(|repo| search.as_ref().is_none_or(|text| repo.id.to_lowercase().contains(text)))
            .collect();
        let total = found.len();
        let limit = if self.limit == 0 { total } else { self.limit };
        let rows: Vec<Row> = found.into_iter().take(limit).map(row_of).collect();
        context
            .out
            .table(Table::new(rows).id("id").right(&["storage", "%_of_total"]))?;
        if total > limit {
            context.out.hint(&format!(
                "Showing {limit} of {total} repos. Use `--limit 0` to list all."
            ));
        }
        Ok(())
    }
}

fn row_of(repo: RepoStorageInfo) -> Row {
    let updated = repo.updated_at.map(|moment| moment.0.strftime("%Y-%m-%d").to_string());
    row! {
        "id": repo.id,
        "type": repo.repo_type,
        "updated": updated,
        "visibility": repo.visibility.map(|visibility| visibility.as_str().to_owned()),
        "storage": storage(repo.storage),
        "%_of_total": format!("{:.1}%", repo.storage_percent),
    }
}
