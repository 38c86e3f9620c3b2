//! Calls to the CA, typed. An answer that is not the expected document becomes a [`Failure`].
//!
//! Deliberately no retries except where the request says it may be sent twice (`request_id`).

use std::time::Duration;

use ca_core::api::{
    AccessRequest, BeginEnrolment, ConfirmEnrolment, Discovery, EnrolmentBegun, EnrolmentConfirmed,
    IssuedCertificate, OpenSession, Problem, RequestCertificate, Revoke, Revoked, SessionClosed,
    SessionOpened, SessionStatus,
};
use reqwest::{Certificate, Client, Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::config::Config;
use crate::failure::{Exit, Failure};
use crate::problem;
use crate::terminal::plain;

pub(crate) use access::News;

mod access;

/// Longest answer that is read, bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// How often a certificate request is sent when the connection breaks.
const ATTEMPTS_MAX: u32 = 3;

/// How long a command may wait for the network.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Patience {
    /// Somebody is watching: 10 s to connect, 30 s in all.
    Person,
    /// `ssh` waits for us: 2 s to connect, 10 s in all.
    Ssh,
}

/// What a wish for a certificate came to.
#[derive(Clone, Debug)]
pub(crate) enum Answered {
    /// A certificate.
    Issued(Box<IssuedCertificate>),
    /// A request that other people decide, or whose time has to come (202).
    Waits(Box<AccessRequest>),
}

/// A connection to one CA.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    http: Client,
    base: Url,
}

/// The HTTP client for the CA and the provider: only the pinned root where there is one (loading
/// the system's costs more than all the rest of a login), no redirects, bounded waiting.
///
/// # Errors
///
/// A [`Failure`] when the pinned certificate is not PEM.
pub(crate) fn http_client(tls_root: Option<&str>, patience: Patience) -> Result<Client, Failure> {
    let (connect, total) = match patience {
        Patience::Person => (10, 30),
        Patience::Ssh => (2, 10),
    };
    let mut builder = Client::builder()
        .connect_timeout(Duration::from_secs(connect))
        .timeout(Duration::from_secs(total))
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("jit-ssh/", env!("CARGO_PKG_VERSION")));
    if let Some(pem) = tls_root {
        let roots = Certificate::from_pem_bundle(pem.as_bytes()).ok();
        let roots = roots.filter(|roots| !roots.is_empty()).ok_or_else(|| {
            Failure::local("ca_certificate is not a PEM certificate")
                .hint("it begins with -----BEGIN CERTIFICATE-----")
        })?;
        builder = builder.tls_certs_only(roots);
    }
    builder
        .build()
        .map_err(|error| Failure::local(format!("cannot use TLS: {}", causes(&error))))
}

impl Api {
    /// A client for the CA of `config`. Connects at the first call.
    ///
    /// # Errors
    ///
    /// See [`http_client`].
    pub(crate) fn new(config: &Config, patience: Patience) -> Result<Self, Failure> {
        Ok(Self {
            http: http_client(config.tls_root.as_deref(), patience)?,
            base: config.ca_url.clone(),
        })
    }

    /// `GET /v1/discovery`.
    pub(crate) async fn discovery(&self) -> Result<Discovery, Failure> {
        self.answer(self.request(Method::GET, "v1/discovery")?)
            .await
    }

    /// `POST /v1/sessions`.
    pub(crate) async fn open_session(&self, body: &OpenSession) -> Result<SessionOpened, Failure> {
        self.post("v1/sessions", None, body).await
    }

    /// `GET /v1/sessions/current`.
    pub(crate) async fn session(&self, token: &SecretString) -> Result<SessionStatus, Failure> {
        let request = self.request(Method::GET, "v1/sessions/current")?;
        self.answer(request.bearer_auth(token.expose_secret()))
            .await
    }

    /// `DELETE /v1/sessions/current`.
    pub(crate) async fn close_session(
        &self,
        token: &SecretString,
    ) -> Result<SessionClosed, Failure> {
        let request = self.request(Method::DELETE, "v1/sessions/current")?;
        self.answer(request.bearer_auth(token.expose_secret()))
            .await
    }

    /// `POST /v1/totp`.
    pub(crate) async fn begin_enrolment(
        &self,
        body: &BeginEnrolment,
    ) -> Result<EnrolmentBegun, Failure> {
        self.post("v1/totp", None, body).await
    }

    /// `POST /v1/totp/confirm`.
    pub(crate) async fn confirm_enrolment(
        &self,
        body: &ConfirmEnrolment,
    ) -> Result<EnrolmentConfirmed, Failure> {
        self.post("v1/totp/confirm", None, body).await
    }

    /// `POST /v1/certificates`. A broken connection is tried again with the same `request_id`, so
    /// that a certificate whose answer was lost is fetched instead of a second one made.
    pub(crate) async fn certificate(
        &self,
        token: &SecretString,
        body: &RequestCertificate,
    ) -> Result<Answered, Failure> {
        let (status, answer) = self.persistently("v1/certificates", token, body).await?;
        if status == StatusCode::ACCEPTED {
            let waits = self.document(&answer)?;
            return Ok(Answered::Waits(Box::new(waits)));
        }
        Ok(Answered::Issued(Box::new(self.document(&answer)?)))
    }

    /// `POST /v1/break-glass`, as often as [`Api::certificate`].
    pub(crate) async fn break_glass(
        &self,
        token: &SecretString,
        body: &RequestCertificate,
    ) -> Result<Answered, Failure> {
        let (_, answer) = self.persistently("v1/break-glass", token, body).await?;
        Ok(Answered::Issued(Box::new(self.document(&answer)?)))
    }

    /// Posts what carries its own name, so that sending it twice does it once.
    async fn persistently(
        &self,
        path: &str,
        token: &SecretString,
        body: &RequestCertificate,
    ) -> Result<(StatusCode, Vec<u8>), Failure> {
        let mut attempt = 1;
        loop {
            let request = self.request(Method::POST, path)?.json(body);
            let request = request.bearer_auth(token.expose_secret());
            match self.body(request).await {
                Err(failure)
                    if failure.exit == Exit::Unreachable
                        && failure.problem.is_none()
                        && attempt < ATTEMPTS_MAX =>
                {
                    attempt += 1;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                }
                other => return other,
            }
        }
    }

    /// `POST /v1/revocations`.
    pub(crate) async fn revoke(
        &self,
        token: &SecretString,
        body: &Revoke,
    ) -> Result<Revoked, Failure> {
        self.post("v1/revocations", Some(token), body).await
    }

    async fn post<B: Serialize + Sync, A: DeserializeOwned>(
        &self,
        path: &str,
        token: Option<&SecretString>,
        body: &B,
    ) -> Result<A, Failure> {
        let mut request = self.request(Method::POST, path)?.json(body);
        if let Some(token) = token {
            request = request.bearer_auth(token.expose_secret());
        }
        self.answer(request).await
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder, Failure> {
        let url = self.base.join(path);
        let url = url.map_err(|error| Failure::usage(format!("bad address of the CA: {error}")))?;
        Ok(self.http.request(method, url))
    }

    async fn answer<A: DeserializeOwned>(&self, request: RequestBuilder) -> Result<A, Failure> {
        let (_, body) = self.body(request).await?;
        self.document(&body)
    }

    /// Status and body of a success; anything else is a failure.
    async fn body(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Failure> {
        let response = request.send().await.map_err(|e| self.unreachable(&e))?;
        let status = response.status();
        let body = read_bounded(response)
            .await
            .map_err(|error| self.unreachable_because(&error))?;
        if status.is_success() {
            return Ok((status, body));
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(problem::failure(problem)),
            Err(_) => Err(not_a_ca(&self.base, status.as_u16())),
        }
    }

    fn document<A: DeserializeOwned>(&self, body: &[u8]) -> Result<A, Failure> {
        serde_json::from_slice(body).map_err(|error| {
            Failure::new(
                Exit::Broken,
                format!(
                    "the CA at {} gave an answer that this program does not understand: {}",
                    self.base,
                    plain(&error.to_string())
                ),
            )
            .hint("is jit-ssh as new as the CA? jit-ssh --version")
        })
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        self.unreachable_because(&causes(error))
    }

    fn unreachable_because(&self, why: &str) -> Failure {
        let failure = Failure::new(
            Exit::Unreachable,
            format!("the CA at {} cannot be reached: {}", self.base, plain(why)),
        );
        if why.contains("CaUsedAsEndEntity") {
            return failure.hint(
                "its TLS certificate is marked as an authority; make one with basicConstraints=CA:FALSE",
            );
        }
        if why.contains("certificate") {
            return failure.hint(
                "its TLS certificate is not trusted here; pin it with: jit-ssh setup --ca-certificate FILE URL",
            );
        }
        failure.hint("is the network up? check with: jit-ssh doctor")
    }
}

fn not_a_ca(base: &Url, status: u16) -> Failure {
    let exit = if status >= 500 {
        Exit::Unreachable
    } else {
        Exit::Broken
    };
    Failure::new(
        exit,
        format!("{base} answered with HTTP status {status}, not as a CA of jit-ssh does"),
    )
    .hint("check ca_url: jit-ssh doctor")
}

/// The body, at most 1 MiB of it.
///
/// # Errors
///
/// In words: the connection broke, or the body is longer.
pub(crate) async fn read_bounded(mut response: Response) -> Result<Vec<u8>, String> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| causes(&error))? {
        if body.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX {
            return Err("the answer is longer than 1 MiB".to_owned());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// An error with all its causes; the outermost of reqwest only repeats the address.
pub(crate) fn causes(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "no answer in time".to_owned();
    }
    let mut text = String::new();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let line = cause.to_string();
        if !text.contains(&line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&line);
        }
        source = cause.source();
    }
    if text.is_empty() {
        return error.to_string();
    }
    text
}
