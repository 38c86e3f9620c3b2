//! The authority's HTTP API, as far as a host uses it. Blocking, https only, no redirects.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ca_core::api::Problem;
use ca_core::api::{
    EnrolHost, HostCertificate, HostEnrolled, HostReport, HostSettings, ReportTaken, SignedKrl,
    WAIT_SECONDS_MAX,
};
use ca_core::name::Environment;
use serde::de::DeserializeOwned;
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::{Agent, Body};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};

/// Longest answer read, bytes: a revocation list of 4 MiB in base64.
const ANSWER_MAX: u64 = 6 * 1024 * 1024;
/// Longest time for a connection.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Longest time for a call that does not wait for news.
const CALL_MAX: Duration = Duration::from_secs(20);

/// Why a call gave no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CallError {
    /// No connection, or cut off.
    #[error("the authority cannot be reached: {0}")]
    Unreachable(String),
    /// Somebody answered whose TLS certificate is not trusted.
    #[error("the authority's TLS certificate is not trusted: {0}")]
    Tls(String),
    /// It said no.
    #[error("the authority refused ({status}): {said}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// In its words.
        said: String,
    },
    /// Not an answer of this API.
    #[error("the authority's answer is not understood: {0}")]
    Answer(String),
}

impl CallError {
    /// The exit code for a person.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Unreachable(_) => Exit::Unreachable,
            Self::Tls(_) | Self::Answer(_) => Exit::Broken,
            Self::Refused {
                status: 401 | 403, ..
            } => Exit::NotAuthenticated,
            Self::Refused { status: 500.., .. } => Exit::Unreachable,
            Self::Refused { .. } => Exit::Broken,
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        Self::new(error.exit(), error.to_string())
    }
}

/// A connection to the authority; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Authority {
    agent: Agent,
    base: String,
    credential: Option<Zeroizing<String>>,
}

impl Authority {
    /// The authority at `base`, trusting the certificates in `ca_file` or the system's.
    ///
    /// # Errors
    ///
    /// A [`Failure`] when the address is not https or there are no certificates to trust.
    pub(crate) fn new(base: &str, ca_file: Option<&Path>) -> Result<Self, Failure> {
        let base = base.trim_end_matches('/');
        if !base.starts_with("https://") {
            let what = format!("{base:?} is not an https address");
            return Err(Failure::new(Exit::Usage, what));
        }
        let roots = match ca_file {
            Some(file) => from_file(file)?,
            None => of_the_system()?,
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(RootCerts::new_with_certs(&roots))
            .build();
        let agent: Agent = Agent::config_builder()
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_connect(Some(CONNECT_MAX))
            .timeout_global(Some(CALL_MAX))
            .user_agent(concat!("jit-ssh-host/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls)
            .build()
            .into();
        Ok(Self {
            agent,
            base: base.to_owned(),
            credential: None,
        })
    }

    /// The same with this host's bearer token.
    #[must_use]
    pub(crate) fn with_credential(mut self, credential: Zeroizing<String>) -> Self {
        self.credential = Some(credential);
        self
    }

    /// `POST /v1/hosts`.
    ///
    /// # Errors
    ///
    /// [`CallError`]
    pub(crate) fn enrol(&self, body: &EnrolHost) -> Result<HostEnrolled, CallError> {
        self.post("/v1/hosts", &Zeroizing::new(json(body)?))
    }

    /// The revocation list, as soon as it is newer than version `after` or when `wait` (at most
    /// [`WAIT_SECONDS_MAX`]) is over. Without `after` at once.
    ///
    /// # Errors
    ///
    /// [`CallError`]
    pub(crate) fn list(
        &self,
        environment: &Environment,
        after: Option<u64>,
        wait: Duration,
    ) -> Result<SignedKrl, CallError> {
        let mut url = format!("{}/v1/environments/{environment}/krl", self.base);
        let mut limit = CALL_MAX;
        if let Some(after) = after {
            let wait = wait.as_secs().min(WAIT_SECONDS_MAX);
            url.push_str(&format!("?after={after}&wait={wait}"));
            limit = CALL_MAX.saturating_add(Duration::from_secs(wait));
        }
        let request = self.agent.get(&url).config().timeout_global(Some(limit));
        let mut request = request.build();
        if let Some(value) = self.bearer() {
            request = request.header("authorization", &*value);
        }
        answer(request.call())
    }

    /// `GET /v1/hosts/current`.
    ///
    /// # Errors
    ///
    /// [`CallError`]
    pub(crate) fn settings(&self) -> Result<HostSettings, CallError> {
        let mut request = self.agent.get(format!("{}/v1/hosts/current", self.base));
        if let Some(value) = self.bearer() {
            request = request.header("authorization", &*value);
        }
        answer(request.call())
    }

    /// `POST /v1/hosts/current/reports`.
    ///
    /// # Errors
    ///
    /// [`CallError`]
    pub(crate) fn report(&self, report: &HostReport) -> Result<ReportTaken, CallError> {
        self.post("/v1/hosts/current/reports", &json(report)?)
    }

    /// `POST /v1/hosts/current/certificate`.
    ///
    /// # Errors
    ///
    /// [`CallError`]
    pub(crate) fn renew_certificate(&self) -> Result<HostCertificate, CallError> {
        self.post("/v1/hosts/current/certificate", b"")
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, CallError> {
        let mut request = self.agent.post(format!("{}{path}", self.base));
        if let Some(value) = self.bearer() {
            request = request.header("authorization", &*value);
        }
        answer(if body.is_empty() {
            request.send_empty()
        } else {
            request.content_type("application/json").send(body)
        })
    }

    fn bearer(&self) -> Option<Zeroizing<String>> {
        let credential = self.credential.as_ref()?;
        Some(Zeroizing::new(format!("Bearer {}", credential.as_str())))
    }
}

fn json(body: &impl serde::Serialize) -> Result<Vec<u8>, CallError> {
    serde_json::to_vec(body).map_err(|error| CallError::Answer(error.to_string()))
}

fn answer<T: DeserializeOwned>(
    outcome: Result<Response<Body>, ureq::Error>,
) -> Result<T, CallError> {
    let mut response = outcome.map_err(|error| not_reached(&error))?;
    let status = response.status().as_u16();
    let body = response
        .body_mut()
        .with_config()
        .limit(ANSWER_MAX)
        .read_to_vec()
        .map_err(|error| not_reached(&error))?;
    if !(200..300).contains(&status) {
        let said = match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => problem.detail.unwrap_or(problem.title),
            Err(_) => "no reason given".to_owned(),
        };
        return Err(CallError::Refused { status, said });
    }
    serde_json::from_slice(&body).map_err(|error| CallError::Answer(error.to_string()))
}

fn not_reached(error: &ureq::Error) -> CallError {
    let tls = match error {
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => true,
        ureq::Error::Io(error) => error
            .get_ref()
            .is_some_and(|inner| inner.is::<rustls::Error>()),
        _ => false,
    };
    if tls {
        CallError::Tls(error.to_string())
    } else {
        CallError::Unreachable(error.to_string())
    }
}

fn from_file(file: &Path) -> Result<Vec<Certificate<'static>>, Failure> {
    let bytes =
        crate::file::read(file)?.ok_or_else(|| Failure::file("read", file, &"it is missing"))?;
    let items = ureq::tls::parse_pem(&bytes).filter_map(Result::ok);
    let found: Vec<_> = items
        .filter_map(|item| match item {
            ureq::tls::PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })
        .collect();
    if found.is_empty() {
        return Err(Failure::file("read", file, &"it holds no PEM certificate"));
    }
    Ok(found)
}

fn of_the_system() -> Result<Vec<Certificate<'static>>, Failure> {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        let what = "this machine has no TLS root certificates";
        return Err(Failure::local(what).hint("apt-get install ca-certificates, or --ca-file PEM"));
    }
    let owned = found
        .iter()
        .map(|der| Certificate::from_der(der).to_owned());
    Ok(owned.collect())
}
