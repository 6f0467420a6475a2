//! Results of evaluations: the `model-index` of a card, and the files of `.eval_results`.

use super::{CardMap, CardValue};
use crate::ValidationError;

/// One measured value, with all that says what was measured.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EvalResult {
    /// The task's id: `image-classification`.
    pub task_type: String,
    /// The dataset's id.
    pub dataset_type: String,
    /// The dataset's name among people.
    pub dataset_name: String,
    /// The metric's id: `wer`.
    pub metric_type: String,
    /// What was measured: a number mostly, or text as `20.0 ± 1.2`.
    pub metric_value: CardValue,
    /// The task's name among people.
    pub task_name: Option<String>,
    /// The dataset's configuration.
    pub dataset_config: Option<String>,
    /// The dataset's split.
    pub dataset_split: Option<String>,
    /// The dataset's revision.
    pub dataset_revision: Option<String>,
    /// What else the dataset was loaded with.
    pub dataset_args: Option<CardValue>,
    /// The metric's name among people.
    pub metric_name: Option<String>,
    /// The metric's configuration.
    pub metric_config: Option<String>,
    /// What else the metric was computed with.
    pub metric_args: Option<CardValue>,
    /// Whether the Hub measured it.
    pub verified: Option<bool>,
    /// The Hub's signature for that.
    pub verify_token: Option<String>,
    /// Who says so.
    pub source_name: Option<String>,
    /// Where it is said.
    pub source_url: Option<String>,
}

impl EvalResult {
    /// A result with what it must have.
    pub fn new(
        task_type: impl Into<String>,
        dataset_type: impl Into<String>,
        dataset_name: impl Into<String>,
        metric_type: impl Into<String>,
        metric_value: impl Into<CardValue>,
    ) -> Self {
        Self {
            task_type: task_type.into(),
            dataset_type: dataset_type.into(),
            dataset_name: dataset_name.into(),
            metric_type: metric_type.into(),
            metric_value: metric_value.into(),
            ..Self::default()
        }
    }

    fn group(&self) -> [Option<&str>; 5] {
        let (config, split) = (self.dataset_config.as_deref(), self.dataset_split.as_deref());
        let revision = self.dataset_revision.as_deref();
        [Some(&self.task_type), Some(&self.dataset_type), config, split, revision]
    }
}

/// The results of a model: what `model-index` holds, one record a measured value.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelIndex {
    /// The model's name.
    pub name: String,
    /// The results.
    pub results: Vec<EvalResult>,
}

pub(super) fn refuse(place: impl Into<String>, rule: &str) -> ValidationError {
    ValidationError::new("model-index", place, rule)
}

/// A member that must be there.
pub(super) fn required<'a>(value: &'a CardValue, place: &str, key: &str) -> Result<&'a CardValue, ValidationError> {
    value
        .get(key)
        .ok_or_else(|| refuse(format!("{place}.{key}"), "is missing"))
}

/// The elements of a member that must be a list.
pub(super) fn elements<'a>(value: &'a CardValue, place: &str) -> Result<&'a [CardValue], ValidationError> {
    value.as_list().ok_or_else(|| refuse(place, "must be a list"))
}

/// A member that is text, or a number or a date in its place.
fn text(value: &CardValue, place: &str, key: &str) -> Result<Option<String>, ValidationError> {
    match value.get(key) {
        None | Some(CardValue::Null) => Ok(None),
        Some(CardValue::String(text)) => Ok(Some(text.clone())),
        Some(CardValue::List(_) | CardValue::Map(_)) => Err(refuse(format!("{place}.{key}"), "must be text")),
        Some(other) => Ok(Some(super::write::inline(other))),
    }
}

fn required_text(value: &CardValue, place: &str, key: &str) -> Result<String, ValidationError> {
    text(value, place, key)?.ok_or_else(|| refuse(format!("{place}.{key}"), "is missing"))
}

fn other(value: &CardValue, key: &str) -> Option<CardValue> {
    value.get(key).filter(|value| !value.is_null()).cloned()
}

impl ModelIndex {
    /// Reads a `model-index`. Several elements are read as one, of which the last one's name counts.
    ///
    /// # Errors
    ///
    /// When it is no list or an empty one, when a required member is missing, or when a source has a name and no
    /// address. The error names the place: `[0].results[2].task.type`.
    #[doc(alias = "model_index_to_eval_results")]
    pub fn from_value(value: &CardValue) -> Result<Self, ValidationError> {
        let mut index = Self::default();
        let list = elements(value, "model-index")?;
        if list.is_empty() {
            return Err(refuse("[]", "must not be empty"));
        }
        for (at, element) in list.iter().enumerate() {
            let place = format!("[{at}]");
            index.name = required_text(element, &place, "name")?;
            let results = required(element, &place, "results")?;
            for (at, result) in elements(results, &format!("{place}.results"))?.iter().enumerate() {
                index.read_result(result, &format!("{place}.results[{at}]"))?;
            }
        }
        Ok(index)
    }

    fn read_result(&mut self, result: &CardValue, place: &str) -> Result<(), ValidationError> {
        let (task_place, dataset_place) = (format!("{place}.task"), format!("{place}.dataset"));
        let task = required(result, place, "task")?;
        let dataset = required(result, place, "dataset")?;
        let nothing = CardValue::Null;
        let source = result.get("source").unwrap_or(&nothing);
        let source_place = format!("{place}.source");
        let common = EvalResult {
            task_type: required_text(task, &task_place, "type")?,
            task_name: text(task, &task_place, "name")?,
            dataset_type: required_text(dataset, &dataset_place, "type")?,
            dataset_name: required_text(dataset, &dataset_place, "name")?,
            dataset_config: text(dataset, &dataset_place, "config")?,
            dataset_split: text(dataset, &dataset_place, "split")?,
            dataset_revision: text(dataset, &dataset_place, "revision")?,
            dataset_args: other(dataset, "args"),
            source_name: text(source, &source_place, "name")?,
            source_url: text(source, &source_place, "url")?,
            ..EvalResult::default()
        };
        if common.source_name.is_some() && common.source_url.is_none() {
            return Err(refuse(
                format!("{source_place}.url"),
                "is missing: a source has an address",
            ));
        }
        let metrics = required(result, place, "metrics")?;
        for (at, metric) in elements(metrics, &format!("{place}.metrics"))?.iter().enumerate() {
            let place = format!("{place}.metrics[{at}]");
            self.results.push(EvalResult {
                metric_type: required_text(metric, &place, "type")?,
                metric_value: required(metric, &place, "value")?.clone(),
                metric_name: text(metric, &place, "name")?,
                metric_config: text(metric, &place, "config")?,
                metric_args: other(metric, "args"),
                verified: metric.get("verified").and_then(CardValue::as_bool),
                verify_token: text(metric, &place, "verifyToken")?,
                ..common.clone()
            });
        }
        Ok(())
    }

    /// The `model-index` of these results, grouped by task, dataset, configuration, split and revision. What else a
    /// group says is the first result's.
    ///
    /// # Errors
    ///
    /// When a source has a name and no address.
    #[doc(alias = "eval_results_to_model_index")]
    pub fn to_value(&self) -> Result<CardValue, ValidationError> {
        let mut groups: Vec<Vec<&EvalResult>> = Vec::new();
        for result in &self.results {
            if result.source_name.is_some() && result.source_url.is_none() {
                return Err(refuse("source_name", "needs source_url beside it"));
            }
            match groups.iter_mut().find(|group| group[0].group() == result.group()) {
                Some(group) => group.push(result),
                None => groups.push(vec![result]),
            }
        }
        let results: Vec<CardValue> = groups.iter().map(|group| group_value(group)).collect();
        let index = map([("name", self.name.as_str().into()), ("results", results.into())]);
        Ok(CardValue::List(vec![index.without_nulls()]))
    }
}

fn map<const N: usize>(members: [(&str, CardValue); N]) -> CardValue {
    CardValue::Map(members.into())
}

fn optional<T: Clone + Into<CardValue>>(value: &Option<T>) -> CardValue {
    value.clone().into()
}

fn group_value(group: &[&EvalResult]) -> CardValue {
    let first = group[0];
    let metrics: Vec<CardValue> = group.iter().map(|result| metric_value(result)).collect();
    let mut members = vec![
        (
            "task",
            map([
                ("type", first.task_type.as_str().into()),
                ("name", optional(&first.task_name)),
            ]),
        ),
        (
            "dataset",
            map([
                ("name", first.dataset_name.as_str().into()),
                ("type", first.dataset_type.as_str().into()),
                ("config", optional(&first.dataset_config)),
                ("split", optional(&first.dataset_split)),
                ("revision", optional(&first.dataset_revision)),
                ("args", optional(&first.dataset_args)),
            ]),
        ),
        ("metrics", metrics.into()),
    ];
    if first.source_url.is_some() {
        members.push((
            "source",
            map([
                ("url", optional(&first.source_url)),
                ("name", optional(&first.source_name)),
            ]),
        ));
    }
    CardValue::Map(members.into_iter().collect())
}

fn metric_value(result: &EvalResult) -> CardValue {
    map([
        ("type", result.metric_type.as_str().into()),
        ("value", result.metric_value.clone()),
        ("name", optional(&result.metric_name)),
        ("config", optional(&result.metric_config)),
        ("args", optional(&result.metric_args)),
        ("verified", optional(&result.verified)),
        ("verifyToken", optional(&result.verify_token)),
    ])
}

/// Metadata that holds one result, to be merged into a card's.
///
/// # Errors
///
/// When the result has a source's name without its address.
pub fn metadata_eval_result(model_name: &str, result: EvalResult) -> Result<CardMap, ValidationError> {
    let index = ModelIndex {
        name: model_name.to_owned(),
        results: vec![result],
    };
    Ok(CardMap::from([("model-index", index.to_value()?)]))
}

/// An entry of a file `.eval_results/*.yaml`: a result on a benchmark that is a dataset of the Hub.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EvalResultEntry {
    /// The benchmark's dataset.
    pub dataset_id: String,
    /// Which of its tasks.
    pub task_id: String,
    /// What was measured, a number mostly.
    pub value: CardValue,
    /// The dataset's revision.
    pub dataset_revision: Option<String>,
    /// The Hub's signature.
    pub verify_token: Option<String>,
    /// When, as ISO 8601 has it.
    pub date: Option<String>,
    /// Where it is said. Needed where another fact of the source is given.
    pub source_url: Option<String>,
    /// What the source is called.
    pub source_name: Option<String>,
    /// The user who said it.
    pub source_user: Option<String>,
    /// The organisation that said it.
    pub source_org: Option<String>,
    /// What else there is to say.
    pub notes: Option<String>,
}

impl EvalResultEntry {
    /// An entry with what it must have.
    pub fn new(dataset_id: impl Into<String>, task_id: impl Into<String>, value: impl Into<CardValue>) -> Self {
        Self {
            dataset_id: dataset_id.into(),
            task_id: task_id.into(),
            value: value.into(),
            ..Self::default()
        }
    }

    fn check(&self) -> Result<(), ValidationError> {
        let more = [&self.source_name, &self.source_user, &self.source_org];
        if self.source_url.is_none() && more.iter().any(|fact| fact.is_some()) {
            let rule = "needs source_url beside source_name, source_user and source_org";
            return Err(ValidationError::new("eval result", &self.dataset_id, rule));
        }
        Ok(())
    }
}

/// The text of a file `.eval_results/*.yaml` with these entries.
///
/// ```
/// use hub_types::cards::{EvalResultEntry, eval_result_entries_to_yaml};
///
/// let entry = EvalResultEntry::new("cais/hle", "default", 20.9);
/// let file = eval_result_entries_to_yaml(&[entry])?;
/// assert_eq!(file, "- dataset:\n    id: cais/hle\n    task_id: default\n  value: 20.9\n");
/// # Ok::<(), hub_types::ValidationError>(())
/// ```
///
/// # Errors
///
/// When an entry tells of a source without its address.
pub fn eval_result_entries_to_yaml(entries: &[EvalResultEntry]) -> Result<String, ValidationError> {
    let mut list = Vec::new();
    for entry in entries {
        entry.check()?;
        let source = match &entry.source_url {
            None => CardValue::Null,
            Some(url) => map([
                ("url", url.into()),
                ("name", optional(&entry.source_name)),
                ("user", optional(&entry.source_user)),
                ("org", optional(&entry.source_org)),
            ]),
        };
        let dataset = map([
            ("id", entry.dataset_id.as_str().into()),
            ("task_id", entry.task_id.as_str().into()),
            ("revision", optional(&entry.dataset_revision)),
        ]);
        let value = map([
            ("dataset", dataset),
            ("value", entry.value.clone()),
            ("verifyToken", optional(&entry.verify_token)),
            ("date", optional(&entry.date)),
            ("source", source),
            ("notes", optional(&entry.notes)),
        ]);
        list.push(value.without_nulls());
    }
    let value = CardValue::List(list);
    let text = match &value {
        CardValue::List(items) if items.is_empty() => "[]".to_owned(),
        value => super::write::item(value, 0, "\n"),
    };
    Ok(text + "\n")
}

/// The entries of such a file (see [`from_yaml`](super::from_yaml)), or of a model's `evalResults`, where they may stand
/// under `data`. A file that the Hub could not read is left out there.
///
/// # Errors
///
/// When an entry lacks the dataset's id, the task's, or the value, or tells of a source without its address.
pub fn parse_eval_result_entries(value: &CardValue) -> Result<Vec<EvalResultEntry>, ValidationError> {
    let refuse = |place: String, rule: &str| ValidationError::new("eval results", place, rule);
    let list = value.as_list().ok_or_else(|| refuse(String::new(), "must be a list"))?;
    let mut entries = Vec::new();
    for (at, element) in list.iter().enumerate() {
        if element.get("error").is_some() {
            continue;
        }
        let entry = element.get("data").unwrap_or(element);
        let nothing = CardValue::Null;
        let dataset = entry.get("dataset").unwrap_or(&nothing);
        let source = entry.get("source").unwrap_or(&nothing);
        let member = |value: &CardValue, key: &str| match value.get(key) {
            None | Some(CardValue::Null | CardValue::List(_) | CardValue::Map(_)) => None,
            Some(CardValue::String(text)) => Some(text.clone()),
            Some(other) => Some(super::write::inline(other)),
        };
        let required = |found: Option<String>, key: &str| {
            found.ok_or_else(|| refuse(format!("[{at}].dataset.{key}"), "is missing"))
        };
        let entry = EvalResultEntry {
            dataset_id: required(member(dataset, "id"), "id")?,
            task_id: required(member(dataset, "task_id"), "task_id")?,
            value: entry
                .get("value")
                .cloned()
                .ok_or_else(|| refuse(format!("[{at}].value"), "is missing"))?,
            dataset_revision: member(dataset, "revision"),
            verify_token: member(entry, "verifyToken"),
            date: member(entry, "date"),
            source_url: member(source, "url"),
            source_name: member(source, "name"),
            source_user: member(source, "user"),
            source_org: member(source, "org"),
            notes: member(entry, "notes"),
        };
        entry.check()?;
        entries.push(entry);
    }
    Ok(entries)
}
