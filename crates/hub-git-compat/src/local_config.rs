//! What a repository's own configuration holds that matters before git is run in it.
//!
//! A clone brings no configuration, but a folder that someone else prepared may: it can name programs that git runs on
//! `status` or `add`, and places that traffic goes to. Some keys are overridden at each run; those that cannot be are
//! found here.

use url::Url;

/// The keys and values of `git config --local -z --list`.
pub(crate) struct LocalConfig {
    entries: Vec<(String, String)>,
}

/// Keys that no setting of ours overrides, by how they begin and end: they run programs, lead git to another folder or
/// file, or change how a host is reached and trusted.
const UNSAFE: &[(&str, &str)] = &[
    ("include.", "path"),
    ("includeif.", "path"),
    ("core.", "worktree"),
    ("core.", "alternaterefscommand"),
    ("core.", "attributesfile"),
    ("extensions.", "worktreeconfig"),
    ("filter.", "clean"),
    ("filter.", "smudge"),
    ("filter.", "process"),
    ("diff.", "command"),
    ("diff.", "textconv"),
    ("merge.", "driver"),
    ("lfs.extension.", ""),
    ("lfs.customtransfer.", ""),
    ("lfs.", "storage"),
    ("url.", "insteadof"),
    ("url.", "pushinsteadof"),
    ("http.", "proxy"),
    ("http.", "sslverify"),
    ("http.", "sslcainfo"),
    ("http.", "sslcapath"),
    ("http.", "extraheader"),
    ("http.", "cookiefile"),
    ("http.", "curloptresolve"),
    ("http.", "followredirects"),
];

impl LocalConfig {
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let entries = text
            .split('\0')
            .filter(|entry| !entry.is_empty())
            .map(|entry| entry.split_once('\n').unwrap_or((entry, "")))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        Self { entries }
    }

    /// The keys that make it unsafe to run git here, without their values.
    pub(crate) fn unsafe_keys(&self) -> Vec<String> {
        let mut keys: Vec<String> = self
            .entries
            .iter()
            .map(|(key, _)| key)
            // Overridden at each run.
            .filter(|key| !key.starts_with("filter.lfs.") && !key.starts_with("lfs.customtransfer.multipart."))
            .filter(|key| {
                let lower = key.to_ascii_lowercase();
                UNSAFE.iter().any(|(begin, end)| {
                    lower.starts_with(begin) && (end.is_empty() || lower.rsplit('.').next() == Some(end))
                })
            })
            .map(|key| crate::redact::redact(key, None))
            .collect();
        keys.sort();
        keys.dedup();
        keys
    }

    /// The address of the remote `origin`.
    pub(crate) fn origin(&self) -> Option<&str> {
        let (_, url) = self.entries.iter().find(|(key, _)| key == "remote.origin.url")?;
        Some(url)
    }

    /// Keys whose value is an address with a user or password, with that address without them.
    pub(crate) fn addresses_with_credentials(&self) -> Vec<(&str, String)> {
        self.entries
            .iter()
            .filter(|(key, _)| key.ends_with(".url") || key.ends_with(".pushurl") || key.ends_with(".lfsurl"))
            .filter_map(|(key, value)| Some((key.as_str(), without_credentials(value)?)))
            .collect()
    }

    /// Sections whose name is an address with a user or password: git-lfs makes `lfs.<address>.access`.
    pub(crate) fn sections_with_credentials(&self) -> Vec<&str> {
        let mut sections: Vec<&str> = self
            .entries
            .iter()
            .filter_map(|(key, _)| key.rsplit_once('.').map(|(section, _)| section))
            .filter(|section| {
                section
                    .split_once('.')
                    .is_some_and(|(_, url)| without_credentials(url).is_some())
            })
            .collect();
        sections.sort_unstable();
        sections.dedup();
        sections
    }
}

/// The address without its user and password, if it has any.
pub(crate) fn without_credentials(text: &str) -> Option<String> {
    let mut url = Url::parse(text).ok()?;
    if !url.has_host() || (url.username().is_empty() && url.password().is_none()) {
        return None;
    }
    url.set_password(None).ok()?;
    url.set_username("").ok()?;
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_programs_is_found() {
        let text = "core.bare\nfalse\0filter.lfs.clean\ngit-lfs clean\0filter.evil.clean\nsh -c x\0\
                    credential.helper\nstore\0lfs.customtransfer.multipart.path\nhf\0\
                    url.https://evil.example/.insteadOf\nhttps://\0http.sslVerify\nfalse\0lfs.extension.x.clean\nsh\0\
                    lfs.customtransfer.basic.path\nsh\0";
        assert_eq!(
            LocalConfig::parse(text.as_bytes()).unsafe_keys(),
            [
                "filter.evil.clean",
                "http.sslVerify",
                "lfs.customtransfer.basic.path",
                "lfs.extension.x.clean",
                "url.https://evil.example/.insteadOf"
            ]
        );
    }

    #[test]
    fn credentials_are_found_and_removed() {
        let text = "remote.origin.url\nhttps://user:hf_planted@hub.example/ada/demo\0\
                    lfs.https://user:hf_planted@hub.example/ada/demo.git/info/lfs.access\nbasic\0\
                    remote.other.url\nssh.example:path\0core.bare";
        let config = LocalConfig::parse(text.as_bytes());
        assert_eq!(
            config.addresses_with_credentials(),
            [("remote.origin.url", "https://hub.example/ada/demo".to_owned())]
        );
        assert_eq!(
            config.sections_with_credentials(),
            ["lfs.https://user:hf_planted@hub.example/ada/demo.git/info/lfs"]
        );
    }
}
