//! Secrets out of what git and git-lfs say.

use hub_types::Token;

/// Takes secrets out of a text: the token that was given, words that look like one, the user and password of an address,
/// and `Authorization` headers.
pub(crate) fn redact(text: &str, secret: Option<&Token>) -> String {
    let text = match secret {
        Some(token) => text.replace(token.reveal(), "***"),
        None => text.to_owned(),
    };
    let mut out = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let lower = line.to_ascii_lowercase();
        if let Some(at) = lower.find("authorization:").or_else(|| lower.find("authorization=")) {
            out.push_str(&line[..at + "authorization:".len()]);
            out.push_str(" ***");
            out.push_str(&line[line.trim_end_matches(['\r', '\n']).len()..]);
        } else {
            redact_words(line, &mut out);
        }
    }
    out
}

fn redact_words(line: &str, out: &mut String) {
    let mut rest = line;
    while !rest.is_empty() {
        let word_end = |text: &str| {
            text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '-'))
                .unwrap_or(text.len())
        };
        let token = ["hf_", "api_org_"].iter().find(|start| rest.starts_with(**start));
        if let Some(start) = token
            && word_end(rest) >= start.len() + 8
        {
            out.push_str("***");
            rest = &rest[word_end(rest)..];
            continue;
        }
        if let Some(behind) = rest.strip_prefix("://") {
            out.push_str("://");
            let authority = behind
                .find(|c: char| c.is_whitespace() || matches!(c, '/' | '\'' | '"'))
                .unwrap_or(behind.len());
            rest = match behind[..authority].rfind('@') {
                Some(at) => &behind[at + 1..],
                None => behind,
            };
            continue;
        }
        let first = rest.chars().next().expect("the text is not empty");
        out.push(first);
        rest = &rest[first.len_utf8()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_leave_no_trace() {
        let token = Token::new("hf_planted0123456789").unwrap();
        let text = "fatal: https://user:hf_planted0123456789@hub.example/ada/demo gone\n\
                    git config lfs.http://ada:s3cr%40t@hub.example/x.locksverify false\n\
                    > Authorization: Basic aGZfdXNlcjpoZl9wbGFudGVkMDEyMzQ1Njc4OQ==\r\n\
                    another hf_abcdefghijkl and api_org_abcdefghijkl, but hf_user stays\n\
                    plainly hf_planted0123456789";
        let shown = redact(text, Some(&token));
        assert_eq!(
            shown,
            "fatal: https://hub.example/ada/demo gone\n\
             git config lfs.http://hub.example/x.locksverify false\n\
             > Authorization: ***\r\n\
             another *** and ***, but hf_user stays\n\
             plainly ***"
        );
    }
}
