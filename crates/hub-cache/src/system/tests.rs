use std::collections::BTreeMap;

use super::*;
use crate::testing::{COMMIT, FakeHub, NEXT, etag_of};
use crate::{DeletionPlan, HubCache, Lookup, PruneOptions, SnapshotState, Target, scan};

const FILES: [(&str, &str); 4] = [
    ("README.md", "# demo\n"),
    ("config.json", "{}"),
    ("copy.json", "{}"),
    ("data/large.bin", "large"),
];

/// A Hub, and a system-wide cache beside the private one, which is empty.
struct World {
    hub: FakeHub,
    system: PathBuf,
}

impl World {
    async fn new() -> Self {
        let hub = FakeHub::start(&FILES).await;
        let system = fs::canonicalize(hub.dir.path()).unwrap().join("system");
        Self { hub, system }
    }

    /// Fills the system-wide cache, and tells what is in it.
    async fn fill(&self, patterns: &[&str]) -> BTreeMap<PathBuf, String> {
        let patterns: Vec<String> = patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        let all = HubCache::new(self.hub.api(), &self.system);
        all.snapshot_download("o/n").allow_patterns(patterns).await.unwrap();
        self.hub.requests().await;
        self.state()
    }

    /// Everything that lies in the system-wide cache: what it is, and what it holds.
    fn state(&self) -> BTreeMap<PathBuf, String> {
        let entries = walkdir::WalkDir::new(&self.system).into_iter().map(Result::unwrap);
        let described = entries.map(|entry| {
            let path = entry.path();
            let text = match fs::read_link(path) {
                Ok(target) => target.display().to_string(),
                Err(_) => fs::read_to_string(path).unwrap_or_default(),
            };
            (path.to_owned(), format!("{:?} {text}", entry.file_type()))
        });
        described.collect()
    }

    fn layered(&self) -> Cache {
        Cache::new(self.hub.root()).with_system_caches([&self.system])
    }

    fn cache(&self) -> HubCache {
        HubCache::with_cache(self.hub.api(), self.layered())
    }

    fn offline(&self) -> HubCache {
        HubCache::with_cache(self.hub.offline().api().clone(), self.layered())
    }

    fn snapshot(&self) -> PathBuf {
        self.hub.repo().join("snapshots").join(COMMIT)
    }
}

fn repo() -> RepoId {
    RepoId::model("o/n").unwrap()
}

#[track_caller]
fn assert_files(folder: &Path) {
    for (name, text) in FILES {
        assert_eq!(fs::read_to_string(folder.join(name)).unwrap(), text, "{name}");
    }
}

#[tokio::test]
async fn what_a_system_wide_cache_has_is_linked_and_not_fetched() {
    let world = World::new().await;
    let before = world.fill(&["*"]).await;
    let folder = world.cache().snapshot_download("o/n").await.unwrap();
    assert_eq!(world.hub.requests().await, ["GET /api/models/o/n/revision/main"]);
    assert_eq!(folder, world.snapshot());
    assert_files(&folder);
    // The snapshot leads to a content of this cache, and that to the other one.
    let etag = etag_of(b"large", true);
    let file = folder.join("data/large.bin");
    assert_eq!(fs::read_link(file).unwrap(), Path::new("../../../blobs").join(&etag));
    let blob = world.hub.repo().join("blobs").join(&etag);
    let theirs = world.system.join("models--o--n/blobs").join(&etag);
    assert_eq!(fs::read_link(blob).unwrap(), theirs);
    let report = scan(&world.hub.root()).unwrap();
    assert_eq!((report.warnings.len(), report.leftovers.len(), report.size), (0, 0, 0));
    assert_eq!((report.repos[0].size, report.repos[0].files), (14, 3));
    // A commit takes no request, whether all of it is asked for or one file, also in a cache that has nothing yet.
    let cache = world.cache();
    cache.snapshot_download("o/n").revision(COMMIT).await.unwrap();
    fs::remove_dir_all(world.hub.root()).unwrap();
    let one = cache
        .download_file("o/n", "config.json")
        .revision(COMMIT)
        .await
        .unwrap();
    assert_eq!(one, world.snapshot().join("config.json"));
    let plan = cache
        .download_file("o/n", "README.md")
        .revision(COMMIT)
        .plan()
        .await
        .unwrap();
    assert!(plan.is_cached && !plan.will_download);
    cache.snapshot_download("o/n").revision(COMMIT).await.unwrap();
    assert_eq!(world.hub.count().await, 0);
    // A file at a branch takes the one question what the branch is.
    fs::remove_dir_all(world.hub.root()).unwrap();
    cache.download_file("o/n", "config.json").await.unwrap();
    assert_eq!(world.hub.requests().await, ["HEAD /o/n/resolve/main/config.json"]);
    assert_eq!(world.state(), before, "nothing is written into a system-wide cache");
}

#[tokio::test]
async fn what_lies_in_part_in_each_becomes_one_folder() {
    let world = World::new().await;
    let before = world.fill(&["*.json", "README.md"]).await;
    let plan = world.cache().snapshot_download("o/n").plan().await.unwrap();
    assert_eq!((plan.to_download().count(), plan.bytes_to_download()), (1, 5));
    world.hub.requests().await;
    let folder = world.cache().snapshot_download("o/n").await.unwrap();
    assert_eq!(folder, world.snapshot());
    assert_files(&folder);
    let asked = world.hub.requests().await;
    let file = format!("GET /o/n/resolve/{COMMIT}/data/large.bin");
    assert_eq!(asked, ["GET /api/models/o/n/revision/main", &*file]);
    assert_eq!(
        scan(&world.hub.root()).unwrap().size,
        5,
        "only what was fetched takes room here"
    );

    // Without a Hub to ask, too: some here, the others there.
    let world_2 = World::new().await;
    world_2.fill(&["*.json", "README.md"]).await;
    let own = HubCache::new(world_2.hub.api(), world_2.hub.root());
    own.snapshot_download("o/n").allow_patterns("data/*").await.unwrap();
    let before_2 = world_2.state();
    let folder = world_2.offline().snapshot_download("o/n").await.unwrap();
    assert_eq!(folder, world_2.snapshot());
    assert_files(&folder);
    // What was linked is there for who knows the private cache only.
    assert_eq!(world_2.hub.offline().snapshot_download("o/n").await.unwrap(), folder);
    assert_eq!((world.state(), world_2.state()), (before, before_2));
}

#[tokio::test]
async fn without_a_hub_a_system_wide_cache_serves() {
    let world = World::new().await;
    let before = world.fill(&["*"]).await;
    let theirs = world.system.join("models--o--n/snapshots").join(COMMIT);
    let file: RepoPath = "config.json".parse().unwrap();
    let (layered, main) = (world.layered(), "main".parse().unwrap());
    assert_eq!(
        layered.lookup(&repo(), &file, &main),
        Lookup::Hit(theirs.join("config.json"))
    );
    let found = layered.snapshot(&repo(), &main, &PatternFilter::default()).unwrap();
    assert_eq!((found.path, found.state), (theirs.clone(), SnapshotState::Complete));
    // All of it lies there: nothing needs to be linked.
    assert_eq!(world.offline().snapshot_download("o/n").await.unwrap(), theirs);
    assert!(!world.hub.root().exists());
    let one = world.offline().download_file("o/n", "config.json").await.unwrap();
    assert_eq!(one, world.snapshot().join("config.json"));
    let missing = world.offline().download_file("o/n", "none").await.unwrap_err();
    assert!(missing.is_not_cached(), "{missing}");
    // The listing is not needed for it: the official client before 1.22 keeps none.
    fs::remove_dir_all(world.system.join("models--o--n/trees")).unwrap();
    fs::remove_dir_all(world.hub.root()).unwrap();
    let folder = world.offline().snapshot_download("o/n").revision(COMMIT).await.unwrap();
    assert_files(&folder);
    assert_eq!(folder, world.snapshot());
    let after = world.state();
    assert!(after.iter().all(|(path, text)| before.get(path) == Some(text)));
}

#[tokio::test]
async fn what_is_not_right_there_is_fetched_and_what_is_gone_there_is_mended() {
    let world = World::new().await;
    world.fill(&["*"]).await;
    let blobs = world.system.join("models--o--n/blobs");
    fs::write(blobs.join(etag_of(b"large", true)), "lar").unwrap();
    let folder = world.cache().snapshot_download("o/n").await.unwrap();
    assert_files(&folder);
    assert_eq!(world.hub.requests().await.len(), 2);
    // Who looks after the system-wide cache empties it.
    fs::remove_dir_all(&world.system).unwrap();
    let report = scan(&world.hub.root()).unwrap();
    assert_eq!(report.warnings.len(), 2, "{:?}", report.warnings);
    let err = world.offline().snapshot_download("o/n").await.unwrap_err();
    assert!(
        matches!(err, crate::Error::IncompleteSnapshot { ref missing, .. } if missing.len() == 3),
        "{err}"
    );
    world.cache().snapshot_download("o/n").await.unwrap();
    assert_files(&folder);
    assert_eq!(scan(&world.hub.root()).unwrap().warnings, []);
    // A forced download is of one's own.
    let world = World::new().await;
    let before = world.fill(&["*"]).await;
    let cache = world.cache();
    cache.download_file("o/n", "config.json").await.unwrap();
    let path = cache
        .download_file("o/n", "config.json")
        .force_download(true)
        .await
        .unwrap();
    let own = fs::canonicalize(path).unwrap();
    assert!(own.starts_with(world.hub.root()), "{}", own.display());
    assert_eq!(world.state(), before);
}

#[tokio::test]
async fn what_is_deleted_is_the_link() {
    let world = World::new().await;
    let before = world.fill(&["*"]).await;
    world.cache().snapshot_download("o/n").await.unwrap();
    world.hub.state().commit = NEXT.to_owned();
    world.cache().snapshot_download("o/n").await.unwrap();
    let report = scan(&world.hub.root()).unwrap();
    assert_eq!((report.repos[0].revisions.len(), report.warnings.len()), (2, 0));
    let first = Target::Revision(hub_types::RepoType::Model, "o/n".into(), COMMIT.into());
    let plan = DeletionPlan::delete(&report, &[first]);
    assert_eq!((plan.freed, plan.revisions.len()), (0, 1));
    plan.execute().unwrap();
    assert_eq!(scan(&world.hub.root()).unwrap().warnings, []);
    let most = PruneOptions {
        keep_newest: Some(0),
        ..PruneOptions::default()
    };
    let plan = DeletionPlan::prune(&scan(&world.hub.root()).unwrap(), &most);
    assert_eq!((plan.repos.len(), plan.freed), (1, 0));
    plan.execute().unwrap();
    assert!(!world.hub.repo().exists());
    assert_eq!(world.state(), before);
}

#[tokio::test]
async fn a_payload_that_repositories_share_there_is_linked_and_never_swept() {
    let world = World::new().await;
    world.hub.state().xet = true;
    let hash: XetHash = etag_of(b"large", true).parse().unwrap();
    let entry = Entry::new(&Layout::new(&world.system), &hash);
    let other = world.system.join("models--o--other/blobs/e");
    fs::create_dir_all(other.parent().unwrap()).unwrap();
    fs::write(&other, "large").unwrap();
    assert!(entry.publish(&other, 5, false).unwrap());
    let own = Entry::new(&Layout::new(world.hub.root()), &"ab".repeat(32).parse().unwrap());
    let mine = world.hub.root().join("models--o--mine/blobs/e");
    fs::create_dir_all(mine.parent().unwrap()).unwrap();
    fs::write(&mine, "mine").unwrap();
    assert!(
        own.publish(&mine, 4, false).unwrap(),
        "the private cache has a store too"
    );
    // The only reference there goes: a sweep there would now take the payload away.
    fs::remove_file(&other).unwrap();
    let before = world.state();

    world.cache().download_file("o/n", "data/large.bin").await.unwrap();
    assert!(!world.hub.requests().await.iter().any(|asked| asked.starts_with("GET")));
    let report = scan(&world.hub.root()).unwrap();
    let repo = report.repos.iter().find(|repo| repo.repo_id == "o/n").unwrap();
    let payload = repo.revisions[0].files[0].payload.clone().unwrap();
    assert!(payload.starts_with(&world.system), "{}", payload.display());
    let target = Target::Repo(repo.repo_type, repo.repo_id.clone());
    let plan = DeletionPlan::delete(&report, &[target]);
    assert_eq!((plan.freed, plan.execute().unwrap().shared), (0, 0));
    assert_eq!(world.state(), before);
}

#[tokio::test]
async fn copies_are_made_where_links_are_refused_and_into_plain_folders() {
    let world = World::new().await;
    let before = world.fill(&["*"]).await;
    let copying = HubCache::with_cache(world.hub.api(), world.layered().with_links(false));
    let folder = copying.snapshot_download("o/n").await.unwrap();
    assert_files(&folder);
    assert!(!folder.join("config.json").is_symlink());
    let plain = world.hub.dir.path().join("plain");
    let folder = world.cache().snapshot_download("o/n").local_dir(&*plain).await.unwrap();
    assert_files(&folder);
    assert!(!folder.join("config.json").is_symlink());
    let asked = world.hub.requests().await;
    assert!(
        !asked.iter().any(|asked| asked.starts_with("GET /o/n/resolve")),
        "{asked:?}"
    );
    // A system-wide cache that has copies itself.
    let world_2 = World::new().await;
    let api = world_2.hub.api();
    let filled = HubCache::with_cache(api, Cache::new(&world_2.system).with_links(false));
    filled.snapshot_download("o/n").await.unwrap();
    world_2.hub.requests().await;
    let folder = world_2.cache().snapshot_download("o/n").revision(COMMIT).await.unwrap();
    assert_files(&folder);
    assert_eq!(world_2.hub.count().await, 0);
    assert_eq!(scan(&world_2.hub.root()).unwrap().size, 0);
    assert_eq!(world.state(), before);
}

#[tokio::test]
async fn who_looks_after_a_system_wide_cache_has_it_for_a_private_one() {
    let world = World::new().await;
    let cache = Cache::new(&world.system).with_system_caches([&world.system]);
    let cache = HubCache::with_cache(world.hub.api(), cache);
    let folder = cache.snapshot_download("o/n").await.unwrap();
    assert_files(&folder);
    cache.snapshot_download("o/n").force_download(true).await.unwrap();
    assert_files(&folder);
    assert!(
        fs::canonicalize(folder.join("config.json"))
            .unwrap()
            .starts_with(&world.system)
    );
}
