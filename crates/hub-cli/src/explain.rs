//! What can still be found out about an error: what was probably meant, who asked, and what to do.

use std::path::Path;
use std::time::Duration;

use hub_http::stored_tokens::TokenStore;
use hub_http::{Error, HfApi, Reply};
use hub_types::env;
use hub_types::{RepoId, RepoType, Revision};
use percent_encoding::percent_decode_str;

use crate::context::Context;
use crate::error::{Class, Failure, http_of, is_no_space};

/// How long to look for better words.
const PATIENCE: Duration = Duration::from_secs(3);

/// The error in words for who runs this command. One that has such words already stays as it is.
pub(crate) fn explain(context: &Context, err: anyhow::Error) -> anyhow::Error {
    if err.chain().any(|err| err.is::<Failure>()) {
        return err;
    }
    if is_no_space(&err) {
        return Failure::new(Class::Local, "no space is left on the disk")
            .hint("hub cache ls --sort size")
            .because(err)
            .into();
    }
    let Some(http) = err.chain().find_map(|err| http_of(err)) else {
        return err;
    };
    let told = match http {
        Error::RepoNotFound(reply) => repo_not_found(context, reply),
        Error::GatedRepo(reply) => gated(context, reply),
        Error::RevisionNotFound(reply) => revision_not_found(context, reply),
        Error::EntryNotFound(reply) => entry_not_found(context, reply),
        Error::Unauthorized(_) => Some(Failure::new(Class::Auth, http.to_string()).hint("hub auth login --force")),
        Error::TokenNotFound => Some(Failure::new(Class::Auth, "Not logged in. Run `hub auth login` first.")),
        Error::Connect { .. } => Some(no_connection(context, http)),
        Error::Offline { url } => Some(
            Failure::new(Class::Offline, format!("cannot reach {url}: offline mode is enabled"))
                .hint("unset HF_HUB_OFFLINE, or leave --offline out"),
        ),
        _ => None,
    };
    match told {
        Some(failure) => failure.because(err).into(),
        None => err,
    }
}

fn repo_not_found(context: &Context, reply: &Reply) -> Option<Failure> {
    let repo = reply.repo.as_ref()?;
    let mut failure = Failure::new(Class::NotFound, format!("{} not found", described(repo)));
    let found = look(context, |api| {
        let repo = repo.clone();
        async move { types_of(&api, &repo).await }
    });
    let cached = cached_ids(context, repo.repo_type());
    let near = near(repo.id(), &cached);
    if let Some(other) = found.unwrap_or_default().first() {
        failure = failure.hint(format!("it is a {other}: use --type {other}"));
    } else if let Some(near) = near {
        failure = failure.hint(format!("a similar one is in the cache: {near}"));
    }
    failure = failure.hint(match sender(context) {
        Some(sender) => format!("{sender} was sent: that account may not see it, or it does not exist"),
        None => "no token was sent: run `hub auth login` if the repo is private".to_owned(),
    });
    let kind = match repo.repo_type() {
        RepoType::Model => String::new(),
        other => format!(" --type {other}"),
    };
    Some(failure.hint(format!("hub repos create {}{kind}", repo.id())))
}

fn gated(context: &Context, reply: &Reply) -> Option<Failure> {
    let repo = reply.repo.as_ref()?;
    let endpoint = context.api().ok()?.endpoint();
    let who = look(context, |api| async move { Some(api.whoami().await.ok()?.name) });
    let who = match (sender(context), who) {
        (Some(sender), Some(name)) => format!("{sender} of {name} was sent"),
        (Some(sender), None) => format!("{sender} was sent"),
        (None, _) => "no token was sent: run `hub auth login` first".to_owned(),
    };
    let failure = Failure::new(
        Class::Gated,
        format!("access denied: {} requires approval", described(repo)),
    );
    Some(
        failure
            .hint(format!("ask for access at {endpoint}/{}", repo.url_path()))
            .hint(who),
    )
}

fn revision_not_found(context: &Context, reply: &Reply) -> Option<Failure> {
    let repo = reply.repo.clone()?;
    let (revision, _) = place(&reply.url)?;
    let mut failure = Failure::new(
        Class::NotFound,
        format!("{} has no revision '{revision}'", described(&repo)),
    );
    let names = look(context, |api| {
        let repo = repo.clone();
        async move {
            let refs = api.list_repo_refs(&repo).await.ok()?;
            let all = refs.branches.into_iter().chain(refs.tags);
            Some(all.map(|found| found.name).collect::<Vec<_>>())
        }
    })
    .unwrap_or_default();
    if let Some(near) = near(&revision, &names) {
        failure = failure.hint(format!("did you mean '{near}'?"));
    }
    if !names.is_empty() {
        failure = failure.hint(format!("its branches and tags are {}", listed(&names)));
    }
    Some(failure)
}

fn entry_not_found(context: &Context, reply: &Reply) -> Option<Failure> {
    let repo = reply.repo.clone()?;
    let (revision, path) = place(&reply.url)?;
    let path = path?;
    let mut failure = Failure::new(
        Class::NotFound,
        format!("{} has no '{path}' at '{revision}'", described(&repo)),
    );
    let names = look(context, |api| {
        let (repo, revision) = (repo.clone(), revision.parse::<Revision>());
        async move { api.list_repo_files(&repo).revision(revision.ok()?).await.ok() }
    })
    .unwrap_or_default();
    let names: Vec<String> = names.into_iter().collect();
    if let Some(near) = near(&path, &names) {
        failure = failure.hint(format!("did you mean '{near}'?"));
    }
    if path.contains(['*', '?']) {
        failure = failure.hint(format!("a pattern needs its option: --include '{path}'"));
    } else if !names.is_empty() {
        failure = failure.hint(format!("its files are {}", listed(&names)));
    }
    Some(failure)
}

fn no_connection(context: &Context, err: &Error) -> Failure {
    let proxy = [
        "HTTPS_PROXY",
        "https_proxy",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
        "all_proxy",
    ]
    .into_iter()
    .find(|name| context.settings.env.named(name).is_some_and(|value| !value.is_empty()));
    let failure = Failure::new(Class::Network, err.to_string());
    match proxy {
        Some(name) => failure.hint(format!("check the proxy that {name} names, and HF_ENDPOINT")),
        None => failure.hint("check the network and HF_ENDPOINT; a proxy would be named by HTTPS_PROXY"),
    }
}

fn described(repo: &RepoId) -> String {
    repo.described().to_string()
}

/// Asks the Hub, for a moment, and gives up in silence.
fn look<T, F: Future<Output = Option<T>>>(context: &Context, ask: impl FnOnce(HfApi) -> F) -> Option<T> {
    let api = context.api().ok()?.clone();
    if api.is_offline() {
        return None;
    }
    let asked = ask(api);
    let found = context.block_on(async move { Ok(tokio::time::timeout(PATIENCE, asked).await) });
    found.ok()?.ok()?
}

/// The other types under which this id exists.
async fn types_of(api: &HfApi, repo: &RepoId) -> Option<Vec<RepoType>> {
    let mut found = Vec::new();
    for other in RepoType::ALL.into_iter().filter(|other| *other != repo.repo_type()) {
        if api.repo_exists(repo.clone().with_type(other)).await.unwrap_or(false) {
            found.push(other);
        }
    }
    Some(found)
}

/// Which token requests of this run carry, without showing it.
fn sender(context: &Context) -> Option<String> {
    let settings = &context.settings;
    if settings.token.is_some() {
        return Some("the given token".to_owned());
    }
    if settings.local.is_some() {
        return Some("the token of the user local".to_owned());
    }
    let env = &settings.env;
    if env.flag(env::HF_HUB_DISABLE_IMPLICIT_TOKEN) {
        return None;
    }
    for variable in [env::HF_TOKEN, env::HUGGING_FACE_HUB_TOKEN] {
        if let Ok(Some(_)) = env.text(variable) {
            return Some(format!("the token in {}", variable.name));
        }
    }
    let store = TokenStore::from_env(env);
    match (store.active_name(), store.active()) {
        (Ok(Some(name)), _) => Some(format!("the stored token '{name}'")),
        (_, Ok(Some(_))) => Some(format!("the token in {}", store.token_path().display())),
        _ => None,
    }
}

/// The revision and the path that an address is about.
fn place(url: &str) -> Option<(String, Option<String>)> {
    let words = [
        "/resolve/",
        "/revision/",
        "/tree/",
        "/paths-info/",
        "/commit/",
        "/preupload/",
    ];
    let (_, rest) = words.into_iter().find_map(|word| url.split_once(word))?;
    let (revision, path) = match rest.split_once('/') {
        Some((revision, path)) => (revision, Some(path)),
        None => (rest, None),
    };
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((decoded(revision), path.filter(|path| !path.is_empty()).map(decoded)))
}

/// The ids of one type in the cache, read off the names of its folders.
fn cached_ids(context: &Context, repo_type: RepoType) -> Vec<String> {
    fn names(root: &Path) -> Option<Vec<String>> {
        let entries = fs_err::read_dir(root).ok()?;
        Some(
            entries
                .flatten()
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect(),
        )
    }
    let names = names(&context.settings.env.hub_cache()).unwrap_or_default();
    names
        .iter()
        .filter_map(|name| hub_cache::repo_of_folder(name))
        .filter(|(found, _)| *found == repo_type)
        .map(|(_, id)| id)
        .collect()
}

/// A few names, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let mut text = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}

/// The name that is most like this one, if one is like it at all. A name in another folder counts as like it.
fn near<'a>(name: &str, names: &'a [String]) -> Option<&'a str> {
    let last = |text: &str| text.rsplit('/').next().unwrap_or(text).to_lowercase();
    let distance =
        |other: &String| distance(&name.to_lowercase(), &other.to_lowercase()).min(distance(&last(name), &last(other)));
    let best = names.iter().min_by_key(|other| distance(other))?;
    let least = last(name).chars().count().min(last(best).chars().count());
    (distance(best) <= least / 3).then_some(best)
}

/// How many characters have to be put in, taken out, replaced or swapped with the next one to make one text of the other.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let mut older: Vec<usize> = Vec::new();
    let mut old: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = old[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(old[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(older[j - 2] + 1);
            }
            row.push(least);
        }
        older = std::mem::replace(&mut old, row);
    }
    old[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_tells_revision_and_path() {
        let url = "http://h/datasets/ada/notes/resolve/refs%2Fpr%2F1/a%20b/c.txt";
        assert_eq!(place(url), Some(("refs/pr/1".to_owned(), Some("a b/c.txt".to_owned()))));
        let url = "http://h/api/models/ada/demo/revision/v1";
        assert_eq!(place(url), Some(("v1".to_owned(), None)));
        assert_eq!(place("http://h/api/whoami-v2"), None);
    }

    #[test]
    fn what_was_probably_meant() {
        let names = ["config.json", "model.safetensors", "data/train.csv"].map(str::to_owned);
        assert_eq!(near("confg.json", &names), Some("config.json"));
        assert_eq!(near("Config.JSON", &names), Some("config.json"));
        assert_eq!(near("train.csv", &names), Some("data/train.csv"));
        assert_eq!(near("weights.bin", &names), None);
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("mian", "main"), 1);
        assert_eq!(distance("", "ab"), 2);
    }
}
