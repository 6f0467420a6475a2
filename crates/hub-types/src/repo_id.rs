//! Which repository: its type, and its id.

use std::fmt;

use crate::ValidationError;
use crate::validation::string_type;

/// What a repository holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum RepoType {
    /// A model; what is meant where no type is given.
    #[default]
    Model,
    /// A dataset.
    Dataset,
    /// A Space: an application that the Hub runs.
    Space,
    /// A kernel: compiled code for accelerators.
    Kernel,
}

impl RepoType {
    /// Every type, in the order in which the Hub's documents name them.
    pub const ALL: [Self; 4] = [Self::Model, Self::Dataset, Self::Space, Self::Kernel];

    /// `model`, `dataset`, `space` or `kernel`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Dataset => "dataset",
            Self::Space => "space",
            Self::Kernel => "kernel",
        }
    }

    /// `models`, `datasets`, `spaces` or `kernels`: the segment after `/api/`, and the first word of a cache folder.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Model => "models",
            Self::Dataset => "datasets",
            Self::Space => "spaces",
            Self::Kernel => "kernels",
        }
    }

    /// What stands before the id in web, resolve and git addresses: nothing for models, else the plural and a slash.
    pub fn url_prefix(self) -> &'static str {
        match self {
            Self::Model => "",
            Self::Dataset => "datasets/",
            Self::Space => "spaces/",
            Self::Kernel => "kernels/",
        }
    }

    /// The type that a plural word names, if it names one.
    pub fn from_plural(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|t| t.plural() == word)
    }

    fn parse(text: &str) -> Result<Self, ValidationError> {
        Self::ALL
            .into_iter()
            .find(|t| t.as_str() == text)
            .ok_or_else(|| ValidationError::new("repo type", text, "must be one of model, dataset, space, kernel"))
    }
}

string_type!(RepoType);

/// A repository on the Hub: `namespace/name` (or a bare `name`, as the oldest have), with its [`RepoType`].
///
/// As text, a model is its id and any other type has its plural in front: `ada/demo`, `datasets/ada/notes`. Parsing
/// takes `models/ada/demo` too.
///
/// The rules of the id are the Python client's (`utils.validate_repo_id`): ASCII letters, digits, `-`, `_` and `.`; one
/// to 96 characters a part, each part starting and ending with a letter, a digit or `_`; no `--`, no `..`; not ending
/// in `.git`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepoId {
    repo_type: RepoType,
    id: Box<str>,
}

impl RepoId {
    /// Checks an id and gives it a type.
    ///
    /// # Errors
    ///
    /// A [`ValidationError`] that names the id and the rule it breaks.
    pub fn new(repo_type: RepoType, id: &str) -> Result<Self, ValidationError> {
        check_id(id)?;
        Ok(Self {
            repo_type,
            id: id.into(),
        })
    }

    /// A model's id. See [`RepoId::new`].
    pub fn model(id: &str) -> Result<Self, ValidationError> {
        Self::new(RepoType::Model, id)
    }

    /// A dataset's id. See [`RepoId::new`].
    pub fn dataset(id: &str) -> Result<Self, ValidationError> {
        Self::new(RepoType::Dataset, id)
    }

    /// A Space's id. See [`RepoId::new`].
    pub fn space(id: &str) -> Result<Self, ValidationError> {
        Self::new(RepoType::Space, id)
    }

    /// The same id as another type.
    pub fn with_type(mut self, repo_type: RepoType) -> Self {
        self.repo_type = repo_type;
        self
    }

    /// The same id as `repo_type` where one is given: how the `repo_type` argument of a call meets its `repo_id`.
    pub fn typed(self, repo_type: Option<RepoType>) -> Self {
        match repo_type {
            Some(repo_type) => self.with_type(repo_type),
            None => self,
        }
    }

    /// What the repository holds.
    pub fn repo_type(&self) -> RepoType {
        self.repo_type
    }

    /// The id without its type: `ada/demo`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The user or organisation, unless the id is a bare name.
    pub fn namespace(&self) -> Option<&str> {
        self.id.split_once('/').map(|(namespace, _)| namespace)
    }

    /// The part behind the slash.
    pub fn name(&self) -> &str {
        self.id.split_once('/').map_or(&*self.id, |(_, name)| name)
    }

    /// The plural and the id, as they stand behind `/api/`: `models/ada/demo`.
    pub fn api_path(&self) -> String {
        format!("{}/{}", self.repo_type.plural(), self.id)
    }

    /// Prefix and id, as they stand in web, resolve and git addresses: `ada/demo`, `datasets/ada/notes`.
    pub fn url_path(&self) -> String {
        format!("{}{}", self.repo_type.url_prefix(), self.id)
    }

    /// The folder of the repository in the cache: `models--ada--demo`.
    pub fn folder_name(&self) -> String {
        format!("{}--{}", self.repo_type.plural(), self.id.replace('/', "--"))
    }

    fn parse(text: &str) -> Result<Self, ValidationError> {
        if let Some((first, rest)) = text.split_once('/')
            && let Some(repo_type) = RepoType::from_plural(first)
        {
            return Self::new(repo_type, rest);
        }
        Self::new(RepoType::Model, text)
    }

    fn as_str(&self) -> String {
        self.url_path()
    }
}

string_type!(RepoId);

fn check_id(id: &str) -> Result<(), ValidationError> {
    let refuse = |rule: &str| Err(ValidationError::new("repo id", id, rule));
    if id.is_empty() {
        return refuse("must be 'name' or 'namespace/name'");
    }
    if id.matches('/').count() > 1 {
        return refuse("must be 'name' or 'namespace/name', with one slash at the most");
    }
    for part in id.split('/') {
        if part.is_empty() || part.len() > 96 {
            return refuse("each part must have 1 to 96 characters");
        }
        if !part
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        {
            return refuse("use only ASCII letters, digits, '-', '_' and '.'");
        }
        let edge = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !edge(part.bytes().next()) || !edge(part.bytes().last()) {
            return refuse("'-' and '.' cannot start or end a part");
        }
    }
    if id.contains("--") || id.contains("..") {
        return refuse("'--' and '..' are not allowed");
    }
    if id.ends_with(".git") {
        return refuse("must not end with '.git'");
    }
    Ok(())
}

/// Shown in messages: `dataset 'ada/notes'`.
impl RepoId {
    /// The type and the id for a message: `dataset 'ada/notes'`.
    pub fn described(&self) -> impl fmt::Display + '_ {
        struct Described<'a>(&'a RepoId);
        impl fmt::Display for Described<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{} '{}'", self.0.repo_type, self.0.id)
            }
        }
        Described(self)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn accepts_what_the_python_client_accepts() {
        for id in ["a", "a/b", "123", "Foo-BAR_foo.bar123", "_a/_b", &"x".repeat(96)] {
            assert!(RepoId::model(id).is_ok(), "{id}");
        }
    }

    #[test]
    fn refuses_what_the_python_client_refuses() {
        let long = "x".repeat(97);
        for id in [
            "", "/", "a/", "/a", "a/b/c", ".a", "a-", "a--b", "a..b", "a.git", "a/b.git", "é", "a b", "a/.b", &long,
        ] {
            let err = RepoId::model(id).expect_err(id);
            assert_eq!((err.what(), err.value()), ("repo id", Some(id)));
        }
    }

    #[test]
    fn a_plural_in_front_gives_the_type() {
        let repo: RepoId = "datasets/ada/notes".parse().unwrap();
        assert_eq!((repo.repo_type(), repo.id()), (RepoType::Dataset, "ada/notes"));
        assert_eq!((repo.namespace(), repo.name()), (Some("ada"), "notes"));
        assert_eq!(repo.folder_name(), "datasets--ada--notes");
        assert_eq!(repo.to_string(), "datasets/ada/notes");
        assert_eq!("models/gpt2".parse::<RepoId>().unwrap().to_string(), "gpt2");
    }

    proptest! {
        #[test]
        fn text_and_json_come_back(kind in 0usize..4, id in "[a-z0-9_]{1,9}(/[a-z0-9_]{1,9})?") {
            prop_assume!(RepoType::from_plural(id.split('/').next().unwrap()).is_none());
            let repo = RepoId::new(RepoType::ALL[kind], &id).unwrap();
            prop_assert_eq!(&repo.to_string().parse::<RepoId>().unwrap(), &repo);
            let json = serde_json::to_string(&repo).unwrap();
            prop_assert_eq!(serde_json::from_str::<RepoId>(&json).unwrap(), repo);
        }
    }
}
