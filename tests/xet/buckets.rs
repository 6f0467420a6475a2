//! Buckets, which take bytes by Xet alone. The embedded Hub has none: what a bucket is told is read from its requests.

use hub_http::api::buckets::BucketAdd;
use serde_json::{Value, json};
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::world::{Told, World, now, random};

#[tokio::test(flavor = "multi_thread")]
async fn files_are_put_into_a_bucket() {
    let world = World::new().await;
    let hub = MockServer::start().await;
    let token = json!({"casUrl": world.gate.url, "accessToken": "t", "exp": now() + 1000});
    Mock::given(method("GET"))
        .and(path("/api/buckets/ada/box/xet-write-token"))
        .and(header("authorization", format!("Bearer {}", hub_tests::ADA)))
        .respond_with(ResponseTemplate::new(200).set_body_json(token))
        .expect(1)
        .mount(&hub)
        .await;
    Mock::given(method("POST"))
        .and(path("/api/buckets/ada/box/batch"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"success": true, "processed": 2})))
        .mount(&hub)
        .await;
    let api = world.builder().endpoint(hub.uri()).build().unwrap();
    let bytes = random(2 << 20, 1);
    let file = world.env.write("a.bin", &bytes);
    let add = [
        BucketAdd {
            source: file.into(),
            destination: "runs/a.bin".to_owned(),
        },
        BucketAdd {
            source: bytes::Bytes::from_static(b"hello").into(),
            destination: "b.txt".to_owned(),
        },
    ];
    let (told, progress) = Told::new();
    api.batch_bucket_files("ada/box")
        .add(Vec::from(add))
        .progress(progress)
        .await
        .unwrap();
    assert_eq!(told.get(|told| &told.files_done), 2);
    assert_eq!(told.get(|told| &told.done), bytes.len() as u64 + 5);
    world.check_storage().await;

    let requests = hub.received_requests().await.unwrap();
    let batch = requests
        .iter()
        .find(|request| request.url.path().ends_with("/batch"))
        .unwrap();
    let lines: Vec<Value> = String::from_utf8_lossy(&batch.body)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected = [("runs/a.bin", bytes), ("b.txt", b"hello".to_vec())];
    for (line, (destination, bytes)) in lines.iter().zip(expected) {
        assert_eq!((&line["type"], &line["path"]), (&json!("addFile"), &json!(destination)));
        let hash = line["xetHash"].as_str().unwrap();
        let stored = HttpGet(&world.gate.url)
            .get(&format!("/simulation/files/{hash}/data"))
            .await;
        assert!(stored == bytes, "{destination}");
    }
    assert_eq!(lines.len(), 2);

    let off = world.builder().endpoint(hub.uri()).xet(false).build().unwrap();
    let add = BucketAdd {
        source: b"x".into(),
        destination: "x".to_owned(),
    };
    let err = off.batch_bucket_files("ada/box").add(vec![add]).await.unwrap_err();
    assert!(matches!(err, hub_http::Error::XetDisabled { .. }), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_without_permission_says_so() {
    let world = World::new().await;
    let hub = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/api/buckets/ada/box/xet-write-token"))
        .respond_with(ResponseTemplate::new(403))
        .mount(&hub)
        .await;
    let api = world.builder().endpoint(hub.uri()).build().unwrap();
    let add = BucketAdd {
        source: b"x".into(),
        destination: "x".to_owned(),
    };
    let err = api.batch_bucket_files("ada/box").add(vec![add]).await.unwrap_err();
    assert!(matches!(err, hub_http::Error::Forbidden(_)), "{err}");
}

/// Reads from the storage itself.
struct HttpGet<'a>(&'a str);

impl HttpGet<'_> {
    async fn get(&self, path: &str) -> Vec<u8> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let address = self.0.strip_prefix("http://").unwrap();
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await.unwrap();
        assert!(
            reply.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&reply[..200.min(reply.len())])
        );
        let at = reply.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
        reply.split_off(at + 4)
    }
}
