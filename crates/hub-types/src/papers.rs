//! Models of the `papers` area.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Timestamp;
use crate::model::reply;
use crate::repos::{DatasetInfo, ModelInfo, SpaceInfo};
use crate::users::{Organization, User};

reply! {
    /// An author of a paper.
    PaperAuthor {
        /// The name as the paper has it.
        name = String,
        /// The account, where the author has claimed the paper.
        user?: User,
        /// Where the claim stands.
        status?: String,
        /// Since when it stands there.
        status_last_changed_at?: Timestamp,
        /// Whether the claim is hidden.
        hidden?: bool,
    }
}

/// A paper.
///
/// The Hub sends it in three forms: flat, or inside a wrapper whose `publishedAt` is when it was submitted. They are
/// merged here by the Python client's rules (`hf_api.PaperInfo`).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct PaperInfo {
    /// Its arXiv id.
    pub id: String,
    /// Who wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authors: Option<Vec<PaperAuthor>>,
    /// When it appeared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub published_at: Option<Timestamp>,
    /// When it was submitted to the daily papers.
    #[serde(rename = "submittedOnDailyAt", skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Timestamp>,
    /// Its title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Its abstract.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// How many upvoted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upvotes: Option<u64>,
    /// Its discussion's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discussion_id: Option<String>,
    /// Where it comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// How many comments it has.
    #[serde(rename = "numComments")]
    pub comments: u64,
    /// Who submitted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub submitted_by: Option<User>,
    /// A machine's summary.
    #[serde(rename = "ai_summary", skip_serializing_if = "Option::is_none")]
    pub ai_summary: Option<String>,
    /// A machine's key words.
    #[serde(rename = "ai_keywords", skip_serializing_if = "Option::is_none")]
    pub ai_keywords: Option<Vec<String>>,
    /// The organisation it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organization: Option<Organization>,
    /// Its page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_page: Option<String>,
    /// Its repository on GitHub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github_repo: Option<String>,
    /// That repository's stars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub github_stars: Option<u64>,
    /// Models that cite it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linked_models: Option<Vec<ModelInfo>>,
    /// Datasets that cite it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linked_datasets: Option<Vec<DatasetInfo>>,
    /// Spaces that cite it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub linked_spaces: Option<Vec<SpaceInfo>>,
    /// How many models cite it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_total_models: Option<u64>,
    /// How many datasets cite it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub num_total_datasets: Option<u64>,
    /// All other fields, of the wrapper and of what is inside it, as the Hub sent them.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

/// What a paper's fields are called on the wire.
const NAMES: [&str; 24] = [
    "paper",
    "id",
    "authors",
    "publishedAt",
    "submittedOnDailyAt",
    "title",
    "summary",
    "upvotes",
    "discussionId",
    "source",
    "numComments",
    "submittedBy",
    "submittedOnDailyBy",
    "ai_summary",
    "ai_keywords",
    "organization",
    "projectPage",
    "githubRepo",
    "githubStars",
    "linkedModels",
    "linkedDatasets",
    "linkedSpaces",
    "numTotalModels",
    "numTotalDatasets",
];

impl<'de> Deserialize<'de> for PaperInfo {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let outer = Map::deserialize(deserializer)?;
        let none = Map::new();
        let inner = outer.get("paper").and_then(Value::as_object).unwrap_or(&none);
        // An empty text and a zero count as missing in the fall-backs.
        let first = |maps: [&Map<String, Value>; 2], key: &str| -> Option<Value> {
            maps.into_iter()
                .find_map(|map| map.get(key).filter(|value| is_something(value)).cloned())
        };
        let (inner_first, outer_only) = ([inner, &outer], [&outer, &none]);
        let id: Option<String> = read(first([&outer, inner], "id"));
        let published = first([inner, &none], "publishedAt");
        let outer_published = first(outer_only, "publishedAt");
        let (published_at, submitted_at) = match (published, outer_published) {
            (Some(published), submitted) => (
                Some(published),
                submitted.or_else(|| first(outer_only, "submittedOnDailyAt")),
            ),
            (None, published) => (published, first(outer_only, "submittedOnDailyAt")),
        };
        Ok(Self {
            id: id.ok_or_else(|| serde::de::Error::missing_field("id"))?,
            authors: read(first(inner_first, "authors")),
            published_at: read(published_at),
            submitted_at: read(submitted_at),
            title: read(first(outer_only, "title")),
            summary: read(first(inner_first, "summary")),
            upvotes: read(first(inner_first, "upvotes").or_else(|| outer.get("upvotes").cloned())),
            discussion_id: read(first(inner_first, "discussionId")),
            source: read(first(outer_only, "source")),
            comments: read(first(outer_only, "numComments")).unwrap_or(0),
            submitted_by: read(first(outer_only, "submittedBy").or_else(|| first(outer_only, "submittedOnDailyBy"))),
            ai_summary: read(first(outer_only, "ai_summary")),
            ai_keywords: read(first(outer_only, "ai_keywords")),
            organization: read(first(outer_only, "organization")),
            project_page: read(first(outer_only, "projectPage")),
            github_repo: read(first(outer_only, "githubRepo")),
            github_stars: read(first(outer_only, "githubStars")),
            linked_models: read(first(outer_only, "linkedModels")),
            linked_datasets: read(first(outer_only, "linkedDatasets")),
            linked_spaces: read(first(outer_only, "linkedSpaces")),
            num_total_models: read(first(outer_only, "numTotalModels")),
            num_total_datasets: read(first(outer_only, "numTotalDatasets")),
            // The wrapper's own stand last and win.
            other: inner
                .iter()
                .chain(&outer)
                .filter(|(name, _)| !NAMES.contains(&name.as_str()))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        })
    }
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::Array(items) => !items.is_empty(),
        Value::Bool(_) | Value::Object(_) => true,
    }
}

/// A field in another form than documented is as good as absent: a paper never fails to parse for one.
fn read<T: serde::de::DeserializeOwned>(value: Option<Value>) -> Option<T> {
    serde_json::from_value(value?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapped_and_flat_forms_are_merged() {
        let wrapped: PaperInfo = serde_json::from_str(
            r#"{"paper":{"id":"2407.00001","publishedAt":"2024-07-01T00:00:00.000Z","upvotes":12,
             "authors":[{"name":"A. B.","hidden":false}]},"title":"A paper",
             "publishedAt":"2024-07-02T08:00:00.000Z","numComments":3,"submittedBy":{"user":"ada"}}"#,
        )
        .unwrap();
        assert_eq!(wrapped.id, "2407.00001");
        assert_eq!(wrapped.published_at.unwrap().to_string(), "2024-07-01T00:00:00.000Z");
        assert_eq!(wrapped.submitted_at.unwrap().to_string(), "2024-07-02T08:00:00.000Z");
        assert_eq!(
            (wrapped.comments, wrapped.submitted_by.unwrap().username.as_str()),
            (3, "ada")
        );
        let flat: PaperInfo =
            serde_json::from_str(r#"{"id":"1","publishedAt":"2024-07-01T00:00:00.000Z","submittedOnDailyAt":"2024-07-03T00:00:00.000Z","title":"T"}"#)
                .unwrap();
        assert_eq!(flat.published_at.unwrap().to_string(), "2024-07-01T00:00:00.000Z");
        assert_eq!(flat.submitted_at.unwrap().to_string(), "2024-07-03T00:00:00.000Z");
        assert!(serde_json::from_str::<PaperInfo>("{}").is_err());
        let kept: PaperInfo =
            serde_json::from_str(r#"{"paper":{"id":"1","x":1,"y":1},"x":2,"thumbnail":"/t.png"}"#).unwrap();
        assert_eq!(
            serde_json::Value::Object(kept.other),
            serde_json::json!({"x": 2, "y": 1, "thumbnail": "/t.png"})
        );
    }
}
