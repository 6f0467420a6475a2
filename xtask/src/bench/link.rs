//! A link as users have them: so many bytes a second for each connection, and a time that each byte is under way.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::Result;

/// How far a connection's limit may fall behind, so that it does not depend on how exactly a thread sleeps.
const SLACK: Duration = Duration::from_millis(20);

/// What lies between a client and a server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// Bytes a second that the server sends over each connection.
    pub(super) rate: f64,
    /// From a byte to the answer to it.
    pub(super) round_trip: Duration,
}

/// Starts a proxy with this link before `server`; it runs until the process ends. Gives its address.
pub(super) fn proxy(server: SocketAddr, link: Link) -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                // A connection that is cut ends here; the client will say what it thinks of that.
                let _ = carry(client, server, link);
            });
        }
    });
    Ok(address)
}

fn carry(client: TcpStream, server: SocketAddr, link: Link) -> Result<()> {
    // The system has accepted the connection at once; the handshake's round trip is made up for here.
    std::thread::sleep(link.round_trip);
    let server = TcpStream::connect(server)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let one_way = link.round_trip / 2;
    let (from, to) = (client.try_clone()?, server.try_clone()?);
    std::thread::spawn(move || flow(from, to, f64::INFINITY, one_way));
    flow(server, client, link.rate, one_way);
    Ok(())
}

/// Carries one direction, until its sender is through.
fn flow(mut from: TcpStream, to: TcpStream, rate: f64, one_way: Duration) {
    // As much as can be under way at this rate, and some more.
    let (sender, receiver) = sync_channel(256);
    let arriving = std::thread::spawn(move || arrive(receiver, to));
    let _ = depart(&mut from, &sender, rate, one_way);
    drop(sender);
    let _ = arriving.join();
}

fn depart(from: &mut TcpStream, sender: &SyncSender<(Instant, Vec<u8>)>, rate: f64, one_way: Duration) -> Result<()> {
    // When the connection's limit allows the next byte.
    let mut free = Instant::now();
    loop {
        let mut buffer = vec![0; 64 << 10];
        let count = from.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        buffer.truncate(count);
        let now = Instant::now();
        free = free.max(now.checked_sub(SLACK).unwrap_or(now)) + Duration::from_secs_f64(count as f64 / rate);
        if let Some(wait) = free.checked_duration_since(now) {
            std::thread::sleep(wait);
        }
        sender.send((Instant::now() + one_way, buffer))?;
    }
}

fn arrive(receiver: Receiver<(Instant, Vec<u8>)>, mut to: TcpStream) {
    for (due, bytes) in receiver {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        if to.write_all(&bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
