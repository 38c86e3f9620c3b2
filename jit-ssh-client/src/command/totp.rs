//! `jit-ssh totp enroll`: a second factor, from QR code to first code and recovery codes.

use ca_core::api::{
    BeginEnrolment, ConfirmEnrolment, EnrolmentBegun, EnrolmentConfirmed, ProblemType,
};
use qrcode::QrCode;
use qrcode::render::unicode::Dense1x2;
use secrecy::ExposeSecret;
use url::Url;
use zeroize::Zeroizing;

use super::{factor_source, sign_in_wish};
use crate::ca::Ca;
use crate::cli::Enroll;
use crate::failure::{Exit, Failure};
use crate::second_factor::{Factor, Source, ask};
use crate::sign_in::{SignedIn, sign_in};
use crate::terminal::tick;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show; the old factor stays until the new one is confirmed.
pub(crate) async fn enroll(ca: &Ca, args: &Enroll) -> Result<(), Failure> {
    let pins = ca.pins().await?;
    let pins = ca.refresh(pins).await?;
    let wish = sign_in_wish(&args.sign_in);
    let signed_in = sign_in(&ca.config, &pins.discovery, &wish, ca.voice).await?;
    let begun = begin(ca, args, &signed_in).await?;
    let uri = Zeroizing::new(begun.otpauth_uri);
    let source = match &args.sign_in.totp_command {
        Some(command) => Source::Command(command.clone()),
        None => {
            show_secret(&uri)?;
            Source::Prompt
        }
    };
    let confirmed = confirm(ca, &signed_in, &source, &uri).await?;
    show_recovery_codes(ca, &confirmed);
    Ok(())
}

/// Begins; with `--replace` the present factor is asked for. Without it nothing is asked and no
/// command runs: a CA that wants a ticket has no use for a code.
async fn begin(ca: &Ca, args: &Enroll, signed_in: &SignedIn) -> Result<EnrolmentBegun, Failure> {
    let mut body = BeginEnrolment {
        id_token: signed_in.id_token.expose_secret().to_owned(),
        session_public_key: signed_in.session_public_key.clone(),
        tickets: args.ticket.clone(),
        totp: None,
        recovery_code: None,
    };
    if !args.replace {
        let begun = ca.api.begin_enrolment(&body).await;
        let required = |failure: &Failure| {
            let kind = failure.problem.as_ref().map(|problem| problem.kind);
            kind == Some(ProblemType::TotpRequired)
        };
        return match begun {
            Err(failure) if required(&failure) => Err(needs_ticket(failure)),
            other => other,
        };
    }
    let source = factor_source(&args.sign_in);
    match ask(&source, "present TOTP code: ", None).await? {
        Factor::Totp(code) => body.totp = Some(code.to_string()),
        Factor::Recovery(code) => body.recovery_code = Some(code.to_string()),
    }
    ca.api.begin_enrolment(&body).await
}

/// The CA wants more than a sign-in: a ticket, or the factor that is there already. It does not say
/// which, so as not to tell a stranger who has one.
fn needs_ticket(mut failure: Failure) -> Failure {
    failure.what =
        "enrolling needs a ticket (or the one given is unknown, used or over)".to_owned();
    failure.lines.clear();
    failure.hints =
        vec!["ask an administrator for one, then: jit-ssh totp enroll --ticket TICKET".to_owned()];
    failure.hint("or, with a factor already, show the present one: jit-ssh totp enroll --replace")
}

/// The first code of the new factor, with one more try for a person.
async fn confirm(
    ca: &Ca,
    signed_in: &SignedIn,
    source: &Source,
    uri: &str,
) -> Result<EnrolmentConfirmed, Failure> {
    let mut may_retry = source.may_retry();
    loop {
        let question = "first code of the new factor: ";
        let Factor::Totp(code) = ask(source, question, Some(uri)).await? else {
            return Err(Failure::usage("the new factor is confirmed by a TOTP code"));
        };
        let body = ConfirmEnrolment {
            id_token: signed_in.id_token.expose_secret().to_owned(),
            session_public_key: signed_in.session_public_key.clone(),
            totp: code.to_string(),
        };
        match ca.api.confirm_enrolment(&body).await {
            Err(failure) if may_retry && failure.exit == Exit::NotAuthenticated => {
                may_retry = false;
                ca.voice.progress("That was not accepted; one more try.");
            }
            other => return other,
        }
    }
}

/// QR code and secret, on the terminal only: stdout may be a file.
fn show_secret(uri: &str) -> Result<(), Failure> {
    use std::io::Write;
    let mut terminal = crate::prompt::terminal().ok_or_else(|| {
        Failure::new(
            Exit::NotAuthenticated,
            "there is no terminal to show the new secret on",
        )
        .hint("run it in a terminal, or add --totp-command CMD, which finds it in $JIT_SSH_OTPAUTH_URI")
    })?;
    let code = QrCode::new(uri.as_bytes()).map(|code| {
        code.render::<Dense1x2>()
            .dark_color(Dense1x2::Light)
            .light_color(Dense1x2::Dark)
            .build()
    });
    let picture = Zeroizing::new(code.unwrap_or_default());
    let secret = secret_of(uri);
    let shown = writeln!(
        terminal,
        "{}\nScan this with your authenticator app, or enter the secret by hand:\n  {}",
        picture.as_str(),
        secret.as_str()
    );
    shown.map_err(|error| Failure::local(format!("cannot use the terminal: {error}")))
}

/// The `secret` of an `otpauth` address, in groups of four; the whole address if there is none.
fn secret_of(uri: &str) -> Zeroizing<String> {
    let url = Url::parse(uri).ok();
    let secret = url.and_then(|url| {
        let mut pairs = url.query_pairs();
        let secret = pairs.find(|(key, _)| key == "secret");
        secret.map(|(_, value)| Zeroizing::new(value.into_owned()))
    });
    let Some(secret) = secret else {
        return Zeroizing::new(uri.to_owned());
    };
    let mut grouped = Zeroizing::new(String::with_capacity(secret.len() * 2));
    for (at, c) in secret.chars().enumerate() {
        if at > 0 && at % 4 == 0 {
            grouped.push(' ');
        }
        grouped.push(c);
    }
    grouped
}

fn show_recovery_codes(ca: &Ca, confirmed: &EnrolmentConfirmed) {
    ca.voice
        .result(&format!("{} the second factor is set up", tick()));
    ca.voice
        .result("Recovery codes, each good once; they are not shown again:");
    for code in &confirmed.recovery_codes {
        ca.voice
            .result(&format!("  {}", crate::terminal::plain(code)));
    }
    ca.voice
        .result("That code is used up: wait for the next one before jit-ssh login ENV.");
    ca.voice
        .json(&serde_json::json!({"recovery_codes": confirmed.recovery_codes}));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lacks_a_ticket_is_told_to_ask_for_one_or_to_replace_the_factor() {
        let problem = r#"{"type":"totp-required","status":401,"title":"second factor required"}"#;
        let refused = crate::problem::failure(serde_json::from_str(problem).unwrap());
        let failure = needs_ticket(refused);
        assert_eq!(failure.exit, Exit::NotAuthenticated);
        assert!(failure.what.contains("enrolling needs a ticket"));
        assert!(failure.hints[0].contains("--ticket TICKET"));
        assert!(failure.hints[1].contains("--replace"));
        assert!(!failure.hints.iter().any(|hint| hint.contains("--fresh")));
    }

    #[test]
    fn the_secret_is_shown_in_groups_for_typing() {
        let uri = "otpauth://totp/CA:alice?secret=ABCDEFGHIJ&issuer=CA";
        assert_eq!(secret_of(uri).as_str(), "ABCD EFGH IJ");
        assert_eq!(secret_of("no address").as_str(), "no address");
    }
}
