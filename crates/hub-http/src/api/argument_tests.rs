//! Arguments that cannot be right are refused before any request, by name and with the rule; and those that are secret
//! are shown nowhere.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::api::testing::Hub;
use crate::api::{
    access, buckets, collections, commits, discussions, endpoints, files, jobs, papers, repos, resolve, search, spaces,
    upload, users, webhooks,
};
use crate::client::HfApi;
use crate::error::Error;
use crate::operation::{BoxFuture, Operation};

/// Runs a call with these arguments to its end, and gives what is said of it.
type Run = fn(HfApi, Value) -> BoxFuture<Result<(), String>>;

fn run<O>(api: HfApi, args: Value) -> BoxFuture<Result<(), String>>
where
    O: Operation<Context = HfApi, Error = Error> + 'static,
    O::IntoFuture: Send,
    <O as Operation>::Output: Send,
{
    Box::pin(async move {
        // What is of no type that the argument has is refused as the data are read.
        let operation = O::from_data(&api, args).map_err(|err| err.to_string())?;
        match operation.await {
            Ok(_) => Ok(()),
            Err(Error::Invalid(err)) => Err(err.to_string()),
            Err(err) => Err(format!("no refusal: {err:?}").chars().take(200).collect()),
        }
    })
}

fn shown<O>(api: &HfApi, args: Value) -> String
where
    O: Operation<Context = HfApi, Error = Error> + std::fmt::Debug,
{
    let operation = O::from_data(api, args).unwrap_or_else(|err| panic!("{}: {err}", O::NAME));
    format!("{operation:?} {operation:#?}")
}

#[tokio::test]
async fn what_cannot_be_right_is_refused_before_any_request() {
    let hub = Hub::start().await;
    let repo = || json!("ada/demo");
    let long = "x".repeat(501);
    let endpoint = |more: Value| {
        let mut args = json!({
            "name": "n", "repository": "a/b", "framework": "f", "accelerator": "cpu", "instance_size": "x1",
            "instance_type": "t", "region": "r", "vendor": "v", "namespace": "ada",
        });
        args.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        args
    };
    // The call, its arguments, the argument that is named, and a word of the rule.
    #[rustfmt::skip]
    let cases: Vec<(Run, Value, &str, &str)> = vec![
        (run::<repos::GetModelInfo>, json!({"repo_id": "a/b/c"}), "repo id", "slash"),
        (run::<repos::GetModelInfo>, json!({"repo_id": "a b"}), "repo id", "only ASCII"),
        (run::<repos::DeleteRepo>, json!({"repo_id": "-a/b"}), "repo id", "cannot start"),
        (run::<repos::CreateRepo>, json!({"repo_id": repo(), "private": true, "visibility": "public"}), "visibility", "not both"),
        (run::<repos::CreateRepo>, json!({"repo_id": repo(), "repo_type": "space"}), "space_sdk", "needs"),
        (run::<repos::CreateRepo>, json!({"repo_id": repo(), "repo_type": "space", "space_sdk": "gradio", "space_sleep_time": -5}), "sleep_time", "-1"),
        (run::<repos::CreateRepo>, json!({"repo_id": repo(), "repo_type": "space", "space_sdk": "gradio", "space_secrets": [{"key": "", "value": "v"}]}), "key", "must"),
        (run::<repos::CreateRepo>, json!({"repo_id": repo(), "repo_type": "space", "space_sdk": "gradio", "space_volumes": [{"type": "model", "source": "a/b", "mount_path": "m"}]}), "mount_path", "absolute"),
        (run::<repos::DuplicateRepo>, json!({"from_id": repo(), "repo_type": "space", "space_volumes": [{"type": "model", "source": "b", "mount_path": "/m"}]}), "volume source", "namespace/name"),
        (run::<repos::DuplicateRepo>, json!({"from_id": repo(), "repo_type": "space", "space_sleep_time": -2}), "sleep_time", "-1"),
        (run::<repos::MoveRepo>, json!({"from_id": "ada/demo", "to_id": "ada//demo"}), "repo id", "must"),
        (run::<files::ListRepoTree>, json!({"repo_id": repo(), "path_in_repo": "../up"}), "path", "must"),
        (run::<resolve::DownloadBytes>, json!({"repo_id": repo(), "filename": "../../etc/passwd"}), "path", "must"),
        (run::<upload::CreateCommit>, json!({"repo_id": repo(), "operations": [], "commit_message": ""}), "commit message", "empty"),
        (run::<upload::CreateCommit>, json!({"repo_id": repo(), "operations": [], "commit_message": "m", "parent_commit": "xyz"}), "parent commit", "hexadecimal"),
        (run::<search::ListModels>, json!({"expand": ["tags"], "full": true}), "expand", "combined"),
        (run::<search::ListDatasets>, json!({"expand": ["tags"], "full": true}), "expand", "combined"),
        (run::<search::ListSpaces>, json!({"expand": ["tags"], "full": true}), "expand", "combined"),
        (run::<search::ListModels>, json!({"limit": -1}), "-1", "u64"),
        (run::<search::ListModels>, json!({"emissions_thresholds": [1.0, 2.0]}), "emissions thresholds", "card_data"),
        (run::<papers::ListDailyPapers>, json!({"date": "2025-1-01"}), "date", "0000-00-00"),
        (run::<papers::ListDailyPapers>, json!({"week": "2025-01"}), "week", "0000-W00"),
        (run::<papers::ListDailyPapers>, json!({"month": "2025-W01"}), "month", "0000-00"),
        (run::<users::GetUserOverview>, json!({"username": ""}), "user", "empty"),
        (run::<users::GetOrganizationOverview>, json!({"organization": ".."}), "organization", "must not"),
        (run::<discussions::GetRepoDiscussions>, json!({"repo_id": repo(), "discussion_type": "merged"}), "discussion_type", "pull_request"),
        (run::<discussions::GetRepoDiscussions>, json!({"repo_id": repo(), "discussion_status": "draft"}), "discussion_status", "closed"),
        (run::<discussions::GetDiscussionDetails>, json!({"repo_id": repo(), "discussion_num": 0}), "discussion_num", "1 or more"),
        (run::<discussions::GetDiscussionDetails>, json!({"repo_id": repo(), "discussion_num": -1}), "-1", "u64"),
        (run::<discussions::CreateDiscussion>, json!({"repo_id": repo(), "title": "  "}), "title", "empty"),
        (run::<discussions::RenameDiscussion>, json!({"repo_id": repo(), "discussion_num": 1, "new_title": ""}), "title", "empty"),
        (run::<discussions::ChangeDiscussionStatus>, json!({"repo_id": repo(), "discussion_num": 1, "new_status": "merged"}), "status", "open"),
        (run::<discussions::EditDiscussionComment>, json!({"repo_id": repo(), "discussion_num": 1, "comment_id": "", "new_content": "x"}), "comment", "empty"),
        (run::<discussions::MergePullRequest>, json!({"repo_id": repo(), "discussion_num": 0}), "discussion_num", "1 or more"),
        (run::<discussions::UploadAttachment>, json!({"path": "notes.txt"}), "attachment", "png"),
        (run::<collections::GetCollection>, json!({"collection_slug": "no-namespace"}), "collection slug", "namespace/"),
        (run::<collections::DeleteCollection>, json!({"collection_slug": "../x"}), "collection slug", "must not"),
        (run::<collections::CreateCollection>, json!({"title": " "}), "title", "empty"),
        (run::<collections::CreateCollection>, json!({"title": "t", "description": long}), "description", "150"),
        (run::<collections::UpdateCollectionMetadata>, json!({"collection_slug": "ada/c-1", "description": long}), "description", "150"),
        (run::<collections::UpdateCollectionMetadata>, json!({"collection_slug": "ada/c-1", "position": -1}), "position", "0 or more"),
        (run::<collections::UpdateCollectionMetadata>, json!({"collection_slug": "ada/c-1", "theme": "black"}), "theme", "indigo"),
        (run::<collections::AddCollectionItem>, json!({"collection_slug": "ada/c-1", "item_id": "a/b", "item_type": "kettle"}), "item_type", "bucket"),
        (run::<collections::AddCollectionItem>, json!({"collection_slug": "ada/c-1", "item_id": "a/b", "item_type": "model", "note": long}), "note", "500"),
        (run::<collections::UpdateCollectionItem>, json!({"collection_slug": "ada/c-1", "item_object_id": "1", "position": -1}), "position", "0 or more"),
        (run::<collections::UpdateCollectionItem>, json!({"collection_slug": "ada/c-1", "item_object_id": ""}), "item", "empty"),
        (run::<webhooks::CreateWebhook>, json!({"watched": []}), "webhook", "exactly one"),
        (run::<webhooks::CreateWebhook>, json!({"watched": [], "url": "http://h/", "job_id": "1"}), "webhook", "exactly one"),
        (run::<webhooks::CreateWebhook>, json!({"watched": [], "url": "http://h/", "secrets": {"A": "b"}}), "secrets", "job"),
        (run::<webhooks::CreateWebhook>, json!({"watched": [], "url": "http://h/", "secret": "é"}), "secret", "ASCII"),
        (run::<webhooks::UpdateWebhook>, json!({"webhook_id": "1", "watched": [], "url": "http://h/", "job_id": "1"}), "webhook", "at most one"),
        (run::<webhooks::GetWebhook>, json!({"webhook_id": ""}), "webhook", "empty"),
        (run::<access::AcceptAccessRequest>, json!({"repo_id": repo()}), "user", "exactly one"),
        (run::<access::AcceptAccessRequest>, json!({"repo_id": repo(), "user": "bob", "request_id": "1"}), "user", "exactly one"),
        (run::<access::RejectAccessRequest>, json!({"repo_id": repo(), "user": "bob", "rejection_reason": long}), "rejection_reason", "200"),
        (run::<endpoints::UpdateInferenceEndpoint>, json!({"name": "n", "namespace": "ada", "min_replica": 3, "max_replica": 2}), "min_replica", "max_replica"),
        (run::<endpoints::CreateInferenceEndpoint>, endpoint(json!({"min_replica": 2})), "min_replica", "max_replica"),
        (run::<endpoints::CreateInferenceEndpoint>, endpoint(json!({"private_link_account_id": "1", "private_link_region": "mars"})), "private_link", "eu-west-1"),
        (run::<spaces::SetSpaceSleepTime>, json!({"repo_id": repo(), "sleep_time": -2}), "sleep_time", "-1"),
        (run::<spaces::AddSpaceSecret>, json!({"repo_id": repo(), "key": "", "value": "v"}), "key", "must"),
        (run::<spaces::DeleteSpaceVariable>, json!({"repo_id": repo(), "key": "a\nb"}), "key", "must"),
        (run::<jobs::RunJob>, json!({"image": "i", "command": ["c"], "timeout": "soon"}), "timeout", "seconds"),
        (run::<jobs::RunJob>, json!({"image": "i", "command": ["c"], "network_aliases": ["a"]}), "network alias", "group"),
        (run::<jobs::RunJob>, json!({"image": "i", "command": ["c"], "namespace": "ada", "expose": [0]}), "port", "65535"),
        (run::<jobs::RunJob>, json!({"image": "i", "command": ["c"], "namespace": "ada", "labels": {"a b": ""}}), "label", "100"),
        (run::<jobs::RunJob>, json!({"image": "i", "command": ["c"], "namespace": "ada", "volumes": [{"type": "disk", "source": "a/b", "mount_path": "/m"}]}), "volume type", "bucket"),
        (run::<jobs::CreateScheduledJob>, json!({"image": "i", "command": ["c"], "namespace": "ada", "schedule": "@never"}), "schedule", "@hourly"),
        (run::<jobs::InspectJob>, json!({"job_id": ""}), "job", "empty"),
        (run::<buckets::CreateBucket>, json!({"bucket_id": "ada/box", "visibility": "protected"}), "visibility", "Spaces"),
        (run::<buckets::CreateBucket>, json!({"bucket_id": "ada/box", "visibility": "secret"}), "visibility", "public"),
        (run::<buckets::GetBucketInfo>, json!({"bucket_id": "no-namespace"}), "bucket id", "namespace/name"),
        (run::<commits::ListRepoCommits>, json!({"repo_id": repo(), "revision": ""}), "revision", "must"),
    ];
    let mut wrong = Vec::new();
    for (run, args, named, rule) in cases {
        match run(hub.api(), args.clone()).await {
            Err(said) if said.contains(named) && said.contains(rule) => {}
            other => wrong.push(format!("{args}: {named}, {rule}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(hub.asked().await, [""; 0]);
}

/// Arguments that are, or may hold, what nobody but the Hub should see.
const SECRET: &[&str] = &[
    "secret",
    "secrets",
    "space_secrets",
    "space_variables",
    "env",
    "token",
    "password",
    "container_registry_password",
];

const MARK: &str = "s3cr3t-mark";

#[test]
fn secrets_are_shown_nowhere() {
    let api = HfApi::builder().build().unwrap();
    let pairs = json!({"A_NAME": MARK});
    let named = json!([{"key": "A_NAME", "value": MARK}]);
    let job = json!({"image": "i", "command": ["c"], "secrets": pairs, "env": pairs, "schedule": "@hourly"});
    let without = |value: &Value, name: &str| {
        let mut value = value.clone();
        value.as_object_mut().unwrap().remove(name);
        value
    };
    let script = json!({"script": "a.py", "secrets": pairs, "env": pairs, "schedule": "@hourly"});
    let endpoint = json!({
        "name": "n", "repository": "a/b", "framework": "f", "accelerator": "cpu", "instance_size": "x1",
        "instance_type": "t", "region": "r", "vendor": "v", "env": pairs, "secrets": pairs,
        "container_registry_password": MARK,
    });
    let hook = json!({"watched": [], "secret": MARK, "secrets": pairs, "job_id": "1"});
    let mut changed = hook.clone();
    changed["webhook_id"] = "1".into();
    #[rustfmt::skip]
    let cases = [
        ("RunJob", shown::<jobs::RunJob>(&api, without(&job, "schedule"))),
        ("CreateScheduledJob", shown::<jobs::CreateScheduledJob>(&api, job)),
        ("RunUvJob", shown::<jobs::RunUvJob>(&api, without(&script, "schedule"))),
        ("CreateScheduledUvJob", shown::<jobs::CreateScheduledUvJob>(&api, script)),
        ("CreateInferenceEndpoint", shown::<endpoints::CreateInferenceEndpoint>(&api, endpoint)),
        ("UpdateInferenceEndpoint", shown::<endpoints::UpdateInferenceEndpoint>(&api, json!({"name": "n", "env": pairs, "secrets": pairs}))),
        ("CreateWebhook", shown::<webhooks::CreateWebhook>(&api, hook)),
        ("UpdateWebhook", shown::<webhooks::UpdateWebhook>(&api, changed)),
        ("CreateRepo", shown::<repos::CreateRepo>(&api, json!({"repo_id": "a/b", "space_secrets": named, "space_variables": named}))),
        ("DuplicateRepo", shown::<repos::DuplicateRepo>(&api, json!({"from_id": "a/b", "space_secrets": named, "space_variables": named}))),
        ("AddSpaceSecret", shown::<spaces::AddSpaceSecret>(&api, json!({"repo_id": "a/b", "key": "K", "value": MARK}))),
    ];
    for (name, shown) in &cases {
        assert!(!shown.contains(MARK), "{name}: {shown}");
    }

    // No operation that takes one is left out.
    let listed: BTreeSet<&str> = cases.iter().map(|(name, _)| *name).collect();
    let mut found = BTreeSet::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api")];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            if path.ends_with("argument_tests.rs") {
                continue;
            }
            let text = fs_err::read_to_string(&path).unwrap();
            for operation in text.split("operation! {").skip(1) {
                let operation = operation.split("\n}\n").next().unwrap();
                let takes = |field: &&str| {
                    operation
                        .lines()
                        .any(|line| line.trim().starts_with(&format!("{field}: ")))
                };
                if SECRET.iter().any(takes) || operation.contains("value: Secret") {
                    let name = operation
                        .lines()
                        .find_map(|line| line.trim().strip_prefix(") -> "))
                        .unwrap();
                    found.insert(name.split('(').next().unwrap().to_owned());
                }
            }
        }
    }
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), listed);
}
