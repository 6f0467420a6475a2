//! Discussions and pull requests.
//!
//! A pull request is a discussion whose changes stand on the ref `refs/pr/<num>`; both share their numbers.

use std::io::Read as _;
use std::path::PathBuf;

use http::header::{CONTENT_TYPE, HeaderValue};
use hub_types::discussions::{
    Discussion, DiscussionDetails, DiscussionEvent, DiscussionStatus, DiscussionStatusFilter, DiscussionTypeFilter,
};
use hub_types::{RepoId, RepoType, ValidationError};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::page::Items;
use crate::request::Request;
use crate::runtime::blocking;

operation! {
    impl HfApi, Error;

    /// Lists discussions and pull requests of a repo, newest first.
    ///
    /// Pages are requested as the stream is read. Merged and draft ones cannot be asked for: they come where no status
    /// is given, and are to be told apart by [`Discussion::status`].
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces}/{repo_id}/discussions`
    ///
    /// ```no_run
    /// # fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let open = api
    ///     .get_repo_discussions("ada/demo")
    ///     .discussion_type("pull_request")
    ///     .discussion_status("open");
    /// for pull_request in open.wait()? {
    ///     println!("{}", pull_request?.title);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::RepoNotFound`]; see [`Error`] for those any call can return.
    pub fn get_repo_discussions(
        /// The repo.
        repo_id: RepoId,
    ) -> GetRepoDiscussions(GetRepoDiscussionsArgs) => stream Discussion {
        /// What the repo holds, where the id does not say. By default a model.
        repo_type: RepoType,
        /// Only those opened by this account.
        author: String,
        /// Only discussions, or only pull requests. By default both.
        discussion_type: DiscussionTypeFilter,
        /// Only open or only closed ones. By default all.
        discussion_status: DiscussionStatusFilter,
    }
}

impl GetRepoDiscussionsArgs {
    async fn run(self, api: HfApi) -> Result<Items<Discussion>> {
        let repo = discussed(self.repo_id, self.repo_type)?;
        // The Hub takes a word that it does not know for none, and lists everything.
        if let Some(DiscussionTypeFilter::Other(word)) = &self.discussion_type {
            let rule = "must be all, discussion or pull_request";
            return Err(ValidationError::new("discussion_type", word, rule).into());
        }
        if let Some(DiscussionStatusFilter::Other(word)) = &self.discussion_status {
            let rule = "must be all, open or closed: drafts and merged ones are found among the listed";
            return Err(ValidationError::new("discussion_status", word, rule).into());
        }
        // What is said is sent, also where it is what the Hub does by itself.
        let request = Request::get(format!("/api/{}/discussions", repo.api_path()))
            .query_opt("author", self.author)
            .query_opt("type", self.discussion_type)
            .query_opt("status", self.discussion_status);
        Ok(Items::numbered(api, request, "p", |page: Page| {
            let more = page.start + (page.discussions.len() as u64) < page.count;
            (page.discussions, more)
        }))
    }
}

/// A page of the listing.
#[derive(Deserialize)]
struct Page {
    discussions: Vec<Discussion>,
    #[serde(default)]
    count: u64,
    #[serde(default)]
    start: u64,
}

operation! {
    impl HfApi, Error;

    /// Gives a discussion or pull request with all that happened in it, and a pull request's diff.
    ///
    /// Endpoint: `GET /api/{models|datasets|spaces}/{repo_id}/discussions/{discussion_num}?diff=1`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let details = api.get_discussion_details("ada/demo", 3).await?;
    /// println!("{} events", details.events.len());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Http`] with status 404 when there is none of this number; see [`Error`] for those any call can return.
    pub fn get_discussion_details(
        /// The repo.
        repo_id: RepoId,
        /// Its number, 1 or more.
        discussion_num: u64,
    ) -> GetDiscussionDetails(GetDiscussionDetailsArgs) => DiscussionDetails {
        /// What the repo holds, where the id does not say. By default a model.
        repo_type: RepoType,
    }
}

impl GetDiscussionDetailsArgs {
    async fn run(self, api: HfApi) -> Result<DiscussionDetails> {
        let path = path(self.repo_id, self.repo_type, self.discussion_num)?;
        api.ask(Request::get(path).query("diff", "1")).await?.json()
    }
}

operation! {
    impl HfApi, Error;

    /// Opens a discussion, or with [`pull_request`](CreateDiscussion::pull_request) a pull request without changes yet.
    ///
    /// To open a pull request together with its changes, commit with `create_pr`.
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces}/{repo_id}/discussions`, then `GET` of the details as
    /// [`HfApi::get_discussion_details`] does.
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let discussion = api
    ///     .create_discussion("ada/demo", "Which license is it?")
    ///     .description("The card does not say.")
    ///     .await?;
    /// println!("#{}", discussion.num);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a title of less than 3 or more than 200 characters; [`Error::RepoNotFound`]; see
    /// [`Error`] for those any call can return.
    pub fn create_discussion(
        /// The repo.
        repo_id: RepoId,
        /// Its title, 3 to 200 characters; blanks at the ends are dropped.
        title: String,
    ) -> CreateDiscussion(CreateDiscussionArgs) => DiscussionDetails {
        /// What the repo holds, where the id does not say. By default a model.
        repo_type: RepoType,
        /// The first comment, in Markdown. By default the Python client's sentence.
        description: String,
        /// Opens a pull request, as a draft. By default a discussion.
        pull_request: bool,
    }
}

impl CreateDiscussionArgs {
    async fn run(self, api: HfApi) -> Result<DiscussionDetails> {
        let repo = discussed(self.repo_id, self.repo_type)?;
        let title = checked_title(&self.title)?;
        let pull_request = self.pull_request.unwrap_or(false);
        let description = match self.description.as_deref().map(str::trim) {
            Some(text) if !text.is_empty() => text.to_owned(),
            _ => {
                let what = if pull_request { "Pull Request" } else { "Discussion" };
                // The Python client's words: what reads discussions knows this sentence.
                format!(
                    "{what} opened with the [huggingface_hub Python library](https://huggingface.co/docs/huggingface_hub)"
                )
            }
        };
        #[derive(Deserialize)]
        struct Created {
            num: u64,
        }
        let base = format!("/api/{}/discussions", repo.api_path());
        let body = json!({ "title": title, "description": description, "pullRequest": pull_request });
        let created: Created = api.ask(Request::post(&base).json(&body)).await?.json()?;
        api.ask(Request::get(format!("{base}/{}", created.num)).query("diff", "1"))
            .await?
            .json()
    }
}

operation! {
    impl HfApi, Error;

    /// Opens a pull request without changes yet, as a draft. Commit to its ref, `refs/pr/<num>`, to fill it.
    ///
    /// The same as [`HfApi::create_discussion`] with `pull_request`.
    ///
    /// Endpoint: as for [`HfApi::create_discussion`].
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let draft = api.create_pull_request("ada/demo", "A better card").await?;
    /// api.upload_file("ada/demo", "README.md", "README.md")
    ///     .revision(format!("refs/pr/{}", draft.num))
    ///     .await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// As for [`HfApi::create_discussion`].
    pub fn create_pull_request(
        /// The repo.
        repo_id: RepoId,
        /// Its title, 3 to 200 characters; blanks at the ends are dropped.
        title: String,
    ) -> CreatePullRequest(CreatePullRequestArgs) => DiscussionDetails {
        /// What the repo holds, where the id does not say. By default a model.
        repo_type: RepoType,
        /// The first comment, in Markdown. By default the Python client's sentence.
        description: String,
    }
}

impl CreatePullRequestArgs {
    async fn run(self, api: HfApi) -> Result<DiscussionDetails> {
        let Self {
            repo_id,
            title,
            repo_type,
            description,
        } = self;
        CreateDiscussionArgs {
            repo_id,
            title,
            repo_type,
            description,
            pull_request: Some(true),
        }
        .run(api)
        .await
    }
}

operation! {
    impl HfApi, Error;

    /// Writes a comment.
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces}/{repo_id}/discussions/{discussion_num}/comment`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.comment_discussion("ada/demo", 3, "Thank you, it is merged.").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn comment_discussion(
        /// The repo.
        repo_id: RepoId,
        /// The discussion's number, 1 or more.
        discussion_num: u64,
        /// The comment, in Markdown.
        comment: String,
    ) -> CommentDiscussion(CommentDiscussionArgs) => DiscussionEvent {
        /// What the repo holds, where the id does not say. By default a model.
        repo_type: RepoType,
    }
}

impl CommentDiscussionArgs {
    async fn run(self, api: HfApi) -> Result<DiscussionEvent> {
        let path = path(self.repo_id, self.repo_type, self.discussion_num)?;
        let request = Request::post(format!("{path}/comment")).json(&json!({ "comment": self.comment }));
        event(&api, request, "newMessage").await
    }
}

operation! {
    impl HfApi, Error;

    /// Changes a comment's text.
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces}/{repo_id}/discussions/{discussion_num}/comment/{comment_id}/edit`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let comment = api.comment_discussion("ada/demo", 3, "Thnak you").await?;
    /// api.edit_discussion_comment("ada/demo", 3, comment.id, "Thank you").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn edit_discussion_comment(
        /// The repo.
        repo_id: RepoId,
        /// The discussion's number, 1 or more.
        discussion_num: u64,
        /// The comment's id: that of its event.
        comment_id: String,
        /// The new text, in Markdown.
        new_content: String,
    ) -> EditDiscussionComment(EditDiscussionCommentArgs) => DiscussionEvent {
        /// What the repo holds, where the id does not say. By default a model.
        repo_type: RepoType,
    }
}

impl EditDiscussionCommentArgs {
    async fn run(self, api: HfApi) -> Result<DiscussionEvent> {
        let path = comment_path(self.repo_id, self.repo_type, self.discussion_num, &self.comment_id)?;
        let request = Request::post(format!("{path}/edit")).json(&json!({ "content": self.new_content }));
        event(&api, request, "updatedComment").await
    }
}

operation! {
    impl HfApi, Error;

    /// Hides a comment. This cannot be undone: its text is no longer served.
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces}/{repo_id}/discussions/{discussion_num}/comment/{comment_id}/hide`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let comment = api.comment_discussion("ada/demo", 3, "wrong thread").await?;
    /// api.hide_discussion_comment("ada/demo", 3, comment.id).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn hide_discussion_comment(
        /// The repo.
        repo_id: RepoId,
        /// The discussion's number, 1 or more.
        discussion_num: u64,
        /// The comment's id: that of its event.
        comment_id: String,
    ) -> HideDiscussionComment(HideDiscussionCommentArgs) => DiscussionEvent {
        /// What the repo holds, where the id does not say. By default a model.
        repo_type: RepoType,
    }
}

impl HideDiscussionCommentArgs {
    async fn run(self, api: HfApi) -> Result<DiscussionEvent> {
        let path = comment_path(self.repo_id, self.repo_type, self.discussion_num, &self.comment_id)?;
        event(&api, Request::post(format!("{path}/hide")), "updatedComment").await
    }
}

operation! {
    impl HfApi, Error;

    /// Uploads an image, a video or a sound for a comment, and gives its address.
    ///
    /// In the comment an image is `![what it shows](address)`, a video the bare address, a sound
    /// `<audio controls src="address"></audio>`. The Hub takes files up to 10 MB, videos up to 50 MB.
    ///
    /// Endpoint: `POST /uploads`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let url = api.upload_attachment("screenshot.png").await?;
    /// let text = format!("It looks like this: ![the window]({url})");
    /// api.comment_discussion("ada/demo", 1, text).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for a file of another kind, told by its name, and for one of more than 10 MB (a video: 50 MB);
    /// [`Error::Io`]; see [`Error`] for those any call can return.
    pub fn upload_attachment(
        /// The file.
        path: PathBuf,
    ) -> UploadAttachment(UploadAttachmentArgs) => String {}
}

impl UploadAttachmentArgs {
    async fn run(self, api: HfApi) -> Result<String> {
        const KINDS: &[(&str, &str)] = &[
            ("png", "image/png"),
            ("jpg", "image/jpeg"),
            ("jpeg", "image/jpeg"),
            ("gif", "image/gif"),
            ("webp", "image/webp"),
            ("mp4", "video/mp4"),
            ("mov", "video/quicktime"),
            ("webm", "video/webm"),
            ("mp3", "audio/mpeg"),
            ("wav", "audio/wav"),
        ];
        let extension = self.path.extension().and_then(|extension| extension.to_str());
        let extension = extension.unwrap_or_default().to_ascii_lowercase();
        let Some((_, kind)) = KINDS.iter().find(|(known, _)| *known == extension) else {
            let known: Vec<&str> = KINDS.iter().map(|(known, _)| *known).collect();
            let rule = format!("must be one of {}, told by the file's name", known.join(", "));
            return Err(ValidationError::new("attachment", self.path.to_string_lossy(), rule).into());
        };
        let most: u64 = if kind.starts_with("video/") {
            50_000_000
        } else {
            10_000_000
        };
        let path = self.path;
        let name = path.to_string_lossy().into_owned();
        let read = move || {
            let mut bytes = Vec::new();
            fs_err::File::open(&path)?.take(most + 1).read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        let bytes = blocking(read).await?;
        if bytes.len() as u64 > most {
            let rule = format!("must not have more than {} MB", most / 1_000_000);
            return Err(ValidationError::new("attachment", name, rule).into());
        }
        let request = Request::post("/uploads")
            .header(CONTENT_TYPE, HeaderValue::from_static(kind))
            .bytes(bytes);
        Ok(api.send(request).await?.text().await?.trim().to_owned())
    }
}

operation! {
    impl HfApi, Error;

    /// Changes a discussion's title.
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces}/{repo_id}/discussions/{discussion_num}/title`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.rename_discussion("ada/demo", 3, "The license is missing").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for an empty title, [`Error::BadRequest`] for one of less than 3 or more than 200 characters; see
    /// [`Error`] for those any call can return.
    pub fn rename_discussion(
        /// The repo.
        repo_id: RepoId,
        /// The discussion's number, 1 or more.
        discussion_num: u64,
        /// The new title, 3 to 200 characters.
        new_title: String,
    ) -> RenameDiscussion(RenameDiscussionArgs) => DiscussionEvent {
        /// What the repo holds, where the id does not say. By default a model.
        repo_type: RepoType,
    }
}

impl RenameDiscussionArgs {
    async fn run(self, api: HfApi) -> Result<DiscussionEvent> {
        let path = path(self.repo_id, self.repo_type, self.discussion_num)?;
        let title = checked_title(&self.new_title)?;
        event(
            &api,
            Request::post(format!("{path}/title")).json(&json!({ "title": title })),
            "newTitle",
        )
        .await
    }
}

operation! {
    impl HfApi, Error;

    /// Opens or closes a discussion or pull request. A draft must be opened before it can be merged.
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces}/{repo_id}/discussions/{discussion_num}/status`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.change_discussion_status("ada/demo", 3, "closed").comment("Done in #4.").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for any status but open and closed; see [`Error`] for those any call can return.
    pub fn change_discussion_status(
        /// The repo.
        repo_id: RepoId,
        /// The discussion's number, 1 or more.
        discussion_num: u64,
        /// Open or closed.
        new_status: DiscussionStatus,
    ) -> ChangeDiscussionStatus(ChangeDiscussionStatusArgs) => DiscussionEvent {
        /// What the repo holds, where the id does not say. By default a model.
        repo_type: RepoType,
        /// A comment to write along with it.
        comment: String,
    }
}

impl ChangeDiscussionStatusArgs {
    async fn run(self, api: HfApi) -> Result<DiscussionEvent> {
        let path = path(self.repo_id, self.repo_type, self.discussion_num)?;
        if !matches!(self.new_status, DiscussionStatus::Open | DiscussionStatus::Closed) {
            let rule = "must be 'open' or 'closed'; merging is an operation of its own";
            return Err(ValidationError::new("status", self.new_status.as_str(), rule).into());
        }
        let mut body = json!({ "status": self.new_status });
        if let Some(comment) = said(self.comment) {
            body["comment"] = comment.into();
        }
        event(&api, Request::post(format!("{path}/status")).json(&body), "newStatus").await
    }
}

operation! {
    impl HfApi, Error;

    /// Merges a pull request into the branch it was opened against.
    ///
    /// Endpoint: `POST /api/{models|datasets|spaces}/{repo_id}/discussions/{discussion_num}/merge`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// api.merge_pull_request("ada/demo", 4).comment("Looks good").await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// What the Hub refuses (a draft, conflicts, no write access); see [`Error`] for those any call can return.
    pub fn merge_pull_request(
        /// The repo.
        repo_id: RepoId,
        /// The pull request's number, 1 or more.
        discussion_num: u64,
    ) -> MergePullRequest(MergePullRequestArgs) => () {
        /// What the repo holds, where the id does not say. By default a model.
        repo_type: RepoType,
        /// A comment to write along with it.
        comment: String,
    }
}

impl MergePullRequestArgs {
    async fn run(self, api: HfApi) -> Result<()> {
        let path = path(self.repo_id, self.repo_type, self.discussion_num)?;
        let mut request = Request::post(format!("{path}/merge"));
        if let Some(comment) = said(self.comment) {
            request = request.json(&json!({ "comment": comment }));
        }
        api.send(request).await.map(drop)
    }
}

/// The repo with its type, which must be one that has discussions.
fn discussed(repo_id: RepoId, repo_type: Option<RepoType>) -> Result<RepoId> {
    let repo = repo_id.typed(repo_type);
    if repo.repo_type() == RepoType::Kernel {
        return Err(ValidationError::new("repo type", "kernel", "kernels have no discussions on the Hub").into());
    }
    Ok(repo)
}

fn path(repo_id: RepoId, repo_type: Option<RepoType>, num: u64) -> Result<String> {
    if num == 0 {
        return Err(ValidationError::new("discussion_num", "0", "must be 1 or more").into());
    }
    Ok(format!(
        "/api/{}/discussions/{num}",
        discussed(repo_id, repo_type)?.api_path()
    ))
}

fn comment_path(repo_id: RepoId, repo_type: Option<RepoType>, num: u64, comment_id: &str) -> Result<String> {
    // As the Python client does: the Hub knows its ids in lower case only.
    let id = super::segment("comment_id", &comment_id.to_lowercase())?;
    Ok(format!("{}/comment/{id}", path(repo_id, repo_type, num)?))
}

/// A title that says something. How long it may be is for the Hub to say: 3 to 200 characters now.
fn checked_title(title: &str) -> Result<String> {
    match title.trim() {
        "" => Err(ValidationError::new("title", title, "must not be empty").into()),
        title => Ok(title.to_owned()),
    }
}

/// A comment that says something.
fn said(comment: Option<String>) -> Option<String> {
    comment
        .map(|text| text.trim().to_owned())
        .filter(|text| !text.is_empty())
}

/// Sends, and reads the event that the reply has under `key`.
async fn event(api: &HfApi, request: Request, key: &str) -> Result<DiscussionEvent> {
    let reply = api.ask(request).await?;
    let mut body: Value = reply.json()?;
    let event = body.get_mut(key).map(Value::take).unwrap_or_default();
    serde_json::from_value(event).map_err(|err| Error::MalformedReply {
        url: crate::error::without_query(&reply.url),
        problem: format!("no event under '{key}'"),
        source: Some(err.into()),
    })
}
