//! Every error answer of the edge (RFC 9457): from whatever went wrong to type, status, field,
//! detail and headers. The only file that knows them.
//!
//! What went wrong inside goes to the trace, never into the answer.

use std::any::Any;
use std::error::Error as _;
use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use ca_core::api::{BODY_BYTES_MAX, Problem, ProblemType};

use super::Edge;
use crate::ca::Failure;

/// Pause before trying again when something of ours is overloaded, seconds.
const RETRY_SECONDS_BUSY: u64 = 1;
/// Pause when another part has to come back first, seconds.
const RETRY_SECONDS_AWAY: u64 = 5;
/// Longest detail that repeats what a client sent, characters.
const DETAIL_CHARS_MAX: usize = 300;

/// Why a request is answered with a problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The use case failed.
    Failure(Failure),
    /// Not allowed from there.
    NotFromThere,
    /// The body's content type is not JSON.
    NotDeclaredJson,
    /// The answer took too long.
    NoAnswerInTime,
    /// A bug.
    Panicked,
    /// This address asks too often.
    RateLimited { retry_after_seconds: u64 },
    /// The body did not arrive in time.
    SlowBody,
    /// The body is too large.
    TooLarge,
    /// No such route or file.
    UnknownRoute,
    /// Body or query do not have the shape.
    WrongShape {
        field: Option<String>,
        detail: String,
    },
    /// The route exists with other methods.
    WrongMethod,
}

impl Fault {
    /// A body that could not be read to its end.
    pub(super) fn unreadable(error: &axum::Error) -> Self {
        // The error's type lives in a crate we do not name otherwise.
        let too_large = error
            .source()
            .is_some_and(|source| source.to_string() == "length limit exceeded");
        if too_large {
            return Self::TooLarge;
        }
        Self::WrongShape {
            field: None,
            detail: "the body ended early or is not well-formed HTTP".to_owned(),
        }
    }

    /// A body that is no JSON, or not the JSON that the route takes: wrong at `path`, a member of
    /// the document, or `.` for all of it.
    pub(super) fn not_json(path: &str, error: &serde_json::Error) -> Self {
        let text = error.to_string();
        if error.is_data() {
            let member = Some(path).filter(|path| *path != ".");
            return Self::WrongShape {
                field: named_field(&text).or_else(|| member.map(printable)),
                detail: printable(&text),
            };
        }
        Self::WrongShape {
            field: None,
            detail: printable(&format!("the body is not JSON: {text}")),
        }
    }

    /// A query with unknown or malformed parameters.
    pub(super) fn query(rejection: &QueryRejection) -> Self {
        let text = rejection
            .source()
            .map_or_else(|| rejection.to_string(), ToString::to_string);
        Self::WrongShape {
            field: named_field(&text),
            detail: printable(&text),
        }
    }

    fn problem(self) -> Problem {
        use ProblemType as Type;
        let (kind, detail) = match self {
            Self::Failure(failure) => return of_failure(failure),
            Self::NotFromThere => (Type::Denied, Some("only from the server's own machine")),
            Self::NotDeclaredJson => (
                Type::UnsupportedMediaType,
                Some("send the body with content-type: application/json"),
            ),
            Self::NoAnswerInTime => return retry(Type::Busy, RETRY_SECONDS_AWAY),
            Self::Panicked => (Type::Internal, None),
            Self::RateLimited {
                retry_after_seconds,
            } => return retry(Type::TooManyAttempts, retry_after_seconds),
            Self::SlowBody => (Type::RequestTimeout, None),
            Self::TooLarge => {
                let detail = format!("at most {BODY_BYTES_MAX} bytes are read");
                return described(Type::TooLarge, None, detail);
            }
            Self::UnknownRoute => (Type::NotFound, None),
            Self::WrongShape { field, detail } => {
                return described(Type::InvalidRequest, field, detail);
            }
            Self::WrongMethod => (Type::MethodNotAllowed, None),
        };
        Problem {
            detail: detail.map(str::to_owned),
            ..bare(kind)
        }
    }
}

fn of_failure(failure: Failure) -> Problem {
    use ProblemType as Type;
    match failure {
        Failure::Busy(_) => retry(Type::Busy, RETRY_SECONDS_BUSY),
        Failure::CaKeyUnavailable => retry(Type::CaKeyUnavailable, RETRY_SECONDS_AWAY),
        Failure::Denied { reasons, hints } => Problem {
            reasons,
            hints,
            ..bare(Type::Denied)
        },
        Failure::Frozen(detail) => described(Type::Frozen, None, detail),
        Failure::Internal(detail) => {
            tracing::error!(detail, "a use case failed inside");
            bare(Type::Internal)
        }
        Failure::Invalid { field, detail } => {
            described(Type::InvalidRequest, Some(field.to_owned()), detail)
        }
        Failure::LoginRefused => bare(Type::LoginRefused),
        Failure::NotFound(what) => described(Type::NotFound, None, format!("no such {what}")),
        Failure::NotYet(time) => described(Type::NotYet, None, format!("not before {time}")),
        Failure::ProviderUnavailable => retry(Type::ProviderUnavailable, RETRY_SECONDS_AWAY),
        Failure::RequestChanged(detail) => described(Type::RequestChanged, None, detail),
        Failure::RequestClosed(detail) => described(Type::RequestClosed, None, detail),
        Failure::RequestIdReused => Problem {
            field: Some("request_id".to_owned()),
            ..bare(Type::RequestIdReused)
        },
        Failure::SessionRequired => bare(Type::SessionRequired),
        Failure::Stopped => retry(Type::Busy, RETRY_SECONDS_AWAY),
        Failure::TooManyAttempts {
            retry_after_seconds,
        } => retry(Type::TooManyAttempts, retry_after_seconds),
        Failure::TotpNotEnrolled => bare(Type::TotpNotEnrolled),
        Failure::TotpRequired => bare(Type::TotpRequired),
    }
}

/// Status and title of each type.
const fn face(kind: ProblemType) -> (StatusCode, &'static str) {
    use ProblemType as Type;
    match kind {
        Type::Busy => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is busy; nothing was issued",
        ),
        Type::CaKeyUnavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the CA key cannot be reached",
        ),
        Type::Denied => (StatusCode::FORBIDDEN, "this is not allowed"),
        Type::Frozen => (
            StatusCode::FORBIDDEN,
            "nothing is issued until the freeze is lifted",
        ),
        Type::Internal => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "something failed inside the server; nothing was issued",
        ),
        Type::InvalidRequest => (StatusCode::BAD_REQUEST, "the request is not valid"),
        Type::LoginRefused => (StatusCode::UNAUTHORIZED, "sign-in was refused"),
        Type::MethodNotAllowed => (
            StatusCode::METHOD_NOT_ALLOWED,
            "this path does not have this method",
        ),
        Type::NotFound => (StatusCode::NOT_FOUND, "there is no such thing here"),
        Type::NotYet => (StatusCode::CONFLICT, "its time has not come"),
        Type::RequestChanged => (
            StatusCode::CONFLICT,
            "the access request is another than the one that was seen",
        ),
        Type::RequestClosed => (StatusCode::CONFLICT, "the access request is over"),
        Type::ProviderUnavailable => (
            StatusCode::SERVICE_UNAVAILABLE,
            "the identity provider cannot be reached",
        ),
        Type::RequestIdReused => (
            StatusCode::CONFLICT,
            "this request id was used for another request",
        ),
        Type::RequestTimeout => (
            StatusCode::REQUEST_TIMEOUT,
            "the request took too long to arrive",
        ),
        Type::SessionRequired => (StatusCode::UNAUTHORIZED, "an open session is needed"),
        Type::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "the body is too large"),
        Type::TooManyAttempts => (StatusCode::TOO_MANY_REQUESTS, "too many attempts"),
        Type::TotpNotEnrolled => (
            StatusCode::UNAUTHORIZED,
            "no second factor is enrolled for this person",
        ),
        Type::TotpRequired => (StatusCode::UNAUTHORIZED, "a second factor is needed"),
        Type::UnsupportedMediaType => (
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the body is not declared as JSON",
        ),
    }
}

fn bare(kind: ProblemType) -> Problem {
    let (status, title) = face(kind);
    Problem {
        kind,
        status: status.as_u16(),
        title: title.to_owned(),
        detail: None,
        field: None,
        reasons: Vec::new(),
        hints: Vec::new(),
        retry_after_seconds: None,
    }
}

fn retry(kind: ProblemType, seconds: u64) -> Problem {
    Problem {
        retry_after_seconds: Some(seconds),
        ..bare(kind)
    }
}

fn described(kind: ProblemType, field: Option<String>, detail: String) -> Problem {
    Problem {
        detail: Some(detail),
        field,
        ..bare(kind)
    }
}

/// The field that serde's message is about: `missing field `x``, `unknown field `x`, expected …`.
fn named_field(message: &str) -> Option<String> {
    let (before, rest) = message.split_once("field `")?;
    let kinds = ["duplicate ", "missing ", "unknown "];
    if !kinds.iter().any(|kind| before.ends_with(kind)) {
        return None;
    }
    let (name, _) = rest.split_once('`')?;
    Some(printable(name))
}

/// Bounded, and without anything that could move the cursor of a terminal.
fn printable(text: &str) -> String {
    let shown = text.chars().take(DETAIL_CHARS_MAX);
    shown
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let problem = self.problem();
        let (status, _) = face(problem.kind);
        let body = serde_json::to_string(&problem).unwrap_or_default();
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        if let Some(seconds) = problem.retry_after_seconds {
            headers.insert(RETRY_AFTER, seconds.into());
        }
        if status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

/// Answer of every path that is not a route.
pub(super) async fn unknown_route() -> Fault {
    Fault::UnknownRoute
}

/// Answer of routes to other methods than theirs.
pub(super) async fn wrong_method() -> Fault {
    Fault::WrongMethod
}

/// Answer after a panic. What it said goes to the trace through the panic hook.
pub(super) fn panicked(_: Box<dyn Any + Send>) -> Response {
    tracing::error!("a handler panicked");
    Fault::Panicked.into_response()
}

/// Bounds the wait for an answer. Use cases run apart and are finished all the same.
pub(super) async fn answer_in_time(
    State(edge): State<Arc<Edge>>,
    request: Request,
    next: Next,
) -> Response {
    match tokio::time::timeout(edge.settings.answer_timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Fault::NoAnswerInTime.into_response(),
    }
}
