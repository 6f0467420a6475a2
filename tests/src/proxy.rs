//! A forward proxy between the clients of a test and its Hub: it notes, counts and slows what it carries.
//! Of TLS it sees the address of the connection alone.

use std::fmt;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// How much is handed on at a time.
const PIECE: usize = 64 << 10;

/// A running proxy on a loopback address. Each request has a connection of its own.
#[derive(Debug)]
pub struct Proxy {
    url: String,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    log: Mutex<Vec<Arc<Entry>>>,
    bytes: AtomicU64,
    pause_micros: AtomicU64,
    /// So many bytes are handed on, and no more until it is raised; 0 is no limit.
    hold_at: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    method: String,
    address: String,
    range: Option<String>,
    credentials: Option<String>,
    status: AtomicU16,
    bytes: AtomicU64,
}

/// One request that was carried. Shown as its method and address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The method.
    pub method: String,
    /// The whole address, without its query.
    pub address: String,
    /// The range that was asked for.
    pub range: Option<String>,
    /// What the client said to the proxy about who it is.
    pub credentials: Option<String>,
    /// The answer's status; 0 while there is none.
    pub status: u16,
    /// The bytes of the answer's body that were handed on.
    pub bytes: u64,
}

impl fmt::Display for Carried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.address)
    }
}

impl Carried {
    /// Whether a file's bytes were answered: the Hub itself gave them, or its store.
    pub fn is_content(&self) -> bool {
        let listing = self.address.contains("/api/") && !self.address.contains("/api/resolve-cache/");
        self.method == "GET" && matches!(self.status, 200 | 206) && !listing
    }

    /// Whether this is a content that was asked for as a whole. A range is what is asked for again of a connection that
    /// stalls, as all do on a machine that is busy enough.
    pub fn is_whole_content(&self) -> bool {
        self.is_content() && self.range.is_none()
    }

    /// The addresses of contents that were asked for as a whole more than once.
    pub fn fetched_again(carried: &[Self]) -> Vec<&str> {
        let whole = carried.iter().filter(|one| one.is_whole_content());
        let mut addresses: Vec<&str> = whole.map(|one| one.address.as_str()).collect();
        addresses.sort_unstable();
        let again = addresses.windows(2).filter(|pair| pair[0] == pair[1]);
        again.map(|pair| pair[0]).collect()
    }

    /// How many bytes of files were answered, each byte of a file once: what a slow connection has to fetch is asked for
    /// a second time by another, and a busy machine makes any connection slow.
    pub fn content_bytes(carried: &[Self]) -> u64 {
        let mut parts: Vec<(&str, u64, u64)> = carried
            .iter()
            .filter(|one| one.is_content())
            .map(|one| {
                let range = one.range.as_deref().and_then(|range| range.strip_prefix("bytes="));
                let start = range
                    .and_then(|range| range.split('-').next()?.parse().ok())
                    .unwrap_or(0);
                (one.address.as_str(), start, start + one.bytes)
            })
            .collect();
        parts.sort_unstable();
        let (mut total, mut file, mut seen) = (0, "", 0);
        for (address, start, end) in parts {
            if address != file {
                (file, seen) = (address, 0);
            }
            total += end.saturating_sub(start.max(seen));
            seen = seen.max(end);
        }
        total
    }
}

impl Proxy {
    /// Starts it.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of the loopback is free");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared::default());
        let carrier = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), shared) = (stream, carrier.clone()) else {
                    continue;
                };
                thread::spawn(move || carry(stream, &shared));
            }
        });
        Self {
            url: format!("http://{address}"),
            shared,
        }
    }

    /// The address to give clients.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Hands on 64 KiB at most in this time, for each connection.
    pub fn slow_down(&self, pause: Duration) {
        let micros = u64::try_from(pause.as_micros()).expect("a pause is short");
        self.shared.pause_micros.store(micros, Ordering::Relaxed);
    }

    /// Hands on so many more bytes, and then none until [`Proxy::go_on`]: every connection stalls.
    pub fn hold_after(&self, bytes: u64) {
        self.shared.hold_at.store(self.bytes() + bytes.max(1), Ordering::SeqCst);
    }

    /// Ends what [`Proxy::hold_after`] began.
    pub fn go_on(&self) {
        self.shared.hold_at.store(0, Ordering::SeqCst);
    }

    /// The bytes of bodies that were handed on to clients, since the start.
    pub fn bytes(&self) -> u64 {
        self.shared.bytes.load(Ordering::SeqCst)
    }

    /// What was carried, in the order of the requests.
    ///
    /// # Panics
    ///
    /// Never: nobody panics with the log in hand.
    pub fn carried(&self) -> Vec<Carried> {
        let log = self.shared.log.lock().expect("the log is whole");
        log.iter().map(|entry| entry.carried()).collect()
    }

    /// As [`Proxy::carried`], and begins a new list.
    ///
    /// # Panics
    ///
    /// As there.
    pub fn take(&self) -> Vec<Carried> {
        let log = std::mem::take(&mut *self.shared.log.lock().expect("the log is whole"));
        log.iter().map(|entry| entry.carried()).collect()
    }
}

impl Entry {
    fn carried(&self) -> Carried {
        Carried {
            method: self.method.clone(),
            address: self.address.clone(),
            range: self.range.clone(),
            credentials: self.credentials.clone(),
            status: self.status.load(Ordering::SeqCst),
            bytes: self.bytes.load(Ordering::SeqCst),
        }
    }
}

/// Hands one request on and the answer back; the connection to the server ends with it.
fn carry(mut client: TcpStream, shared: &Shared) -> Option<()> {
    let (head, rest) = read_head(&mut client)?;
    let (first, headers) = head.split_once("\r\n")?;
    let mut words = first.split(' ');
    let (method, address) = (words.next()?, words.next()?);
    let header = |name: &str| {
        headers.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let note = |address: String| {
        let entry = Arc::new(Entry {
            method: method.to_owned(),
            address,
            range: header("range"),
            credentials: header("proxy-authorization"),
            status: 0.into(),
            bytes: 0.into(),
        });
        shared.log.lock().ok()?.push(entry.clone());
        Some(entry)
    };
    if method == "CONNECT" {
        let entry = note(address.to_owned())?;
        let mut server = TcpStream::connect(address).ok()?;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
        entry.status.store(200, Ordering::SeqCst);
        server.write_all(&rest).ok()?;
        let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
        thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            to.shutdown(Shutdown::Write)
        });
        std::io::copy(&mut server, &mut client).ok()?;
        return client.shutdown(Shutdown::Both).ok();
    }
    // A request through a proxy names the whole address.
    let (host, path) = address.strip_prefix("http://")?.split_once('/')?;
    let entry = note(format!("http://{host}/{}", path.split('?').next().unwrap_or_default()))?;

    let mut server = TcpStream::connect(host).ok()?;
    let kept: String = headers
        .lines()
        .filter(|line| !line.is_empty() && !line.to_ascii_lowercase().starts_with("connection:"))
        .map(|line| format!("{line}\r\n"))
        .collect();
    let head = format!("{method} /{path} HTTP/1.1\r\n{kept}connection: close\r\n\r\n");
    server.write_all(head.as_bytes()).ok()?;
    server.write_all(&rest).ok()?;
    if header("content-length").is_some_and(|length| length != "0") || header("transfer-encoding").is_some() {
        let (mut from, mut to) = (client.try_clone().ok()?, server.try_clone().ok()?);
        thread::spawn(move || std::io::copy(&mut from, &mut to));
    }

    let (head, rest) = read_head(&mut server)?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    entry.status.store(status, Ordering::SeqCst);
    client.write_all(head.as_bytes()).ok()?;
    let mut hand_on = |piece: &[u8]| {
        while (1..=shared.bytes.load(Ordering::SeqCst)).contains(&shared.hold_at.load(Ordering::SeqCst)) {
            thread::sleep(Duration::from_millis(1));
        }
        client.write_all(piece).ok()?;
        entry.bytes.fetch_add(piece.len() as u64, Ordering::SeqCst);
        shared.bytes.fetch_add(piece.len() as u64, Ordering::SeqCst);
        Some(())
    };
    hand_on(&rest)?;
    let mut buffer = vec![0; PIECE];
    loop {
        let length = server.read(&mut buffer).ok()?;
        if length == 0 {
            break;
        }
        hand_on(&buffer[..length])?;
        let pause = shared.pause_micros.load(Ordering::Relaxed);
        if pause > 0 {
            thread::sleep(Duration::from_micros(pause));
        }
    }
    client.shutdown(Shutdown::Both).ok()
}

/// A head, with the empty line that ends it, and what came behind it.
fn read_head(stream: &mut TcpStream) -> Option<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        let seen = bytes.len().saturating_sub(3);
        bytes.extend_from_slice(&buffer[..length]);
        if let Some(end) = bytes[seen..].windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(seen + end + 4);
            return Some((String::from_utf8(bytes).ok()?, rest));
        }
    }
}
