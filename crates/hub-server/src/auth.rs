//! Who is asking: a token becomes a user and a role.

use axum::extract::FromRequestParts;
use base64::Engine as _;
use http::{header, request::Parts};
use hub_types::{RepoId, ValidationError};

use crate::app::App;
use crate::error::{Error, Result};
use crate::store::Repo;

/// What a token may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Look only.
    Read,
    /// Look and change.
    Write,
}

impl Role {
    /// `read` or `write`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = ValidationError;

    fn from_str(text: &str) -> Result<Self, ValidationError> {
        match text {
            "read" => Ok(Self::Read),
            "write" => Ok(Self::Write),
            _ => Err(ValidationError::new("role", text, "must be 'read' or 'write'")),
        }
    }
}

/// A signed-in user, with what the token may do.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) row: i64,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) token_name: String,
    pub(crate) token_created: String,
    /// The organisations that the user belongs to, by name.
    pub(crate) orgs: Vec<String>,
    /// The gated repositories that the user has been let into, by their rows.
    pub(crate) let_into: Vec<i64>,
}

impl Account {
    /// Whether `namespace` is the user's own or one of an organisation of theirs.
    pub(crate) fn belongs_to(&self, namespace: &str) -> bool {
        self.name.eq_ignore_ascii_case(namespace) || self.orgs.iter().any(|org| org.eq_ignore_ascii_case(namespace))
    }
}

/// Who asks: nobody, or a user. A token that is not known is refused before the handler runs.
#[derive(Debug, Clone)]
pub(crate) struct Caller(pub(crate) Option<Account>);

impl Caller {
    /// The user.
    ///
    /// # Errors
    ///
    /// [`Error::Unauthorized`] when nobody is signed in.
    pub(crate) fn account(&self) -> Result<&Account> {
        self.0.as_ref().ok_or(Error::Unauthorized)
    }

    /// The user, with a token that may write.
    pub(crate) fn writer(&self) -> Result<&Account> {
        let account = self.account()?;
        if account.role == Role::Write {
            Ok(account)
        } else {
            Err(Error::forbidden(
                "Forbidden: you must use a write token for this. Create one in the settings of your account.",
            ))
        }
    }

    pub(crate) fn belongs_to(&self, namespace: &str) -> bool {
        self.0.as_ref().is_some_and(|account| account.belongs_to(namespace))
    }

    /// Whether the repository's existence may be known.
    pub(crate) fn may_see(&self, repo: &Repo) -> bool {
        !repo.is_private() || self.belongs_to(repo.namespace())
    }

    /// What a caller is told who may not see a repository, or asks for one that is not there.
    pub(crate) fn no_such_repo(&self) -> Error {
        match self.0 {
            None => Error::Unauthorized,
            Some(_) => Error::RepoNotFound,
        }
    }

    /// Checks that the files may be read.
    pub(crate) fn check_content(&self, repo: &Repo) -> Result<()> {
        let let_into = || {
            self.0
                .as_ref()
                .is_some_and(|account| account.let_into.contains(&repo.row))
        };
        if repo.gated == crate::store::Gated::No || self.belongs_to(repo.namespace()) || let_into() {
            return Ok(());
        }
        Err(Error::Gated {
            kind: repo.id.repo_type(),
            id: repo.id.id().to_owned(),
            signed_in: self.0.is_some(),
        })
    }

    /// Checks that the repository may be changed, and gives who does.
    pub(crate) fn check_write(&self, repo: &Repo) -> Result<&Account> {
        if self.0.is_none() {
            return Err(Error::Unauthorized);
        }
        if !self.may_see(repo) {
            return Err(Error::RepoNotFound);
        }
        let account = self.writer()?;
        if account.belongs_to(repo.namespace()) {
            Ok(account)
        } else {
            Err(Error::forbidden(format!(
                "Forbidden: you do not have the rights to write to the {} {}. Pass `create_pr=1` as a query parameter \
                 to create a Pull Request instead.",
                repo.id.repo_type(),
                repo.id.id()
            )))
        }
    }

    /// Checks that something may be created in `namespace`.
    pub(crate) fn check_namespace(&self, id: &RepoId) -> Result<&Account> {
        let account = self.account()?;
        let namespace = id.namespace().unwrap_or_default();
        if account.role == Role::Write && account.belongs_to(namespace) {
            return Ok(account);
        }
        Err(Error::forbidden(format!(
            "You don't have the rights to create a {} under the namespace \"{namespace}\"",
            id.repo_type()
        )))
    }
}

/// The tokens that an `Authorization` header may mean: one of a Bearer, the password and the user name of a Basic.
pub(crate) fn candidates(value: &str) -> Option<Vec<String>> {
    let (scheme, rest) = value.split_once(' ')?;
    let rest = rest.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(vec![rest.to_owned()]);
    }
    if scheme.eq_ignore_ascii_case("basic") {
        let bytes = base64::engine::general_purpose::STANDARD.decode(rest).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (user, password) = text.split_once(':')?;
        let tokens = [password, user].into_iter().filter(|t| !t.is_empty());
        return Some(tokens.map(str::to_owned).collect());
    }
    None
}

impl FromRequestParts<App> for Caller {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self> {
        if let Some(known) = parts.extensions.get::<Self>() {
            return Ok(known.clone());
        }
        let Some(value) = parts.headers.get(header::AUTHORIZATION) else {
            return Ok(Self(None));
        };
        let tokens = value.to_str().ok().and_then(candidates).ok_or(Error::BadToken)?;
        let account = app
            .run(move |store| {
                for token in &tokens {
                    if let Some(account) = store.db.account_of(token)? {
                        return Ok(account);
                    }
                }
                Err(Error::BadToken)
            })
            .await?;
        let caller = Self(Some(account));
        parts.extensions.insert(caller.clone());
        Ok(caller)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_comes_as_bearer_or_in_either_half_of_basic() {
        let basic = |text: &str| format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(text));
        assert_eq!(candidates("Bearer hf_x").unwrap(), ["hf_x"]);
        assert_eq!(candidates("bearer  hf_x ").unwrap(), ["hf_x"]);
        assert_eq!(candidates(&basic("ada:hf_x")).unwrap(), ["hf_x", "ada"]);
        assert_eq!(candidates(&basic("hf_x:")).unwrap(), ["hf_x"]);
        for bad in ["hf_x", "Basic !", "Digest x"] {
            assert!(candidates(bad).is_none(), "{bad}");
        }
    }
}
