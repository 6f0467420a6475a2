//! Models of the `account` area: who a token belongs to.

use crate::model::reply;

reply! {
    /// Whose token is in use: the reply of `GET /api/whoami-v2`.
    WhoAmI {
        /// The account's name, which is also its namespace.
        name: String,
        /// `user` or `org`.
        kind as "type" ?: String,
        /// The account's full name.
        fullname?: String,
        /// The account's e-mail address, where the token may see it.
        email?: String,
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
        /// The token, unless it is of another kind.
        access_token?: AccessToken,
        ..
    }

    /// An access token, without its secret.
    AccessToken {
        /// The name that its owner gave it.
        display_name?: String,
        /// `read`, `write` or `fineGrained`.
        role?: String,
        ..
    }
}
