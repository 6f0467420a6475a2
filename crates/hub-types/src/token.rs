//! A secret that is never shown.

use std::fmt;

use zeroize::Zeroizing;

use crate::ValidationError;

/// An access token of the Hub (`hf_…`).
///
/// There is no `Display`, and `Debug` shows `hf_***`; [`Token::reveal`] is the one way to its text. Its memory is
/// cleared when the last clone is dropped.
#[derive(Clone)]
pub struct Token(std::sync::Arc<Zeroizing<String>>);

impl Token {
    /// Cleans a token as the Python client does: `\r` and `\n` are removed, blanks at the ends trimmed.
    ///
    /// # Errors
    ///
    /// When nothing is left, or a character is left that no HTTP header can carry. The error does not show the token.
    pub fn new(text: &str) -> Result<Self, ValidationError> {
        let clean: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !matches!(c, '\r' | '\n')).collect());
        let clean = Zeroizing::new(clean.trim().to_owned());
        if clean.is_empty() {
            return Err(ValidationError::secret("token", "must not be empty"));
        }
        if !clean.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(ValidationError::secret(
                "token",
                "must be visible ASCII characters without blanks",
            ));
        }
        Ok(Self(std::sync::Arc::new(clean)))
    }

    /// The token's text. Put it in a request's header or a file of mode 0600, nowhere else.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The first and last characters for a listing, as `hf auth list` shows them: `hf_****abcd`.
    pub fn masked(&self) -> String {
        let text = self.reveal();
        if text.len() < 12 {
            return "****".to_owned();
        }
        format!("{}****{}", &text[..3], &text[text.len() - 4..])
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.reveal() == other.reveal()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("hf_***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_cleaned_and_never_shown() {
        let token = Token::new(" hf_secret\r\n").unwrap();
        assert_eq!(token.reveal(), "hf_secret");
        assert_eq!(format!("{token:?}"), "hf_***");
        for bad in ["", " \n", "hf_a b", "hf_é"] {
            let err = Token::new(bad).unwrap_err();
            assert_eq!(err.value(), None);
        }
    }
}
