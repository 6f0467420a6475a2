//! Files in parts: the transfer agent, answered to a real git-lfs and to a store that fails.

#![expect(deprecated, reason = "what is deprecated is tested until it goes")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use hub_git_compat::{Error, LfsTracking, Repository};
use hub_tests::{ADA, TestEnv, noise};
use hub_types::Sha256;
use serde_json::{Value, json};

use crate::git::{git, options, read};

/// Thirteen parts of the file.
const PART: u64 = 250_000;
const SIZE: usize = 3_100_000;

#[test]
fn git_lfs_sends_thirteen_parts_through_our_agent() {
    let mut env = TestEnv::new();
    let hub = env.start_hub_with(|builder| builder.part_size(PART));
    hub.api(ADA).create_repo("ada/demo").wait().unwrap();
    let url = format!("{}/ada/demo", hub.url());
    git(&env, &hub, Some(ADA), &["clone", "--quiet", &url, "copy"]).success();
    let copy = env.work().join("copy");
    let output = env.hub(["lfs-enable-largefiles", "copy"]).success();
    assert_eq!(output.stdout, "Local repo set up for largefiles\n");
    assert!(output.stderr.contains("deprecated"), "{output}");
    let run = |args: &[&str]| git(&env, &hub, Some(ADA), args).dir(&copy).success();
    run(&["lfs", "install", "--local"]);
    for (name, seed) in [("one.bin", 1), ("two.bin", 2)] {
        fs_err::write(copy.join(name), noise(SIZE, seed)).unwrap();
    }
    run(&["add", "."]);
    run(&["commit", "--quiet", "--message", "In parts"]);
    let said = git(&env, &hub, Some(ADA), &["push", "origin", "main"])
        .env("GIT_TRANSFER_TRACE", "1")
        .dir(&copy)
        .success();
    assert!(said.stderr.contains("lfs-multipart-upload"), "{said}");
    for (name, seed) in [("one.bin", 1), ("two.bin", 2)] {
        let bytes = hub_cache::HubCache::new(hub.api(ADA), env.cache())
            .download_file("ada/demo", name)
            .wait()
            .unwrap();
        assert_eq!(read(bytes), noise(SIZE, seed));
    }
}

#[test]
fn repository_sends_parts_too() {
    let mut env = TestEnv::new();
    let hub = env.start_hub_with(|builder| builder.part_size(PART));
    hub.api(ADA).create_repo("ada/demo").wait().unwrap();
    let dir = env.work().join("clone");
    let options = options(&env, &hub, ADA).transfer_program(env.hub_path());
    let repo = Repository::clone_from(&dir, "ada/demo", &options).unwrap();
    repo.lfs_enable_largefiles().unwrap();
    fs_err::write(dir.join("a.bin"), noise(SIZE, 3)).unwrap();
    repo.git_add(".", LfsTracking::Auto).unwrap();
    repo.git_commit("In parts").unwrap();
    let command = repo.start_push(&hub_git_compat::PushOptions::new()).unwrap();
    command.wait().unwrap();
    assert_eq!(command.progress().unwrap().bytes, SIZE as u64);
    let again = Repository::clone_from(env.work().join("again"), "ada/demo", &options).unwrap();
    assert_eq!(read(again.dir().join("a.bin")), noise(SIZE, 3));

    // A program that the folder names is not run: ours is.
    let mark = env.work().join("ran");
    let set = |key: &str, value: String| env.git(["config", "--local", key, &value]).dir(&dir).success();
    set("lfs.customtransfer.multipart.path", format!("touch {}", mark.display()));
    let repo = Repository::open(&dir, &options).unwrap();
    fs_err::write(dir.join("b.bin"), noise(SIZE, 4)).unwrap();
    repo.push_to_hub("More", true).unwrap().unwrap();
    assert!(!mark.exists());
    set("lfs.customtransfer.basic.path", "true".to_owned());
    let err = Repository::open(&dir, &options).unwrap_err();
    assert!(matches!(err, Error::UnsafeConfiguration { .. }), "{err}");
}

#[test]
fn the_command_refuses_what_is_no_clone() {
    let env = TestEnv::new();
    let output = env.hub(["lfs-enable-largefiles", "none"]).failure(1);
    assert!(
        output.stderr.contains("does not look like a valid git repo"),
        "{output}"
    );
    fs_err::create_dir(env.work().join("plain")).unwrap();
    let output = env.hub(["lfs-enable-largefiles", "plain"]).failure(1);
    assert!(output.stderr.contains("not the top of a git repository"), "{output}");
    let output = env.hub(["--help"]).success();
    assert!(!output.stdout.contains("lfs-"), "{output}");
}

/// A store of parts that cuts the first connection for part 7, and answers 500 to the first for part 3.
struct Store {
    address: String,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    parts: Vec<(String, Vec<u8>)>,
    failed: Vec<String>,
    completed: Option<Value>,
    authorized: bool,
}

impl Store {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.3:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::<Mutex<Seen>>::default();
        let shared = Arc::clone(&seen);
        // It ends with the test's process: a listener has no end of its own.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), seen) = (stream, Arc::clone(&shared)) else {
                    return;
                };
                thread::spawn(move || drop(answer(stream, &seen)));
            }
        });
        Self { address, seen }
    }
}

fn answer(mut stream: TcpStream, seen: &Mutex<Seen>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
        let mut length = 0;
        loop {
            let mut header = String::new();
            reader.read_line(&mut header)?;
            let lower = header.to_ascii_lowercase();
            if let Some(value) = lower.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            seen.lock().unwrap().authorized |= lower.starts_with("authorization:");
            if header.trim().is_empty() {
                break;
            }
        }
        let fails = matches!(&*path, "/part/7" | "/part/3") && {
            let mut seen = seen.lock().unwrap();
            let first = !seen.failed.contains(&path);
            if first {
                seen.failed.push(path.clone());
            }
            first
        };
        if fails && path == "/part/7" {
            let mut some = vec![0; 1000];
            reader.read_exact(&mut some)?;
            // In the middle of the part.
            return stream.shutdown(std::net::Shutdown::Both);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let (status, headers) = match (&*path, fails) {
            (_, true) => ("500 Oh no", String::new()),
            ("/complete", _) => {
                seen.lock().unwrap().completed = Some(serde_json::from_slice(&body).unwrap());
                ("200 OK", String::new())
            }
            _ => {
                let number = path.strip_prefix("/part/").unwrap().to_owned();
                seen.lock().unwrap().parts.push((number.clone(), body));
                ("200 OK", format!("ETag: \"e{number}\"\r\n"))
            }
        };
        write!(stream, "HTTP/1.1 {status}\r\n{headers}Content-Length: 0\r\n\r\n")?;
    }
}

#[test]
fn parts_go_by_their_number_and_a_cut_one_goes_again() {
    let mut env = TestEnv::new();
    let hub = env.start_hub();
    let store = Store::start();
    let bytes = noise(SIZE, 5);
    let path = env.write("object", &bytes);
    // As git-lfs hands it over: sorted as text, unpadded, and with a header that is no part.
    let mut header = json!({ "chunk_size": PART.to_string(), "X-Other": format!("{}/part/other", store.address) });
    for number in 1..=13 {
        header[number.to_string()] = format!("{}/part/{number}", store.address).into();
    }
    let oid = Sha256::of(&bytes).to_string();
    let upload = json!({
        "event": "upload", "oid": oid, "size": SIZE, "path": path,
        "action": { "href": format!("{}/complete", store.address), "header": header },
    });
    let mut short = upload.clone();
    short["action"]["header"].as_object_mut().unwrap().remove("13");
    let init = json!({ "event": "init", "operation": "upload", "remote": "origin", "concurrent": false });
    let lines = [init, short, upload, json!({ "event": "terminate" })].map(|line| format!("{line}\n"));
    let output = env.hub(["lfs-multipart-upload"]).stdin(lines.concat()).success();
    let said: Vec<Value> = output
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(said[0], json!({}));
    let ends: Vec<&Value> = said.iter().filter(|line| line["event"] == "complete").collect();
    assert_eq!(ends.len(), 2, "{output}");
    // A count that cannot be right is that file's error, and the process goes on.
    let message = ends[0]["error"]["message"].as_str().unwrap();
    assert!(message.contains("12 parts where 13 are needed"), "{message}");
    assert_eq!(ends[1].get("error"), None, "{output}");
    assert_eq!(said[said.len() - 2]["bytesSoFar"], SIZE);

    let seen = store.seen.lock().unwrap();
    assert_eq!(seen.failed.len(), 2, "{:?}", seen.failed);
    let mut parts = seen.parts.clone();
    parts.sort_by_key(|(number, _)| number.parse::<u32>().unwrap());
    assert_eq!(parts.len(), 13);
    let whole: Vec<u8> = parts.into_iter().flat_map(|(_, bytes)| bytes).collect();
    assert!(whole == bytes, "the parts are the file in its order");
    let expected: Vec<Value> = (1..=13)
        .map(|number| json!({ "partNumber": number, "etag": format!("\"e{number}\"") }))
        .collect();
    assert_eq!(
        seen.completed.as_ref().unwrap(),
        &json!({ "oid": oid, "parts": expected })
    );
    assert!(!seen.authorized, "the store is shown no token");
    drop(hub);
}
