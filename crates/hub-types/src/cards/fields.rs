//! The keys of a card that the Hub knows, by name.

use crate::ValidationError;

use super::{Card, CardValue, EvalResult, ModelIndex};

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident = $key:literal;)+) => {
        impl Card {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\nThe key `", $key, "`.")]
                pub fn $name(&self) -> Option<&str> {
                    self.get($key)?.as_str()
                }
            )+
        }
    };
}

macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident = $key:literal;)+) => {
        impl Card {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\nThe key `", $key, "`, which may be one text or a list of them; what is no text is left out.")]
                pub fn $name(&self) -> Vec<&str> {
                    self.texts($key)
                }
            )+
        }
    };
}

texts! {
    /// The license's id, if there is one only.
    license = "license";
    /// The name of a license that has no id.
    license_name = "license_name";
    /// Where that license stands.
    license_link = "license_link";
    /// The library that a model is for.
    library_name = "library_name";
    /// The task of a model.
    pipeline_tag = "pipeline_tag";
    /// What a dataset is called among people.
    pretty_name = "pretty_name";
    /// The title of a Space.
    title = "title";
    /// What a Space runs on: `gradio`, `streamlit`, `docker`, `static`.
    sdk = "sdk";
    /// The file that a Space starts.
    app_file = "app_file";
    /// The Space that this one was made of.
    duplicated_from = "duplicated_from";
}

lists! {
    /// The licenses.
    licenses = "license";
    /// The languages. `no` without quotes is no text but false, to the Python client too.
    languages = "language";
    /// The tags.
    tags = "tags";
    /// The datasets that a model learned from, or a Space uses.
    datasets = "datasets";
    /// The models that a model was made of.
    base_models = "base_model";
    /// The metrics that a model was measured by.
    metrics = "metrics";
    /// The models that a Space uses.
    models = "models";
    /// The tasks that a dataset is for.
    task_categories = "task_categories";
    /// The tasks that a dataset is for, more exactly.
    task_ids = "task_ids";
    /// How large a dataset is.
    size_categories = "size_categories";
    /// What a dataset was made of.
    source_datasets = "source_datasets";
}

impl Card {
    /// The texts under a key: one, or a list of them.
    pub fn texts(&self, key: &str) -> Vec<&str> {
        match self.get(key) {
            Some(CardValue::List(items)) => items.iter().filter_map(CardValue::as_str).collect(),
            Some(value) => value.as_str().into_iter().collect(),
            None => Vec::new(),
        }
    }

    /// The port on which a Space listens.
    ///
    /// The key `app_port`.
    pub fn app_port(&self) -> Option<u16> {
        self.get("app_port")?.as_integer()?.try_into().ok()
    }

    /// The results of a model's evaluation, from its `model-index`.
    ///
    /// # Errors
    ///
    /// When the `model-index` lacks what it must have; the error names the place.
    #[doc(alias = "eval_results")]
    pub fn model_index(&self) -> Result<Option<ModelIndex>, ValidationError> {
        self.get("model-index").map(ModelIndex::from_value).transpose()
    }

    /// Makes these the results of a model's evaluation. What is in the `model-index` already and does not change stays as
    /// it is.
    ///
    /// # Errors
    ///
    /// When a result has a source's name without its address.
    pub fn set_model_index(&mut self, name: &str, results: Vec<EvalResult>) -> Result<(), ValidationError> {
        let index = ModelIndex {
            name: name.to_owned(),
            results,
        };
        let value = index.to_value()?;
        self.set("model-index", value)
    }
}
