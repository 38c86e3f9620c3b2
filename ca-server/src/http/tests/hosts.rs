//! Hosts over HTTP: joining, their certificates, their revocation lists, their reports.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use ca_core::api::{Discovery, HOST_ENROLMENT_NAMESPACE};
use ca_core::digest::Digest;
use ca_core::krl::Statement;

use super::*;

impl Running {
    fn file(&self, name: &str) -> PathBuf {
        self.example.folder.path().join(name)
    }

    /// A host key of that name.
    fn host_key(&self, name: &str) -> String {
        let path = self.file(name);
        ssh_keygen(&[
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-C",
            "",
            "-f",
            path.to_str().unwrap(),
        ]);
        let public = std::fs::read_to_string(self.file(&format!("{name}.pub"))).unwrap();
        public.trim().to_owned()
    }

    /// The body that joins with `token`, signed by the key in the file `name`.
    fn joining(&self, (public, name): (&str, &str), token: &str) -> Value {
        let (key, text) = (self.file(name), self.file("token.txt"));
        let signature = self.file("token.txt.sig");
        std::fs::write(&text, token).unwrap();
        drop(std::fs::remove_file(&signature));
        let (key, text) = (key.to_str().unwrap(), text.to_str().unwrap());
        ssh_keygen(&[
            "-q",
            "-Y",
            "sign",
            "-f",
            key,
            "-n",
            HOST_ENROLMENT_NAMESPACE,
            text,
        ]);
        json!({
            "token": token,
            "host_public_key": public,
            "signature": std::fs::read_to_string(signature).unwrap(),
        })
    }

    async fn join_token(&self, carol: &str, environment: &str, name: &str) -> String {
        let body = json!({ "environment": environment, "names": [name] });
        let answer = self.post_as(carol, "/v1/hosts/tokens", &body).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.text("token")
    }

    /// A host that joined.
    async fn joined(&self, carol: &str, environment: &str, name: &str) -> Value {
        let token = self.join_token(carol, environment, name).await;
        let public = self.host_key(name);
        let answer = self
            .post("/v1/hosts", &self.joining((&public, name), &token))
            .await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body
    }

    async fn report(&self, credential: &str, body: &Value) -> Answer {
        self.post_as(credential, "/v1/hosts/current/reports", body)
            .await
    }

    fn is_host_certificate(&self, line: &str, names: &[&str]) {
        let path = self.file("host-cert.pub");
        std::fs::write(&path, line).unwrap();
        let shown = ssh_keygen(&["-L", "-f", path.to_str().unwrap()]);
        assert!(shown.contains("host certificate"), "{shown}");
        let (_, principals) = shown.split_once("Principals:").unwrap();
        let (principals, _) = principals.split_once("Critical Options").unwrap();
        let found: Vec<_> = principals.split_whitespace().collect();
        assert_eq!(found, names, "{shown}");
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_joins_once_with_its_token_and_its_own_key_and_renews_its_own_name() {
    let server = Running::start().await;
    let (alice, carol) = (server.session("alice").await, server.session("carol").await);
    let name = "web1.prod.example.com";
    let wanted = json!({ "environment": "prod", "names": [name] });
    let before = server.size();
    let denied = server.post_as(&alice, "/v1/hosts/tokens", &wanted).await;
    server.refused_once(before, &denied, (403, "denied"));

    let token = server.join_token(&carol, "prod", name).await;
    let public = server.host_key("web1");
    server.host_key("other");
    let forged = server.joining((&public, "other"), &token);
    let before = server.size();
    let forged = server.post("/v1/hosts", &forged).await;
    server.refused_once(before, &forged, (401, "login-refused"));
    let good = server.joining((&public, "web1"), &token);
    let joined = server.post("/v1/hosts", &good).await;
    assert_eq!(joined.status, 201, "{}", joined.body);
    server.is_host_certificate(text(&joined.body["certificate"]["certificate"]), &[name]);
    let before = server.size();
    let twice = server.post("/v1/hosts", &good).await;
    server.refused_once(before, &twice, (401, "login-refused"));

    let credential = joined.text("credential");
    let path = "/v1/hosts/current/certificate";
    let before = server.size();
    let soon = server.post_as(&credential, path, &json!({})).await;
    server.refused_once(before, &soon, (429, "too-many-attempts"));
    server.example.pass(61);
    let renewed = server.post_as(&credential, path, &json!({})).await;
    assert_eq!(renewed.status, 201, "{}", renewed.body);
    server.is_host_certificate(&renewed.text("certificate"), &[name]);
    assert_ne!(renewed.body["serial"], joined.body["certificate"]["serial"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_join_token_is_good_for_an_hour() {
    let server = Running::start().await;
    let carol = server.session("carol").await;
    let token = server
        .join_token(&carol, "prod", "web1.prod.example.com")
        .await;
    let public = server.host_key("web1");
    server.example.pass(3600);
    let before = server.size();
    let late = server
        .post("/v1/hosts", &server.joining((&public, "web1"), &token))
        .await;
    server.refused_once(before, &late, (401, "login-refused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_is_no_person_a_person_no_host_and_no_host_waits_for_the_list_of_another_environment()
 {
    let server = Running::start().await;
    let carol = server.session("carol").await;
    let joined = server.joined(&carol, "prod", "web1.prod.example.com").await;
    let host = text(&joined["credential"]);
    for path in [
        "/v1/sessions/current",
        "/v1/requests",
        "/v1/reviews",
        "/v1/freezes",
        "/v1/hosts",
    ] {
        server
            .get_as(host, path)
            .await
            .is_problem(401, "session-required");
    }
    for (path, body) in [
        ("/v1/certificates", server.wish("0123456789abcdef")),
        ("/v1/break-glass", server.root_wish("0123456789abcdef")),
        ("/v1/revocations", json!({ "person": "carol" })),
    ] {
        let before = server.size();
        let refused = server.post_as(host, path, &body).await;
        server.refused_once(before, &refused, (401, "session-required"));
    }
    let before = server.size();
    let refused = server.get_as(&carol, "/v1/hosts/current").await;
    server.refused_once(before, &refused, (401, "session-required"));
    let refused = server.report(&carol, &json!({ "krl_version": 0 })).await;
    refused.is_problem(401, "session-required");

    assert_eq!(server.get_as(host, "/v1/hosts/current").await.status, 200);
    let wait = |name: &str| format!("/v1/environments/{name}/krl?after=9&wait=0");
    assert_eq!(server.get_as(host, &wait("prod")).await.status, 200);
    server
        .get_as(host, &wait("staging"))
        .await
        .is_problem(404, "not-found");
    server
        .get_as(&carol, &wait("prod"))
        .await
        .is_problem(401, "session-required");
}

#[tokio::test(flavor = "multi_thread")]
async fn openssh_finds_the_revoked_certificate_in_the_signed_list_and_not_the_other() {
    let server = Running::start().await;
    let (alice, carol) = (server.session("alice").await, server.session("carol").await);
    let joined = server.joined(&carol, "prod", "web1.prod.example.com").await;
    let certificate = async |n: u32| {
        let wish = server.wish(&format!("request-{n:08}"));
        let issued = server.certified(&alice, &wish).await;
        let path = server.file(&format!("{n}-cert.pub"));
        std::fs::write(&path, text(&issued["certificate"])).unwrap();
        (issued["serial"].clone(), path)
    };
    let (gone, stays) = (certificate(1).await, certificate(2).await);
    let path = "/v1/environments/prod/krl";
    let found: Discovery = serde_json::from_value(server.get("/v1/discovery").await.body).unwrap();
    let key = found.log.verifier_key.parse().unwrap();
    let first = server.get(path).await;
    let first = Statement::open(&first.text("statement"), &key).unwrap();
    // A host that waits hears of it.
    let waiting = format!("{path}?after={}&wait=25", first.version);
    let waiting = server.get_as(text(&joined["credential"]), &waiting);
    let revoke = json!({ "serial": gone.0 });
    let (told, revoked) = tokio::join!(waiting, server.post_as(&carol, "/v1/revocations", &revoke));
    assert_eq!(revoked.status, 200, "{}", revoked.body);
    assert_eq!(told.status, 200, "{}", told.body);

    let statement = Statement::open(&told.text("statement"), &key).unwrap();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(told.text("krl"))
        .unwrap();
    assert_eq!(statement.krl, Digest::of(&bytes));
    assert_eq!(statement.environment.as_str(), "prod");
    assert!(statement.version > first.version);
    let krl = server.file("krl");
    std::fs::write(&krl, bytes).unwrap();
    let query = |certificate: &PathBuf| {
        let mut query = Command::new("ssh-keygen");
        query.args(["-Q", "-f"]).arg(&krl).arg(certificate);
        query.output().unwrap().status.code()
    };
    assert_eq!((query(&gone.1), query(&stays.1)), (Some(1), Some(0)));

    let list = server.get(path).await;
    let tag = list.headers["etag"].clone();
    let unchanged = server
        .request(Method::GET, path)
        .header("if-none-match", tag);
    assert_eq!(send(unchanged).await.status, 304);
    let other = server.get("/v1/environments/staging/krl").await;
    let statement = Statement::open(&other.text("statement"), &key).unwrap();
    assert_eq!(statement.version, first.version);
    assert_eq!(statement.environment.as_str(), "staging");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledgement_goes_neither_backwards_nor_beyond_the_newest_list() {
    let server = Running::start().await;
    let (alice, carol) = (server.session("alice").await, server.session("carol").await);
    let joined = server.joined(&carol, "prod", "web1.prod.example.com").await;
    let host = text(&joined["credential"]);
    let mut versions = Vec::new();
    for n in 0..2 {
        let wish = server.wish(&format!("request-{n:08}"));
        let serial = server.certified(&alice, &wish).await["serial"].clone();
        server
            .post_as(&carol, "/v1/revocations", &json!({ "serial": serial }))
            .await;
        let hosts = server.get_as(&carol, "/v1/hosts").await;
        versions.push(
            hosts.body["hosts"][0]["krl_version_newest"]
                .as_u64()
                .unwrap(),
        );
    }
    assert!(versions[0] < versions[1]);
    for (told, known) in [
        (versions[1] + 1, Value::Null),
        (u64::MAX, Value::Null),
        (versions[0], versions[0].into()),
        (versions[1], versions[1].into()),
        (versions[0], versions[1].into()),
        (0, versions[1].into()),
    ] {
        let taken = server.report(host, &json!({ "krl_version": told })).await;
        assert_eq!(taken.status, 200, "{}", taken.body);
        let hosts = server.get_as(&carol, "/v1/hosts").await;
        assert_eq!(hosts.body["hosts"][0]["krl_version"], known, "after {told}");
    }
    let size = server.size();
    server
        .report(host, &json!({ "krl_version": versions[1] }))
        .await;
    assert_eq!(server.size(), size, "told again, and recorded again");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_reported_twice_is_recorded_once_and_an_unknown_certificate_is_an_alarm() {
    let server = Running::start().await;
    let (alice, carol) = (server.session("alice").await, server.session("carol").await);
    let joined = server.joined(&carol, "prod", "web1.prod.example.com").await;
    let host = text(&joined["credential"]);
    let issued = server
        .certified(&alice, &server.wish("request-00000001"))
        .await;
    let key: ca_core::certificate::authority_key::AuthorityKey =
        text(&joined["settings"]["environment_ca_key"])
            .parse()
            .unwrap();
    let session = |n: u64, happened: &str, serial: &Value| {
        json!({
            "ssh_session": Digest::of(&n.to_be_bytes()),
            "happened": happened,
            "at": server.example.ca.clock.now(),
            "serial": serial,
            "ca_fingerprint": key.fingerprint(),
            "key_id": issued["key_id"],
            "account": "deploy",
        })
    };
    let ours = session(1, "began", &issued["serial"]);
    let unknown = session(2, "began", &json!(issued["serial"].as_u64().unwrap() + 1));
    let mut renamed = session(3, "began", &issued["serial"]);
    renamed["key_id"] = "carol@prod#1".into();
    let all = json!({ "sessions": [ours, unknown, renamed] });
    for expected in [3, 0] {
        let before = server.size();
        assert_eq!(server.report(host, &all).await.status, 200);
        assert_eq!(server.size(), before + expected);
    }
    let found = server
        .get_as(&carol, "/v1/audit?kind=ssh-session-reported")
        .await;
    assert_eq!(found.status, 200, "{}", found.body);
    let records = found.body["records"].as_array().unwrap().iter();
    let known: Vec<bool> = records
        .map(|record| {
            find(&record["event"], "recorded")
                .unwrap()
                .as_bool()
                .unwrap()
        })
        .collect();
    assert_eq!(known, [true, false, false]);
    let ended = json!({ "sessions": [session(1, "closed", &issued["serial"])] });
    for expected in [1, 0] {
        let before = server.size();
        server.report(host, &ended).await;
        assert_eq!(server.size(), before + expected);
    }
    // Told late: it is over, so it did not begin again.
    let before = server.size();
    server.report(host, &all).await;
    assert_eq!(server.size(), before);
    let hosts = server.get_as(&carol, "/v1/hosts").await;
    assert_eq!(hosts.body["hosts"][0]["ssh_sessions"], 2);
}

/// The value of that name, however deep.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(fields) => {
            let deeper = || fields.values().find_map(|field| find(field, name));
            fields.get(name).or_else(deeper)
        }
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_removed_may_do_nothing_any_more() {
    let server = Running::start().await;
    let (alice, carol) = (server.session("alice").await, server.session("carol").await);
    let joined = server.joined(&carol, "prod", "web1.prod.example.com").await;
    let credential = text(&joined["credential"]);
    let path = format!("/v1/hosts/{}/remove", joined["host"]);
    let why = json!({ "reason": "decommissioned" });
    let before = server.size();
    let denied = server.post_as(&alice, &path, &why).await;
    server.refused_once(before, &denied, (403, "denied"));
    assert_eq!(
        server.get_as(credential, "/v1/hosts/current").await.status,
        200
    );
    assert_eq!(server.post_as(&carol, &path, &why).await.status, 204);
    let before = server.size();
    let gone = server.get_as(credential, "/v1/hosts/current").await;
    server.refused_once(before, &gone, (401, "session-required"));
}
