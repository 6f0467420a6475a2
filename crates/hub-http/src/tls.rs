//! TLS by the library that this was built with.
//!
//! With rustls, servers are held against the system's roots, which are read at the first handshake, once for all clients of
//! an [`HfApi`](crate::HfApi): on Linux they are hundreds of files, and to read them takes longer than many a command has
//! to do besides.

use std::path::Path;

use hub_types::ValidationError;

use crate::error::Result;

pub(crate) use backend::Tls;

/// The text of a file of certificates, and how to refuse what it holds.
fn read_bundle<T>(path: &Path, parse: impl FnOnce(&[u8]) -> Option<Vec<T>>) -> Result<Vec<T>> {
    let pem = fs_err::read(path)?;
    parse(&pem).ok_or_else(|| {
        ValidationError::new(
            "certificate file",
            path.to_string_lossy(),
            "must hold certificates in PEM form",
        )
        .into()
    })
}

#[cfg(not(feature = "native-tls"))]
mod backend {
    use std::path::PathBuf;
    use std::sync::{Arc, OnceLock};

    use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
    use rustls::crypto::CryptoProvider;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
    use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
    use rustls_platform_verifier::Verifier;

    use super::{Result, read_bundle};
    use crate::error::Error;

    /// How all clients of an `HfApi` do TLS.
    #[derive(Clone)]
    pub(crate) struct Tls(ClientConfig);

    impl Tls {
        /// With the certificates of these files beside the system's.
        pub(crate) fn new<'a>(bundles: impl Iterator<Item = &'a PathBuf>) -> Result<Self> {
            let mut extra = Vec::new();
            for path in bundles {
                extra.extend(read_bundle(path, |pem| {
                    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().ok()
                })?);
            }
            let provider = provider();
            let roots = Roots {
                extra,
                provider: provider.clone(),
                verifier: OnceLock::new(),
            };
            let config = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(rustls::ALL_VERSIONS)
                .map_err(|err| Error::Setup { source: err.into() })?;
            let config = config.dangerous().with_custom_certificate_verifier(Arc::new(roots));
            Ok(Self(config.with_no_client_auth()))
        }

        /// Has a client use it, for HTTP/1.1 alone or for HTTP/2 too.
        pub(crate) fn apply(&self, builder: reqwest::ClientBuilder, http1: bool) -> reqwest::ClientBuilder {
            let mut config = self.0.clone();
            config.alpn_protocols = match http1 {
                true => vec![b"http/1.1".to_vec()],
                false => vec![b"h2".to_vec(), b"http/1.1".to_vec()],
            };
            builder.tls_backend_preconfigured(config)
        }
    }

    /// The provider of cryptography. A program that has chosen one keeps it.
    fn provider() -> Arc<CryptoProvider> {
        #[cfg(feature = "aws-lc")]
        let ours = rustls::crypto::aws_lc_rs::default_provider;
        #[cfg(not(feature = "aws-lc"))]
        let ours = rustls::crypto::ring::default_provider;
        // The library of Xet takes what is installed.
        let _ = ours().install_default();
        CryptoProvider::get_default()
            .cloned()
            .unwrap_or_else(|| Arc::new(ours()))
    }

    /// The system's own verifier, made when it is first asked.
    #[derive(Debug)]
    struct Roots {
        extra: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
        verifier: OnceLock<Result<Verifier, rustls::Error>>,
    }

    impl Roots {
        fn verifier(&self) -> Result<&Verifier, rustls::Error> {
            let verifier = self.verifier.get_or_init(|| {
                let provider = self.provider.clone();
                if self.extra.is_empty() {
                    return Verifier::new(provider);
                }
                #[cfg(not(target_os = "android"))]
                return Verifier::new_with_extra_roots(self.extra.iter().cloned(), provider);
                #[cfg(target_os = "android")]
                return Err(rustls::Error::General(
                    "certificates beside the system's are not supported here".to_owned(),
                ));
            });
            verifier.as_ref().map_err(Clone::clone)
        }
    }

    impl ServerCertVerifier for Roots {
        fn verify_server_cert(
            &self,
            end_entity: &CertificateDer<'_>,
            intermediates: &[CertificateDer<'_>],
            server_name: &ServerName<'_>,
            ocsp_response: &[u8],
            now: UnixTime,
        ) -> Result<ServerCertVerified, rustls::Error> {
            let verifier = self.verifier()?;
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        }

        fn verify_tls12_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            self.verifier()?.verify_tls12_signature(message, cert, dss)
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, rustls::Error> {
            self.verifier()?.verify_tls13_signature(message, cert, dss)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            self.provider.signature_verification_algorithms.supported_schemes()
        }
    }
}

#[cfg(feature = "native-tls")]
mod backend {
    use std::path::PathBuf;

    use super::{Result, read_bundle};

    /// How all clients of an `HfApi` do TLS.
    #[derive(Clone)]
    pub(crate) struct Tls(Vec<reqwest::Certificate>);

    impl Tls {
        /// With the certificates of these files beside the system's.
        pub(crate) fn new<'a>(bundles: impl Iterator<Item = &'a PathBuf>) -> Result<Self> {
            let mut extra = Vec::new();
            for path in bundles {
                extra.extend(read_bundle(path, |pem| {
                    reqwest::Certificate::from_pem_bundle(pem).ok()
                })?);
            }
            Ok(Self(extra))
        }

        /// Has a client use it; which version of HTTP is offered is what the client speaks.
        pub(crate) fn apply(&self, builder: reqwest::ClientBuilder, _http1: bool) -> reqwest::ClientBuilder {
            builder.tls_backend_native().tls_certs_merge(self.0.iter().cloned())
        }
    }
}

#[cfg(not(any(feature = "rustls", feature = "aws-lc", feature = "native-tls")))]
compile_error!("hub-http needs a library for TLS: turn on one of the features rustls, aws-lc and native-tls");
