//! Files: what the library lists and looks up of a repository that the official client has filled.

use hub_http::Error;
use hub_tests::{ADA, TestEnv};
use hub_types::files::TreeEntry;
use hub_types::{GitOid, Sha256};

#[tokio::test]
async fn a_tree_is_listed_with_sizes_and_hashes() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let files = env.seed_model("ada/demo", &[]);
    let api = hub.api(ADA);

    let mut paths = api.list_repo_files("ada/demo").await.unwrap();
    paths.sort();
    assert_eq!(
        paths,
        [".gitattributes", "config.json", "model.safetensors", "sub/notes.txt"]
    );

    let entries = api.list_repo_tree("ada/demo").recursive(true).await.unwrap();
    let entries: Vec<TreeEntry> = futures_util::TryStreamExt::try_collect(entries).await.unwrap();
    for (name, bytes) in &files {
        let file = entries
            .iter()
            .find(|entry| entry.path() == *name)
            .unwrap()
            .as_file()
            .unwrap();
        assert_eq!(file.size, bytes.len() as u64, "{name}");
        match &file.lfs {
            Some(lfs) => assert_eq!((lfs.sha256, lfs.size), (Sha256::of(bytes), bytes.len() as u64)),
            None => assert_eq!(file.oid, Some(GitOid::of(bytes))),
        }
        assert_eq!(file.lfs.is_some(), *name == "model.safetensors");
    }
    let folders: Vec<&str> = entries
        .iter()
        .filter(|entry| entry.as_file().is_none())
        .map(TreeEntry::path)
        .collect();
    assert_eq!(folders, ["sub"]);

    let err = match api.list_repo_tree("ada/demo").path_in_repo("none").await {
        Ok(items) => futures_util::TryStreamExt::try_collect::<Vec<_>>(items)
            .await
            .unwrap_err(),
        Err(err) => err,
    };
    assert!(matches!(err, Error::EntryNotFound(_)), "{err}");
}

#[test]
fn a_long_listing_comes_in_pages() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    for number in 0..1100 {
        env.write(&format!("many/{number:04}.txt"), number.to_string());
    }
    env.python(hub_tests::Python::V2_4, "python/upload.py", ["ada/many", "many"])
        .success();
    let api = hub.api(ADA);
    let entries = api.list_repo_tree("ada/many").wait().unwrap();
    let paths: Vec<String> = entries.map(|entry| entry.unwrap().path().to_owned()).collect();
    assert_eq!(paths.len(), 1101);
    assert_eq!(
        (paths[0].as_str(), paths[1100].as_str()),
        (".gitattributes", "1099.txt")
    );
}

#[test]
fn single_paths_are_looked_up() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    env.seed_model("ada/demo", &[]);
    let api = hub.api(ADA);
    let infos = api
        .get_paths_info("ada/demo", ["sub", "config.json", "none.txt"])
        .expand(true)
        .wait()
        .unwrap();
    let mut found: Vec<(&str, bool)> = infos
        .iter()
        .map(|info| (info.path(), info.as_file().is_some()))
        .collect();
    found.sort_unstable();
    assert_eq!(found, [("config.json", true), ("sub", false)]);
    for info in &infos {
        let commit = match info {
            TreeEntry::File(file) => &file.last_commit,
            TreeEntry::Folder(folder) => &folder.last_commit,
            _ => panic!("{info:?}"),
        };
        let title = &commit.as_ref().unwrap().title;
        assert_eq!(title, "Upload folder using huggingface_hub");
    }
}
