//! Users, organisations, followers and likes.

use hub_types::users::{Like, Organization, User, UserLikes};
use hub_types::{RepoId, RepoType, ValidationError};

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::page::Items;
use crate::request::Request;

operation! {
    impl HfApi, Error;

    /// Gives what is known of a user.
    ///
    /// Endpoint: `GET /api/users/{username}/overview`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let user = api.get_user_overview("julien-c").await?;
    /// println!("{:?} models", user.num_models);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Http`] with status 404 when there is none; see [`Error`] for those any call can return.
    pub fn get_user_overview(
        /// The account's name.
        username: String,
    ) -> GetUserOverview(GetUserOverviewArgs) => User {}
}

impl GetUserOverviewArgs {
    async fn run(self, api: HfApi) -> Result<User> {
        let name = super::segment("username", &self.username)?;
        api.ask(Request::get(format!("/api/users/{name}/overview")))
            .await?
            .json()
    }
}

operation! {
    impl HfApi, Error;

    /// Gives what is known of an organisation.
    ///
    /// Endpoint: `GET /api/organizations/{organization}/overview`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let organization = api.get_organization_overview("huggingface").await?;
    /// println!("{:?}", organization.fullname);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Http`] with status 404 when there is none; see [`Error`] for those any call can return.
    pub fn get_organization_overview(
        /// The account's name.
        organization: String,
    ) -> GetOrganizationOverview(GetOrganizationOverviewArgs) => Organization {}
}

impl GetOrganizationOverviewArgs {
    async fn run(self, api: HfApi) -> Result<Organization> {
        let name = super::segment("organization", &self.organization)?;
        api.ask(Request::get(format!("/api/organizations/{name}/overview")))
            .await?
            .json()
    }
}

/// Declares a listing of users that belongs to one account.
macro_rules! users_of {
    ($($(#[$meta:meta])* $name:ident $op:ident $args:ident $argument:ident $before:literal $behind:literal;)+) => { $(
        operation! {
            impl HfApi, Error;

            $(#[$meta])*
            ///
            /// # Errors
            ///
            /// [`Error::Http`] with status 404 when there is no such account; see [`Error`] for those any call can
            /// return.
            pub fn $name(
                /// The account's name.
                $argument: String,
            ) -> $op($args) => stream User {}
        }

        impl $args {
            async fn run(self, api: HfApi) -> Result<Items<User>> {
                let name = super::segment(stringify!($argument), &self.$argument)?;
                Ok(Items::paged(api, Request::get(format!(concat!("/api/", $before, "/{}/", $behind), name))))
            }
        }
    )+ };
}

users_of! {
    /// Lists who follows an organisation.
    ///
    /// Endpoint: `GET /api/organizations/{organization}/followers`
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let followers = api.list_organization_followers("huggingface").wait()?;
    /// for follower in followers.take(10) {
    ///     println!("{}", follower?.username);
    /// }
    /// # Ok(()) }
    /// ```
    list_organization_followers ListOrganizationFollowers ListOrganizationFollowersArgs organization "organizations" "followers";

    /// Lists who follows a user.
    ///
    /// Endpoint: `GET /api/users/{username}/followers`
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for follower in api.list_user_followers("julien-c").wait()?.take(10) {
    ///     println!("{}", follower?.username);
    /// }
    /// # Ok(()) }
    /// ```
    list_user_followers ListUserFollowers ListUserFollowersArgs username "users" "followers";

    /// Lists whom a user follows.
    ///
    /// Endpoint: `GET /api/users/{username}/following`
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for user in api.list_user_following("julien-c").wait()? {
    ///     println!("{}", user?.username);
    /// }
    /// # Ok(()) }
    /// ```
    list_user_following ListUserFollowing ListUserFollowingArgs username "users" "following";
}

operation! {
    impl HfApi, Error;

    /// Lists an organisation's members.
    ///
    /// Endpoint: `GET /api/organizations/{organization}/members`
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for member in api.list_organization_members("huggingface").wait()? {
    ///     println!("{}", member?.username);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Http`] with status 404 when there is no such account; see [`Error`] for those any call can return.
    pub fn list_organization_members(
        /// The account's name.
        organization: String,
    ) -> ListOrganizationMembers(ListOrganizationMembersArgs) => stream User {
        /// Only the member with this address, which must be of a domain of the organisation's; for its administrators.
        /// An extension beyond the Python client.
        email: String,
        /// At most this many. An extension beyond the Python client.
        limit: u64,
    }
}

impl ListOrganizationMembersArgs {
    async fn run(self, api: HfApi) -> Result<Items<User>> {
        let name = super::segment("organization", &self.organization)?;
        let request = Request::get(format!("/api/organizations/{name}/members"))
            .query_opt("email", self.email)
            .query_opt("limit", self.limit);
        Ok(Items::paged(api, request).limited(self.limit))
    }
}

operation! {
    impl HfApi, Error;

    /// Lists what a user likes, by type.
    ///
    /// Endpoint: `GET /api/users/{user}/likes`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let likes = api.list_liked_repos().user("julien-c").await?;
    /// println!("{} models", likes.models.len());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] without a user when the token is an organisation's; see [`Error`] for those any call can
    /// return.
    pub fn list_liked_repos() -> ListLikedRepos(ListLikedReposArgs) => UserLikes {
        /// Whose likes. By default the token's account.
        user: String,
    }
}

impl ListLikedReposArgs {
    async fn run(self, api: HfApi) -> Result<UserLikes> {
        let user = super::namespace_or_own_user(&api, self.user).await?;
        let path = format!("/api/users/{}/likes", super::segment("user", &user)?);
        let likes: Vec<Like> = Items::paged(api, Request::get(path)).collect_all().await?;
        Ok(UserLikes::new(user, likes))
    }
}

operation! {
    impl HfApi, Error;

    /// Lists who likes a repo.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces}/{repo_id}/likers`
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for user in api.list_repo_likers("openai-community/gpt2").wait()?.take(10) {
    ///     println!("{}", user?.username);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RepoNotFound`]; see [`Error`] for those any call can return.
    pub fn list_repo_likers(
        /// The repo.
        repo_id: RepoId,
    ) -> ListRepoLikers(ListRepoLikersArgs) => stream User {
        /// What the repo holds, where the id does not say. By default a model.
        repo_type: RepoType,
    }
}

impl ListRepoLikersArgs {
    async fn run(self, api: HfApi) -> Result<Items<User>> {
        let repo = self.repo_id.typed(self.repo_type);
        Ok(Items::paged(
            api,
            Request::get(format!("/api/{}/likers", repo.api_path())),
        ))
    }
}

operation! {
    impl HfApi, Error;

    /// Takes a like back. There is no call to give one, by the Hub's design.
    ///
    /// Endpoint: `DELETE /api/{models|datasets|spaces}/{repo_id}/like`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.unlike("openai-community/gpt2").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RepoNotFound`]; see [`Error`] for those any call can return.
    pub fn unlike(
        /// The repo.
        repo_id: RepoId,
    ) -> Unlike(UnlikeArgs) => () {
        /// What the repo holds, where the id does not say. By default a model.
        repo_type: RepoType,
    }
}

impl UnlikeArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let repo = self.repo_id.typed(self.repo_type);
        api.send(Request::delete(format!("/api/{}/like", repo.api_path())))
            .await
            .map(drop)
    }
}

/// The error of a call that needs a user where the token is an organisation's.
pub(super) fn not_a_user(name: &str) -> Error {
    ValidationError::new("namespace", name, "the token is not a user's: name the namespace").into()
}
