//! The authorization endpoint: code + PKCE for a program on this machine (RFC 8252), nothing else.

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use serde::Deserialize;
use url::{Host, Url, form_urlencoded};

use super::grants::CodeGrant;
use super::page::{escape, page, refusal};
use super::{PARAMETER_BYTES_MAX, Provider, Shared, random_text};

/// The request (OpenID Connect Core §3.1.2.1). Parameters we do not know are ignored, as it says.
#[derive(Deserialize)]
pub(super) struct Request {
    client_id: String,
    redirect_uri: String,
    response_type: Option<String>,
    scope: Option<String>,
    state: Option<String>,
    nonce: Option<String>,
    code_challenge: Option<String>,
    code_challenge_method: Option<String>,
    login_hint: Option<String>,
}

pub(super) async fn authorize(State(provider): Shared, Query(request): Query<Request>) -> Response {
    // Before client and address are known to be ours, nobody is redirected anywhere.
    if request.client_id != provider.client_id {
        return refusal("The client is unknown.");
    }
    let Some(redirect) = loopback(&request.redirect_uri) else {
        return refusal("The redirect address is not http on this machine.");
    };
    let challenge = match check(&request) {
        Ok(challenge) => challenge,
        Err(error) => return answer(&provider, redirect, &request, ("error", error)),
    };
    let hint = request.login_hint.as_deref().unwrap_or_default();
    let Some(person) = provider.person(hint) else {
        return choose(&provider, &request);
    };
    let grant = CodeGrant {
        person: person.name.clone(),
        redirect_uri: request.redirect_uri.clone(),
        code_challenge: challenge,
        nonce: request.nonce.clone(),
    };
    let now = (provider.now)();
    let code = random_text().filter(|code| provider.grants().add_code(code.clone(), grant, now));
    let result = match &code {
        Some(code) => ("code", code.as_str()),
        None => ("error", "temporarily_unavailable"),
    };
    answer(&provider, redirect, &request, result)
}

/// The PKCE challenge of a request that is in order, or the error it gets (RFC 6749 §4.1.2.1).
fn check(request: &Request) -> Result<String, &'static str> {
    let bounded = [&request.state, &request.nonce, &request.scope]
        .into_iter()
        .flatten()
        .all(|text| text.len() <= PARAMETER_BYTES_MAX);
    if !bounded {
        return Err("invalid_request");
    }
    if request.response_type.as_deref() != Some("code") {
        return Err("unsupported_response_type");
    }
    let scope = request.scope.as_deref().unwrap_or_default();
    if !scope.split(' ').any(|scope| scope == "openid") {
        return Err("invalid_scope");
    }
    // RFC 7636 §4.2: base64url of a SHA-256. The method `plain` is not offered.
    match (
        &request.code_challenge,
        request.code_challenge_method.as_deref(),
    ) {
        (Some(challenge), Some("S256")) if challenge.len() == 43 => Ok(challenge.clone()),
        _ => Err("invalid_request"),
    }
}

fn loopback(redirect_uri: &str) -> Option<Url> {
    if redirect_uri.len() > PARAMETER_BYTES_MAX {
        return None;
    }
    let url = Url::parse(redirect_uri).ok()?;
    let local = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let plain = url.scheme() == "http"
        && url.username().is_empty()
        && url.password().is_none()
        && url.fragment().is_none();
    (local && plain).then_some(url)
}

/// Sends the browser back with the result, `state` and `iss` (RFC 9207).
fn answer(
    provider: &Provider,
    mut redirect: Url,
    request: &Request,
    (name, value): (&str, &str),
) -> Response {
    let mut query = redirect.query_pairs_mut();
    query.append_pair(name, value);
    if let Some(state) = &request.state {
        query.append_pair("state", state);
    }
    query.append_pair("iss", &provider.issuer);
    drop(query);
    Redirect::to(redirect.as_str()).into_response()
}

/// The page on which a person is picked. Plain links: a form would be stopped by browsers that
/// apply `form-action` to the redirect that follows.
fn choose(provider: &Provider, request: &Request) -> Response {
    let mut people = String::new();
    for person in &provider.people {
        people.extend([
            "<li><a class=\"pick\" href=\"",
            &escape(&again(provider, request, &person.name)),
            "\"><b>",
            &escape(&person.name),
            "</b> (",
            &escape(&person.full_name),
            "; ",
            &escape(&person.groups.join(", ")),
            ")</a></li>",
        ]);
    }
    let body = format!(
        "<p>A program on this machine asks to sign you in to <b>{}</b>. Go on only if you \
         started it. Who are you?</p><ul>{people}</ul>",
        escape(&provider.client_id)
    );
    page(StatusCode::OK, "Sign in", &body)
}

/// The address that repeats `request` with the person picked.
fn again(provider: &Provider, request: &Request, person: &str) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let fields = [
        ("client_id", Some(&request.client_id)),
        ("redirect_uri", Some(&request.redirect_uri)),
        ("response_type", request.response_type.as_ref()),
        ("scope", request.scope.as_ref()),
        ("state", request.state.as_ref()),
        ("nonce", request.nonce.as_ref()),
        ("code_challenge", request.code_challenge.as_ref()),
        (
            "code_challenge_method",
            request.code_challenge_method.as_ref(),
        ),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    query.append_pair("login_hint", person);
    format!("{}/authorize?{}", provider.issuer, query.finish())
}
