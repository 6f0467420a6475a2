//! The metadata at the head of `README.md`.

use std::io;

use hub_types::ValidationError;

use super::Repository;
use crate::Result;

impl Repository {
    /// The YAML text between the two lines `---` at the head of `README.md`; `None` without that file or without them.
    ///
    /// # Errors
    ///
    /// [`Error::Io`](crate::Error::Io) when the file cannot be read.
    #[deprecated(note = "download `README.md` with `download_file` of `hub_cache::HubCache`")]
    pub fn repocard_metadata_load(&self) -> Result<Option<String>> {
        match fs_err::read_to_string(self.dir.join("README.md")) {
            Ok(text) => Ok(split(&text).0.map(str::to_owned)),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(err) => Err(err.into()),
        }
    }

    /// Puts a YAML text between the two lines `---` at the head of `README.md`, which is made where it is not there.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidArgument`](crate::Error::InvalidArgument) for a text that itself has a line `---`.
    #[deprecated(note = "upload the changed `README.md` with `upload_file` of `hub_http::HfApi`")]
    pub fn repocard_metadata_save(&self, yaml: &str) -> Result<()> {
        if yaml.lines().any(|line| line.trim_end() == "---") {
            return Err(ValidationError::new("metadata", yaml, "must not hold a line ---").into());
        }
        let path = self.dir.join("README.md");
        let text = match fs_err::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_file() => fs_err::read_to_string(&path)?,
            Ok(_) => {
                let rule = "must be a file, not a link or folder";
                return Err(ValidationError::new("card", path.to_string_lossy(), rule).into());
            }
            Err(err) if err.kind() == io::ErrorKind::NotFound => String::new(),
            Err(err) => return Err(err.into()),
        };
        let body = split(&text).1;
        let yaml = yaml.trim_end_matches('\n');
        Ok(fs_err::write(&path, format!("---\n{yaml}\n---\n{body}"))?)
    }
}

/// The metadata and what stands behind it.
fn split(text: &str) -> (Option<&str>, &str) {
    let Some(rest) = text.strip_prefix("---\n").or_else(|| text.strip_prefix("---\r\n")) else {
        return (None, text);
    };
    let mut at = 0;
    for line in rest.split_inclusive('\n') {
        if line.trim_end() == "---" {
            return (Some(&rest[..at]), &rest[at + line.len()..]);
        }
        at += line.len();
    }
    (None, text)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn metadata_stands_between_two_lines() {
        assert_eq!(split("---\na: 1\n---\nText\n"), (Some("a: 1\n"), "Text\n"));
        assert_eq!(split("---\r\na: 1\r\n---\r\nText"), (Some("a: 1\r\n"), "Text"));
        assert_eq!(split("---\n---"), (Some(""), ""));
        for none in ["", "Text\n---\n", "---\na: 1\n", "----\n---\n"] {
            assert_eq!(split(none), (None, none));
        }
    }
}
