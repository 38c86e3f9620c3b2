//! The edge over real sockets, with a whole authority behind it.

use std::net::TcpListener;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::*;
use crate::ca::example::{Example, SESSION_KEY, ssh_keygen};

mod attacks;
mod emergencies;
mod ending;
mod flow;
mod hosts;
mod listening;
mod problems;
mod requests;

/// A server and its authority.
struct Running {
    example: Example,
    url: String,
    http: reqwest::Client,
}

/// Status, body, and two headers.
struct Answer {
    status: u16,
    body: Value,
    headers: reqwest::header::HeaderMap,
}

impl Running {
    async fn start() -> Self {
        Self::start_with(HttpSettings::default()).await
    }

    async fn start_with(settings: HttpSettings) -> Self {
        let example = Example::start().await;
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let routes = router(Arc::clone(&example.ca), settings);
        let limits = ListenLimits::default();
        let stop = std::future::pending();
        tokio::spawn(listen(routes, Listener::Plain(socket), limits, stop));
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { example, url, http }
    }

    fn address(&self) -> &str {
        self.url.strip_prefix("http://").unwrap()
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    async fn get_as(&self, token: &str, path: &str) -> Answer {
        send(self.request(Method::GET, path).bearer_auth(token)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
    }

    async fn post_as(&self, token: &str, path: &str, body: &Value) -> Answer {
        let request = self.request(Method::POST, path).bearer_auth(token);
        send(request.json(body)).await
    }

    /// What a sign-in of that person sends.
    async fn sign_in(&self, name: &str) -> Value {
        json!({
            "id_token": self.example.id_token(name).await,
            "session_public_key": SESSION_KEY,
            "totp": self.example.code(name),
        })
    }

    /// The session token of that person.
    async fn session(&self, name: &str) -> String {
        let answer = self.post("/v1/sessions", &self.sign_in(name).await).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.text("token")
    }

    /// The number of records.
    fn size(&self) -> u64 {
        self.example.ca.ledger.size()
    }

    /// What is asked for root in prod, which carol or dave must approve.
    fn root_wish(&self, request_id: &str) -> Value {
        json!({
            "environment": "prod",
            "principals": ["root"],
            "duration_seconds": 3600,
            "reason": "INC-42",
            "public_key": SESSION_KEY,
            "request_id": request_id,
        })
    }

    /// The request that this opens.
    async fn opened(&self, token: &str, wish: &Value) -> Value {
        let answer = self.post_as(token, "/v1/certificates", wish).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        answer.body
    }

    /// The certificate that this gets.
    async fn certified(&self, token: &str, wish: &Value) -> Value {
        let answer = self.post_as(token, "/v1/certificates", wish).await;
        assert_eq!(answer.status, 201, "{}", answer.body);
        answer.body
    }

    /// A yes to the request as it was shown.
    async fn approve(&self, token: &str, request: &Value) -> Answer {
        let path = format!("/v1/requests/{}/approve", request["id"]);
        let body = json!({ "digest": request["digest"] });
        self.post_as(token, &path, &body).await
    }

    /// Panics unless the answer is that problem and left exactly one record, of a refusal.
    #[track_caller]
    fn refused_once(&self, before: u64, answer: &Answer, (status, kind): (u16, &str)) {
        answer.is_problem(status, kind);
        assert_eq!(self.size(), before + 1, "records of {}", answer.body);
        let record = self.example.ca.ledger.records(before, 1).unwrap().remove(0);
        let event = ca_core::event::Event::from_bytes(&record.opening.unwrap().event).unwrap();
        assert_eq!(event.name(), "refused");
    }

    fn wish(&self, request_id: &str) -> Value {
        json!({
            "environment": "prod",
            "public_key": SESSION_KEY,
            "request_id": request_id,
        })
    }
}

impl Answer {
    fn text(&self, field: &str) -> String {
        self.body[field].as_str().unwrap_or_default().to_owned()
    }

    /// Panics unless this is the problem of that status and type.
    #[track_caller]
    fn is_problem(&self, status: u16, kind: &str) {
        assert_eq!(self.status, status, "{}", self.body);
        assert_eq!(self.body["type"], kind, "{}", self.body);
        assert_eq!(self.body["status"], status);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(self.headers["cache-control"], "no-store");
        assert_eq!(self.headers["x-content-type-options"], "nosniff");
        assert!(!self.text("title").is_empty());
        assert_eq!(
            self.headers.contains_key("www-authenticate"),
            status == 401,
            "WWW-Authenticate"
        );
        let told = self.headers.get("retry-after");
        let told = told.map(|seconds| seconds.to_str().unwrap().parse::<u64>().unwrap());
        assert_eq!(told, self.body["retry_after_seconds"].as_u64());
    }
}

async fn send(request: RequestBuilder) -> Answer {
    let answer = request.send().await.unwrap();
    let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
    let bytes = answer.bytes().await.unwrap();
    Answer {
        status,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
        headers,
    }
}
