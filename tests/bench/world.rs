//! Certificates of one run: who vouches for the origin, who for whoever inspects, and what each side is configured with.

use hudsucker::rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

const HOST: &str = "127.0.0.1";

/// Two authorities that nobody else knows, and a folder with their files.
pub(crate) struct World {
    folder: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let world = Self { folder: tempfile::Builder::new().prefix("htg-bench-").tempdir().expect("a folder") };
        for who in ["origin", "inspector"] {
            let (mut params, key) = (CertificateParams::default(), KeyPair::generate().expect("a key"));
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.distinguished_name.push(DnType::CommonName, format!("{who} of a benchmark"));
            world.write(&format!("{who}-ca.pem"), &params.self_signed(&key).expect("a certificate").pem());
            world.write(&format!("{who}-ca.key"), &key.serialize_pem());
            let issuer = Issuer::new(params, key);
            let (leaf, key) = (CertificateParams::new([HOST.to_owned()]), KeyPair::generate().expect("a key"));
            let leaf = leaf.expect("an address is a name").signed_by(&key, &issuer).expect("a certificate");
            world.write(&format!("{who}.pem"), &leaf.pem());
            world.write(&format!("{who}.key"), &key.serialize_pem());
        }
        world
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// What makes a monitor inspect with this world's authority, and trust its origin.
    pub(crate) fn config(&self) -> String {
        let file = |name: &str| self.folder().join(name).display().to_string();
        format!(
            "inspect_https = true\nca_bundle = {:?}\n[ca]\nmode = \"operator\"\ncert = {:?}\nkey = {:?}\n",
            file("origin-ca.pem"),
            file("inspector-ca.pem"),
            file("inspector-ca.key")
        )
    }

    /// A client that trusts both, makes every handshake whole, and speaks HTTP/1.1, as an agent's clients do.
    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        let mut config = trusting(self.folder(), &["origin-ca.pem", "inspector-ca.pem"]);
        config.resumption = Resumption::disabled();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Arc::new(config)
    }

    /// The origin.
    pub(crate) fn server(&self) -> Arc<ServerConfig> {
        serving(self.folder(), "origin")
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder().join(name);
        let mut file = fs::File::create(&path).expect("a file in our own folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is ours");
        std::io::Write::write_all(&mut file, text.as_bytes()).expect("room for a few lines");
    }
}

/// A server with the certificate of `who`, which speaks HTTP/1.1.
pub(crate) fn serving(folder: &Path, who: &str) -> Arc<ServerConfig> {
    let certificate = CertificateDer::from_pem_file(folder.join(format!("{who}.pem"))).expect("made above");
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{who}.key"))).expect("made above");
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for both versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key);
    let mut config = config.expect("a key that fits");
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(config)
}

/// A client that trusts these authorities alone.
pub(crate) fn trusting(folder: &Path, authorities: &[&str]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    for name in authorities {
        roots.add(CertificateDer::from_pem_file(folder.join(name)).expect("made above")).expect("an authority");
    }
    ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for both versions")
        .with_root_certificates(roots)
        .with_no_client_auth()
}
