//! Who is asking.

use hub_types::account::WhoAmI;

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;
use crate::request::Request;

operation! {
    impl HfApi, Error;

    /// Tells whose token is in use.
    ///
    /// Endpoint: `GET /api/whoami-v2`, which has a stricter rate limit than others: keep the answer.
    ///
    /// # Errors
    ///
    /// [`Error::TokenNotFound`] without a token, [`Error::Unauthorized`] for one that the Hub does not know; see
    /// [`Error`] for those any call can return.
    pub fn whoami() -> Whoami(WhoamiArgs) => WhoAmI {}
}

impl WhoamiArgs {
    async fn run(self, api: HfApi) -> Result<WhoAmI> {
        if api.token().await?.is_none() {
            return Err(Error::TokenNotFound);
        }
        api.send(Request::get("/api/whoami-v2")).await?.json().await
    }
}
