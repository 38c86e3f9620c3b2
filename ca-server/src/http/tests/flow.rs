//! What goes well.

use ca_core::api::Discovery;
use ca_core::tlog::bundle;
use tokio::io::AsyncWriteExt as _;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn discovery_says_what_a_client_needs() {
    let server = Running::start().await;
    let answer = server.get("/v1/discovery").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert!(answer.headers.contains_key("x-request-id"));
    let found: Discovery = serde_json::from_value(answer.body).unwrap();
    assert_eq!(found.issuers[0].issuer, server.example.issuer);
    let names: Vec<_> = found.environments.iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["prod", "staging"]);
    let key = std::fs::read_to_string(server.example.folder.path().join("prod.pub")).unwrap();
    assert!(key.starts_with(&found.environments[0].ca_public_key));
    assert_eq!(found.log.origin, "log.example/1");
    assert_eq!(found.server_time, crate::ca::example::start_time());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_leads_to_a_certificate_that_openssh_reads_and_carol_finds_its_record() {
    let server = Running::start().await;
    let alice = server.session("alice").await;
    let issued = server
        .post_as(&alice, "/v1/certificates", &server.wish("0123456789abcdef"))
        .await;
    assert_eq!(issued.status, 201, "{}", issued.body);
    let serial = issued.body["serial"].as_u64().unwrap();
    let path = server.example.folder.path().join("id-cert.pub");
    std::fs::write(&path, issued.text("certificate")).unwrap();
    let shown = ssh_keygen(&["-L", "-f", path.to_str().unwrap()]);
    assert!(shown.contains(&format!("Serial: {serial}\n")), "{shown}");
    assert!(shown.contains(&issued.text("key_id")) && shown.contains("deploy"));

    let status = server.get_as(&alice, "/v1/sessions/current").await;
    assert_eq!(status.body["certificates"][0]["serial"], serial);

    let carol = server.session("carol").await;
    let page = server
        .get_as(&carol, &format!("/v1/audit?serial={serial}"))
        .await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(page.body["records"].as_array().unwrap().len(), 1);
    assert_eq!(page.body["records"][0]["kind"], "certificate-issued");

    let revoked = server
        .post_as(&alice, "/v1/revocations", &json!({ "mine": "prod" }))
        .await;
    assert_eq!(revoked.body["serials"], json!([serial]));
    let out = server.request(Method::DELETE, "/v1/sessions/current");
    assert_eq!(send(out.bearer_auth(&alice)).await.status, 200);
    let after = server.get_as(&alice, "/v1/sessions/current").await;
    after.is_problem(401, "session-required");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_is_enrolled_over_http() {
    let server = Running::start().await;
    let mut body = json!({
        "id_token": server.example.id_token("bob").await,
        "session_public_key": SESSION_KEY,
    });
    let begun = server.post("/v1/totp", &body).await;
    assert_eq!(begun.status, 201, "{}", begun.body);
    assert!(begun.text("otpauth_uri").starts_with("otpauth://totp/"));
    body["totp"] = "12345".into();
    let wrong = server.post("/v1/totp/confirm", &body).await;
    wrong.is_problem(401, "login-refused");
    let carol = server.session("carol").await;
    let ticket = server
        .post_as(&carol, "/v1/totp/tickets", &json!({ "user": "bob" }))
        .await;
    assert_eq!(ticket.status, 201, "{}", ticket.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_served_as_tiles() {
    let server = Running::start().await;
    let checkpoint = server.request(Method::GET, "/log/checkpoint").send().await;
    let checkpoint = checkpoint.unwrap().text().await.unwrap();
    assert!(checkpoint.starts_with("log.example/1\n"), "{checkpoint}");
    let size: u16 = checkpoint.lines().nth(1).unwrap().parse().unwrap();
    for width in 1..=size {
        let hashes = format!("/log/tile/0/000.p/{width}");
        let answer = server.request(Method::GET, &hashes).send().await.unwrap();
        let caching = answer.headers()["cache-control"].clone();
        assert_eq!(caching, "public, max-age=31536000, immutable");
        let hashes = answer.bytes().await.unwrap();
        assert_eq!(hashes.len(), usize::from(width) * 32);
        let entries = format!("/log/tile/entries/000.p/{width}");
        let entries = server.request(Method::GET, &entries).send().await.unwrap();
        let entries = entries.bytes().await.unwrap();
        let leaves = bundle::decode(&entries, width).unwrap();
        let leaf = leaves.last().unwrap();
        assert_eq!(
            ca_core::tlog::hash::leaf_hash(leaf).as_bytes().as_slice(),
            &hashes[hashes.len() - 32..]
        );
    }
    let too_wide = format!("/log/tile/0/000.p/{}", size + 1);
    server.get(&too_wide).await.is_problem(404, "not-found");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_no_tile_has_are_not_found() {
    let server = Running::start().await;
    for path in [
        "",
        "0",
        "0/",
        "0/000",
        "0/000.p/0",
        "0/000.p/257",
        "0/000.p/-1",
        "64/000",
        "256/000",
        "0/x000/000.p/1",
        "0/x999/x999/x999/x999/x999/x999/999",
        "entries/%30%30%30.p/1",
        "entries/../../checkpoint%00",
        "0/000.p/1/x",
        "%ff%fe/000",
        "-1/000",
    ] {
        let answer = server.get(&format!("/log/tile/{path}")).await;
        assert_eq!(answer.status, 404, "{path:?} {}", answer.body);
    }
    let long = "9".repeat(4000);
    let answer = server.get(&format!("/log/tile/0/{long}")).await;
    answer.is_problem(404, "not-found");
}

/// One thread: what was begun in a task cannot go on before the client has hung up. The sign-in
/// first has to fetch the provider's keys, so nothing is queued at the ledger by then.
#[tokio::test]
async fn what_a_client_began_before_it_hung_up_is_finished() {
    let server = Running::start().await;
    let before = server.example.ca.ledger.size();
    let sign_in = server.sign_in("alice").await;
    let routes = router(Arc::clone(&server.example.ca), HttpSettings::default());
    let request = axum::http::Request::post("/v1/sessions")
        .header("content-type", "application/json")
        .body(axum::body::Body::from(sign_in.to_string()))
        .unwrap();
    let answer = tower::ServiceExt::oneshot(routes, request);
    let hung_up = tokio::time::timeout(Duration::ZERO, answer).await;
    assert!(hung_up.is_err(), "it was answered at once");
    assert_eq!(server.example.ca.ledger.size(), before);
    let recorded = async {
        while server.example.ca.ledger.size() == before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), recorded)
        .await
        .expect("a record of the session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_whose_client_hung_up_is_recorded_and_given_when_asked_again() {
    let server = Running::start().await;
    let alice = server.session("alice").await;
    let before = server.example.ca.ledger.size();
    let wish = server.wish("0123456789abcdef");
    let body = wish.to_string();
    let head = format!(
        "POST /v1/certificates HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {alice}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = tokio::net::TcpStream::connect(server.address())
        .await
        .unwrap();
    stream.write_all((head + &body).as_bytes()).await.unwrap();
    while server.example.ca.ledger.size() == before {
        tokio::task::yield_now().await;
    }
    drop(stream);
    let again = server.post_as(&alice, "/v1/certificates", &wish).await;
    assert_eq!(again.status, 201, "{}", again.body);
    assert_eq!(server.example.ca.ledger.size(), before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_see_health_and_figures() {
    let server = Running::start().await;
    assert_eq!(server.get("/healthz").await.status, 200);
    assert_eq!(server.get("/readyz").await.status, 200);
    server.session("alice").await;
    server.get("/v1/no/such/path?secret=hunter2").await;
    let figures = server
        .request(Method::GET, "/metrics")
        .send()
        .await
        .unwrap();
    let figures = figures.text().await.unwrap();
    assert!(figures.contains("ca_sign_ins_total{outcome=\"ok\"}"));
    assert!(figures.contains("route=\"/v1/sessions\""), "{figures}");
    assert!(figures.contains("ca_log_records"));
    assert!(!figures.contains("hunter2") && !figures.contains("no/such"));
    let passed_on = server.request(Method::GET, "/metrics");
    let passed_on = send(passed_on.header("x-forwarded-for", "127.0.0.1")).await;
    passed_on.is_problem(403, "denied");
}
