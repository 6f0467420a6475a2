//! Git LFS as the Hub speaks it: what an upload asks for and is told.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::{open_enum, reply};
use crate::{Secret, Sha256};

open_enum! {
    /// How a large file is sent.
    LfsTransfer {
        /// In one request.
        Basic = "basic",
        /// In parts.
        Multipart = "multipart",
        /// Through Xet.
        Xet = "xet",
    }

    /// How the Hub wants a file to be stored.
    UploadMode {
        /// As a large file.
        Lfs = "lfs",
        /// In git itself.
        Regular = "regular",
    }
}

/// A large file, by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct LfsPointer {
    /// The hash of its content.
    pub oid: Sha256,
    /// The size of its content in bytes.
    pub size: u64,
}

/// The headers of an action, or the addresses of its parts; `Debug` shows the names alone, for the values are signed.
#[derive(Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LfsHeader(pub BTreeMap<String, serde_json::Value>);

impl fmt::Debug for LfsHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

crate::argument!(LfsAction);

reply! {
    /// What the Hub says of one file before it is uploaded.
    PreuploadFile {
        /// Its path.
        path: String,
        /// How it is to be stored.
        upload_mode: UploadMode,
        /// Whether the repository's `.gitignore` leaves it out.
        should_ignore = bool,
        /// What is stored at that path now: a SHA-256 or a git object's id.
        oid?: String,
    }

    /// What the Hub says of files before they are uploaded.
    PreuploadReply {
        /// The files.
        files: Vec<PreuploadFile>,
    }

    /// A request that the client is to make.
    LfsAction {
        /// Where to. Its signature is as good as a token as long as it lasts.
        href: Secret,
        /// Headers to send; of a multipart upload the parts' addresses.
        header = LfsHeader,
    }

    /// The requests that store one large file.
    LfsActions {
        /// Sends the bytes.
        upload?: LfsAction,
        /// Confirms that they are there.
        verify?: LfsAction,
    }

    /// Why a large file is not taken.
    LfsError {
        /// An HTTP status.
        code = i64,
        /// In words.
        message = String,
    }

    /// What the Hub says of one large file.
    LfsObject {
        /// Its hash.
        oid: String,
        /// Why it is not taken, if so.
        error?: LfsError,
        /// What to do; nothing when it is stored already.
        actions?: LfsActions,
    }

    /// What the Hub says of a batch of large files.
    LfsBatchReply {
        /// How they are sent.
        transfer?: LfsTransfer,
        /// The files.
        objects: Vec<LfsObject>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_address_is_not_shown() {
        let json =
            r#"{"href": "https://store.example/x?sig=s3cret", "header": {"1": "https://store.example/1?sig=s3cret"}}"#;
        let action: LfsAction = serde_json::from_str(json).unwrap();
        let text = format!("{action:?}");
        assert!(!text.contains("s3cret") && text.contains("\"1\""), "{text}");
        assert_eq!(
            serde_json::to_value(&action).unwrap()["header"]["1"],
            "https://store.example/1?sig=s3cret"
        );
    }
}
