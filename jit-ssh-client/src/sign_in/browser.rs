//! Sign-in through a browser on this machine: authorization code with PKCE (RFC 7636) on a
//! loopback redirect (RFC 8252).

use std::io::IsTerminal;
use std::process::Stdio;

use oauth2::{AuthorizationCode, CsrfToken, PkceCodeChallenge, RedirectUrl, Scope};
use secrecy::SecretString;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use url::Url;

use super::Desk;
use super::callback::{self, Expected};
use super::provider::Provider;
use crate::failure::{Exit, Failure};
use crate::terminal::Voice;

/// Opens the provider's page and waits for its answer; gives the ID token.
///
/// # Errors
///
/// A [`Failure`]: no loopback port (7), refused or not finished in time (4), unreachable (6).
pub(super) async fn sign_in(
    provider: &Provider,
    nonce: &str,
    login_hint: Option<&str>,
    desk: &Desk,
    voice: Voice,
) -> Result<SecretString, Failure> {
    let no_port = |error: std::io::Error| {
        Failure::local(format!("cannot listen on 127.0.0.1: {error}")).hint("add --device")
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(no_port)?;
    let port = listener.local_addr().map_err(no_port)?.port();
    let redirect = RedirectUrl::new(format!("http://127.0.0.1:{port}/callback"))
        .map_err(|error| Failure::new(Exit::Broken, format!("bad redirect address: {error}")))?;
    let client = provider.client.clone().set_redirect_uri(redirect);
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let mut request = client
        .authorize_url(CsrfToken::new_random)
        .add_scopes(provider.scopes.iter().cloned().map(Scope::new))
        .set_pkce_challenge(challenge)
        .add_extra_param("nonce", nonce);
    if let Some(hint) = login_hint {
        request = request.add_extra_param("login_hint", hint);
    }
    let (url, state) = request.url();
    let expected = Expected {
        state: state.secret().clone(),
        issuer: provider.issuer().to_owned(),
        iss_required: provider.promises_iss(),
    };
    let browser = open(&url, desk, voice);
    voice.progress("waiting for the browser (Ctrl-C ends)");
    let code = come_back(&listener, &expected, browser, voice).await?;
    let http = provider.http();
    let response = client
        .exchange_code(AuthorizationCode::new(code))
        .set_pkce_verifier(verifier)
        .request_async(&|request| Provider::call(http.clone(), request))
        .await
        .map_err(|error| provider.failed(&error))?;
    provider.id_token(&response)
}

/// Opens `url` and says so. A browser that does not open is no failure: the address is shown.
fn open(url: &Url, desk: &Desk, voice: Voice) -> Option<Child> {
    if desk.has_no_browser() {
        voice.progress(&format!("To sign in, visit\n  {url}"));
        return None;
    }
    voice.progress(&format!("Opening your browser to sign in (or visit {url})"));
    let Some(command) = &desk.browser else {
        let url = url.to_string();
        // Some desktops answer late; nobody waits for this.
        drop(tokio::task::spawn_blocking(move || {
            webbrowser::open(&url).ok()
        }));
        return None;
    };
    let errors = if std::io::stderr().is_terminal() {
        // A browser's chatter would run into the prompt.
        Stdio::null()
    } else {
        Stdio::inherit()
    };
    Command::new("sh")
        .arg("-c")
        .arg(format!("{command} \"$1\""))
        .args(["sh", url.as_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()
        .ok()
}

/// Waits for the answer. A browser command that fails ends the wait when nobody can open the
/// address by hand.
async fn come_back(
    listener: &TcpListener,
    expected: &Expected,
    browser: Option<Child>,
    voice: Voice,
) -> Result<String, Failure> {
    let answer = callback::wait(listener, expected);
    tokio::pin!(answer);
    let Some(mut browser) = browser else {
        return answer.await;
    };
    tokio::select! {
        // In this order: a browser that ends right after its visit has done its work.
        biased;
        code = &mut answer => return code,
        status = browser.wait() => {
            let failed = status.map_or(true, |status| !status.success());
            if failed && !std::io::stderr().is_terminal() {
                return Err(Failure::new(
                    Exit::NotAuthenticated,
                    "the browser command ended with an error before the sign-in came back",
                )
                .hint("see what it says, check $BROWSER, or add --device"));
            }
            if failed {
                voice.warn("the browser did not open; visit the address above by hand");
            }
        }
    }
    answer.await
}
