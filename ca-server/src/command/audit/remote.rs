//! A running server's `GET /v1/audit`, as a person whom policy lets `read_audit`.

use std::path::Path;

use anyhow::Context as _;
use ca_core::api::{AuditPage, AuditQuery, Problem};
use secrecy::{ExposeSecret as _, SecretString};

/// A server and a session at it. Every call blocks; not to be used inside an async runtime.
#[derive(Debug)]
pub(super) struct Remote {
    url: String,
    token: SecretString,
    client: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Remote {
    pub(super) fn new(
        url: &str,
        session: &Path,
        certificate: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let mut client = reqwest::Client::builder();
        if let Some(path) = certificate {
            let pem = std::fs::read(path).with_context(|| format!("{path:?}"))?;
            for certificate in reqwest::Certificate::from_pem_bundle(&pem)? {
                client = client.add_root_certificate(certificate);
            }
        }
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            token: super::session_token(session)?,
            client: client.build()?,
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?,
        })
    }

    /// One page.
    pub(super) fn page(&self, query: &AuditQuery) -> anyhow::Result<AuditPage> {
        let mut url = url::Url::parse(&format!("{}/v1/audit", self.url))
            .with_context(|| format!("--url {:?}", self.url))?;
        if let serde_json::Value::Object(fields) = serde_json::to_value(query)? {
            let mut pairs = url.query_pairs_mut();
            for (name, value) in fields {
                let text = value
                    .as_str()
                    .map_or_else(|| value.to_string(), str::to_owned);
                pairs.append_pair(&name, &text);
            }
        }
        let request = self.client.get(url).bearer_auth(self.token.expose_secret());
        let (status, bytes) = self.runtime.block_on(async {
            let answer = request.send().await?;
            Ok::<_, reqwest::Error>((answer.status(), answer.bytes().await?))
        })?;
        if status.is_success() {
            return Ok(serde_json::from_slice(&bytes)?);
        }
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => anyhow::bail!("{status}: {}", problem.detail.unwrap_or(problem.title)),
            Err(_) => anyhow::bail!("the server answers {status}"),
        }
    }
}
