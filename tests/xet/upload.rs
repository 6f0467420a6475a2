//! Large files into a repository.

use hub_types::Sha256;

use crate::world::{Told, World, random};

const MIB: usize = 1 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_stored_by_xet_and_committed() {
    let world = World::new().await;
    let (bytes, (told, progress)) = (random(12 * MIB, 1), Told::new());
    let file = world.env.write("w.bin", &bytes);
    let info = world
        .api()
        .upload_file("ada/demo", file, "sub/w.bin")
        .progress(progress)
        .await
        .unwrap();
    assert_eq!(info.oid.len(), 40);
    assert_eq!(told.get(|told| &told.done), bytes.len() as u64);
    assert_eq!(
        (told.get(|told| &told.files_done), told.get(|told| &told.files_failed)),
        (1, 0)
    );
    assert!(world.gate.sent_bytes() >= bytes.len() as u64, "all of it is new");
    assert_eq!(world.files_in_store(), 0, "the Hub itself has no copy");
    world.check_storage().await;

    let found = world.plain().get_paths_info("ada/demo", "sub/w.bin").await.unwrap();
    let found = found[0].as_file().unwrap();
    assert_eq!(found.lfs.as_ref().unwrap().sha256, Sha256::of(&bytes));
    assert_eq!(found.size, bytes.len() as u64);
    assert!(found.xet_hash.is_some());
    // The storage sees none of the Hub's tokens.
    for seen in world.gate.seen() {
        assert!(!seen.head.contains(hub_tests::ADA), "{}", seen.path);
    }

    // The same bytes over plain HTTP: the Hub hands them on.
    let again = world.plain().download_bytes("ada/demo", "sub/w.bin").await.unwrap();
    assert!(again == bytes);
    let part = world
        .plain()
        .download_range("ada/demo", "sub/w.bin", 9_000_000, 9_000_010)
        .await
        .unwrap();
    assert!(part == bytes[9_000_000..9_000_010]);
    assert_eq!(world.files_in_store(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_storage_has_is_not_sent_again() {
    let world = World::new().await;
    let mut bytes = random(12 * MIB, 2);
    world.upload(bytes.clone(), "a.bin").await;
    world.gate.forget();

    // A longer one that begins with it, by a client that knows nothing of the first: the storage tells.
    bytes.extend(random(MIB, 3));
    let (told, progress) = Told::new();
    let other = world
        .builder()
        .xet_cache(world.env.root().join("other"))
        .build()
        .unwrap();
    other
        .upload_file("ada/demo", bytes.clone(), "b.bin")
        .progress(progress)
        .await
        .unwrap();
    let deduplicated = told.get(|told| &told.deduplicated);
    assert!(deduplicated >= 10 * MIB as u64, "{deduplicated}");
    assert!(world.gate.sent_bytes() < 3 * MIB as u64, "{}", world.gate.sent_bytes());
    assert_eq!(told.get(|told| &told.done), bytes.len() as u64);
    assert!(world.api().download_bytes("ada/demo", "b.bin").await.unwrap() == bytes);

    // What is stored at its path already is not even looked at by the storage, and makes no commit.
    world.gate.forget();
    let head = world.api().repo_info("ada/demo").await.unwrap().commit_hash();
    let (told, progress) = Told::new();
    world
        .api()
        .upload_file("ada/demo", bytes, "b.bin")
        .progress(progress)
        .await
        .unwrap();
    assert_eq!(told.get(|told| &told.files_skipped), 1);
    assert!(world.gate.seen().is_empty(), "{:?}", world.gate.seen());
    assert_eq!(world.api().repo_info("ada/demo").await.unwrap().commit_hash(), head);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_goes_up_in_one_batch_and_a_pull_request_by_who_may_only_propose() {
    let world = World::new().await;
    for n in 0..20_u64 {
        world.env.write(&format!("run/part-{n:02}.bin"), random(300_000, n));
    }
    world.env.write("run/config.json", "{}");
    let (told, progress) = Told::new();
    let folder = world.env.work().join("run");
    world
        .api()
        .upload_folder("ada/demo", folder.clone())
        .progress(progress)
        .await
        .unwrap();
    assert_eq!(told.get(|told| &told.files_done), 21);
    assert_eq!(world.files_in_store(), 0);
    assert_eq!(
        world.gate.count("POST", "/v2/shards") + world.gate.count("POST", "/v1/shards"),
        1
    );

    let bob = world
        .builder()
        .token(hub_types::Token::new(hub_tests::BOB).unwrap())
        .build()
        .unwrap();
    let info = bob
        .upload_file("ada/demo", random(400_000, 99), "new.bin")
        .create_pr(true)
        .await
        .unwrap();
    assert!(info.pr_url.unwrap().ends_with("/discussions/1"));
    assert_eq!(world.files_in_store(), 0);
    let there = world
        .api()
        .download_bytes("ada/demo", "new.bin")
        .revision("refs/pr/1")
        .await
        .unwrap();
    assert!(there == random(400_000, 99));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_without_storage_and_a_client_without_xet_use_lfs() {
    let world = World::new().await;
    world
        .plain()
        .upload_file("ada/demo", random(MIB, 5), "plain.bin")
        .await
        .unwrap();
    assert_eq!((world.files_in_store(), world.gate.seen().len()), (1, 0));

    let mut env = hub_tests::TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(hub_tests::ADA);
    api.create_repo("ada/demo").await.unwrap();
    let bytes = random(MIB, 6);
    api.upload_file("ada/demo", bytes.clone(), "w.bin").await.unwrap();
    assert!(api.download_bytes("ada/demo", "w.bin").await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_while_it_is_sent_is_not_committed() {
    let world = World::new().await;
    let file = world.env.write("w.bin", random(8 * MIB, 7));
    // Slow enough for it to be changed midway.
    let api = world.builder().bandwidth_limit(4 * MIB as u64).build().unwrap();
    let job = api.upload_file("ada/demo", file.clone(), "w.bin").spawn();
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert!(!job.is_done());
    fs_err::write(&file, random(8 * MIB, 8)).unwrap();
    let err = job.await.unwrap_err();
    assert!(matches!(err, hub_http::Error::Integrity { .. }), "{err:?}");
    assert!(!world.api().file_exists("ada/demo", "w.bin").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_is_copied_between_repositories_without_its_bytes() {
    let world = World::new().await;
    let api = world.api();
    let bytes = random(2 * MIB, 9);
    api.upload_file("ada/demo", bytes.clone(), "w.bin").await.unwrap();
    api.create_repo("ada/other").await.unwrap();
    world.gate.forget();
    api.copy_files("hf://ada/demo/w.bin", "hf://ada/other/").await.unwrap();
    assert_eq!(world.gate.count("POST", "/v1/xorbs"), 0);
    assert!(api.download_bytes("ada/other", "w.bin").await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_caches_that_cannot_be_written_leaves_uploads_to_lfs() {
    let world = World::new().await;
    let file = world.env.write("a-file", "");
    let api = world.builder().xet_cache(file.join("xet")).build().unwrap();
    let bytes = random(MIB, 10);
    api.upload_file("ada/demo", bytes.clone(), "w.bin").await.unwrap();
    assert!(api.download_bytes("ada/demo", "w.bin").await.unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_caller_sends_to_the_hub_is_not_for_the_storage() {
    let world = World::new().await;
    let api = world
        .builder()
        .header("cookie".parse().unwrap(), "session=planted".parse().unwrap())
        .header("x-api-key".parse().unwrap(), "planted-key".parse().unwrap())
        .build()
        .unwrap();
    let bytes = random(20 * MIB, 8);
    api.upload_file("ada/demo", bytes.clone(), "w.bin").await.unwrap();
    let target = world.env.root().join("w.bin");
    let fetched = api.download_to_path("ada/demo", "w.bin", &target).await.unwrap();
    assert!(fetched.by_xet && fs_err::read(target).unwrap() == bytes);
    let seen = world.gate.seen();
    assert!(seen.iter().any(|seen| seen.method == "POST") && seen.iter().any(|seen| seen.method == "GET"));
    for seen in seen {
        assert!(!seen.head.contains("planted"), "{}", seen.head);
        assert!(!seen.head.contains(hub_tests::ADA), "{}", seen.head);
    }
}
