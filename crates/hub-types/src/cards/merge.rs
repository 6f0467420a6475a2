//! New metadata put into a card's, by the rules of the Python client's `metadata_update`.

use super::eval::{elements, refuse, required};
use super::{Card, CardMap, CardValue, ModelIndex, write};
use crate::ValidationError;

impl Card {
    /// Puts metadata into the card's.
    ///
    /// A key that has another value already is an error, unless `overwrite`. Lists are replaced as a whole; null takes a
    /// key out. The results of a `model-index` are merged one by one: a result that is there gets the new value (which
    /// is an error if it differs, unless `overwrite`), any other is added. `model_name` is the name of new results that
    /// have none.
    ///
    /// # Errors
    ///
    /// When a value differs and may not be overwritten: the error names the key and both values. When a `model-index` is
    /// wrong. The card is as it was then.
    #[doc(alias = "metadata_update")]
    pub fn update(&mut self, metadata: &CardMap, overwrite: bool, model_name: &str) -> Result<(), ValidationError> {
        let mut data = self.data().clone();
        for (key, value) in metadata.iter() {
            let own = data.get_value(key).filter(|own| !own.is_null());
            let value = match (key.as_str(), own) {
                (Some("model-index"), own) => merge_results(own, value, overwrite, model_name)?,
                (name, Some(own)) => {
                    let same =
                        own.equals(value) || (name == Some("tags") && unique_tags(own).equals(&unique_tags(value)));
                    if !same && !overwrite {
                        return Err(conflict(&write::inline(key), own, value));
                    }
                    if same { own.clone() } else { value.clone() }
                }
                (_, None) => value.clone(),
            };
            match key.as_str() {
                Some(name) if value.is_null() => drop(data.remove(name)),
                _ => drop(data.insert(key.clone(), value)),
            }
        }
        self.set_data(&data)
    }
}

fn conflict(what: &str, own: &CardValue, new: &CardValue) -> ValidationError {
    let (own, new) = (write::inline(own), write::inline(new));
    let rule = format!("the card has {own} and {new} is given: allow overwriting to replace it");
    ValidationError::new("metadata", what, rule)
}

/// Tags as the Python client has them: a list without doubles.
fn unique_tags(tags: &CardValue) -> CardValue {
    let mut unique: Vec<CardValue> = Vec::new();
    let tags = match tags {
        CardValue::List(tags) => tags.as_slice(),
        one => std::slice::from_ref(one),
    };
    for tag in tags {
        if !unique.contains(tag) {
            unique.push(tag.clone());
        }
    }
    CardValue::List(unique)
}

/// One measured value in a `model-index`: its result, and itself.
struct Record<'a> {
    result: &'a CardValue,
    metric: &'a CardValue,
}

fn member<'a>(value: &'a CardValue, path: &[&str]) -> Option<&'a CardValue> {
    let found = path.iter().try_fold(value, |value, key| value.get(key));
    found.filter(|value| !value.is_null())
}

fn equal(a: Option<&CardValue>, b: Option<&CardValue>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a.equals(b),
        (a, b) => a.is_none() && b.is_none(),
    }
}

/// What makes results one group.
const GROUP: &[&[&str]] = &[
    &["task", "type"],
    &["dataset", "type"],
    &["dataset", "config"],
    &["dataset", "split"],
    &["dataset", "revision"],
];
/// What else says which result it is.
const RESULT: &[&[&str]] = &[
    &["task", "name"],
    &["dataset", "name"],
    &["dataset", "args"],
    &["source", "name"],
    &["source", "url"],
];
const METRIC: &[&[&str]] = &[&["type"], &["name"], &["config"], &["args"], &["verified"]];

fn same_at(a: &CardValue, b: &CardValue, paths: &[&[&str]]) -> bool {
    paths.iter().all(|path| equal(member(a, path), member(b, path)))
}

impl Record<'_> {
    /// Whether both measure the same, whatever came out.
    fn is_about(&self, result: &CardValue, metric: &CardValue) -> bool {
        same_at(self.result, result, GROUP)
            && same_at(self.result, result, RESULT)
            && same_at(self.metric, metric, METRIC)
    }
}

fn merge_results(
    own: Option<&CardValue>,
    new: &CardValue,
    overwrite: bool,
    model_name: &str,
) -> Result<CardValue, ValidationError> {
    // The first element may lack a name.
    let mut named = new.clone();
    match &mut named {
        CardValue::List(elements) if !elements.is_empty() => match &mut elements[0] {
            CardValue::Map(first) if !first.contains_key("name") => drop(first.insert("name", model_name)),
            _ => {}
        },
        _ => return Err(refuse(write::inline(new), "must be a list with an element")),
    }
    let index = ModelIndex::from_value(&named)?;
    let Some(own) = own else { return index.to_value() };
    ModelIndex::from_value(own)?;
    let mut merged = own.clone();
    // Flat records of the new results, as they are in the wire's form: one result with one metric.
    for element in elements(&named, "model-index")? {
        for result in elements(required(element, "[]", "results")?, "results")? {
            for metric in elements(required(result, "results[]", "metrics")?, "metrics")? {
                merge_record(&mut merged, &Record { result, metric }, overwrite)?;
            }
        }
    }
    Ok(merged)
}

fn list_mut<'a>(value: &'a mut CardValue, key: &str) -> Option<&'a mut Vec<CardValue>> {
    match value {
        CardValue::Map(map) => match map.get_mut(key)? {
            CardValue::List(items) => Some(items),
            _ => None,
        },
        _ => None,
    }
}

fn merge_record(index: &mut CardValue, new: &Record<'_>, overwrite: bool) -> Result<(), ValidationError> {
    let CardValue::List(models) = index else {
        return Err(refuse("model-index", "must be a list"));
    };
    let mut found = false;
    for result in models
        .iter_mut()
        .filter_map(|model| list_mut(model, "results"))
        .flatten()
    {
        let facts = result.clone();
        for metric in list_mut(result, "metrics").into_iter().flatten() {
            if new.is_about(&facts, metric) {
                found = true;
                replace_value(metric, new.metric, overwrite)?;
            }
        }
    }
    if found {
        return Ok(());
    }
    // Added where the Python client groups it: to the first result of its group, else as a result of the last model.
    let metric = new.metric.clone().without_nulls();
    for result in models
        .iter_mut()
        .filter_map(|model| list_mut(model, "results"))
        .flatten()
    {
        if same_at(result, new.result, GROUP)
            && let Some(metrics) = list_mut(result, "metrics")
        {
            metrics.push(metric);
            return Ok(());
        }
    }
    let mut result = new.result.clone().without_nulls();
    if let Some(metrics) = list_mut(&mut result, "metrics") {
        *metrics = vec![metric];
    }
    match models.last_mut().and_then(|model| list_mut(model, "results")) {
        Some(results) => results.push(result),
        None => return Err(refuse("results", "must be a list")),
    }
    Ok(())
}

fn replace_value(own: &mut CardValue, new: &CardValue, overwrite: bool) -> Result<(), ValidationError> {
    let (old_value, new_value) = (member(own, &["value"]).cloned(), member(new, &["value"]));
    let (old_token, new_token) = (member(own, &["verifyToken"]), member(new, &["verifyToken"]));
    let same_value = equal(old_value.as_ref(), new_value);
    let differs = !same_value || !equal(old_token, new_token);
    if differs && !overwrite {
        let nothing = CardValue::Null;
        let what = |key: &str| member(new, &[key]).map_or_else(|| "none".to_owned(), write::inline);
        let what = format!("model-index: metric name {}, type {}", what("name"), what("type"));
        return Err(conflict(
            &what,
            old_value.as_ref().unwrap_or(&nothing),
            new_value.unwrap_or(&nothing),
        ));
    }
    let verified = member(own, &["verified"]) == Some(&CardValue::Bool(true));
    let new_token = new_token.cloned();
    let CardValue::Map(metric) = own else {
        return Err(refuse("metrics[]", "must be a map"));
    };
    if !same_value && let Some(value) = new_value {
        metric.insert("value", value.clone());
    }
    if verified {
        match new_token {
            Some(token) => drop(metric.insert("verifyToken", token)),
            None => drop(metric.remove("verifyToken")),
        }
    }
    Ok(())
}
