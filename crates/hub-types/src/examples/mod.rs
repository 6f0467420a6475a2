//! Every model of a reply, with an example of it from the specification, and what must hold of them all.
//!
//! The Hub's replies hold more than any document says, and miss some of it: a model reads its example, the same with
//! members and words that nobody knows yet, and the same without anything that may be missing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// An example of each model with all of its members, by the model's name.
const EXAMPLES: &str = include_str!("examples.json");

/// A member and a word that no version of the Hub has sent so far.
const UNKNOWN: &str = "ofTomorrow";

/// Members that are maps of free names: what stands in them has one type.
const MAPS: &[&str] = &["labels", "parameters"];

/// What operations give that is no reply of its own: put together from several, read from headers or bytes, or plain.
const COMPOSED: &[&str] = &[
    "()",
    "BucketFileMetadata",
    "Bytes",
    "Card",
    "CardMap",
    "CommitHash",
    "CommitInfo",
    "Fetched",
    "FileMetadata",
    "GgufMetadata",
    "Map<String, Value>",
    "PathBuf",
    "RemoteFile",
    "RepoInfo",
    "RepoPath",
    "RepoUrl",
    "SafetensorsFileMetadata",
    "SafetensorsRepoMetadata",
    "SpaceSecrets",
    "SpaceVariables",
    "String",
    "SyncPlan",
    "TagsByType",
    "UserLikes",
    "Value",
    "bool",
    "u64",
];

struct Model {
    name: &'static str,
    /// For models that are not declared by `reply!`: what must be there.
    must: Option<&'static [&'static str]>,
    /// Reads the model and writes it, and checks that what is written reads as the same.
    pass: fn(&Value) -> Result<Value, String>,
}

fn pass<T: DeserializeOwned + Serialize + std::fmt::Debug>(value: &Value) -> Result<Value, String> {
    let read: T = serde_json::from_value(value.clone()).map_err(|err| err.to_string())?;
    let written = serde_json::to_value(&read).map_err(|err| err.to_string())?;
    let again: T = serde_json::from_value(written.clone()).map_err(|err| format!("written: {err}: {written}"))?;
    // Not every model can be compared; all can be shown.
    if format!("{read:?}") != format!("{again:?}") {
        return Err(format!("{read:?} is written as {written}, which reads as {again:?}"));
    }
    Ok(written)
}

macro_rules! models {
    ($($area:ident: $($model:ident $([$($must:literal)*])?)+;)+) => {
        &[$($(Model {
            name: stringify!($model),
            must: models!(@must $([$($must)*])?),
            pass: pass::<crate::$area::$model>,
        }),+),+]
    };
    (@must) => { None };
    (@must [$($must:literal)*]) => { Some(&[$($must),*]) };
}

const MODELS: &[Model] = models! {
    access: AccessRequestUser AccessRequest;
    account: WhoAmI Org Auth AccessToken;
    buckets: BucketInfo BucketUrl BucketFile BucketFolder BucketEntry ["type" "path"] BatchFailure BatchReport;
    collections: ItemNote CollectionItem Collection;
    commits: CommitAuthor FormattedMessage GitCommitInfo;
    datasets: ParquetEntry ParquetFiles LeaderboardSource LeaderboardEntry;
    discussions: Author DiscussionRepo Discussion Changes DiscussionDetails DiscussionEvent ["id" "type"] CommentText Comment;
    endpoints: EndpointModel EndpointStatus InferenceEndpoint CatalogModel CatalogRecipe HardwareQuota EndpointHardware
        HardwareList [];
    files: LfsInfo LastCommit FileSecurity RepoFile RepoFolder TreeEntry ["path" "size"];
    jobs: JobOwner JobStatus JobDurations JobNetwork JobExpose JobInfo JobSpec LastJob ScheduledJobStatus ScheduledJobInfo Accelerator
        HardwareInfo;
    lfs: PreuploadFile PreuploadReply LfsAction LfsActions LfsError LfsObject LfsBatchReply;
    papers: PaperAuthor PaperInfo ["id"];
    repos: Sibling SafetensorsInfo TransformersInfo InferenceProviderMapping ModelInfo DatasetInfo SpaceInfo KernelInfo
        GitRefInfo GitRefs LfsFileInfo RepoStorageInfo;
    spaces: RuntimeHardware RuntimeReplicas RuntimeDomain HotReloading SpaceRuntime SpaceVariable SpaceSecret SpaceTemplate SpaceSearchResult ZeroGpuQuota
        Volume ["source" "mountPath"];
    users: User Organization LikedRepo Like;
    webhooks: Webhook WatchedItem ["type" "name"] WebhookPayload WebhookEvent WebhookRepo WebhookDiscussion
        WebhookComment WebhookUrl WebhookAccount WebhookSource WebhookMovedTo WebhookUpdatedRef;
};

#[cfg(feature = "cards")]
const CARD_MODELS: &[Model] = models! { cards: CardRemark CardReport; };
#[cfg(not(feature = "cards"))]
const CARD_MODELS: &[Model] = &[];

fn models() -> impl Iterator<Item = &'static Model> {
    MODELS.iter().chain(CARD_MODELS)
}

fn examples() -> BTreeMap<String, Map<String, Value>> {
    serde_json::from_str(EXAMPLES).expect("the examples are objects")
}

/// A member of a model that `reply!` declares.
#[derive(Debug)]
struct Member {
    wire: String,
    must: bool,
}

/// The models that `reply!` declares in the sources, and their members.
fn declared() -> BTreeMap<String, Vec<Member>> {
    let mut models = BTreeMap::new();
    for (path, text) in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        // The macro's own test has a model that is none.
        if path.ends_with("model.rs") || path.contains("examples") {
            continue;
        }
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line != "reply! {" {
                continue;
            }
            let mut name = String::new();
            for line in lines.by_ref().take_while(|line| *line != "}") {
                let line = line.trim();
                if let Some(model) = line.strip_suffix(" {") {
                    name = model.to_owned();
                    models.insert(name.clone(), Vec::new());
                } else if line.starts_with(|c: char| c.is_ascii_lowercase()) {
                    models
                        .get_mut(&name)
                        .expect("a member is in a model")
                        .push(member(line));
                }
            }
        }
    }
    assert!(models.len() > 80, "only {} models are found", models.len());
    models
}

fn member(line: &str) -> Member {
    let end = line
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .expect("a name has an end");
    let (name, rest) = line.split_at(end);
    let rest = rest.trim_start();
    let (wire, rest) = match rest.strip_prefix("as \"") {
        Some(named) => {
            let (wire, _) = named.split_once('"').expect("a quoted name has an end");
            let end = rest.rfind('"').expect("it is quoted") + 1;
            (wire.to_owned(), rest[end..].trim_start())
        }
        None => {
            let mut parts = name.split('_');
            let mut wire = parts.next().unwrap_or_default().to_owned();
            for part in parts {
                wire.push_str(&part[..1].to_ascii_uppercase());
                wire.push_str(&part[1..]);
            }
            (wire, rest)
        }
    };
    Member {
        wire,
        must: rest.starts_with(':'),
    }
}

/// The Rust files below a folder.
fn sources(folder: &Path) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for entry in fs_err::read_dir(folder).expect("the sources are there") {
        let path = entry.expect("they can be listed").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs_err::read_to_string(&path).expect("they can be read");
            found.push((path.to_string_lossy().replace('\\', "/"), text));
        }
    }
    found
}

/// What must be there of a model.
fn must(model: &Model, declared: &BTreeMap<String, Vec<Member>>) -> Vec<String> {
    match (model.must, declared.get(model.name)) {
        (Some(must), None) => must.iter().map(|&name| name.to_owned()).collect(),
        (None, Some(members)) => members.iter().filter(|m| m.must).map(|m| m.wire.clone()).collect(),
        _ => panic!("{}: what must be there is declared in one place", model.name),
    }
}

/// Changes every value on the way down; `key` is the name that it stands under.
fn change(key: &str, value: &mut Value, how: &mut impl FnMut(&str, &mut Value)) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| change(key, value, how)),
        Value::Object(members) => members.iter_mut().for_each(|(key, value)| change(key, value, how)),
        _ => {}
    }
    how(key, value);
}

fn add_unknown_members(value: &mut Value) {
    change("", value, &mut |key, value| {
        if let Value::Object(members) = value
            && !MAPS.contains(&key)
        {
            members.insert(UNKNOWN.to_owned(), serde_json::json!({"a": [1, null]}));
        }
    });
}

fn remove_unknown_members(value: &mut Value) {
    change("", value, &mut |_, value| {
        if let Value::Object(members) = value {
            members.remove(UNKNOWN);
        }
    });
}

/// Whether a text is a word, and not a moment or a hash, which have a form.
fn is_word(text: &str) -> bool {
    let is_moment = text.parse::<crate::Timestamp>().is_ok();
    let is_hash = matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit());
    !is_moment && !is_hash
}

#[test]
fn every_model_has_an_example_with_all_its_members() {
    let (examples, declared) = (examples(), declared());
    let listed: BTreeSet<&str> = models().map(|model| model.name).collect();
    for (name, members) in &declared {
        if name.starts_with("Card") && CARD_MODELS.is_empty() {
            continue;
        }
        assert!(listed.contains(name.as_str()), "{name} is not in the list of models");
        for member in members {
            let there = examples
                .get(name)
                .is_some_and(|example| example.contains_key(&member.wire));
            assert!(there, "the example of {name} has no {}", member.wire);
        }
    }
    for name in &listed {
        assert!(examples.contains_key(*name), "{name} has no example");
    }
}

#[test]
fn every_operation_gives_a_model_of_the_list() {
    let mut listed: BTreeSet<&str> = models()
        .map(|model| model.name)
        .chain(COMPOSED.iter().copied())
        .collect();
    if cfg!(not(feature = "cards")) {
        listed.insert("CardReport");
    }
    let operations = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hub-http/src/api");
    let mut outputs = 0;
    for (path, text) in sources(&operations) {
        for line in text.lines() {
            let Some((_, output)) = line.split_once("Args) => ") else {
                continue;
            };
            let output = output.trim_start_matches("stream ");
            let output = output.split(" {").next().unwrap_or_default();
            let inner = ["Vec<", "Option<", "Items<"]
                .iter()
                .find_map(|outer| output.strip_prefix(outer)?.strip_suffix('>'));
            let name = inner.unwrap_or(output).rsplit("::").next().unwrap_or_default();
            assert!(
                listed.contains(name) || name.starts_with('$'),
                "{path}: {name} is not in the list of models"
            );
            outputs += 1;
        }
    }
    assert!(outputs > 100, "only {outputs} operations are found");
}

#[test]
fn examples_are_read_and_come_out_as_they_went_in() {
    for (model, example) in models().map(|model| (model, Value::Object(examples()[model.name].clone()))) {
        let written = (model.pass)(&example).unwrap_or_else(|err| panic!("{}: {err}", model.name));
        assert!(!written.is_null(), "{}", model.name);
    }
}

#[test]
fn unknown_members_change_nothing() {
    for (model, mut example) in models().map(|model| (model, Value::Object(examples()[model.name].clone()))) {
        let before = (model.pass)(&example).unwrap();
        add_unknown_members(&mut example);
        let mut after = (model.pass)(&example).unwrap_or_else(|err| panic!("{}: {err}", model.name));
        remove_unknown_members(&mut after);
        assert_eq!(after, before, "{}", model.name);
    }
}

/// Models of which the Hub's users ask for members that nobody knows yet.
const KEEP_UNKNOWN: [&str; 8] = [
    "ModelInfo",
    "DatasetInfo",
    "SpaceInfo",
    "KernelInfo",
    "User",
    "Organization",
    "PaperInfo",
    "LeaderboardEntry",
];

#[test]
fn unknown_members_are_kept_where_they_are_asked_for() {
    let mut seen = 0;
    for model in models().filter(|model| KEEP_UNKNOWN.contains(&model.name)) {
        let mut example = examples()[model.name].clone();
        let unknown = serde_json::json!({"a": [1, null]});
        example.insert(UNKNOWN.to_owned(), unknown.clone());
        let written = (model.pass)(&example.into()).unwrap_or_else(|err| panic!("{}: {err}", model.name));
        assert_eq!(written[UNKNOWN], unknown, "{}", model.name);
        seen += 1;
    }
    assert_eq!(seen, KEEP_UNKNOWN.len());
}

#[test]
fn unknown_words_are_kept() {
    for (model, example) in models().map(|model| (model, Value::Object(examples()[model.name].clone()))) {
        let mut words = 0;
        change("", &mut example.clone(), &mut |_, value| {
            words += usize::from(value.as_str().is_some_and(is_word));
        });
        for wanted in 0..words {
            let (mut at, mut changed, mut word, mut place) = (0, example.clone(), Value::Null, String::new());
            change("", &mut changed, &mut |key, value| {
                if value.as_str().is_some_and(is_word) {
                    if at == wanted {
                        place = format!("{} {key} {value}", model.name);
                        word = std::mem::replace(value, UNKNOWN.into());
                    }
                    at += 1;
                }
            });
            let written = (model.pass)(&changed).unwrap_or_else(|err| panic!("{place}: {err}"));
            // Of what a model has a member for nothing is lost.
            let known = (model.pass)(&example).unwrap();
            let has_member = known.to_string().contains(&word.to_string());
            assert!(written != known || !has_member, "{place} is lost");
        }
    }
}

#[test]
fn only_what_must_be_there_must_be_there() {
    let declared = declared();
    for (model, example) in models().map(|model| (model, examples()[model.name].clone())) {
        let must = must(model, &declared);
        let mut least = example.clone();
        for name in example.keys() {
            let (mut absent, mut null) = (example.clone(), example.clone());
            absent.remove(name);
            null.insert(name.clone(), Value::Null);
            let (absent, null) = ((model.pass)(&absent.into()), (model.pass)(&null.into()));
            if must.contains(name) {
                assert!(
                    absent.is_err() && null.is_err(),
                    "{}: {name} may be missing",
                    model.name
                );
                continue;
            }
            let absent = absent.unwrap_or_else(|err| panic!("{} without {name}: {err}", model.name));
            let null = null.unwrap_or_else(|err| panic!("{} with {name} null: {err}", model.name));
            // What no member is for is kept as it came, null too.
            if declared
                .get(model.name)
                .is_some_and(|members| members.iter().any(|m| m.wire == *name))
            {
                assert_eq!(absent, null, "{}: {name}", model.name);
            }
            least.remove(name);
        }
        (model.pass)(&least.into()).unwrap_or_else(|err| panic!("{}: {err}", model.name));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What may be missing is missing or null in any mixture, with members of tomorrow among the rest.
    #[test]
    fn any_mixture_is_read(choices in prop::collection::vec(0_u8..4, 48), unknown in any::<bool>()) {
        let (examples, declared) = (examples(), declared());
        for model in models() {
            let must = must(model, &declared);
            let mut value = examples[model.name].clone();
            for (name, choice) in examples[model.name].keys().zip(choices.iter().cycle()) {
                if !must.contains(name) {
                    match choice {
                        0 => { value.remove(name); }
                        1 => { value.insert(name.clone(), Value::Null); }
                        _ => {}
                    }
                }
            }
            let mut value = Value::Object(value);
            if unknown {
                add_unknown_members(&mut value);
            }
            let read = (model.pass)(&value);
            prop_assert!(read.is_ok(), "{}: {:?} for {value}", model.name, read);
        }
    }
}
