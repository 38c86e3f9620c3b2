//! Calls about access requests, emergencies, freezes, hosts and the story of a grant.

use ca_core::api::{
    AccessRequest, AddBreakGlassKey, Approve, BreakGlassKey, BreakGlassKeys, Challenge,
    CloseReview, DenyRequest, Freeze, Freezes, History, Hosts, IssueJoinToken, JoinToken,
    OpenBreakGlassSession, Requests, RequestsQuery, RequestsShown, Reviews, SessionOpened,
    WhyDecided,
};
use reqwest::Method;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use url::Url;

use super::Api;
use crate::cli::Which;
use crate::failure::Failure;

/// Which news of a request to wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News {
    /// The revision that is known.
    pub(crate) after: u64,
    /// Longest wait, seconds.
    pub(crate) seconds: u64,
}

impl Api {
    /// `GET /v1/requests?show=…`.
    pub(crate) async fn requests(
        &self,
        token: &SecretString,
        query: RequestsQuery,
    ) -> Result<Requests, Failure> {
        let show = match query.show {
            RequestsShown::All => "all",
            RequestsShown::Mine => "mine",
            RequestsShown::ToApprove => "to-approve",
        };
        self.get(&format!("v1/requests?show={show}"), token).await
    }

    /// `GET /v1/requests/{id}`, at once or as soon as there is news.
    pub(crate) async fn access_request(
        &self,
        token: &SecretString,
        id: u64,
        news: Option<News>,
    ) -> Result<AccessRequest, Failure> {
        let Some(News { after, seconds }) = news else {
            return self.get(&format!("v1/requests/{id}"), token).await;
        };
        let path = format!("v1/requests/{id}?after={after}&wait={seconds}");
        self.get(&path, token).await
    }

    /// `POST /v1/requests/{id}/approve`.
    pub(crate) async fn approve(
        &self,
        token: &SecretString,
        id: u64,
        body: &Approve,
    ) -> Result<AccessRequest, Failure> {
        let path = format!("v1/requests/{id}/approve");
        self.post(&path, Some(token), body).await
    }

    /// `POST /v1/requests/{id}/deny`.
    pub(crate) async fn deny(
        &self,
        token: &SecretString,
        id: u64,
        body: &DenyRequest,
    ) -> Result<AccessRequest, Failure> {
        let path = format!("v1/requests/{id}/deny");
        self.post(&path, Some(token), body).await
    }

    /// `POST /v1/requests/{id}/withdraw`.
    pub(crate) async fn withdraw(
        &self,
        token: &SecretString,
        id: u64,
    ) -> Result<AccessRequest, Failure> {
        let request = self.request(Method::POST, &format!("v1/requests/{id}/withdraw"))?;
        self.answer(request.bearer_auth(token.expose_secret()))
            .await
    }

    /// `POST /v1/break-glass/challenges`.
    pub(crate) async fn challenge(&self) -> Result<Challenge, Failure> {
        self.answer(self.request(Method::POST, "v1/break-glass/challenges")?)
            .await
    }

    /// `POST /v1/break-glass/sessions`.
    pub(crate) async fn open_break_glass_session(
        &self,
        body: &OpenBreakGlassSession,
    ) -> Result<SessionOpened, Failure> {
        self.post("v1/break-glass/sessions", None, body).await
    }

    /// `POST /v1/break-glass/keys`.
    pub(crate) async fn add_break_glass_key(
        &self,
        token: &SecretString,
        body: &AddBreakGlassKey,
    ) -> Result<BreakGlassKey, Failure> {
        self.post("v1/break-glass/keys", Some(token), body).await
    }

    /// `GET /v1/break-glass/keys`.
    pub(crate) async fn break_glass_keys(
        &self,
        token: &SecretString,
    ) -> Result<BreakGlassKeys, Failure> {
        self.get("v1/break-glass/keys", token).await
    }

    /// `DELETE /v1/break-glass/keys/{fingerprint}`.
    pub(crate) async fn remove_break_glass_key(
        &self,
        token: &SecretString,
        fingerprint: &str,
    ) -> Result<(), Failure> {
        let url = below(&self.base, &["v1", "break-glass", "keys", fingerprint]);
        let request = self.http.request(Method::DELETE, url);
        let request = request.bearer_auth(token.expose_secret());
        self.body(request).await.map(|_| ())
    }

    /// `GET /v1/reviews`.
    pub(crate) async fn reviews(&self, token: &SecretString) -> Result<Reviews, Failure> {
        self.get("v1/reviews", token).await
    }

    /// `POST /v1/reviews/{id}`.
    pub(crate) async fn close_review(
        &self,
        token: &SecretString,
        id: u64,
        body: &CloseReview,
    ) -> Result<(), Failure> {
        let request = self.request(Method::POST, &format!("v1/reviews/{id}"))?;
        let request = request.json(body).bearer_auth(token.expose_secret());
        self.body(request).await.map(|_| ())
    }

    /// `POST /v1/freezes`.
    pub(crate) async fn freeze(
        &self,
        token: &SecretString,
        body: &Freeze,
    ) -> Result<Freezes, Failure> {
        self.post("v1/freezes", Some(token), body).await
    }

    /// `POST /v1/freezes/lift`.
    pub(crate) async fn lift_freeze(
        &self,
        token: &SecretString,
        body: &Freeze,
    ) -> Result<Freezes, Failure> {
        self.post("v1/freezes/lift", Some(token), body).await
    }

    /// `GET /v1/freezes`.
    pub(crate) async fn freezes(&self, token: &SecretString) -> Result<Freezes, Failure> {
        self.get("v1/freezes", token).await
    }

    /// `GET /v1/history/{number}`.
    pub(crate) async fn history(
        &self,
        token: &SecretString,
        number: u64,
    ) -> Result<History, Failure> {
        self.get(&format!("v1/history/{number}"), token).await
    }

    /// `GET /v1/decisions/{number}`, or the newest about the person.
    pub(crate) async fn why(
        &self,
        token: &SecretString,
        which: Which,
    ) -> Result<WhyDecided, Failure> {
        let name = match which {
            Which::Last => "last".to_owned(),
            Which::Number(number) => number.to_string(),
        };
        self.get(&format!("v1/decisions/{name}"), token).await
    }

    /// `GET /v1/hosts`.
    pub(crate) async fn hosts(&self, token: &SecretString) -> Result<Hosts, Failure> {
        self.get("v1/hosts", token).await
    }

    /// `POST /v1/hosts/tokens`.
    pub(crate) async fn join_token(
        &self,
        token: &SecretString,
        body: &IssueJoinToken,
    ) -> Result<JoinToken, Failure> {
        self.post("v1/hosts/tokens", Some(token), body).await
    }

    async fn get<A: DeserializeOwned>(
        &self,
        path: &str,
        token: &SecretString,
    ) -> Result<A, Failure> {
        let request = self.request(Method::GET, path)?;
        self.answer(request.bearer_auth(token.expose_secret()))
            .await
    }
}

/// `base` with `segments`, each as one segment whatever is in it.
fn below(base: &Url, segments: &[&str]) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().extend(segments);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_with_a_slash_stays_one_segment() {
        let base: Url = "https://ca.example.com/jit/".parse().unwrap();
        let url = below(&base, &["v1", "break-glass", "keys", "SHA256:a/b+c?d"]);
        assert_eq!(
            url.as_str(),
            "https://ca.example.com/jit/v1/break-glass/keys/SHA256:a%2Fb+c%3Fd"
        );
    }
}
