//! Deletions that are killed: what is still there is right, and doing it again does the rest.

use super::*;

/// What is deleted, and whether the head's snapshot stays.
const DELETIONS: [(&str, bool); 5] = [
    ("prune", true),
    ("OLDER", true),
    ("HEAD", false),
    ("model/ada/demo", false),
    ("hf://ada/demo/sub/large.bin", false),
];

#[test]
fn c_098_a_deletion_that_is_killed_leaves_a_cache_that_is_right() {
    let world = World::new();
    let proxy = Proxy::start();
    let mut scanner = Scanner::start(&world.env);
    // Both commits, which share a file.
    let full = world.older[&Way::Cache].clone();
    world.complete(Way::Cache, &full, &proxy);
    let older = world.commits.keys().find(|commit| **commit != world.head).unwrap();

    let mut killed = 0;
    for (number, (target, head_stays)) in DELETIONS.into_iter().enumerate() {
        let target = target.replace("OLDER", older).replace("HEAD", &world.head);
        let delete = |root: &Path| {
            let command = world.env.hub(["--quiet", "--yes", "cache"]);
            let command = match target.as_str() {
                "prune" => command.arg("prune"),
                target => command.arg("rm").arg(target),
            };
            command.arg("--cache-dir").arg(root)
        };
        let copy = |name: String| {
            let root = world.env.root().join(name);
            let _ = world.env.command("cp").arg("-a").arg(&full).arg(&root).success();
            root
        };
        let traced = copy(format!("traced-{number}"));
        let steps = traced_steps(delete(&traced), &world.env.root().join("trace"));
        assert!(!steps.is_empty(), "{target}: nothing is deleted");
        for (step, passes) in steps {
            for nth in 1..=passes.min(3) {
                let root = copy(format!("deleted-{number}-{step}-{nth}").replace(' ', "-"));
                let status = delete(&root)
                    .env("HUB_FAULT_KILL_AT", format!("{step}:{nth}"))
                    .start()
                    .wait()
                    .unwrap();
                assert_eq!(status.signal(), Some(9), "{target} at '{step}'");
                killed += 1;
                let look = Look {
                    world: &world,
                    way: Way::Cache,
                    root: &root,
                };
                look.assert_sound(&mut scanner);
                let snapshot = root.join("models--ada--demo/snapshots").join(&world.head);
                for (name, bytes) in world.files().iter().filter(|_| head_stays) {
                    assert!(&fs_err::read(snapshot.join(name)).unwrap() == bytes, "{name}");
                }
                // What is gone already is not there to be deleted; then that is said.
                let again = delete(&root).run();
                assert!(again.code.is_some(), "{again}");
                look.assert_sound(&mut scanner);
                // What was to stay was not touched, and what is wanted again comes again.
                proxy.take();
                world.complete(Way::Cache, &root, &proxy);
                let fetched = Carried::content_bytes(&proxy.take());
                assert!(
                    !head_stays || fetched == 0,
                    "{target} at '{step}': {fetched} bytes were lost"
                );
                for (name, bytes) in world.files() {
                    assert!(&fs_err::read(snapshot.join(name)).unwrap() == bytes, "{name}");
                }
                look.assert_sound(&mut scanner);
                fs_err::remove_dir_all(&root).unwrap();
            }
        }
    }
    assert!(killed >= 10, "{killed} deletions were killed");
}
