//! Listeners: TLS and its reload, unix sockets, idle crowds, the stop.

use std::path::PathBuf;

use axum::routing::get;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::*;

fn hello() -> Router {
    Router::new().route("/", get(|| async { "hello" }))
}

fn certificate(folder: &std::path::Path) -> (PathBuf, PathBuf, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    (certificate, key, made.cert.pem())
}

fn trusting(pem: &str) -> reqwest::Client {
    let root = reqwest::Certificate::from_pem(pem.as_bytes()).unwrap();
    reqwest::Client::builder()
        .no_proxy()
        .tls_certs_only([root])
        .build()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_certificate_is_served_without_a_restart_and_a_broken_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key, first) = certificate(folder.path());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/", socket.local_addr().unwrap().port());
    let listener = Listener::Tls {
        socket,
        certificate: path.clone(),
        key,
    };
    let limits = ListenLimits {
        certificate_poll: Duration::from_millis(10),
        ..ListenLimits::default()
    };
    tokio::spawn(listen(hello(), listener, limits, std::future::pending()));
    let answer = trusting(&first).get(&url).send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "hello");

    std::fs::write(&path, "nonsense").unwrap();
    assert!(trusting(&first).get(&url).send().await.is_ok());

    let (_, _, second) = certificate(folder.path());
    let served = async { while trusting(&second).get(&url).send().await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(20), served)
        .await
        .expect("the second certificate");
    assert!(trusting(&first).get(&url).send().await.is_err());
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let (certificate, key, _) = certificate(folder.path());
    std::fs::write(&certificate, "nonsense").unwrap();
    let listener = Listener::Tls {
        socket: TcpListener::bind("127.0.0.1:0").unwrap(),
        certificate,
        key,
    };
    let listening = listen(
        hello(),
        listener,
        ListenLimits::default(),
        std::future::ready(()),
    );
    let error = listening.await.unwrap_err().to_string();
    assert!(error.contains("tls.crt"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_idle_connections_does_not_keep_others_out() {
    let limits = ListenLimits {
        connections: 50,
        ..ListenLimits::default()
    };
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let listener = Listener::Plain(socket);
    tokio::spawn(listen(hello(), listener, limits, std::future::pending()));
    let mut crowd = Vec::new();
    for _ in 0..300 {
        crowd.push(tokio::net::TcpStream::connect(address).await.unwrap());
    }
    for _ in 0..20 {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let answer = http.get(format!("http://{address}/")).send().await;
        assert_eq!(answer.unwrap().status(), 200);
    }
    let mut one = [0; 1];
    let evicted = tokio::time::timeout(Duration::from_secs(20), crowd[0].read(&mut one));
    assert_eq!(evicted.await.expect("the oldest one ends").unwrap_or(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_trickles_is_cut_off() {
    let limits = ListenLimits {
        head: Duration::from_millis(50),
        ..ListenLimits::default()
    };
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let listener = Listener::Plain(socket);
    tokio::spawn(listen(hello(), listener, limits, std::future::pending()));
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost:").await.unwrap();
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut rest));
    // Closed with bytes unread: an end or a reset.
    assert!(end.await.is_ok(), "the connection stayed open");
    assert!(rest.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_finishes_what_was_begun_and_takes_nothing_more() {
    let (begun, mut began) = tokio::sync::mpsc::channel::<()>(1);
    let (go, gone) = oneshot::channel::<()>();
    let gone = Arc::new(tokio::sync::Mutex::new(Some(gone)));
    let slow = move || async move {
        begun.send(()).await.unwrap();
        let gone = gone.lock().await.take().unwrap();
        gone.await.unwrap();
        "done"
    };
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let listening = tokio::spawn(listen(
        Router::new().route("/", get(slow)),
        Listener::Plain(socket),
        ListenLimits::default(),
        async { stopped.await.unwrap_or_default() },
    ));
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let answer = tokio::spawn(http.get(format!("http://{address}/")).send());
    began.recv().await.unwrap();
    stop.send(()).unwrap();
    while tokio::net::TcpStream::connect(address).await.is_ok() {}
    go.send(()).unwrap();
    let answer = answer.await.unwrap().unwrap();
    assert_eq!(answer.text().await.unwrap(), "done");
    listening.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unix_socket_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let listener = Listener::Unix(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let limits = ListenLimits::default();
    tokio::spawn(listen(hello(), listener, limits, std::future::pending()));
    let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
    let request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.ends_with("hello"));
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_spoken_and_its_headers_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    let (path, key, _) = certificate(folder.path());
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://localhost:{}/", socket.local_addr().unwrap().port());
    let listener = Listener::Tls {
        socket,
        certificate: path.clone(),
        key,
    };
    let limits = ListenLimits::default();
    tokio::spawn(listen(hello(), listener, limits, std::future::pending()));
    let curl = |header: String| {
        let mut command = tokio::process::Command::new("curl");
        command
            .args(["-sS", "--http2", "--noproxy", "*", "--cacert"])
            .args([path.as_os_str(), url.as_ref()])
            .args(["-H", &header, "-w", " %{http_version} %{http_code}"]);
        command
    };
    let output = curl("x: y".to_owned()).output().await.expect("curl");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello 2 200");
    let output = curl(format!("x: {}", "y".repeat(20_000))).output().await;
    let output = String::from_utf8(output.unwrap().stdout).unwrap();
    assert!(output.ends_with(" 2 431"), "{output}");
}
