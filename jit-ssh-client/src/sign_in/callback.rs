//! The loopback listener that the browser comes back to (RFC 8252 §7.3), and which of its visitors
//! is believed.
//!
//! Deliberately patient: a wrong `state` is answered with a refusal and the wait goes on, so that
//! no web page can end somebody's sign-in by guessing the port.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use url::Url;

use crate::failure::{Exit, Failure};
use crate::terminal::plain;

/// Longest request head, bytes.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// How many visitors are served at once.
const VISITORS_MAX: usize = 16;
/// How long one visitor may take.
const VISIT_SECONDS_MAX: u64 = 10;
/// How long the person may take at the provider.
pub(super) const WAIT_SECONDS_MAX: u64 = 300;

/// What the visitor must bring.
#[derive(Clone, Debug)]
pub(super) struct Expected {
    /// The `state` we sent.
    pub(super) state: String,
    /// The issuer, for `iss` (RFC 9207).
    pub(super) issuer: String,
    /// Whether `iss` must be there.
    pub(super) iss_required: bool,
}

/// What a visit turned out to be.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Visit {
    /// The authorization code.
    Code(String),
    /// The provider says no, for this reason.
    Failed(String),
    /// Another path (`/favicon.ico`), or not HTTP.
    Other,
    /// Not an answer to our question.
    Refused(&'static str),
}

/// Waits for the visitor that brings the code.
///
/// # Errors
///
/// A [`Failure`] when the provider reports an error or nobody comes within five minutes.
pub(super) async fn wait(listener: &TcpListener, expected: &Expected) -> Result<String, Failure> {
    let bound = Duration::from_secs(WAIT_SECONDS_MAX);
    let waited = tokio::time::timeout(bound, serve(listener, expected)).await;
    waited.unwrap_or_else(|_| {
        Err(
            Failure::new(Exit::NotAuthenticated, "nobody signed in within 5 minutes")
                .hint("try again, or sign in on another device: add --device"),
        )
    })
}

async fn serve(listener: &TcpListener, expected: &Expected) -> Result<String, Failure> {
    let (found, mut finds) = mpsc::channel(1);
    let mut visits = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if visits.len() < VISITORS_MAX => {
                if let Ok((stream, _)) = accepted {
                    visits.spawn(receive(stream, expected.clone(), found.clone()));
                }
            }
            Some(_) = visits.join_next(), if !visits.is_empty() => {}
            Some(visit) = finds.recv() => {
                match visit {
                    Visit::Code(code) => return Ok(code),
                    Visit::Failed(why) => return Err(Failure::new(
                        Exit::NotAuthenticated,
                        format!("the identity provider refused the sign-in: {}", plain(&why)),
                    )
                    .hint("sign in again; if it stays like this, ask who runs the provider")),
                    Visit::Other | Visit::Refused(_) => {}
                }
            }
        }
    }
}

async fn receive(mut stream: TcpStream, expected: Expected, found: mpsc::Sender<Visit>) {
    let bound = Duration::from_secs(VISIT_SECONDS_MAX);
    let visited = tokio::time::timeout(bound, async {
        let head = read_head(&mut stream).await?;
        let visit = judge(&head, &expected);
        stream.write_all(page(&visit).as_bytes()).await.ok();
        stream.shutdown().await.ok();
        Some(visit)
    });
    // Told only after the page is out: the program may end right after.
    if let Ok(Some(visit)) = visited.await {
        found.send(visit).await.ok();
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut head = Vec::new();
    let mut part = [0_u8; 2048];
    while !head.windows(4).any(|window| window == b"\r\n\r\n") {
        let count = stream.read(&mut part).await.ok()?;
        if count == 0 || head.len() > HEAD_BYTES_MAX {
            return None;
        }
        head.extend_from_slice(part.get(..count)?);
    }
    Some(head)
}

/// Whether the request brings our code. Reads the request line only.
fn judge(head: &[u8], expected: &Expected) -> Visit {
    let Some(address) = target(head) else {
        return Visit::Other;
    };
    if address.path() != "/callback" {
        return Visit::Other;
    }
    let one = |name: &str| {
        let mut values = address.query_pairs().filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.into_owned());
        // A parameter given twice means something else to somebody else: none.
        if values.next().is_some() { None } else { value }
    };
    if one("state").as_deref() != Some(expected.state.as_str()) {
        return Visit::Refused("this is not the sign-in that the terminal is waiting for");
    }
    match one("iss") {
        Some(iss) if iss != expected.issuer => {
            return Visit::Refused("the answer is from another identity provider");
        }
        None if expected.iss_required => {
            return Visit::Refused("the answer does not say which identity provider it is from");
        }
        _ => {}
    }
    if let Some(error) = one("error") {
        let why = one("error_description");
        return Visit::Failed(why.map_or(error.clone(), |why| format!("{error} ({why})")));
    }
    match one("code") {
        Some(code) if !code.is_empty() => Visit::Code(code),
        _ => Visit::Refused("the answer carries no code"),
    }
}

fn target(head: &[u8]) -> Option<Url> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let target = line.strip_prefix("GET ")?.split(' ').next()?;
    let target = target.strip_prefix('/')?;
    Url::parse("http://127.0.0.1/")
        .ok()?
        .join(&format!("/{}", target.trim_start_matches('/')))
        .ok()
}

fn page(visit: &Visit) -> String {
    let (status, title, text) = match visit {
        Visit::Code(_) => (
            "200 OK",
            "Signed in",
            "You can close this window and go back to the terminal.",
        ),
        Visit::Failed(_) => (
            "200 OK",
            "Not signed in",
            "The identity provider said no. The terminal tells more.",
        ),
        Visit::Other => ("404 Not Found", "Nothing here", "jit-ssh waits elsewhere."),
        Visit::Refused(why) => ("400 Bad Request", "Not accepted", *why),
    };
    let body = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>jit-ssh: {title}</title>\
         <style>body{{font:1.1rem system-ui;margin:20vh auto;max-width:28rem;text-align:center}}</style>\
         <h1>{title}</h1><p>{text}</p></html>\n"
    );
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
         Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
         Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expected(iss_required: bool) -> Expected {
        Expected {
            state: "S1".into(),
            issuer: "https://idp".into(),
            iss_required,
        }
    }

    fn visit(target: &str, iss_required: bool) -> Visit {
        let head = format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
        judge(head.as_bytes(), &expected(iss_required))
    }

    #[test]
    fn the_right_state_brings_the_code() {
        let code = Visit::Code("a/b".into());
        assert_eq!(visit("/callback?code=a%2Fb&state=S1", false), code);
        let target = "/callback?code=a%2Fb&state=S1&iss=https%3A%2F%2Fidp";
        assert_eq!(visit(target, true), code);
    }

    #[test]
    fn a_wrong_missing_or_doubled_state_is_refused() {
        for target in [
            "/callback?code=c&state=S2",
            "/callback?code=c",
            "/callback?code=c&state=",
            "/callback?code=c&state=S1&state=S1",
            "/callback?error=access_denied&state=S2",
        ] {
            assert!(
                matches!(visit(target, false), Visit::Refused(_)),
                "{target}"
            );
        }
    }

    #[test]
    fn an_answer_of_another_issuer_is_refused_and_so_is_none_where_one_was_promised() {
        let target = "/callback?code=c&state=S1&iss=https%3A%2F%2Fevil";
        assert!(matches!(visit(target, false), Visit::Refused(_)));
        let target = "/callback?code=c&state=S1";
        assert!(matches!(visit(target, true), Visit::Refused(_)));
    }

    #[test]
    fn the_providers_refusal_is_passed_on() {
        let target = "/callback?error=access_denied&error_description=not%20you&state=S1";
        let said = Visit::Failed("access_denied (not you)".into());
        assert_eq!(visit(target, false), said);
    }

    #[test]
    fn other_paths_methods_and_noise_are_not_for_us() {
        assert_eq!(visit("/favicon.ico", false), Visit::Other);
        assert_eq!(visit("//callback.evil/x", false), Visit::Other);
        for noise in [
            &b"POST /callback?code=c&state=S1 HTTP/1.1\r\n\r\n"[..],
            b"\xff\xfe",
            b"",
        ] {
            assert_eq!(judge(noise, &expected(false)), Visit::Other);
        }
    }

    #[tokio::test]
    async fn a_guest_with_a_wrong_state_gets_400_and_the_wait_goes_on_to_the_right_one() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let visitor = tokio::spawn(async move {
            // Opens a connection and says nothing, as browsers do; must not block the others.
            let idle = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let mut answers = Vec::new();
            for state in ["wrong", "S1"] {
                let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let head = format!("GET /callback?code=c&state={state} HTTP/1.1\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
                let mut answer = String::new();
                stream.read_to_string(&mut answer).await.unwrap();
                answers.push(answer);
            }
            drop(idle);
            answers
        });
        assert_eq!(wait(&listener, &expected(false)).await.unwrap(), "c");
        let answers = visitor.await.unwrap();
        assert!(answers[0].starts_with("HTTP/1.1 400"));
        assert!(answers[1].starts_with("HTTP/1.1 200"));
    }
}
