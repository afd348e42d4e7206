//! TLS with certificates that can be replaced while serving.

use std::{fs, path::Path, sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use rustls::{
    ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::options::TlsFiles;

/// Why certificate files cannot be used. The certificate in force stays.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("reading {file}: {cause}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        cause: String,
    },
    /// A file holds no certificate or key.
    #[error("{file} holds no usable {what}: {cause}")]
    Parse {
        /// The file.
        file: String,
        /// What it should hold.
        what: &'static str,
        /// Why.
        cause: String,
    },
    /// The key is not the certificate's, or of a kind that is not supported.
    #[error("the key {key} does not fit the certificate {cert}: {cause}")]
    Mismatch {
        /// The certificate file.
        cert: String,
        /// The key file.
        key: String,
        /// Why.
        cause: String,
    },
}

/// The TLS side of an edge: the configuration workers accept with, and the certificate in force.
pub(crate) struct Tls {
    files: TlsFiles,
    current: Arc<Current>,
    /// What `current` was loaded from, so that polling reads only what has changed.
    stamp: std::sync::Mutex<Stamp>,
    pub(crate) config: Arc<ServerConfig>,
}

type Stamp = [Option<(SystemTime, u64)>; 2];

#[derive(Debug)]
struct Current(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Tls {
    pub(crate) fn load(files: TlsFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let stamp = stamp(&files);
        let current = Arc::new(Current(ArcSwap::from_pointee(read(&files, &provider)?)));
        let builder = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|cause| TlsError::Parse {
                file: files.cert.display().to_string(),
                what: "TLS version",
                cause: cause.to_string(),
            })?;
        let resolver: Arc<dyn ResolvesServerCert> = Arc::<Current>::clone(&current);
        let mut config = builder.with_no_client_auth().with_cert_resolver(resolver);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { files, current, stamp: std::sync::Mutex::new(stamp), config: Arc::new(config) })
    }

    /// Reads the files again. New connections get the new certificate; where it cannot be used, the old one stays.
    pub(crate) fn reload(&self) -> Result<(), TlsError> {
        let seen = stamp(&self.files);
        let result = read(&self.files, &ring::default_provider());
        // Remembered even where it failed: the same bad files are not tried again and again.
        *self.stamp.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = seen;
        self.current.0.store(Arc::new(result?));
        Ok(())
    }

    /// True where the files differ from those loaded last.
    pub(crate) fn changed(&self) -> bool {
        let seen = stamp(&self.files);
        // A missing file is the middle of a replacement: wait for the rest of it.
        seen.iter().all(Option::is_some)
            && seen != *self.stamp.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn stamp(files: &TlsFiles) -> Stamp {
    [&files.cert, &files.key].map(|file| {
        let meta = fs::metadata(file).ok()?;
        Some((meta.modified().ok()?, meta.len()))
    })
}

fn read(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let pem = |file: &Path| {
        fs::read(file)
            .map_err(|cause| TlsError::Read { file: file.display().to_string(), cause: cause.to_string() })
    };
    let cert_pem = pem(&files.cert)?;
    let key_pem = pem(&files.key)?;
    let bad =
        |file: &Path, what, cause: String| TlsError::Parse { file: file.display().to_string(), what, cause };
    let chain = CertificateDer::pem_slice_iter(&cert_pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|cause| bad(&files.cert, "certificate", cause.to_string()))?;
    if chain.is_empty() {
        return Err(bad(&files.cert, "certificate", "there is none in it".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_slice(&key_pem)
        .map_err(|cause| bad(&files.key, "private key", cause.to_string()))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|cause| TlsError::Mismatch {
        cert: files.cert.display().to_string(),
        key: files.key.display().to_string(),
        cause: cause.to_string(),
    })
}
