//! Papers.

use hub_types::ValidationError;
use hub_types::papers::PaperInfo;

use crate::auth::TokenChoice;
use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::request::Request;

operation! {
    impl HfApi, Error;

    /// Searches papers.
    ///
    /// Endpoint: `GET /api/papers/search`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for paper in api.list_papers().query("attention").limit(5).await? {
    ///     println!("{}: {:?}", paper.id, paper.title);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// See [`Error`] for those any call can return.
    pub fn list_papers() -> ListPapers(ListPapersArgs) => Vec<PaperInfo> {
        /// What is looked for.
        query: String,
        /// At most this many.
        limit: u64,
    }
}

impl ListPapersArgs {
    async fn run(self, api: HfApi) -> Result<Vec<PaperInfo>> {
        let request = Request::get("/api/papers/search")
            .query_opt("q", self.query.filter(|query| !query.is_empty()))
            .query_opt("limit", self.limit);
        let mut papers: Vec<PaperInfo> = api.ask(request).await?.json()?;
        truncate(&mut papers, self.limit);
        Ok(papers)
    }
}

operation! {
    impl HfApi, Error;

    /// Gives what is known of a paper. No token is sent.
    ///
    /// Endpoint: `GET /api/papers/{id}`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let paper = api.paper_info("1706.03762").await?;
    /// println!("{:?}", paper.title);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Http`] with status 404 when there is none; see [`Error`] for those any call can return.
    pub fn paper_info(
        /// Its arXiv id.
        id: String,
    ) -> GetPaperInfo(PaperInfoArgs) => PaperInfo {}
}

impl PaperInfoArgs {
    async fn run(self, api: HfApi) -> Result<PaperInfo> {
        let path = format!("/api/papers/{}", super::segment("paper id", &self.id)?);
        api.with_token(TokenChoice::None).ask(Request::get(path)).await?.json()
    }
}

operation! {
    impl HfApi, Error;

    /// Gives a paper's text as Markdown. No token is sent.
    ///
    /// Endpoint: `GET /papers/{id}.md`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let markdown = api.read_paper("1706.03762").await?;
    /// println!("{} lines", markdown.lines().count());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Http`] with status 404 when there is none; see [`Error`] for those any call can return.
    pub fn read_paper(
        /// Its arXiv id.
        id: String,
    ) -> ReadPaper(ReadPaperArgs) => String {}
}

impl ReadPaperArgs {
    async fn run(self, api: HfApi) -> Result<String> {
        let path = format!("/papers/{}.md", super::segment("paper id", &self.id)?);
        api.with_token(TokenChoice::None)
            .send(Request::get(path))
            .await?
            .text()
            .await
    }
}

operation! {
    impl HfApi, Error;

    /// Lists the papers of a day, week or month.
    ///
    /// Endpoint: `GET /api/daily_papers`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// for paper in api.list_daily_papers().date("2026-01-15").await? {
    ///     println!("{:?}", paper.title);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] for what is not written as a date, week or month, [`Error::BadRequest`] for one that there is
    /// not; see [`Error`] for those any call can return.
    pub fn list_daily_papers() -> ListDailyPapers(ListDailyPapersArgs) => Vec<PaperInfo> {
        /// Of this day: `2026-03-04`. By default the latest.
        date: String,
        /// Of this week: `2026-W10`.
        week: String,
        /// Of this month: `2026-03`.
        month: String,
        /// Only those that this account submitted.
        submitter: String,
        /// What comes first: `publishedAt` or `trending`.
        sort: String,
        /// Which page, the first being 0.
        p: u64,
        /// At most this many. By default 50.
        limit: u64,
    }
}

impl ListDailyPapersArgs {
    async fn run(self, api: HfApi) -> Result<Vec<PaperInfo>> {
        for (what, span, shape) in [
            ("date", &self.date, "0000-00-00"),
            ("week", &self.week, "0000-W00"),
            ("month", &self.month, "0000-00"),
        ] {
            if let Some(span) = span.as_ref().filter(|span| !is_shaped(span, shape)) {
                let rule = format!("must have the form {shape}, with digits for the zeros");
                return Err(ValidationError::new(what, span, rule).into());
            }
        }
        let request = Request::get("/api/daily_papers")
            .query_opt("date", self.date)
            .query_opt("week", self.week)
            .query_opt("month", self.month)
            .query_opt("submitter", self.submitter)
            .query_opt("sort", self.sort)
            .query_opt("p", self.p)
            .query_opt("limit", self.limit);
        let mut papers: Vec<PaperInfo> = api.ask(request).await?.json()?;
        truncate(&mut papers, self.limit);
        Ok(papers)
    }
}

/// Whether a text has digits where the shape has zeros, and is the same elsewhere.
fn is_shaped(text: &str, shape: &str) -> bool {
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, wanted)| match wanted {
            b'0' => byte.is_ascii_digit(),
            other => byte == other,
        })
}

fn truncate(papers: &mut Vec<PaperInfo>, limit: Option<u64>) {
    papers.truncate(
        limit
            .and_then(|limit| usize::try_from(limit).ok())
            .unwrap_or(usize::MAX),
    );
}
