//! Which repository a command is about: an id, a type in front of it, `--type`, or an `hf://` address.

use clap::{Args, ValueEnum};
use hub_types::{RepoId, RepoType, Revision};

use crate::error::Failure;

/// The types that `--type` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TypeChoice {
    Model,
    Dataset,
    Space,
    Kernel,
}

impl From<TypeChoice> for RepoType {
    fn from(choice: TypeChoice) -> Self {
        match choice {
            TypeChoice::Model => Self::Model,
            TypeChoice::Dataset => Self::Dataset,
            TypeChoice::Space => Self::Space,
            TypeChoice::Kernel => Self::Kernel,
        }
    }
}

/// `--type`, as every command about a repository has it.
#[derive(Debug, Clone, Copy, Default, Args)]
pub(crate) struct TypeArg {
    /// What the repository holds [default: model]
    #[arg(long = "type", alias = "repo-type", value_enum, value_name = "TYPE")]
    pub(crate) repo_type: Option<TypeChoice>,
}

impl TypeArg {
    /// The repository of this id: `ada/demo`, `datasets/ada/notes`, or `ada/notes` with `--type dataset`.
    pub(crate) fn repo(self, id: &str) -> anyhow::Result<RepoId> {
        let (prefix, rest) = split_prefix(id);
        let repo_type = match (prefix, self.repo_type) {
            (Some(prefix), Some(_)) => {
                return Err(Failure::usage(format!(
                    "'{id}' says with '{}/' what --type says too: use one of them",
                    prefix.plural()
                ))
                .into());
            }
            (Some(prefix), None) => prefix,
            (None, choice) => choice.map_or(RepoType::Model, RepoType::from),
        };
        Ok(RepoId::new(repo_type, rest)?)
    }

    /// Two repositories of one type: both ids may say it, or `--type`.
    pub(crate) fn repos(self, from: &str, to: &str) -> anyhow::Result<(RepoId, RepoId)> {
        let ((a, _), (b, rest)) = (split_prefix(from), split_prefix(to));
        if let (Some(a), Some(b)) = (a, b)
            && a != b
        {
            let message = format!(
                "'{}/' and '{}/' are two types: a repo keeps its type",
                a.plural(),
                b.plural()
            );
            return Err(Failure::usage(message).into());
        }
        let from = match (a, b) {
            (None, Some(b)) if self.repo_type.is_none() => RepoId::new(b, from)?,
            _ => self.repo(from)?,
        };
        if b.is_some() {
            self.repo(to)?;
        }
        let to = RepoId::new(from.repo_type(), rest)?;
        Ok((from, to))
    }
}

/// Takes the type from the front of `datasets/ada/notes`. Only the form with three parts has one: `datasets/x` is a
/// repository of a user called datasets.
fn split_prefix(id: &str) -> (Option<RepoType>, &str) {
    match id.split_once('/') {
        Some((first, rest)) if rest.matches('/').count() == 1 => match RepoType::from_plural(first) {
            Some(repo_type) => (Some(repo_type), rest),
            None => (None, id),
        },
        _ => (None, id),
    }
}

/// `--revision`, checked when it is used.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct RevisionArg {
    /// Branch, tag, pull request's ref or commit
    #[arg(long, value_name = "REVISION")]
    pub(crate) revision: Option<String>,
}

impl RevisionArg {
    pub(crate) fn get(&self) -> anyhow::Result<Option<Revision>> {
        Ok(self.revision.as_deref().map(str::parse).transpose()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: TypeArg = TypeArg { repo_type: None };
    const DATASET: TypeArg = TypeArg {
        repo_type: Some(TypeChoice::Dataset),
    };

    #[test]
    fn the_type_comes_from_the_front_or_from_the_option() {
        assert_eq!(NONE.repo("ada/demo").unwrap(), RepoId::model("ada/demo").unwrap());
        assert_eq!(
            NONE.repo("spaces/ada/demo").unwrap(),
            RepoId::space("ada/demo").unwrap()
        );
        assert_eq!(DATASET.repo("ada/demo").unwrap(), RepoId::dataset("ada/demo").unwrap());
        assert_eq!(NONE.repo("datasets/x").unwrap(), RepoId::model("datasets/x").unwrap());
        let err = DATASET.repo("datasets/ada/demo").unwrap_err().to_string();
        assert!(err.contains("'datasets/'") && err.contains("--type"), "{err}");
    }

    #[test]
    fn two_ids_are_of_one_type() {
        let dataset = |id| RepoId::dataset(id).unwrap();
        assert_eq!(
            NONE.repos("datasets/a/b", "a/c").unwrap(),
            (dataset("a/b"), dataset("a/c"))
        );
        assert_eq!(
            NONE.repos("a/b", "datasets/a/c").unwrap(),
            (dataset("a/b"), dataset("a/c"))
        );
        assert_eq!(DATASET.repos("a/b", "a/c").unwrap(), (dataset("a/b"), dataset("a/c")));
        assert!(NONE.repos("datasets/a/b", "spaces/a/c").is_err());
        assert!(DATASET.repos("a/b", "datasets/a/c").is_err());
    }
}
