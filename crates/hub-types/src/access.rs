//! Models of the `access` area: who asked for a gated repository.

use std::collections::BTreeMap;

use crate::Timestamp;
use crate::model::{open_enum, reply};

open_enum! {
    /// Where a request for access stands.
    AccessRequestStatus {
        /// Nobody has answered yet.
        Pending = "pending",
        /// Granted.
        Accepted = "accepted",
        /// Refused.
        Rejected = "rejected",
    }
}

reply! {
    /// Who asked.
    AccessRequestUser {
        /// The account's name.
        user: String,
        /// The full name.
        fullname = String,
        /// The e-mail address, where it is shared.
        email?: String,
    }

    /// A request for access to a gated repository.
    AccessRequest {
        /// Its id: the only handle where the repository hides user names.
        request_id?: String,
        /// Where it stands.
        status: AccessRequestStatus,
        /// When it was made.
        timestamp?: Timestamp,
        /// Who asked; `None` where the repository hides user names.
        user?: AccessRequestUser,
        /// What was answered in the repository's form.
        fields = BTreeMap<String, serde_json::Value>,
    }
}
