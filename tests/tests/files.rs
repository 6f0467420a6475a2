//! Files: what the library lists and looks up of a repository that the official client has filled.

use hub_http::Error;
use hub_http::transfer::{FetchOptions, FileSource};
use hub_tests::{ADA, BOB, Python, TestEnv, noise};
use hub_types::files::TreeEntry;
use hub_types::{GitOid, Revision, Sha256};

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
    env.python(Python::V2_4, "python/upload.py", ["ada/many", "many"])
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

#[tokio::test]
async fn a_file_is_described_before_any_byte() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let files = env.seed_model("ada/demo", &["private"]);
    let api = hub.api(ADA);
    let head = api.resolve_revision("ada/demo").await.unwrap();
    for (name, bytes) in &files {
        let file = api.get_hf_file_metadata("ada/demo", *name).await.unwrap();
        assert_eq!(
            (&file.commit_hash, file.size),
            (&head, Some(bytes.len() as u64)),
            "{name}"
        );
        let large = *name == "model.safetensors";
        let etag = if large {
            Sha256::of(bytes).to_string()
        } else {
            GitOid::of(bytes).to_string()
        };
        assert_eq!(file.etag.to_string(), etag, "{name}");
        // The second origin has the large ones.
        let origin = if large { hub.blob_url() } else { hub.url() };
        assert!(file.location.starts_with(origin), "{}", file.location);
        assert!(api.file_exists("ada/demo", *name).await.unwrap());
        assert!(!hub.api(BOB).file_exists("ada/demo", *name).await.unwrap());
    }
    assert!(!api.file_exists("ada/demo", "none.txt").await.unwrap());
    let err = api.get_hf_file_metadata("ada/demo", "none.txt").await.unwrap_err();
    assert!(matches!(err, Error::EntryNotFound(_)), "{err}");
    assert_eq!(err.reply().unwrap().repo_commit.as_deref(), Some(head.as_str()));
    let err = api
        .get_hf_file_metadata("ada/demo", "config.json")
        .revision("none")
        .await
        .unwrap_err();
    assert!(matches!(err, Error::RevisionNotFound(_)), "{err}");
}

#[tokio::test]
async fn the_engine_fetches_whole_files() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let files = env.seed_model("ada/demo", &["private"]);
    let api = hub.api(ADA);
    for (name, bytes) in &files {
        let source = FileSource::new("ada/demo".parse().unwrap(), Revision::main(), name.parse().unwrap());
        let partial = env.work().join("fetched");
        let fetched = api
            .fetch_to_file(&source, &partial, &FetchOptions::default())
            .await
            .unwrap();
        assert_eq!(fetched.bytes, bytes.len() as u64);
        assert_eq!(&fs_err::read(&partial).unwrap(), bytes, "{name}");
        // No journal is left beside it.
        let left: Vec<_> = fs_err::read_dir(env.work())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert!(left.iter().all(|file| file == "fetched" || file == "seed"), "{left:?}");
        fs_err::remove_file(&partial).unwrap();
    }
}

/// The bytes on the second origin are spoilt: nobody must get them.
#[tokio::test]
async fn spoilt_bytes_are_refused() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let files = env.seed_model("ada/demo", &[]);
    let (_, bytes) = files.iter().find(|(name, _)| *name == "model.safetensors").unwrap();
    let hex = Sha256::of(bytes).to_string();
    let blob = hub.root().join("lfs").join(&hex[..2]).join(&hex[2..4]).join(&hex);
    fs_err::write(&blob, noise(bytes.len(), 99)).unwrap();

    let source = FileSource::new(
        "ada/demo".parse().unwrap(),
        Revision::main(),
        "model.safetensors".parse().unwrap(),
    );
    let partial = env.work().join("fetched");
    let fetch = hub
        .api(ADA)
        .fetch_to_file(&source, &partial, &FetchOptions::default())
        .await;
    let err = fetch.unwrap_err();
    assert!(err.to_string().contains(&hex), "{err}");
}
