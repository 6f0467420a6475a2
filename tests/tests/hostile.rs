//! Disks that are full, forbidden or planted with traps, and names that lead elsewhere: a clear error, nothing outside
//! is touched, and nothing that was there is lost.

#![cfg(unix)]

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use hub_cache::{Error, HubCache, scan};
use hub_http::HfApi;
use hub_tests::fake::{Answer, COMMIT, Fake, listed};
use hub_tests::{ADA, Output, TestEnv, TestHub, files_below, noise};

const CONFIG: &[u8] = b"{\"hidden\": 4}\n";

/// A Hub with a text, 3 MB and 24 MB.
fn hub(env: &mut TestEnv) -> TestHub {
    let hub = env.start_hub();
    let (middle, large) = (noise(3_000_000, 1), noise(24_000_000, 2));
    let files = [
        ("config.json", CONFIG),
        ("sub/middle.bin", &*middle),
        ("sub/large.bin", &*large),
    ];
    hub.commit("ada/demo", files);
    hub
}

/// A shell script in mounts of its own, which end with it; `$HUB` is the binary. None where nothing can be mounted, be it
/// in a container without that right or for a user without namespaces: then that is said past the test's captured output,
/// with what is tested in its place.
fn in_own_mounts(env: &TestEnv, script: &str, args: &[&Path], instead: &str) -> Option<Output> {
    let is_root = fs_err::metadata(env.root()).unwrap().uid() == 0;
    let unshare = || match is_root {
        true => env.command("unshare").arg("--mount"),
        false => env.command("unshare").args(["--mount", "--user", "--map-root-user"]),
    };
    let probe = env.root().join("probe");
    fs_err::create_dir_all(&probe).unwrap();
    let mount = unshare().args(["mount", "-t", "tmpfs", "none"]).arg(&probe).run();
    if mount.code != Some(0) {
        let reason = mount.stderr.trim_end();
        let text = format!("\nNOT RUN, for nothing can be mounted here ({reason}). In its place: {instead}\n\n");
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        return None;
    }
    let command = unshare().args(["sh", "-eu", "-c", script, "sh"]).args(args);
    Some(command.env("HUB", env.hub_path()).run())
}

/// The last error line, without the hint.
fn error_of(text: &str) -> &str {
    text.lines().find(|line| line.starts_with("Error")).unwrap_or(text)
}

#[test]
fn w_016_a_full_disk_is_told_and_what_is_there_stays() {
    let mut env = TestEnv::new();
    let _hub = hub(&mut env);
    let (disk, out) = (env.root().join("disk"), env.root().join("out"));
    fs_err::create_dir_all(&disk).unwrap();
    fs_err::create_dir_all(&out).unwrap();
    let script = r#"
        disk="$1"; out="$2"
        mount -t tmpfs -o size=64m none "$disk"
        # 12 MB are free.
        dd if=/dev/zero of="$disk/much" bs=1M count=52 2> /dev/null
        get() { "$HUB" --quiet download ada/demo "$@" --cache-dir "$disk/hub"; }
        get config.json > /dev/null
        # Larger than the disk: refused before a byte is fetched.
        if get sub/large.bin 2> "$out/large"; then echo 'large.bin came'; exit 9; fi
        # Everything at once: the small ones too.
        if get 2> "$out/all"; then echo 'all came'; exit 9; fi
        # Not a byte is free.
        dd if=/dev/zero of="$disk/ballast" bs=64k 2> /dev/null || true
        if get sub/middle.bin 2> "$out/middle"; then echo 'middle.bin came'; exit 9; fi
        find "$disk/hub" -name '*.incomplete*' > "$out/partials"
        cat "$(get config.json)" > "$out/config.json"
        # There is room again.
        rm "$disk/ballast"
        cat "$(get sub/middle.bin)" > "$out/middle.bin"
        rm "$disk/much"
        cat "$(get)/sub/large.bin" > "$out/large.bin"
    "#;
    let instead = "a_file_that_may_not_grow_is_told_and_what_is_there_stays";
    let Some(output) = in_own_mounts(&env, script, &[&disk, &out], instead) else {
        return;
    };
    assert_eq!(output.code, Some(0), "{output}");
    let said = |name: &str| fs_err::read_to_string(out.join(name)).unwrap();
    for name in ["large", "all", "middle"] {
        let text = said(name);
        assert!(
            error_of(&text).contains("not enough room below") && text.contains("bytes are needed"),
            "{text}"
        );
    }
    assert_eq!(said("partials"), "");
    assert_eq!(fs_err::read(out.join("config.json")).unwrap(), CONFIG);
    assert!(fs_err::read(out.join("middle.bin")).unwrap() == noise(3_000_000, 1));
    assert!(fs_err::read(out.join("large.bin")).unwrap() == noise(24_000_000, 2));
}

#[test]
fn a_file_that_may_not_grow_is_told_and_what_is_there_stays() {
    let mut env = TestEnv::new();
    let _hub = hub(&mut env);
    let cache = env.root().join("cache");
    let get = |name: &str| {
        env.hub(["--quiet", "download", "ada/demo", name, "--cache-dir"])
            .arg(&cache)
    };
    get("config.json").success();
    // Blocks of 512 bytes: 4 MiB. The signal is ignored, so that writes fail instead.
    let limited = |name: &str| {
        let script = r#"trap '' XFSZ; ulimit -f 8192; exec "$HUB" --quiet download ada/demo "$2" --cache-dir "$1""#;
        let command = env
            .command("sh")
            .args(["-eu", "-c", script, "sh"])
            .arg(&cache)
            .arg(name);
        command.env("HUB", env.hub_path()).run()
    };
    let output = limited("sub/large.bin");
    assert_ne!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("no room for 24000000 bytes"), "{output}");
    assert_eq!(limited("sub/middle.bin").code, Some(0));
    let report = scan(&cache).unwrap();
    assert_eq!((report.warnings, report.partials), (vec![], vec![]));
    assert_eq!(
        fs_err::read(get("config.json").success().stdout.trim_end()).unwrap(),
        CONFIG
    );
    let path = get("sub/large.bin").success().stdout;
    assert!(fs_err::read(path.trim_end()).unwrap() == noise(24_000_000, 2));
}

#[test]
fn c_019_a_read_only_disk_serves_what_it_has_and_says_why_not_more() {
    let mut env = TestEnv::new();
    let _hub = hub(&mut env);
    let (cache, out) = (env.root().join("cache"), env.root().join("out"));
    fs_err::create_dir_all(&out).unwrap();
    let _ = env
        .hub(["--quiet", "download", "ada/demo", "config.json", "--cache-dir"])
        .arg(&cache)
        .success();
    let script = r#"
        cache="$1"; out="$2"
        mount --bind "$cache" "$cache"
        mount -o remount,ro,bind "$cache"
        get() { "$HUB" --quiet download ada/demo "$@" --cache-dir "$cache"; }
        cat "$(get config.json)" > "$out/config.json"
        if get sub/middle.bin 2> "$out/middle"; then exit 9; fi
        if get 2> "$out/all"; then exit 9; fi
    "#;
    let instead = "a_forbidden_folder_serves_what_it_has_and_says_why_not_more";
    let Some(output) = in_own_mounts(&env, script, &[&cache, &out], instead) else {
        return;
    };
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(fs_err::read(out.join("config.json")).unwrap(), CONFIG);
    for name in ["middle", "all"] {
        let text = fs_err::read_to_string(out.join(name)).unwrap();
        assert!(
            text.contains("Read-only file system") && text.contains(cache.to_str().unwrap()),
            "{text}"
        );
    }
}

#[test]
fn a_forbidden_folder_serves_what_it_has_and_says_why_not_more() {
    let mut env = TestEnv::new();
    let _hub = hub(&mut env);
    let cache = env.root().join("cache");
    let _ = env
        .hub(["--quiet", "download", "ada/demo", "config.json", "--cache-dir"])
        .arg(&cache)
        .success();
    // Another user: root may write anywhere, and everybody else is kept out by modes.
    let is_root = fs_err::metadata(env.root()).unwrap().uid() == 0;
    let binary = env.root().join("hub-for-others");
    if is_root {
        fs_err::copy(env.hub_path(), &binary).unwrap();
        fs_err::set_permissions(env.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
        fs_err::set_permissions(env.home(), std::fs::Permissions::from_mode(0o777)).unwrap();
    } else {
        for folder in [
            "",
            ".locks",
            ".locks/models--ada--demo",
            "models--ada--demo",
            "models--ada--demo/blobs",
        ] {
            fs_err::set_permissions(cache.join(folder), std::fs::Permissions::from_mode(0o555)).unwrap();
        }
    }
    let get = |repo: &str, name: &str| {
        let command = match is_root {
            true => {
                let other = ["--reuid=65534", "--regid=65534", "--clear-groups"];
                env.command("setpriv").args(other).arg(&binary)
            }
            false => env.hub([""; 0]),
        };
        command
            .args(["--quiet", "download", repo, name, "--cache-dir"])
            .arg(&cache)
            .run()
    };
    let output = get("ada/demo", "config.json");
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(fs_err::read(output.stdout.trim_end()).unwrap(), CONFIG);
    let output = get("ada/demo", "sub/middle.bin");
    assert_ne!(output.code, Some(0), "{output}");
    let denied = output.stderr.contains("Permission denied") && output.stderr.contains(cache.to_str().unwrap());
    assert!(denied, "{output}");
    let report = scan(&cache).unwrap();
    assert_eq!((report.warnings, report.partials), (vec![], vec![]));
}

#[tokio::test]
async fn c_104_a_planted_link_is_not_written_through() {
    let mut env = TestEnv::new();
    let hub = hub(&mut env);
    let head = hub.api(ADA).resolve_revision("ada/demo").await.unwrap();
    let outside = env.root().join("outside");
    let places = [
        "models--ada--demo/blobs".to_owned(),
        "models--ada--demo/refs".to_owned(),
        "models--ada--demo/snapshots".to_owned(),
        "models--ada--demo/trees".to_owned(),
        format!("models--ada--demo/snapshots/{head}"),
        format!("models--ada--demo/snapshots/{head}/sub"),
        ".locks/models--ada--demo".to_owned(),
    ];
    for (number, place) in places.iter().enumerate() {
        let root = env.root().join(format!("cache-{number}"));
        let link = root.join(place);
        fs_err::create_dir_all(link.parent().unwrap()).unwrap();
        fs_err::create_dir_all(&outside).unwrap();
        symlink(&outside, &link).unwrap();
        let cache = HubCache::new(hub.api(ADA), &root);
        let one = cache.download_file("ada/demo", "sub/middle.bin").await;
        let all = cache.snapshot_download("ada/demo").await;
        // What only saves requests is left out where it cannot be written.
        let is_note = place.ends_with("refs") || place.ends_with("trees");
        for result in [one, all] {
            match result {
                Err(Error::LeavesFolder { link: named, .. }) if !is_note => {
                    assert!(named.ends_with(place), "{named:?}")
                }
                Ok(_) if is_note => {}
                other => panic!("{place}: {other:?}"),
            }
        }
        assert_eq!(
            fs_err::read_dir(&outside).unwrap().count(),
            0,
            "{place} was written through"
        );
    }
    // A plain folder, whose notes lie in folders of known names.
    for place in ["sub", ".cache", ".cache/huggingface", ".cache/huggingface/download"] {
        let root = env.root().join(format!("plain-{}", place.len()));
        let link = root.join(place);
        fs_err::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(&outside, &link).unwrap();
        let cache = HubCache::new(hub.api(ADA), env.cache());
        let one = cache
            .download_file("ada/demo", "sub/middle.bin")
            .local_dir(root.as_path())
            .await;
        assert!(matches!(one, Err(Error::LeavesFolder { .. })), "{place}: {one:?}");
        let all = cache.snapshot_download("ada/demo").local_dir(root.as_path()).await;
        assert!(matches!(all, Err(Error::LeavesFolder { .. })), "{place}: {all:?}");
        assert_eq!(
            fs_err::read_dir(&outside).unwrap().count(),
            0,
            "{place} was written through"
        );
    }
}

fn cache_of(fake: &Fake, root: &Path) -> HubCache {
    HubCache::new(HfApi::builder().endpoint(fake.url()).build().unwrap(), root)
}

#[tokio::test]
async fn d04_c_102_a_listing_with_a_name_that_leaves_writes_nothing() {
    for name in [
        "../../../../escaped",
        "/tmp/escaped",
        "sub/../../escaped",
        "a//b",
        "..",
        "C:/escaped",
        "a\\..\\b",
    ] {
        let env = TestEnv::new();
        let bytes = b"escaped";
        let files = serde_json::json!([listed("good.txt", bytes), listed(name, bytes)]);
        let fake = Fake::hub(files, move |asked| {
            asked
                .target
                .contains("/resolve/")
                .then(|| Answer::file("0123456789012345678901234567890123456789", bytes))
        });
        let root = env.root().join("deep/er/cache");
        let cache = cache_of(&fake, &root);
        let err = cache.snapshot_download("ada/demo").await.unwrap_err();
        assert!(
            err.to_string().contains(name.trim_start_matches('/')) || err.to_string().contains(name),
            "{name}: {err}"
        );
        let plain = env.root().join("deep/er/plain");
        assert!(
            cache
                .snapshot_download("ada/demo")
                .local_dir(plain.as_path())
                .await
                .is_err()
        );
        assert_eq!(files_below(env.root()), BTreeMap::new(), "{name}");
        assert!(
            fake.asked().iter().all(|asked| !asked.target.contains("/resolve/")),
            "{name}"
        );
        assert!(!Path::new("/tmp/escaped").exists());
    }
}

#[tokio::test]
async fn d05_c_010_an_etag_that_is_a_path_writes_nothing_outside() {
    for etag in ["../../../../escaped", "/tmp/escaped", "a/b", "..", ".", "a\\b", ""] {
        let env = TestEnv::new();
        let bytes = b"right bytes";
        // In the headers of a file that is asked for by name, and of one whose listing was right.
        let fake = Fake::hub(serde_json::json!([listed("good.txt", bytes)]), move |asked| {
            asked.target.contains("/resolve/").then(|| Answer::file(etag, bytes))
        });
        let root = env.root().join("deep/er/cache");
        let cache = cache_of(&fake, &root);
        let one = cache.download_file("ada/demo", "other.txt").await;
        assert!(one.is_err(), "{etag}: {one:?}");
        let plain = cache
            .download_file("ada/demo", "other.txt")
            .local_dir(root.with_file_name("plain"))
            .await;
        assert!(plain.is_err(), "{etag}: {plain:?}");
        assert_eq!(files_below(env.root()), BTreeMap::new(), "{etag}");
        // The listing's own hash names the content, whatever the reply's headers say.
        if let Ok(folder) = cache.snapshot_download("ada/demo").await {
            assert_eq!(fs_err::read(folder.join("good.txt")).unwrap(), bytes, "{etag}");
        }
        // In the listing itself.
        let mut file = listed("good.txt", bytes);
        file["oid"] = etag.into();
        let mut lfs = hub_tests::fake::listed_lfs("large.bin", bytes);
        lfs["lfs"]["oid"] = etag.into();
        for (number, file) in [file, lfs].into_iter().enumerate() {
            let root = root.join(number.to_string());
            let fake = Fake::hub(serde_json::json!([file]), move |asked| {
                asked.target.contains("/resolve/").then(|| Answer::file(etag, bytes))
            });
            let listed = cache_of(&fake, &root).snapshot_download("ada/demo").await;
            if let Ok(folder) = &listed {
                // A hash that cannot be one is none: then the file's own headers count, which are no better here.
                panic!("{etag}: {}", folder.display());
            }
        }
        let escaped: Vec<PathBuf> = files_below(env.root())
            .into_values()
            .filter(|path| !path.starts_with(&root))
            .collect();
        assert_eq!(escaped, Vec::<PathBuf>::new(), "{etag}");
        assert!(!Path::new("/tmp/escaped").exists());
    }
}

#[tokio::test]
async fn a_name_that_the_disk_cannot_hold_is_told_and_the_rest_stays() {
    let env = TestEnv::new();
    let bytes = b"right bytes";
    let part = "p".repeat(203);
    let deep = vec![part.as_str(); 20].join("/");
    let cases = [
        // One part that no disk can hold: told before anything is written.
        (format!("sub/{}", "n".repeat(256)), "255 bytes"),
        // All parts together are more than a path may have.
        (deep, "too long"),
    ];
    for (number, (name, word)) in cases.into_iter().enumerate() {
        let files = serde_json::json!([listed("good.txt", bytes), listed(&name, bytes)]);
        let etag = hub_types::GitOid::of(bytes).to_string();
        let fake = Fake::hub(files, move |asked| {
            asked.target.contains("/resolve/").then(|| Answer::file(&etag, bytes))
        });
        let root = env.root().join(format!("cache-{number}"));
        let cache = cache_of(&fake, &root);
        cache
            .download_file("ada/demo", "good.txt")
            .revision(COMMIT)
            .await
            .unwrap();
        let err = cache.snapshot_download("ada/demo").await.unwrap_err();
        assert!(err.to_string().contains(word), "{err}");
        let one = cache.download_file("ada/demo", &*name).await.unwrap_err();
        assert!(one.to_string().contains(word), "{one}");
        let plain = env.root().join(format!("plain-{number}"));
        let err = cache
            .snapshot_download("ada/demo")
            .local_dir(plain.as_path())
            .await
            .unwrap_err();
        assert!(err.to_string().contains(word), "{err}");
        let report = scan(&root).unwrap();
        assert_eq!((report.warnings, report.partials), (vec![], vec![]));
        let path = cache
            .download_file("ada/demo", "good.txt")
            .revision(COMMIT)
            .await
            .unwrap();
        assert_eq!(fs_err::read(path).unwrap(), bytes);
    }
}
