//! The engine alone: hudsucker as it is, with the handler that does nothing, inspecting what is TLS.

use crate::world::{serving, trusting};
use hudsucker::{certificate_authority::CertificateAuthority, hyper::http::uri::Authority, rustls::ServerConfig};
use std::{path::Path, sync::Arc};

/// One certificate, made before, for the one host there is: issuing costs it nothing.
struct Ready(Arc<ServerConfig>);

impl CertificateAuthority for Ready {
    async fn gen_server_config(&self, _: &Authority) -> Arc<ServerConfig> {
        Arc::clone(&self.0)
    }
}

/// Serves until it is killed. Its first line of output is its address.
pub(crate) fn run(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        println!("{}", listener.local_addr().expect("it is bound"));
        let mut tcp = hyper_util::client::legacy::connect::HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(trusting(folder, &["origin-ca.pem"]))
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let proxy = hudsucker::Proxy::builder().with_listener(listener).with_ca(Ready(serving(folder, "inspector")));
        let proxy = proxy.with_http_connector(connector).build().expect("a whole configuration");
        proxy.start().await.expect("it serves");
    });
}
