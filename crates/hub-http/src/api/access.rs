//! Access to gated repositories: who asked, and the answers.

use hub_types::access::AccessRequest;
use hub_types::{RepoId, RepoType, ValidationError};
use serde_json::{Value, json};

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::page::Items;
use crate::request::Request;

/// Declares a listing of requests of one status.
macro_rules! requests_listing {
    ($($(#[$meta:meta])* $name:ident $op:ident $args:ident $status:literal;)+) => { $(
        operation! {
            impl HfApi, Error;

            $(#[$meta])*
            ///
            /// # Errors
            ///
            /// [`Error::BadRequest`] when the repo is not gated, [`Error::Forbidden`] without write access; see
            /// [`Error`] for those any call can return.
            pub fn $name(
                /// The repo.
                repo_id: RepoId,
            ) -> $op($args) => stream AccessRequest {
                /// What the repo holds, where the id does not say. By default a model.
                repo_type: RepoType,
            }
        }

        impl $args {
            async fn run(self, api: HfApi) -> Result<Items<AccessRequest>> {
                Ok(Items::paged(api, Request::get(path(self.repo_id, self.repo_type, $status)?)))
            }
        }
    )+ };
}

requests_listing! {
    /// Lists requests that nobody has answered yet.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces}/{repo_id}/user-access-request/pending`
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for request in api.list_pending_access_requests("ada/gated-model").wait()? {
    ///     let request = request?;
    ///     println!("{:?} asks since {:?}", request.user, request.timestamp);
    /// }
    /// # Ok(()) }
    /// ```
    list_pending_access_requests ListPendingAccessRequests ListPendingAccessRequestsArgs "pending";

    /// Lists requests that were accepted.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces}/{repo_id}/user-access-request/accepted`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let accepted = api.list_accepted_access_requests("ada/gated-model").await?.collect_all().await?;
    /// println!("{} may read it", accepted.len());
    /// # Ok(()) }
    /// ```
    list_accepted_access_requests ListAcceptedAccessRequests ListAcceptedAccessRequestsArgs "accepted";

    /// Lists requests that were rejected.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces}/{repo_id}/user-access-request/rejected`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let rejected = api.list_rejected_access_requests("ada/gated-model").await?.collect_all().await?;
    /// println!("{} were turned away", rejected.len());
    /// # Ok(()) }
    /// ```
    list_rejected_access_requests ListRejectedAccessRequests ListRejectedAccessRequestsArgs "rejected";
}

/// Declares an answer to a request.
macro_rules! answer {
    ($($(#[$meta:meta])* $name:ident $op:ident $args:ident $status:literal { $($(#[$doc:meta])* $field:ident $wire:literal)? };)+) => { $(
        operation! {
            impl HfApi, Error;

            $(#[$meta])*
            ///
            /// Endpoint: `POST /api/{models|datasets|spaces}/{repo_id}/user-access-request/handle`
            ///
            /// # Errors
            ///
            /// [`Error::Invalid`] unless exactly one of `user` and `request_id` is given; [`Error::BadRequest`] when the
            /// repo is not gated; [`Error::Http`] with status 404 when there is no such request or it stands so already;
            /// see [`Error`] for those any call can return.
            pub fn $name(
                /// The repo.
                repo_id: RepoId,
            ) -> $op($args) => () {
                /// Whose request.
                user: String,
                /// Which request: the only handle where the repo hides user names.
                request_id: String,
                /// What the repo holds, where the id does not say. By default a model.
                repo_type: RepoType,
                $($(#[$doc])* $field: String,)?
            }
        }

        impl $args {
            async fn run(self, api: HfApi) -> Result<()> {
                let mut body = handle(self.user, self.request_id)?;
                body["status"] = $status.into();
                $(
                    if self.$field.as_ref().is_some_and(|text| text.chars().count() > 200) {
                        let text = self.$field.unwrap_or_default();
                        return Err(ValidationError::new(stringify!($field), text, "must have 200 characters at the most").into());
                    }
                    super::put(&mut body, $wire, self.$field);
                )?
                api.send(Request::post(path(self.repo_id, self.repo_type, "handle")?).json(&body)).await.map(drop)
            }
        }
    )+ };
}

answer! {
    /// Puts a request back to pending; a user who had access loses it.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.cancel_access_request("ada/gated-model").user("grace").await?;
    /// # Ok(()) }
    /// ```
    cancel_access_request CancelAccessRequest CancelAccessRequestArgs "pending" {};

    /// Accepts a request: the user may read the repo.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.accept_access_request("ada/gated-model").user("grace").await?;
    /// # Ok(()) }
    /// ```
    accept_access_request AcceptAccessRequest AcceptAccessRequestArgs "accepted" {};

    /// Rejects a request.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.reject_access_request("ada/gated-model")
    ///     .user("mallory")
    ///     .rejection_reason("Please say what you need it for.")
    ///     .await?;
    /// # Ok(()) }
    /// ```
    reject_access_request RejectAccessRequest RejectAccessRequestArgs "rejected" {
        /// Why, 200 characters at the most.
        rejection_reason "rejectionReason"
    };
}

operation! {
    impl HfApi, Error;

    /// Gives a user access who has not asked, and gives the Hub's answer as it is.
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces}/{repo_id}/user-access-request/grant`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.grant_access("ada/gated-model", "grace").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::BadRequest`] when the repo is not gated or the user has access already; see [`Error`] for those any call
    /// can return.
    pub fn grant_access(
        /// The repo.
        repo_id: RepoId,
        /// Who gets access.
        user: String,
    ) -> GrantAccess(GrantAccessArgs) => Value {
        /// What the repo holds, where the id does not say. By default a model.
        repo_type: RepoType,
    }
}

impl GrantAccessArgs {
    async fn run(self, api: HfApi) -> Result<Value> {
        let path = path(self.repo_id, self.repo_type, "grant")?;
        api.ask(Request::post(path).json(&json!({ "user": self.user })))
            .await?
            .json()
    }
}

fn path(repo_id: RepoId, repo_type: Option<RepoType>, rest: &str) -> Result<String> {
    let repo = repo_id.typed(repo_type);
    if repo.repo_type() == RepoType::Kernel {
        return Err(ValidationError::new("repo type", "kernel", "kernels cannot be gated").into());
    }
    Ok(format!("/api/{}/user-access-request/{rest}", repo.api_path()))
}

fn handle(user: Option<String>, request_id: Option<String>) -> Result<Value> {
    match (user, request_id) {
        (Some(user), None) => Ok(json!({ "user": user })),
        (None, Some(id)) => Ok(json!({ "requestId": id })),
        (user, _) => {
            let given = if user.is_some() { "both" } else { "neither" };
            Err(ValidationError::new("access request", given, "give exactly one of user and request_id").into())
        }
    }
}
