//! Models of the `account` area: who a token belongs to.

use serde_json::Value;

use crate::Timestamp;
use crate::model::reply;

reply! {
    /// Whose token is in use: the reply of `GET /api/whoami-v2`.
    WhoAmI {
        /// The account's name, which is also its namespace.
        name: String,
        /// `user` or `org`.
        kind as "type" ?: String,
        /// The account's id, which stays when it is renamed.
        id?: String,
        /// The account's full name.
        fullname?: String,
        /// The account's e-mail address, where the token may see it.
        email?: String,
        /// Whether that address is confirmed.
        email_verified?: bool,
        /// Whether it has a PRO subscription.
        is_pro?: bool,
        /// Whether it can pay.
        can_pay?: bool,
        /// When what it has paid for ends, in seconds since 1970, as the Hub sent it.
        period_end?: Value,
        /// The picture's address.
        avatar_url?: String,
        /// The organisations that the account belongs to.
        orgs = Vec<Org>,
        /// What is known of the token itself.
        auth?: Auth,
        ..
    }

    /// An organisation in [`WhoAmI`].
    Org {
        /// Its name, which is also its namespace.
        name: String,
        ..
    }

    /// What is known of the token in use.
    Auth {
        /// `access_token`, `app_token` or `app_token_as_user`.
        kind as "type" ?: String,
        /// The token, unless it is of another kind.
        access_token?: AccessToken,
        /// When a token of OAuth ends.
        expires_at?: Timestamp,
        ..
    }

    /// An access token, without its secret.
    AccessToken {
        /// The name that its owner gave it.
        display_name?: String,
        /// `read`, `write` or `fineGrained`.
        role?: String,
        /// When it was made.
        created_at?: Timestamp,
        ..
    }
}
