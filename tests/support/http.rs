//! A small blocking HTTP client that follows nothing and remembers nothing.

use std::path::Path;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Method, RequestBuilder};
use serde_json::Value;
use tokio::runtime::Runtime;

/// An HTTP or HTTPS client for plain (not async) tests.
pub struct Client {
    runtime: Runtime,
    inner: reqwest::Client,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The headers; names in lower case, values that are not text left out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Client {
    /// Trusts the certificates in the PEM file `ca_file` beside the usual ones.
    pub fn new(ca_file: Option<&Path>) -> Self {
        let mut builder = reqwest::Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(Duration::from_secs(60));
        if let Some(file) = ca_file {
            let pem = std::fs::read(file).expect("a CA file");
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).expect("PEM");
            builder = builder.tls_certs_merge(certificates);
        }
        // Two threads, so that connections that are kept alive are also looked after between calls.
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        Self {
            runtime,
            inner: builder.build().expect("a client"),
        }
    }

    /// `GET url`.
    #[track_caller]
    pub fn get(&self, url: &str) -> Answer {
        self.send(self.request(Method::GET, url))
    }

    /// `POST url` with a JSON body.
    #[track_caller]
    pub fn post(&self, url: &str, body: &Value) -> Answer {
        self.send(self.request(Method::POST, url).json(body))
    }

    /// `POST url` with a form body.
    #[track_caller]
    pub fn post_form(&self, url: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(self.request(Method::POST, url).form(fields))
    }

    /// A request to fill with headers and body, for [`Client::send`].
    pub fn request(&self, method: Method, url: &str) -> RequestBuilder {
        self.inner.request(method, url)
    }

    /// Sends a request; panics if there is no answer.
    #[track_caller]
    pub fn send(&self, request: RequestBuilder) -> Answer {
        self.try_send(request)
            .unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// If no answer came: not connected, not trusted, cut off, more than 60 s.
    pub fn try_send(&self, request: RequestBuilder) -> Result<Answer, reqwest::Error> {
        self.runtime.block_on(async {
            let response = request.send().await?;
            let headers = response.headers().iter();
            let headers = headers
                .filter_map(|(name, value)| {
                    Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
                })
                .collect();
            let status = response.status().as_u16();
            Ok(Answer {
                status,
                headers,
                body: response.bytes().await?.to_vec(),
            })
        })
    }
}

impl Answer {
    /// The body as text, bytes that are not UTF-8 replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {} {}", self.status, self.text()))
    }

    /// The value of the first header with this lower-case name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(found, _)| found == name)
            .map(|(_, value)| &**value)
    }

    /// Panics with the body unless the status is `status`.
    #[track_caller]
    pub fn has_status(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}
