//! TLS before the plain HTTP of a test's Hub, with a certificate that no machine trusts unless it is told to.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use crate::fixture;

/// A port that speaks TLS and hands on to one that does not.
#[derive(Debug)]
pub struct TlsFront {
    url: String,
    target: Arc<OnceLock<SocketAddr>>,
    accepted: Arc<AtomicUsize>,
}

impl TlsFront {
    /// Listens; [`TlsFront::hand_on_to`] says where to.
    ///
    /// # Panics
    ///
    /// When no port can be had.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of the loopback is free");
        let address = listener.local_addr().expect("a listener has an address");
        listener.set_nonblocking(true).expect("a listener need not block");
        let front = Self {
            url: format!("https://{address}"),
            target: Arc::default(),
            accepted: Arc::default(),
        };
        let (target, accepted) = (front.target.clone(), front.accepted.clone());
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(serve(listener, target, accepted));
        });
        front
    }

    /// The authority that has signed the certificate, as a PEM file.
    pub fn authority() -> PathBuf {
        fixture("tls/ca.pem")
    }

    /// Where what comes in goes.
    ///
    /// # Panics
    ///
    /// The second time.
    pub fn hand_on_to(&self, address: SocketAddr) {
        self.target.set(address).expect("there is one target");
    }

    /// The address to give clients.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How many connections have come in, also of those who did not trust the certificate.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

async fn serve(listener: TcpListener, target: Arc<OnceLock<SocketAddr>>, accepted: Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("the listener does not block");
    let acceptor = TlsAcceptor::from(Arc::new(config()));
    while let Ok((stream, _)) = listener.accept().await {
        accepted.fetch_add(1, Ordering::SeqCst);
        let (acceptor, target) = (acceptor.clone(), target.get().copied());
        tokio::spawn(async move {
            let mut client = acceptor.accept(stream).await?;
            let target = target.ok_or(std::io::ErrorKind::AddrNotAvailable)?;
            let mut server = TcpStream::connect(target).await?;
            tokio::io::copy_bidirectional(&mut client, &mut server).await
        });
    }
}

fn config() -> ServerConfig {
    let certificate = CertificateDer::from_pem_file(fixture("tls/server.pem")).expect("the fixture is a certificate");
    let key = PrivateKeyDer::from_pem_file(fixture("tls/server.key")).expect("the fixture is a key");
    ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has the usual versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("the key is the certificate's")
}
