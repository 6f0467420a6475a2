//! Tags, here and on the Hub.

use super::Repository;
use super::run::{checked, plain};
use super::source::{address, parse_source};
use crate::git::Output;
use crate::local_config::without_credentials;
use crate::{Error, Result};

impl Repository {
    /// The tags that are here, or those of a remote, in the order of their names.
    ///
    /// # Errors
    ///
    /// [`Error::OtherRepository`] for a remote that is not on the endpoint.
    #[deprecated(note = "use `list_repo_refs` of `hub_http::HfApi`, its `tags`")]
    pub fn tags(&self, remote: Option<&str>) -> Result<Vec<String>> {
        let Some(remote) = remote else {
            return self.names_below("refs/tags/");
        };
        let url = self.remote_url(remote)?;
        let call = self.online(["ls-remote", "--quiet", "--refs", "--tags", "--end-of-options", &url]);
        let text = self.git.run(&call).map_err(|err| self.explained(err))?.text();
        let tags = text
            .lines()
            .filter_map(|line| line.split('\t').nth(1)?.strip_prefix("refs/tags/"));
        Ok(tags.map(str::to_owned).collect())
    }

    /// Whether there is a tag of this name, here or on a remote.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`] for what cannot be a name.
    #[deprecated(note = "use `revision_exists` or `list_repo_refs` of `hub_http::HfApi`")]
    pub fn tag_exists(&self, tag: &str, remote: Option<&str>) -> Result<bool> {
        let name = self.tag_ref(tag)?;
        match remote {
            None => self.is_here(&name),
            Some(remote) => self.is_there(&self.remote_url(remote)?, &name),
        }
    }

    /// Tags the commit that is checked out, with a message of its own if one is given, and pushes the tag where a remote
    /// is named.
    ///
    /// # Errors
    ///
    /// [`Error::Git`] when the tag is there already; as for [`Repository::git_push`] when it is pushed.
    #[deprecated(note = "use `create_tag` of `hub_http::HfApi`")]
    pub fn add_tag(&self, tag: &str, message: Option<&str>, remote: Option<&str>) -> Result<()> {
        let name = self.tag_ref(tag)?;
        let url = remote.map(|remote| self.remote_url(remote)).transpose()?;
        let call = match message {
            None => self.offline(["tag", "--no-sign", "--", tag]),
            Some(message) => {
                if message.trim().is_empty() || message.contains('\0') {
                    plain("tag message", message.trim())?;
                }
                let message = format!("--message={message}");
                self.offline(["tag", "--no-sign", "--annotate", &message, "--", tag])
            }
        };
        self.git.run(&call)?;
        match url {
            Some(url) => self.push_ref(&url, &format!("{name}:{name}"), tag),
            None => Ok(()),
        }
    }

    /// Deletes a tag here, and on the remote if one is named. Says whether there was one to delete.
    ///
    /// # Errors
    ///
    /// As for [`Repository::git_push`].
    #[deprecated(note = "use `delete_tag` of `hub_http::HfApi`")]
    pub fn delete_tag(&self, tag: &str, remote: Option<&str>) -> Result<bool> {
        let name = self.tag_ref(tag)?;
        let url = remote.map(|remote| self.remote_url(remote)).transpose()?;
        let here = self.is_here(&name)?;
        if here {
            self.git.run(&self.offline(["tag", "--delete", "--", tag]))?;
        }
        let Some(url) = url else {
            return Ok(here);
        };
        let there = self.is_there(&url, &name)?;
        if there {
            // The whole name, so that a branch of the same name is not meant.
            self.push_ref(&url, &format!(":{name}"), tag)?;
        }
        Ok(here || there)
    }

    fn tag_ref(&self, tag: &str) -> Result<String> {
        let name = format!("refs/tags/{}", checked("tag", tag)?);
        self.check_ref_name("tag", &name)?;
        Ok(name)
    }

    fn is_here(&self, name: &str) -> Result<bool> {
        let output = self
            .git
            .try_run(&self.offline(["show-ref", "--verify", "--quiet", "--", name]))?;
        Ok(output.code == Some(0))
    }

    fn is_there(&self, url: &str, name: &str) -> Result<bool> {
        let call = self.online(["ls-remote", "--quiet", "--exit-code", "--end-of-options", url, name]);
        let output = self.git.try_run(&call)?;
        match output.code {
            Some(0) => Ok(true),
            // Nothing matches.
            Some(2) => Ok(false),
            code => Err(self.explained(Error::Git {
                command: "ls-remote".to_owned(),
                code,
                stderr: output.stderr.into(),
            })),
        }
    }

    fn push_ref(&self, url: &str, refspec: &str, shown: &str) -> Result<()> {
        let args = ["push", "--porcelain", "--no-verify", "--end-of-options", url, refspec];
        let output: Output = self.git.try_run(&self.online(args))?;
        match output.code {
            Some(0) => Ok(()),
            _ => Err(self.push_error(shown, output)),
        }
    }

    /// The address of a remote, which must be a repository on the endpoint: nobody else is told the token.
    fn remote_url(&self, remote: &str) -> Result<String> {
        let remote = checked("remote", remote)?;
        if remote == "origin" {
            return Ok(self.url.clone());
        }
        let key = format!("remote.{remote}.url");
        let output = self
            .git
            .try_run(&self.offline(["config", "--local", "--get", "--end-of-options", &key]))?;
        let found = (output.code == Some(0)).then(|| output.text());
        let found = found.map(|url| without_credentials(&url).unwrap_or(url));
        let repo = found
            .as_deref()
            .and_then(|url| parse_source(url, &self.options.endpoint).ok());
        match repo {
            Some(repo) => Ok(address(&self.options.endpoint, &repo)),
            None => Err(Error::OtherRepository {
                dir: self.dir.clone(),
                found,
                wanted: format!("a repository of {}", self.options.endpoint),
            }),
        }
    }
}
