//! What the headers of GGUF files say, read without the files.

use bytes::BytesMut;
use hub_types::gguf::{GgufError, GgufMetadata};
use hub_types::{RepoId, RepoPath, RepoType, Revision};

use crate::client::HfApi;
use crate::error::{Error, Result};
use crate::operation;

/// What is read at first; a tokenizer in the header makes it longer.
const FIRST: u64 = 1 << 20;
/// A header that goes on behind this is refused.
const LONGEST: u64 = 256 << 20;

operation! {
    impl HfApi, Error;

    /// Reads the header of a GGUF file: architecture, settings, tokenizer, tensors and their types.
    ///
    /// A megabyte is read at first, and twice as much each time the header goes on.
    ///
    /// Endpoint: `GET /{repo}/resolve/{revision}/{filename}` with `Range`
    ///
    /// ```no_run
    /// # async fn example(api: hub_http::HfApi) -> hub_http::Result<()> {
    /// let header = api.get_gguf_metadata("ada/demo", "model-Q4_K_M.gguf").await?;
    /// println!("{:?}: {} parameters", header.architecture(), header.parameters());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] when it is no such file; as for [`HfApi::open_file`].
    pub fn get_gguf_metadata(
        /// The repo.
        repo_id: RepoId,
        /// The file.
        filename: RepoPath,
    ) -> GetGgufMetadata(GetGgufMetadataArgs) => GgufMetadata {
        /// What the repo holds. By default what the id says, else a model.
        repo_type: RepoType,
        /// The branch, tag or commit. By default `main`.
        revision: Revision,
        /// Arrays of more elements are passed over: tokenizers have hundreds of thousands. By default 1000.
        longest_array: u64,
    }
}

impl GetGgufMetadataArgs {
    async fn run(self, api: HfApi) -> Result<GgufMetadata> {
        let longest_array = self.longest_array.unwrap_or(1000);
        let file = api.open_file(self.repo_id, self.filename).repo_type(self.repo_type);
        let file = file.revision(self.revision).await?;
        let mut header = BytesMut::new();
        let mut wanted = FIRST.min(file.size());
        loop {
            let there = header.len() as u64;
            header.extend_from_slice(&file.read_at(there, wanted - there).await?);
            match GgufMetadata::parse(&header, longest_array) {
                Ok(found) => return Ok(found),
                Err(GgufError::Incomplete { needed }) if needed <= file.size().min(LONGEST) => {
                    wanted = needed.max(wanted * 2).min(file.size());
                }
                Err(GgufError::Invalid(err)) => return Err(err.into()),
                Err(err) => {
                    let expected = format!("a GGUF header within {} bytes", file.size().min(LONGEST));
                    return Err(Error::Integrity {
                        path: file.path().to_string(),
                        expected,
                        received: err.to_string(),
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use wiremock::ResponseTemplate;

    use super::*;
    use crate::api::testing::Hub;

    const COMMIT: &str = "8f1f7d9c3f7f2a0f4e5b6c7d8e9fa0b1c2d3e4f5";

    /// A header without tensors, with one pair whose text is so long.
    fn header(text: usize) -> Vec<u8> {
        let mut bytes = b"GGUF\x03\0\0\0".to_vec();
        for number in [0_u64, 1, 1] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.push(b'k');
        bytes.extend_from_slice(&8_u32.to_le_bytes());
        bytes.extend_from_slice(&(text as u64).to_le_bytes());
        bytes.extend(std::iter::repeat_n(b'x', text));
        bytes
    }

    async fn hub(content: &[u8]) -> Hub {
        let hub = Hub::start().await;
        let target = format!("/ada/demo/resolve/{COMMIT}/m.gguf");
        let described = |reply: ResponseTemplate| {
            reply
                .insert_header("etag", "\"one\"")
                .insert_header("x-repo-commit", COMMIT)
        };
        let size = content.len().to_string();
        let head = described(ResponseTemplate::new(200)).insert_header("x-linked-size", size.as_str());
        hub.answer("HEAD", "/ada/demo/resolve/main/m.gguf", head).await;
        // It gives all of it, whatever is asked for.
        let whole = described(ResponseTemplate::new(200)).set_body_bytes(content);
        for target in [target.as_str(), "/ada/demo/resolve/main/m.gguf"] {
            hub.answer("GET", target, whole.clone()).await;
        }
        hub
    }

    #[tokio::test]
    async fn a_short_header_takes_one_read_and_a_long_one_a_few() {
        for (length, reads) in [(10, 1), (5_000_000, 2)] {
            let hub = hub(&header(length)).await;
            let found = hub.api().get_gguf_metadata("ada/demo", "m.gguf").await.unwrap();
            assert_eq!(found.metadata["k"].as_str().unwrap().len(), length);
            let asked = hub.asked().await;
            assert_eq!(
                asked.iter().filter(|line| line.starts_with("GET")).count(),
                reads,
                "{asked:?}"
            );
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_told() {
        let err = hub(b"{\"error\": 1}")
            .await
            .api()
            .get_gguf_metadata("ada/demo", "m.gguf")
            .await
            .unwrap_err();
        assert!(matches!(err, Error::Invalid(_)), "{err}");
        let err = hub(&header(100)[..60])
            .await
            .api()
            .get_gguf_metadata("ada/demo", "m.gguf")
            .await
            .unwrap_err();
        assert!(matches!(err, Error::Integrity { .. }), "{err}");
    }
}
