//! What a transfer tells while it runs: to a program as lines of JSON, to a person on a terminal, to who holds its job.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hub_cache::HubCache;
use hub_http::{Job, JobProgress, Phase};
use hub_tests::fake::{Answer, Fake, listed};
use hub_tests::{ADA, TestEnv, noise};
use hub_types::GitOid;
use serde_json::{Value, json};

/// A Hub with one file, that is too busy for the first `times` requests for it.
fn busy(times: usize) -> (Fake, Vec<u8>) {
    let bytes = noise(50_000, 1);
    let (body, etag) = (bytes.clone(), GitOid::of(&bytes).to_string());
    let asked = AtomicUsize::new(0);
    let fake = Fake::hub(json!([listed("a.bin", &bytes)]), move |request| {
        if !request.target.contains("/resolve/") || request.method == "HEAD" {
            return None;
        }
        Some(match asked.fetch_add(1, Ordering::SeqCst) < times {
            true => Answer::new("503 Busy").header("content-length", 0),
            false => Answer::file(&etag, &body),
        })
    });
    (fake, bytes)
}

#[test]
fn a_program_reads_that_a_request_is_tried_again() {
    let env = TestEnv::new();
    let (fake, bytes) = busy(1);
    let output = env
        .hub(["download", "ada/demo", "--progress", "json"])
        .env("HF_ENDPOINT", fake.url())
        .success();
    let events: Vec<Value> = output
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let of = |name: &str| -> Vec<&Value> { events.iter().filter(|event| event["event"] == name).collect() };
    let retry = of("retry");
    assert_eq!(retry.len(), 1, "{output}");
    assert_eq!((&retry[0]["path"], &retry[0]["retry"]), (&json!("a.bin"), &json!(1)));
    assert!(retry[0]["wait_seconds"].as_f64().unwrap() >= 1.0, "{output}");
    assert!(retry[0]["cause"].as_str().unwrap().contains("503"), "{output}");
    let done = of("done");
    assert_eq!(
        (&done[0]["bytes"], &done[0]["retries"]),
        (&json!(bytes.len()), &json!(1))
    );
}

/// `script` gives a command a terminal.
#[cfg(target_os = "linux")]
#[test]
fn a_person_sees_on_the_bars_line_that_a_request_is_tried_again() {
    let env = TestEnv::new();
    let (fake, _) = busy(1);
    let output = env
        .command("script")
        .args(["-qec", "\"$HUB\" download ada/demo --progress bar", "/dev/null"])
        .env("HUB", env.hub_path())
        .env("HF_ENDPOINT", fake.url())
        .env("TERM", "xterm")
        .success();
    assert!(output.stdout.contains("retrying (1)"), "{output}");
    assert!(output.stdout.contains("1 retry"), "{output}");
}

/// What a job says once it has ended.
fn at_the_end<T: Send + 'static>(
    job: Job<T, impl From<hub_http::Error> + std::fmt::Debug + Send + 'static>,
) -> JobProgress {
    while !job.is_done() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let progress = job.progress();
    if let Err(err) = job.wait() {
        panic!("{err:?}");
    }
    progress
}

#[test]
fn a_job_tells_how_far_it_is() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let api = hub.api(ADA);
    assert_eq!(at_the_end(api.create_repo("ada/demo").spawn()), JobProgress::default());
    let sizes = [
        ("large.bin", 12_000_000),
        ("sub/small.txt", 10),
        ("sub/middle.bin", 300_000),
    ];
    for (number, (name, size)) in sizes.into_iter().enumerate() {
        env.write(&format!("folder/{name}"), noise(size, number as u32));
    }
    let bytes = sizes.iter().map(|(_, size)| *size as u64).sum::<u64>();
    let folder = env.work().join("folder");
    let progress = at_the_end(api.upload_folder("ada/demo", folder.as_path()).spawn());
    assert_eq!((progress.files_done, progress.files), (3, 3), "{progress:?}");
    assert_eq!((progress.bytes_done, progress.bytes), (bytes, bytes), "{progress:?}");
    assert_eq!(progress.phase, Some(Phase::Committing));

    let cache = HubCache::new(api, env.cache());
    let job = cache
        .snapshot_download("ada/demo")
        .ignore_patterns(".gitattributes")
        .spawn();
    let progress = at_the_end(job);
    assert_eq!((progress.files_done, progress.files), (3, 3), "{progress:?}");
    assert_eq!((progress.bytes_done, progress.bytes), (bytes, bytes), "{progress:?}");
    assert_eq!(progress.phase, Some(Phase::Transferring));
    let again = at_the_end(cache.snapshot_download("ada/demo").spawn());
    assert!(again.bytes_done < 2000 && again.files <= 1, "{again:?}");
}
