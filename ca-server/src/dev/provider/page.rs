//! The provider's pages. Every value is escaped; no scripts; each page says what it is not for.

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse, Response};

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:32rem;margin:3rem auto;\
    padding:0 1rem;color:#1a1a1a}.mark{background:#8a1c1c;color:#fff;padding:.4rem .8rem;\
    border-radius:.3rem}ul{list-style:none;padding:0}a.pick,button{display:block;width:100%;\
    box-sizing:border-box;margin:.5rem 0;padding:.7rem 1rem;border:1px solid #888;\
    border-radius:.3rem;background:#f6f6f6;color:inherit;font:inherit;text-align:left;\
    text-decoration:none;cursor:pointer}code{font-size:1.3em}";

/// A page with this title; `body` is HTML whose values are escaped already.
pub(super) fn page(status: StatusCode, title: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>\
         <p class=\"mark\">development only: anybody can sign in as anybody here</p>\
         <h1>{title}</h1>{body}</body></html>"
    );
    (status, Html(html)).into_response()
}

/// A page that says what went wrong.
pub(super) fn refusal(message: &str) -> Response {
    let body = format!("<p>{}</p>", escape(message));
    page(StatusCode::BAD_REQUEST, "This did not work", &body)
}

/// `text` for use in HTML text and in attribute values in double quotes.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
