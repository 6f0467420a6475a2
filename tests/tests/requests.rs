//! How many requests a download takes.

use hub_cache::HubCache;
use hub_http::HfApi;
use hub_tests::{ADA, Carried, Proxy, TestEnv};
use hub_types::Token;

const FILES: usize = 1000;

/// The requests, apart from those that a redirect leads to.
fn asked(carried: &[Carried]) -> Vec<&Carried> {
    let asked = carried
        .iter()
        .filter(|one| !one.address.contains("/api/resolve-cache/"));
    asked.collect()
}

#[test]
fn d17_c_065_a_snapshot_takes_one_request_a_file_and_a_cached_one_takes_one_or_none() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let folder = env.root().join("up");
    for number in 0..FILES {
        let path = folder.join(format!("{}/{number}.txt", number % 7));
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, format!("text {number}\n")).unwrap();
    }
    let api = hub.api(ADA);
    api.create_repo("ada/demo").wait().unwrap();
    api.upload_folder("ada/demo", &folder).wait().unwrap();
    let head = api.resolve_revision("ada/demo").wait().unwrap();

    let proxy = Proxy::start();
    let builder = HfApi::builder().endpoint(hub.url()).token(Token::new(ADA).unwrap());
    let cache = HubCache::new(builder.proxy(proxy.url()).build().unwrap(), env.cache());
    let snapshot = cache.snapshot_download("ada/demo").wait().unwrap();
    for number in 0..FILES {
        let text = fs_err::read_to_string(snapshot.join(format!("{}/{number}.txt", number % 7))).unwrap();
        assert_eq!(text, format!("text {number}\n"));
    }
    let carried = proxy.take();
    let (files, listing): (Vec<_>, Vec<_>) = asked(&carried)
        .into_iter()
        .partition(|one| one.address.contains("/resolve/"));
    assert!(files.iter().all(|one| one.method == "GET"), "no HEAD is asked before");
    let mut addresses: Vec<&str> = files.iter().map(|one| one.address.as_str()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    // The thousand and `.gitattributes`, each once.
    assert_eq!((addresses.len(), files.len()), (FILES + 1, FILES + 1));
    // The commit, and the listing's two pages.
    assert!(listing.len() <= 3, "{listing:#?}");

    assert_eq!(cache.snapshot_download("ada/demo").wait().unwrap(), snapshot);
    let carried = proxy.take();
    assert!(carried.len() <= 2, "{carried:#?}");
    let by_commit = cache.snapshot_download("ada/demo").revision(&*head.to_string());
    assert_eq!(by_commit.wait().unwrap(), snapshot);
    assert_eq!(proxy.take(), []);

    // The same of one file: a question at a branch, none at a commit.
    let file = || cache.download_file("ada/demo", "1/1.txt");
    file().wait().unwrap();
    assert_eq!(asked(&proxy.take()).len(), 1);
    file().revision(&*head.to_string()).wait().unwrap();
    assert_eq!(proxy.take(), []);
}
