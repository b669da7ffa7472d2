//! An origin with a certificate of its own, a proxy that trusts it and opens what goes there, and clients of both
//! versions that trust the proxy.

pub(crate) use crate::proxy::rig::bounded;
use crate::proxy::rig::{Rig, TOKEN, authenticated};
use bytes::Bytes;
use guardian::flow::capture::{
    Inspection, ProxySettings,
    ca::{Ca, Leaves, Roots, bundle},
};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hudsucker::{
    hyper::{
        Request, Response,
        body::{Body, Incoming},
        client::conn::{http1, http2},
        service::service_fn,
    },
    hyper_util::{
        rt::{TokioExecutor, TokioIo},
        server::conn::auto,
    },
    rustls::{
        ClientConfig, RootCertStore, ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName},
    },
};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::{convert::Infallible, path::PathBuf, sync::Arc};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream, server};

pub(crate) type Answer = Response<BoxBody<Bytes, Infallible>>;
pub(crate) type Tls = TlsStream<TcpStream>;

/// An authority of the test's own, that stands for the public ones.
pub(crate) struct World {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::called("the world's authority")
    }

    pub(crate) fn called(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), certificate: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    /// A server that has a certificate for these names and offers these protocols.
    pub(crate) fn server(
        &self,
        names: &[&str],
        alpn: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsAcceptor {
        let key = KeyPair::generate().unwrap();
        let names: Vec<_> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap().der().clone();
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        config.alpn_protocols = alpn.iter().map(|a| a.as_bytes().to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A server on loopback, each of whose connections is given to `serve`.
pub(crate) async fn listen<F>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(serve(stream));
        }
    });
    port
}

/// The same of TLS: `serve` is given each connection once its handshake is done.
pub(crate) async fn listen_tls<F>(
    tls: TlsAcceptor,
    serve: impl Fn(server::TlsStream<TcpStream>) -> F + Clone + Send + Sync + 'static,
) -> u16
where
    F: Future<Output = ()> + Send + 'static,
{
    listen(move |stream| {
        let (tls, serve) = (tls.clone(), serve.clone());
        async move {
            if let Ok(stream) = tls.accept(stream).await {
                serve(stream).await;
            }
        }
    })
    .await
}

/// An origin of HTTP over TLS that answers with `answer`.
pub(crate) async fn origin<F>(
    tls: TlsAcceptor,
    answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> u16
where
    F: Future<Output = Answer> + Send + 'static,
{
    listen_tls(tls, move |stream| serve(stream, answer.clone())).await
}

/// Answers the requests of one stream, of either version.
pub(crate) async fn serve<S, F>(stream: S, answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let service = service_fn(move |request| {
        let answer = answer(request);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().auto_date_header(false).preserve_header_case(true);
    server.http2().auto_date_header(false);
    let _ = server.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
}

pub(crate) fn text(text: impl Into<Bytes>) -> Answer {
    Response::new(Full::new(text.into()).boxed())
}

/// Says back what it got: version, Host and authority, and the body.
pub(crate) async fn echo(request: Request<Incoming>) -> Answer {
    let host = request.headers().get("host").map_or("-", |h| h.to_str().unwrap()).to_owned();
    let authority = request.uri().authority().map_or("-", |a| a.as_str()).to_owned();
    let head = format!("{:?} {} {host} {authority} ", request.version(), request.method());
    let body = request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    text([head.as_bytes(), &body].concat())
}

/// A proxy that opens HTTPS.
pub(crate) struct Inspecting {
    pub(crate) rig: Rig,
    pub(crate) world: World,
    pub(crate) leaves: Arc<Leaves>,
    /// Holds `bundle.pem`.
    pub(crate) folder: TempDir,
}

impl Inspecting {
    pub(crate) fn new() -> Self {
        Self::with(|_| {}, &[], |_| false)
    }

    pub(crate) fn with(
        change: impl FnOnce(&mut ProxySettings),
        pass_through: &[&str],
        provider: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
        let extra = folder.path().join("world.pem");
        keys::file::create_public(&extra, world.pem.as_bytes()).unwrap();
        let roots = Roots::load(Some(&extra)).unwrap();
        let ca = Ca::ephemeral(guardian::clock::now()).unwrap();
        keys::file::create_public(&folder.path().join("bundle.pem"), bundle(&roots, &ca).as_bytes()).unwrap();
        let leaves = Arc::new(Leaves::new(ca).unwrap());
        let pass_through = pass_through.iter().map(|h| (*h).to_owned()).collect();
        let inspection = Inspection::new(Arc::clone(&leaves), &roots, pass_through, Arc::new(provider)).unwrap();
        let rig = Rig::with(64 << 20, |settings| {
            settings.inspection = Some(inspection);
            change(settings);
        });
        Self { rig, world, leaves, folder }
    }

    pub(crate) fn bundle(&self) -> PathBuf {
        self.folder.path().join("bundle.pem")
    }

    pub(crate) fn proxy_url(&self) -> String {
        format!("http://guardian:{TOKEN}@{}", self.rig.address)
    }

    /// A tunnel to `authority`.
    pub(crate) async fn tunnel(&self, authority: &str) -> TcpStream {
        let mut client = self.rig.connect().await;
        client.0.set_nodelay(true).unwrap();
        let head = format!("CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\nAUTH\r\n\r\n");
        client.send(authenticated(&head).as_bytes()).await;
        assert_eq!(client.head().await, "HTTP/1.1 200 OK\r\n\r\n");
        client.0
    }

    /// A client's TLS in a tunnel, that trusts the proxy's authority alone.
    pub(crate) async fn tls(&self, authority: &str, name: &str, alpn: &[&str]) -> std::io::Result<Tls> {
        let trusted = self.leaves.authority().certificate().clone();
        handshake(self.tunnel(authority).await, trusted, name, alpn).await
    }
}

pub(crate) async fn handshake(
    stream: TcpStream,
    trusted: CertificateDer<'static>,
    name: &str,
    alpn: &[&str],
) -> std::io::Result<Tls> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    bounded(TlsConnector::from(client_config(trusted, alpn)).connect(name, stream)).await
}

pub(crate) fn client_config(trusted: CertificateDer<'static>, alpn: &[&str]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|a| a.as_bytes().to_vec()).collect();
    Arc::new(config)
}

/// A client's connection, of either version.
pub(crate) enum Speaker<B> {
    One(http1::SendRequest<B>),
    Two(http2::SendRequest<B>),
}

impl<B> Speaker<B>
where
    B: Body<Data = Bytes, Error = Infallible> + Send + Unpin + 'static,
{
    pub(crate) async fn new<S>(stream: S, http2: bool) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let io = TokioIo::new(stream);
        if http2 {
            let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
            tokio::spawn(connection);
            return Self::Two(sender);
        }
        let (sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        Self::One(sender)
    }

    pub(crate) async fn ask(&mut self, request: Request<B>) -> Response<Incoming> {
        let answer = async {
            match self {
                Self::One(sender) => sender.send_request(request).await,
                Self::Two(sender) => sender.send_request(request).await,
            }
        };
        bounded(answer).await.unwrap()
    }
}

pub(crate) async fn body(response: Response<Incoming>) -> String {
    let bytes = bounded(response.into_body().collect()).await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A request with a body, in the form of either version.
pub(crate) fn request(http2: bool, host: &str, path: &str, body: &str) -> Request<Full<Bytes>> {
    let request = Request::post(if http2 { format!("https://{host}{path}") } else { path.to_owned() });
    let request = if http2 { request } else { request.header("host", host) };
    request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).unwrap()
}
