//! Git's own credential store, for people who also run git by hand, and the helper that hands a token to one run of git.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use hub_types::env::Env;
use hub_types::{Token, ValidationError};
use url::Url;

use crate::git::{Call, Git};
use crate::{Error, Result};

/// The user name under which a token is kept; the Hub looks at the password alone.
pub const USERNAME: &str = "hf_user";

/// Which of the caller's variables say where git's configuration is: storing a credential is done by the helpers that are
/// named there.
const CONFIGURATION: &[&str] = &["GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"];

/// The credential helpers that git is configured to use, as `hub auth login --add-to-git-credential` needs them.
pub struct GitCredentials {
    git: Git,
    endpoint: Url,
    dir: Option<PathBuf>,
    configuration: Vec<(&'static str, OsString)>,
}

impl std::fmt::Debug for GitCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitCredentials")
            .field("endpoint", &self.endpoint.as_str())
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl GitCredentials {
    /// The helpers for the Hub at this endpoint.
    ///
    /// # Errors
    ///
    /// [`Error::ProgramMissing`] and [`Error::GitTooOld`] without a git of use; [`Error::InvalidArgument`] when the
    /// endpoint is no `http` or `https` address, or holds a user or password.
    pub fn new(env: &Env, endpoint: &str) -> Result<Self> {
        Ok(Self {
            git: Git::locate(env)?,
            endpoint: parse_endpoint(endpoint)?,
            dir: None,
            configuration: CONFIGURATION
                .iter()
                .filter_map(|known| {
                    let (_, value) = env.iter().find(|(name, _)| name == known)?;
                    Some((*known, value.to_owned()))
                })
                .collect(),
        })
    }

    /// Looks at the configuration of the repository in this folder too. By default only the user's and the system's.
    pub fn in_folder(mut self, dir: impl AsRef<Path>) -> Self {
        self.dir = Some(dir.as_ref().to_owned());
        self
    }

    /// The helpers that git would ask, in their order; an empty list means that [`GitCredentials::store`] keeps nothing.
    ///
    /// # Errors
    ///
    /// When git fails, for instance on a broken configuration file.
    pub fn helpers(&self) -> Result<Vec<String>> {
        let call = self.call(["config", "-z", "--get-regexp", r"^credential\.(.*\.)?helper$"]);
        let output = self.git.try_run(&call)?;
        // 1 says that no key matches.
        match output.code {
            Some(0) => Ok(helpers_in(&String::from_utf8_lossy(&output.stdout), &self.endpoint)),
            Some(1) => Ok(Vec::new()),
            code => Err(Error::Git {
                command: "config".to_owned(),
                code,
                stderr: output.stderr.into(),
            }),
        }
    }

    /// Gives the token to every helper to keep, as user [`USERNAME`].
    ///
    /// # Errors
    ///
    /// When git or a helper fails.
    pub fn store(&self, token: &Token) -> Result<()> {
        let mut text = self.description();
        text.push_str(&format!("password={}\n\n", token.reveal()));
        let call = self.call(["credential", "approve"]).stdin(text).secret(token);
        self.git.run(&call).map(drop)
    }

    /// Lets every helper forget what it has for user [`USERNAME`].
    ///
    /// # Errors
    ///
    /// When git or a helper fails.
    pub fn erase(&self) -> Result<()> {
        let mut text = self.description();
        text.push('\n');
        self.git.run(&self.call(["credential", "reject"]).stdin(text)).map(drop)
    }

    /// Git reads a credential line by line; an address and the two words cannot hold a line break.
    fn description(&self) -> String {
        let protocol = self.endpoint.scheme();
        let host = host(&self.endpoint);
        format!("protocol={protocol}\nhost={host}\nusername={USERNAME}\n")
    }

    fn call<const N: usize>(&self, args: [&str; N]) -> Call {
        // Outside a repository git would look in the current folder, whatever that is.
        let dir = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        let mut call = Call::new(args).dir(dir);
        for (name, value) in &self.configuration {
            call = call.variable(name, value);
        }
        call
    }
}

/// The helpers in the output of `git config -z --get-regexp`: an empty value forgets those before it, and a helper for
/// another host does not count.
fn helpers_in(text: &str, endpoint: &Url) -> Vec<String> {
    let mut helpers: Vec<String> = Vec::new();
    for entry in text.split('\0').filter(|entry| !entry.is_empty()) {
        let (key, value) = entry.split_once('\n').unwrap_or((entry, ""));
        let scope = key
            .strip_prefix("credential.")
            .and_then(|key| key.strip_suffix(".helper"));
        let applies = scope.is_none_or(|scope| {
            Url::parse(scope).is_ok_and(|scope| scope.scheme() == endpoint.scheme() && host(&scope) == host(endpoint))
        });
        match value {
            _ if !applies => {}
            "" => helpers.clear(),
            helper if helpers.iter().any(|known| known == helper) => {}
            helper => helpers.push(helper.to_owned()),
        }
    }
    helpers
}

/// An endpoint that git may be given: `https`, or `http`, without user, password, query or fragment.
pub(crate) fn parse_endpoint(text: &str) -> Result<Url> {
    let refuse = |rule: &str| Err(ValidationError::new("endpoint", text, rule).into());
    let Ok(url) = Url::parse(text) else {
        return refuse("must be an address");
    };
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return refuse("must begin with https:// or http:// and a host");
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(ValidationError::secret("endpoint", "must not hold a user or password").into());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return refuse("must have no query and no fragment");
    }
    Ok(url)
}

/// Host and port as git names them: the port only where it is not the usual one.
pub(crate) fn host(url: &Url) -> String {
    match (url.host_str(), url.port()) {
        (Some(host), Some(port)) => format!("{host}:{port}"),
        (host, _) => host.unwrap_or_default().to_owned(),
    }
}

/// The helper for one run of git: it answers for one host with what stands in the environment, so that the token is in no
/// file, no argument and no message (git shows a helper's text when it fails).
///
/// It remembers a refusal in a file and says `quit` from then on: git-lfs asks again without end otherwise.
pub(crate) const HELPER: &str = "!f() { case \"$1\" in \
    erase) : >\"$HUB_GIT_REFUSED\" ;; \
    get) if test -e \"$HUB_GIT_REFUSED\"; then echo quit=1; exit 0; fi; \
    p=; h=; while IFS== read -r k v; do case \"$k\" in protocol) p=$v ;; host) h=$v ;; esac; done; \
    if test \"$p://$h\" = \"$HUB_GIT_ORIGIN\"; then echo username=hf_user; printf 'password=%s\\n' \"$HUB_GIT_TOKEN\"; fi ;; \
    esac; }; f";

/// Lets a run of git use this token for this origin, and nothing else for anyone.
///
/// `refused` is a path in a private folder at which nothing is yet.
pub(crate) fn grant(call: Call, origin: &Url, token: &Token, refused: &Path) -> Call {
    let origin = format!("{}://{}", origin.scheme(), host(origin));
    call.config(format!("credential.{origin}.helper"), HELPER)
        .variable("HUB_GIT_ORIGIN", origin)
        .variable("HUB_GIT_TOKEN", token.reveal())
        .variable("HUB_GIT_REFUSED", refused)
        .secret(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The process's `PATH`, and a home of its own with this configuration.
    fn env(home: &Path, configuration: &str) -> Env {
        fs_err::write(home.join(".gitconfig"), configuration).unwrap();
        let path = Env::process();
        let path = path.iter().find(|(name, _)| *name == "PATH").unwrap().1.to_owned();
        Env::from_pairs([
            ("PATH", path),
            ("HOME", home.as_os_str().to_owned()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
        ])
    }

    #[test]
    fn a_token_is_kept_replaced_and_forgotten() {
        let home = tempfile::tempdir().unwrap();
        let env = env(home.path(), "[credential]\n\thelper = store\n");
        let credentials = GitCredentials::new(&env, "https://hub.example:8443").unwrap();
        assert_eq!(credentials.helpers().unwrap(), ["store"]);

        let kept = || fs_err::read_to_string(home.path().join(".git-credentials")).unwrap();
        credentials.store(&Token::new("hf_first").unwrap()).unwrap();
        assert_eq!(kept(), "https://hf_user:hf_first@hub.example%3a8443\n");
        credentials.store(&Token::new("hf_second").unwrap()).unwrap();
        assert_eq!(kept(), "https://hf_user:hf_second@hub.example%3a8443\n");
        credentials.erase().unwrap();
        assert_eq!(kept(), "");
    }

    #[test]
    fn without_a_helper_there_is_none() {
        let home = tempfile::tempdir().unwrap();
        let credentials = GitCredentials::new(&env(home.path(), ""), "https://hub.example").unwrap();
        assert!(credentials.helpers().unwrap().is_empty());
        credentials.store(&Token::new("hf_token").unwrap()).unwrap();
        credentials.erase().unwrap();
        assert!(!home.path().join(".git-credentials").exists());
    }

    #[test]
    fn resets_and_other_hosts_are_understood() {
        let endpoint = Url::parse("https://hub.example").unwrap();
        let text = "credential.helper\nold\0credential.helper\n\0credential.helper\ncache --timeout 3\0\
                    credential.https://hub.example.helper\n!pass show\0credential.https://other.example.helper\nstore\0";
        assert_eq!(helpers_in(text, &endpoint), ["cache --timeout 3", "!pass show"]);
    }

    #[test]
    fn an_endpoint_is_checked() {
        assert_eq!(
            parse_endpoint("ftp://hub.example").unwrap_err().to_string(),
            "invalid endpoint 'ftp://hub.example': must begin with https:// or http:// and a host"
        );
        let err = parse_endpoint("https://ada:planted@hub.example")
            .unwrap_err()
            .to_string();
        assert_eq!(err, "invalid endpoint: must not hold a user or password");
    }

    /// Asks git for a credential, as fetch and push do.
    fn ask(git: &Git, refused: &Path, host: &str) -> String {
        let token = Token::new("hf_granted").unwrap();
        let origin = Url::parse("http://127.0.0.1:81").unwrap();
        let call = Call::new(["credential", "fill"])
            .dir(std::env::temp_dir())
            .config("credential.helper", "");
        let call = grant(call, &origin, &token, refused);
        let output = git
            .try_run(&call.stdin(format!("protocol=http\nhost={host}\n\n")))
            .unwrap();
        assert!(!output.stderr.contains("hf_granted"));
        output.text()
    }

    #[test]
    fn the_helper_answers_one_host_until_it_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let git = Git::locate(&env(home.path(), "")).unwrap();
        let refused = home.path().join("refused");
        assert!(ask(&git, &refused, "127.0.0.1:81").contains("password=hf_granted"));
        assert!(!ask(&git, &refused, "127.0.0.2:81").contains("hf_granted"));

        let token = Token::new("hf_granted").unwrap();
        let origin = Url::parse("http://127.0.0.1:81").unwrap();
        let call = Call::new(["credential", "reject"]).dir(home.path());
        let call = grant(call, &origin, &token, &refused);
        let text = "protocol=http\nhost=127.0.0.1:81\nusername=hf_user\npassword=hf_granted\n\n";
        git.run(&call.stdin(text)).unwrap();
        assert!(!ask(&git, &refused, "127.0.0.1:81").contains("hf_granted"));
    }
}
