//! What of the Hub is mounted, and where.

use super::{HubUri, SCHEME};
use crate::ValidationError;
use crate::validation::string_type;

/// A [`HubUri`] and where it is to appear in the file system of a Space or a Job: `hf://datasets/ada/notes:/data:ro`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HubMount {
    source: HubUri,
    mount_path: Box<str>,
    read_only: Option<bool>,
}

impl HubMount {
    /// Mounts `source` at the absolute path `mount_path`; `read_only` is `None` where the Hub is to decide.
    ///
    /// # Errors
    ///
    /// When the mount path is not absolute, is `/`, or could not be told apart from what stands around it.
    pub fn new(source: HubUri, mount_path: &str, read_only: Option<bool>) -> Result<Self, ValidationError> {
        let refuse = |rule: &str| Err(ValidationError::new("mount", mount_path, rule));
        if !mount_path.starts_with('/') || mount_path == "/" {
            return refuse("the mount path must be absolute and not '/' itself");
        }
        if mount_path.contains(":/") {
            return refuse("the mount path must not contain ':/'");
        }
        if read_only.is_none() && (mount_path.ends_with(":ro") || mount_path.ends_with(":rw")) {
            return refuse("a mount path without a flag must not end in ':ro' or ':rw'");
        }
        Ok(Self {
            source,
            mount_path: mount_path.into(),
            read_only,
        })
    }

    /// What is mounted.
    pub fn source(&self) -> &HubUri {
        &self.source
    }

    /// Where it is mounted: an absolute path.
    pub fn mount_path(&self) -> &str {
        &self.mount_path
    }

    /// `true` for `:ro`, `false` for `:rw`, `None` where neither is given.
    pub fn read_only(&self) -> Option<bool> {
        self.read_only
    }

    fn parse(text: &str) -> Result<Self, ValidationError> {
        let refuse = |rule: &str| ValidationError::new("mount", text, rule);
        let body = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| refuse("must start with 'hf://'"))?;
        let (body, read_only) = match (body.strip_suffix(":ro"), body.strip_suffix(":rw")) {
            (Some(body), _) => (body, Some(true)),
            (_, Some(body)) => (body, Some(false)),
            _ => (body, None),
        };
        let Some(colon) = body.rfind(":/") else {
            return Err(refuse("needs a mount path, as in 'hf://ada/demo:/data'"));
        };
        if colon == 0 {
            return Err(refuse("nothing stands before the mount path"));
        }
        let source = HubUri::from_body(&body[..colon]).map_err(|rule| refuse(&rule))?;
        Self::new(source, &body[colon + 1..], read_only).map_err(|err| refuse(err.rule()))
    }

    fn as_str(&self) -> String {
        let flag = match self.read_only {
            None => "",
            Some(true) => ":ro",
            Some(false) => ":rw",
        };
        format!("{}:{}{flag}", self.source, self.mount_path)
    }
}

string_type!(HubMount);
