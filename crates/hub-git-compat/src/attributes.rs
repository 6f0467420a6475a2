//! `.gitattributes`: which files are large, and the lines that say so.

use std::io::{self, Read, Write};
use std::path::Path;

use hub_types::ValidationError;

use crate::{Error, Result};

/// A file of this many bytes goes through LFS: the Hub refuses larger ones in git itself.
pub(crate) const LARGE: u64 = 10 * 1024 * 1024;

const FILE: &str = ".gitattributes";
const ATTRIBUTES: &str = "filter=lfs diff=lfs merge=lfs -text";

/// Whether a file should go through LFS: by its size, or because it is no text.
pub(crate) fn belongs_in_lfs(path: &Path) -> io::Result<bool> {
    Ok(is_large(path)? || is_binary(path)?)
}

pub(crate) fn is_large(path: &Path) -> io::Result<bool> {
    Ok(fs_err::metadata(path)?.len() >= LARGE)
}

/// Whether the first 10 MiB hold a byte that no text has.
///
/// The bytes of a text are those that libmagic takes for one, as in the Python client's `is_binary_file`.
pub(crate) fn is_binary(path: &Path) -> io::Result<bool> {
    let mut file = fs_err::File::open(path)?.take(LARGE);
    let mut buf = vec![0; 64 * 1024];
    loop {
        match file.read(&mut buf)? {
            0 => return Ok(false),
            length if buf[..length].iter().any(|byte| !is_text(*byte)) => return Ok(true),
            _ => {}
        }
    }
}

fn is_text(byte: u8) -> bool {
    matches!(byte, 7..=10 | 12 | 13 | 27) || (byte >= 0x20 && byte != 0x7f)
}

/// A pattern as a person writes it, with what would end or quote it escaped, as `git lfs track` does.
pub(crate) fn glob(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b' ' => out.extend(b"[[:space:]]"),
            b'#' => out.extend(b"\\#"),
            b'"' | b'!' if index == 0 => out.extend([b'[', byte, b']']),
            byte => out.push(byte),
        }
    }
    out
}

/// The pattern that matches one path, as `git lfs track --filename` writes it.
pub(crate) fn pattern(path: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(path.len());
    for (index, byte) in path.iter().enumerate() {
        match byte {
            b'\\' | b'*' | b'[' | b']' | b'?' | b'#' => out.extend([b'\\', *byte]),
            b' ' | b'\t' => out.extend(b"[[:space:]]"),
            // At the beginning these would quote or negate the pattern.
            b'"' | b'!' if index == 0 => out.extend([b'[', *byte, b']']),
            byte if byte.is_ascii_control() => {
                let shown = String::from_utf8_lossy(path);
                let rule = "a file for LFS must have no control characters in its name";
                return Err(ValidationError::new("path", shown, rule).into());
            }
            byte => out.push(*byte),
        }
    }
    Ok(out)
}

/// The text with a line more for each pattern that has none, and without the lines of the removed ones.
fn edited(text: &[u8], track: &[Vec<u8>], untrack: &[Vec<u8>]) -> Vec<u8> {
    let is_of = |line: &[u8], patterns: &[Vec<u8>]| {
        let mut words = line.split(u8::is_ascii_whitespace);
        let named = words
            .next()
            .is_some_and(|first| patterns.iter().any(|pattern| pattern == first));
        named && words.any(|word| word == b"filter=lfs")
    };
    let mut out = Vec::with_capacity(text.len());
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if !is_of(line, untrack) {
            out.extend(line);
        }
    }
    for pattern in track {
        let has_one = |line: &[u8]| is_of(line, std::slice::from_ref(pattern));
        if out.split(|byte| *byte == b'\n').any(has_one) {
            continue;
        }
        if out.last().is_some_and(|byte| *byte != b'\n') {
            out.push(b'\n');
        }
        out.extend(pattern);
        out.extend(format!(" {ATTRIBUTES}\n").as_bytes());
    }
    out
}

/// Tracks and untracks paths in the folder's `.gitattributes`, and says whether there was anything to change.
pub(crate) fn update(dir: &Path, track: &[Vec<u8>], untrack: &[Vec<u8>]) -> Result<bool> {
    let patterns = |paths: &[Vec<u8>]| paths.iter().map(|path| pattern(path)).collect::<Result<Vec<_>>>();
    update_patterns(dir, &patterns(track)?, &patterns(untrack)?)
}

/// The same for patterns that are escaped already.
///
/// One rename puts the new text in place. A link is refused: git does not follow it, and writing must not either.
pub(crate) fn update_patterns(dir: &Path, track: &[Vec<u8>], untrack: &[Vec<u8>]) -> Result<bool> {
    let path = dir.join(FILE);
    let old = match fs_err::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() => fs_err::read(&path)?,
        Ok(_) => {
            let rule = "must be a file, not a link or folder";
            return Err(ValidationError::new("attributes file", path.to_string_lossy(), rule).into());
        }
        Err(err) if err.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(err) => return Err(err.into()),
    };
    let new = edited(&old, track, untrack);
    if new == old {
        return Ok(false);
    }
    let mut file = tempfile::Builder::new()
        .prefix(".gitattributes-")
        .permissions(permissions(&path))
        .tempfile_in(dir)?;
    file.write_all(&new)?;
    file.as_file().sync_all()?;
    file.persist(&path).map_err(|err| Error::Io(err.error))?;
    Ok(true)
}

/// Those of the file that is replaced, else the usual ones.
fn permissions(path: &Path) -> std::fs::Permissions {
    if let Ok(metadata) = fs_err::metadata(path) {
        return metadata.permissions();
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::Permissions::from_mode(0o666) // less the umask
    }
    #[cfg(not(unix))]
    fs_err::metadata(path.parent().unwrap_or(path))
        .expect("the repository has a folder")
        .permissions()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_decide_what_is_binary() {
        let dir = tempfile::tempdir().unwrap();
        let check = |bytes: &[u8], expected: bool| {
            let path = dir.path().join("file");
            fs_err::write(&path, bytes).unwrap();
            assert_eq!(belongs_in_lfs(&path).unwrap(), expected, "{bytes:?}");
        };
        check(b"", false);
        check("téxt\twith\r\nlines\x1b\x07\x08\x0c".as_bytes(), false);
        check(&[0x80, 0xff], false);
        for byte in [0, 0x0b, 0x7f, 0x01] {
            check(&[b'a', byte], true);
        }
        let path = dir.path().join("file");
        fs_err::write(&path, vec![b'a'; LARGE as usize - 1]).unwrap();
        assert!(!belongs_in_lfs(&path).unwrap());
        fs_err::write(&path, vec![b'a'; LARGE as usize]).unwrap();
        assert!(belongs_in_lfs(&path).unwrap());
    }

    #[test]
    fn names_are_escaped() {
        let check = |path: &str, expected: &str| {
            assert_eq!(String::from_utf8(pattern(path.as_bytes()).unwrap()).unwrap(), expected);
        };
        check("a/model.bin", "a/model.bin");
        check("a[1] *.bin", r"a\[1\][[:space:]]\*.bin");
        check("\"q\"", "[\"]q\"");
        check("!é#", r"[!]é\#");
        let err = pattern(b"a\nb").unwrap_err().to_string();
        assert_eq!(
            err,
            "invalid path 'a\u{fffd}b': a file for LFS must have no control characters in its name"
        );
    }

    #[test]
    fn lines_come_and_go() {
        let dir = tempfile::tempdir().unwrap();
        let text = || fs_err::read_to_string(dir.path().join(FILE)).unwrap();
        let paths = |names: &[&str]| names.iter().map(|name| name.as_bytes().to_vec()).collect::<Vec<_>>();

        assert!(update(dir.path(), &paths(&["a b"]), &[]).unwrap());
        assert_eq!(text(), format!("a[[:space:]]b {ATTRIBUTES}\n"));
        fs_err::write(
            dir.path().join(FILE),
            format!("*.gz {ATTRIBUTES}\na text\nold {ATTRIBUTES}"),
        )
        .unwrap();
        assert!(update(dir.path(), &paths(&["new"]), &paths(&["a", "old"])).unwrap());
        assert_eq!(text(), format!("*.gz {ATTRIBUTES}\na text\nnew {ATTRIBUTES}\n"));
        assert!(!update(dir.path(), &[], &paths(&["gone"])).unwrap());
        assert!(!update(dir.path(), &paths(&["new"]), &[]).unwrap(), "it is there");
        let patterns = [glob("#data/* x.bin")];
        assert!(update_patterns(dir.path(), &patterns, &[]).unwrap());
        assert!(text().ends_with(&format!("\n\\#data/*[[:space:]]x.bin {ATTRIBUTES}\n")));
        assert!(update_patterns(dir.path(), &[], &patterns).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("outside");
        fs_err::write(&outside, "mine").unwrap();
        let repo = dir.path().join("repo");
        fs_err::create_dir(&repo).unwrap();
        std::os::unix::fs::symlink(&outside, repo.join(FILE)).unwrap();
        update(&repo, &[b"x".to_vec()], &[]).unwrap_err();
        assert_eq!(fs_err::read_to_string(&outside).unwrap(), "mine");
    }
}
