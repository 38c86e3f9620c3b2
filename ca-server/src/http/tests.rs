//! The edge over real sockets, with a whole authority behind it.

use std::net::TcpListener;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::*;
use crate::ca::example::{Example, SESSION_KEY, ssh_keygen};

mod attacks;
mod flow;
mod listening;
mod problems;

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
