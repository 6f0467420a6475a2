use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use super::*;
use crate::testing::{ADA, Hub, send};

#[test]
fn a_folder_has_one_server() {
    let hub = Hub::with_demo();
    let err = Server::builder(hub.root.path()).start_in_thread().unwrap_err();
    assert!(matches!(err, Error::InUse { .. }), "{err}");
    let token = hub.server.token().reveal().to_owned();
    let Hub { server, root } = hub;
    server.stop();

    // Another one, later, finds everything.
    let server = Server::builder(root.path()).start_in_thread().unwrap();
    assert_eq!(server.token().reveal(), token);
    let again = Hub { server, root };
    again.get(ADA, "/api/models/ada/demo").expect(200);
    let file = again.root.path().join("token");
    assert_eq!(fs_err::read_to_string(&file).unwrap().trim(), token);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs_err::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let database = fs_err::read(again.root.path().join("hub.db")).unwrap();
    let log = fs_err::read(again.root.path().join("hub.db-wal")).unwrap_or_default();
    for bytes in [database, log] {
        assert!(
            !bytes.windows(token.len()).any(|w| w == token.as_bytes()),
            "no token is stored"
        );
    }
}

#[test]
fn a_port_that_is_taken_is_an_error_that_names_it() {
    let hub = Hub::start();
    let port = hub.server.url().rsplit(':').next().unwrap().parse().unwrap();
    let other = tempfile::tempdir().unwrap();
    let err = Server::builder(other.path()).port(port).start_in_thread().unwrap_err();
    assert_eq!(err.to_string(), format!("cannot listen on 127.0.0.1:{port}"));
    for name in ["a/b", "..", "", "a b"] {
        let err = Server::builder(other.path())
            .user(name, "hf_x", Role::Read)
            .start_in_thread()
            .unwrap_err();
        assert!(matches!(err, Error::Invalid(_)), "{name}: {err}");
    }
}

#[test]
fn a_server_on_every_address_is_named_as_its_client_names_it() {
    let hub = Hub::start_with(|builder| builder.host(Ipv4Addr::UNSPECIFIED.into()));
    hub.create("demo");
    let sha256 = hub.upload_large(b"large");
    hub.commit(&[crate::testing::large("x.bin", &sha256, 5)]).expect(200);
    let port = hub.server.url().rsplit(':').next().unwrap().to_owned();
    let blobs = hub.server.blob_url().rsplit(':').next().unwrap().to_owned();
    assert_eq!(hub.server.url(), format!("http://127.0.0.1:{port}"));
    let other = format!("http://127.0.0.5:{port}");
    let reply = send(&other, "GET", "", "/ada/demo/resolve/main/x.bin", &[], b"").expect(302);
    assert!(
        reply
            .header("location")
            .starts_with(&format!("http://127.0.0.5:{blobs}/"))
    );
    let reply = send(&other, "GET", "", "/api/models/ada/demo/tree/main?limit=1", &[], b"").expect(200);
    assert!(reply.header("link").starts_with(&format!("<{other}/api/")));
    send(
        reply.header("link").trim_start_matches('<').split('>').next().unwrap(),
        "GET",
        "",
        "",
        &[],
        b"",
    )
    .expect(200);
}

#[test]
fn garbage_ends_its_connection_and_nothing_else() {
    let hub = Hub::with_demo();
    let host = hub.server.url().strip_prefix("http://").unwrap();
    for garbage in [
        &b"\0\0\0\0\r\n\r\n"[..],
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /api/models/%zz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
        b"POST /api/repos/create HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n",
        b"GET //////api//models// HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(host).unwrap();
        stream.write_all(garbage).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        let reply = String::from_utf8_lossy(&reply);
        assert!(
            !reply.starts_with("HTTP/1.1 2") && !reply.starts_with("HTTP/1.1 5"),
            "{reply}"
        );
    }
    let long = "x".repeat(9000);
    assert!(hub.get(ADA, &format!("/api/models/ada/{long}")).status >= 400);
    hub.get(ADA, "/api/models/ada/demo").expect(200);
}

#[test]
fn a_refused_request_is_answered_though_its_body_is_long() {
    let hub = Hub::with_demo();
    let body = vec![b'x'; 40 << 20];
    hub.send("POST", "", "/api/models/ada/demo/commit/main", &[], &body)
        .expect(401);
}
