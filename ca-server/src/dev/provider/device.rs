//! The device flow (RFC 8628): the code shown on the device, and the page where it is confirmed.

use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use serde::Deserialize;
use serde_json::json;
use url::form_urlencoded;

use super::grants::{DEVICE_INTERVAL, DEVICE_LIFETIME};
use super::page::{escape, page, refusal};
use super::{Provider, Shared, oauth_error, random_text};

/// `grant_type` of the polling request (RFC 8628 §3.4).
pub(super) const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// Consonants only, so that no code is a word and no letter looks like a digit (RFC 8628 §6.1).
const USER_CODE_ALPHABET: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";

#[derive(Deserialize)]
pub(super) struct Begin {
    client_id: String,
    scope: Option<String>,
    /// Not in the RFC: carried into `verification_uri_complete`, so that a script may open that
    /// address and be signed in.
    login_hint: Option<String>,
}

pub(super) async fn begin(State(provider): Shared, Form(request): Form<Begin>) -> Response {
    if request.client_id != provider.client_id {
        return oauth_error("invalid_client");
    }
    let scope = request.scope.as_deref().unwrap_or_default();
    if !scope.split(' ').any(|scope| scope == "openid") {
        return oauth_error("invalid_scope");
    }
    let (Some(device_code), Some(user_code)) = (random_text(), user_code()) else {
        return oauth_error("server_error");
    };
    let now = (provider.now)();
    let added = provider
        .grants()
        .add_device(device_code.clone(), user_code.clone(), now);
    if !added {
        return oauth_error("temporarily_unavailable");
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("user_code", &user_code);
    let hint = request.login_hint.unwrap_or_default();
    if let Some(person) = provider.person(&hint) {
        query.append_pair("login_hint", &person.name);
    }
    let page = format!("{}/device", provider.issuer);
    Json(json!({
        "device_code": device_code,
        "user_code": user_code,
        "verification_uri": page,
        "verification_uri_complete": format!("{page}?{}", query.finish()),
        "expires_in": DEVICE_LIFETIME.as_secs(),
        "interval": DEVICE_INTERVAL.as_secs(),
    }))
    .into_response()
}

#[derive(Deserialize)]
pub(super) struct Shown {
    user_code: Option<String>,
    login_hint: Option<String>,
}

/// Asks for the code, then for the person. With `login_hint` it asks nothing, which a real
/// provider must never do.
pub(super) async fn show(State(provider): Shared, Query(request): Query<Shown>) -> Response {
    let Some(typed) = request.user_code else {
        return page(
            StatusCode::OK,
            "Connect a device",
            "<p>Which code does your terminal show?</p><form method=\"get\">\
             <input name=\"user_code\" autofocus required maxlength=\"20\"> \
             <button>Continue</button></form>",
        );
    };
    let user_code = normalised(&typed);
    if !provider.grants().is_waiting(&user_code, (provider.now)()) {
        return refusal("No terminal waits with this code. It may have expired.");
    }
    if let Some(person) = request.login_hint {
        return settle(&provider, &user_code, &person);
    }
    let mut people = String::new();
    for person in &provider.people {
        let name = escape(&person.name);
        let full_name = escape(&person.full_name);
        people.extend([
            "<button name=\"person\" value=\"",
            &name,
            "\">",
            &name,
            " (",
            &full_name,
            ")</button>",
        ]);
    }
    // The code is shown again: whoever was sent a link by somebody else can see that no terminal
    // of theirs shows it.
    let body = format!(
        "<p>Go on only if <b>your own</b> terminal shows <code>{code}</code>. Who are you?</p>\
         <form method=\"post\"><input type=\"hidden\" name=\"user_code\" value=\"{code}\">\
         {people}</form>",
        code = escape(&user_code)
    );
    page(StatusCode::OK, "Connect a device", &body)
}

#[derive(Deserialize)]
pub(super) struct Confirm {
    user_code: String,
    person: String,
}

pub(super) async fn confirm(State(provider): Shared, Form(request): Form<Confirm>) -> Response {
    settle(&provider, &normalised(&request.user_code), &request.person)
}

fn settle(provider: &Provider, user_code: &str, person: &str) -> Response {
    let Some(person) = provider.person(person) else {
        return refusal("There is nobody of this name.");
    };
    let now = (provider.now)();
    if !provider.grants().confirm(user_code, &person.name, now) {
        return refusal("No terminal waits with this code. It may have expired.");
    }
    let body = format!(
        "<p>Signed in as <b>{}</b>. You can close this page and go back to your terminal.</p>",
        escape(&person.name)
    );
    page(StatusCode::OK, "Done", &body)
}

/// Upper case, with one dash in the middle, however it was typed.
fn normalised(typed: &str) -> String {
    let letters: String = typed
        .chars()
        .filter(char::is_ascii_alphabetic)
        .map(|letter| letter.to_ascii_uppercase())
        .take(9)
        .collect();
    match letters.split_at_checked(4) {
        Some((first, second)) => format!("{first}-{second}"),
        None => letters,
    }
}

/// Eight letters, 34 bits: enough against guessing within ten minutes.
fn user_code() -> Option<String> {
    let mut random = [0; 8];
    getrandom::fill(&mut random).ok()?;
    let mut code = String::with_capacity(9);
    for (at, byte) in random.iter().enumerate() {
        if at == 4 {
            code.push('-');
        }
        // 256 is not a multiple of 20; the slight preference is harmless here.
        let letter = USER_CODE_ALPHABET.get(usize::from(*byte) % USER_CODE_ALPHABET.len())?;
        code.push(char::from(*letter));
    }
    Some(code)
}
