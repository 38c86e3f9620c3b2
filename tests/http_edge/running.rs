//! What those who run the server rely on: proxies, certificates, stopping, figures.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use nix::sys::signal::Signal;
use reqwest::Method;
use serde_json::Value;

use super::{Scene, wish};
use crate::support::http::Client;
use crate::support::oidc::Provider;
use crate::support::serve::{Api, Installation, SignIn};
use crate::support::signing_key::Alg;
use crate::support::wait;

const CLIENT: &str = "203.0.113.7";

/// The recorded source of a sign-in whose request says that it comes from [`CLIENT`].
fn recorded_source(trusted_proxies: &[&str]) -> Value {
    let provider = Provider::with(Alg::EdDsa).start();
    let ca = Installation::plain_made_for(&provider.issuer()).configured(|config| {
        let proxies: toml::value::Array = trusted_proxies.iter().map(|&net| net.into()).collect();
        config.insert("trusted_proxies".to_owned(), proxies.into());
    });
    let ca = ca.start();
    let api = Api::of(&ca);
    let carol = api.enrol(&provider, "carol");
    let client = ca.client();
    let body = SignIn::of(&provider, "carol").with_code(&carol.code());
    let request = client
        .request(Method::POST, &ca.url("/v1/sessions"))
        .json(&body);
    let request = request
        .header("x-forwarded-for", CLIENT)
        .header("forwarded", "for=198.51.100.1")
        .header("x-real-ip", "198.51.100.2");
    let opened = client.send(request).has_status(201).json();
    let token = opened["token"].as_str().expect("a token");
    api.events(token, "session-opened")[0]["source"].clone()
}

#[test]
fn a_proxy_is_believed_only_if_it_is_trusted() {
    assert_eq!(recorded_source(&[]), "127.0.0.1");
    assert_eq!(recorded_source(&["192.0.2.0/24"]), "127.0.0.1");
    assert_eq!(recorded_source(&["127.0.0.0/8"]), CLIENT);
}

#[test]
fn a_renewed_tls_certificate_is_taken_up_without_a_restart() {
    // Nobody signs in: the provider is never asked.
    let ca = Installation::made_for("http://127.0.0.1:1").start();
    let (old, health) = (ca.client(), ca.url("/healthz"));
    old.get(&health).has_status(200);
    // Half a renewal is none.
    let key = ca.read("tls.key");
    std::fs::write(ca.place().join("tls.key"), "not a key").expect("a file");
    wait::until(
        "the refusal of half a renewal",
        Duration::from_secs(60),
        || ca.log().contains("the old one stays").then_some(()),
    );
    ca.client().get(&health).has_status(200);
    std::fs::write(ca.place().join("tls.key"), key).expect("a file");
    ca.renew_certificate();
    wait::until("the new certificate", Duration::from_secs(60), || {
        let new = ca.client();
        let answer = new.try_send(new.request(Method::GET, &health));
        answer.ok().filter(|answer| answer.status == 200)
    });
    // Who is connected stays so.
    old.get(&health).has_status(200);
    let stranger = Client::new(None);
    stranger
        .try_send(stranger.request(Method::GET, &health))
        .unwrap_err();
}

#[test]
fn a_stop_finishes_the_request_that_is_under_way() {
    let mut scene = Scene::of(Installation::plain_made_for);
    let body = wish("a-wish-at-the-very-end").to_string();
    let head = format!(
        "POST /v1/certificates HTTP/1.1\r\nHost: ca\r\nAuthorization: Bearer {}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        scene.alice,
        body.len()
    );
    let port = scene.ca.port();
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("a connection");
    stream.write_all(head.as_bytes()).expect("a connection");
    let mut lines = BufReader::new(stream.try_clone().expect("a connection"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("an answer");
    assert!(line.contains("100"), "{line}");

    scene.ca.process().signal(Signal::SIGTERM);
    wait::until("the closed door", Duration::from_secs(10), || {
        TcpStream::connect(("127.0.0.1", port)).err()
    });
    stream.write_all(body.as_bytes()).expect("a connection");
    let mut answer = String::new();
    lines.read_to_string(&mut answer).expect("an answer");
    assert!(answer.contains("HTTP/1.1 201"), "{answer}");
    let status = scene.ca.process().wait_for_exit(Duration::from_secs(20));
    assert!(status.success(), "{}", scene.ca.log());
    scene.ca.start_again();
    scene.api = Api::of(&scene.ca);
    assert_eq!(scene.issued(), 1);
}

#[test]
fn figures_are_for_this_machine_and_health_for_everybody() {
    let ca = Installation::plain_made_for("http://127.0.0.1:1").start();
    let client = ca.client();
    client.get(&ca.url("/healthz")).has_status(200);
    client.get(&ca.url("/readyz")).has_status(200);
    let figures = client.get(&ca.url("/metrics")).has_status(200);
    assert!(
        figures
            .header("content-type")
            .is_some_and(|kind| kind.contains("version=0.0.4"))
    );
    let text = figures.text();
    assert!(text.contains("# TYPE ca_"), "{text}");
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (_, value) = line.rsplit_once(' ').expect("name and value");
        value
            .parse::<f64>()
            .unwrap_or_else(|_| panic!("no figure: {line}"));
    }
    // A proxy on this machine must not lend its address.
    let request = client.request(Method::GET, &ca.url("/metrics"));
    client
        .send(request.header("x-forwarded-for", CLIENT))
        .has_status(403);
}
