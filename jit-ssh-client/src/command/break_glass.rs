//! `jit-ssh break-glass ENV --reason TEXT`: access at once, loudly.
//!
//! One command is enough: an open session, a normal sign-in, or, while the identity provider is
//! away, the key that was enrolled on a good day.

use ca_core::api::{IssuedCertificate, OpenBreakGlassSession, ProblemType, Review};
use ca_core::serial::Serial;
use owo_colors::OwoColorize;
use secrecy::SecretString;

use super::login::{known, parse_duration, parse_environment, parse_principals, shown};
use super::{caller, written};
use crate::access::{Caller, wants_sign_in};
use crate::agent::Agent;
use crate::break_glass_key::{find, sign};
use crate::ca::Ca;
use crate::cli::BreakGlass;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::issue::{Ground, Keeper, Outcome, Wish, issue};
use crate::problem::{kind, quoted};
use crate::second_factor::{Factor, ask};
use crate::session::Session;
use crate::sign_in::reach_provider;
use crate::terminal::to_stderr;

const PROVIDER_AWAY: &str =
    "the identity provider does not answer; signing in with the break-glass key";

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(ca: &Ca, args: &BreakGlass) -> Result<(), Failure> {
    let name = parse_environment(&args.environment)?;
    let reason = written("--reason", &args.reason)?;
    let principals = parse_principals(&args.principals)?;
    let duration = parse_duration("--for", args.duration.as_deref())?;
    let mut caller = caller(ca, &args.sign_in).await?;
    let environment = known(ca, &mut caller.pins, &name, duration)
        .await
        .map_err(offline)?;
    let mut agent = Agent::connect()?;
    agent.probe(false, clock::now())?;
    let mut keeper = Keeper::Agent {
        agent,
        confirm: false,
    };
    let wish = Wish {
        environment,
        principals,
        duration,
        reason: Some(reason.to_owned()),
        ticket: args.ticket.clone(),
        not_before: None,
        ground: Ground::BreakGlass,
    };
    loud(&format!("BREAK-GLASS for {name}: {reason}"));
    loud(
        "This is recorded, granted or not. If granted, it is told to the CA's webhooks and reviewed.",
    );
    let issued = obtain(&mut caller, args, &wish, &mut keeper)
        .await
        .map_err(|failure| instead(offline(failure), &wish))?;
    shown::in_words(ca, &issued, &wish.environment, &keeper);
    let review = review(&mut caller, &issued).await;
    let mut document = shown::as_json(&issued);
    if let Some(fields) = document.as_object_mut() {
        fields.insert("review".to_owned(), review.into());
    }
    ca.voice.json(&document);
    loud(&format!(
        "Review {review} must be closed by somebody else: jit-ssh review {review} --finding TEXT"
    ));
    loud("Until then it is shown everywhere, and may stand in the way of your next break-glass.");
    Ok(())
}

/// On stderr in red, whatever is on stdout.
fn loud(line: &str) {
    to_stderr(&format!("{} {}", "!!".red().bold(), line.bold()));
}

/// The certificate, through whatever sign-in works.
async fn obtain(
    caller: &mut Caller<'_>,
    args: &BreakGlass,
    wish: &Wish,
    keeper: &mut Keeper,
) -> Result<Box<IssuedCertificate>, Failure> {
    let adopted = adopt(caller, args).await?;
    let outcome = match issue(caller, wish, keeper).await {
        // The session was over or too old, and the provider is away.
        Err(failure) if !adopted && may_need_key(&failure) => {
            if kind(&failure).is_none() && provider_answers(caller).await {
                return Err(failure);
            }
            caller.ca.voice.warn(PROVIDER_AWAY);
            sign_in_with_key(caller, args).await?;
            issue(caller, wish, keeper).await
        }
        // An emergency session of earlier may be over.
        Err(failure) if adopted && wants_sign_in(&failure) => {
            sign_in_with_key(caller, args).await?;
            issue(caller, wish, keeper).await
        }
        other => other,
    };
    match outcome? {
        Outcome::Issued(issued) => Ok(issued),
        Outcome::Waits(_) => {
            let what = "the CA wants an emergency to wait, which it must not";
            Err(Failure::new(Exit::Broken, what))
        }
    }
}

/// Decides which session to begin with; whether it is one of a break-glass key.
async fn adopt(caller: &mut Caller<'_>, args: &BreakGlass) -> Result<bool, Failure> {
    if args.key.is_some() {
        sign_in_with_key(caller, args).await?;
        return Ok(true);
    }
    let hint = args.sign_in.login_hint.as_deref();
    let stored = Session::load(&caller.ca.config)?;
    match stored.filter(|session| session.serves(hint, clock::now())) {
        Some(session) if session.break_glass => {
            caller.adopt(session);
            Ok(true)
        }
        Some(_) => Ok(false),
        None if provider_answers(caller).await => Ok(false),
        None => {
            caller.ca.voice.warn(PROVIDER_AWAY);
            sign_in_with_key(caller, args).await?;
            Ok(true)
        }
    }
}

/// Whether it failed because of the provider, as far as can be seen from here.
fn may_need_key(failure: &Failure) -> bool {
    let refused = kind(failure) == Some(ProblemType::ProviderUnavailable);
    refused || (failure.exit == Exit::Unreachable && failure.problem.is_none())
}

async fn provider_answers(caller: &Caller<'_>) -> bool {
    let issuer = caller.pins.discovery.issuers.first();
    match issuer {
        Some(issuer) => reach_provider(&caller.ca.config, issuer).await.is_ok(),
        None => false,
    }
}

/// A session by the enrolled key and a TOTP code, in place of the provider.
async fn sign_in_with_key(caller: &mut Caller<'_>, args: &BreakGlass) -> Result<(), Failure> {
    let ca = caller.ca;
    let path = find(&ca.config, args.key.as_deref())?;
    // First, so that nobody looks for a code while the CA is away too.
    let challenge = ca.api.challenge().await?.challenge;
    let factor = ask(&caller.plan().factor, "TOTP code: ", None).await?;
    let Factor::Totp(code) = factor else {
        return Err(Failure::usage(
            "with a break-glass key only a TOTP code counts",
        ));
    };
    ca.voice.progress(&format!(
        "Signing in with the break-glass key {} (touch it if it waits)",
        path.display()
    ));
    let signed = sign(&path, &challenge).await?;
    let body = OpenBreakGlassSession {
        public_key: signed.public_key,
        challenge,
        signature: signed.signature,
        totp: code.to_string(),
    };
    let opened = ca.api.open_break_glass_session(&body).await?;
    let mut session = Session::opened(opened, args.sign_in.login_hint.as_deref());
    session.break_glass = true;
    let stored = Session::load(&ca.config)?;
    let serves = stored.is_some_and(|s| s.user == session.user && s.serves(None, clock::now()));
    if !serves {
        // So that it can be given back. A session of the provider's does that too, and more.
        session.save(&ca.config)?;
    }
    caller.adopt(session);
    Ok(())
}

/// The number of the review that this opened.
async fn review(caller: &mut Caller<'_>, issued: &IssuedCertificate) -> u64 {
    let ca = caller.ca;
    let call = async |token: &SecretString| ca.api.session(token).await;
    let open = caller.call_as_is(call).await.map(|status| status.reviews);
    number(&open.unwrap_or_default(), issued.serial)
}

/// Its own number, or by rule the index of the certificate's record.
fn number(reviews: &[Review], serial: u64) -> u64 {
    let named = reviews.iter().find(|review| review.serial == serial);
    let by_rule = || Serial::try_from(serial).map_or(serial, Serial::index);
    named.map_or_else(by_rule, |review| review.id)
}

/// `failure` with what is left when policy said no.
fn instead(failure: Failure, wish: &Wish) -> Failure {
    if failure.exit != Exit::Denied {
        return failure;
    }
    failure
        .hint("emergencies that wait for a judgement: jit-ssh reviews")
        .hint(format!(
            "ask for approvals instead: jit-ssh login {} --reason {}",
            wish.environment.name,
            quoted(wish.reason.as_deref().unwrap_or("WHY"))
        ))
}

/// `failure` with the way that needs no CA.
fn offline(failure: Failure) -> Failure {
    if failure.exit != Exit::Unreachable || failure.problem.is_some() {
        return failure;
    }
    failure.hint(
        "if the CA itself is down, the holders of the sealed key can sign a certificate: ca-server break-glass sign",
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::reviews::tests::review;

    fn refused(kind: &str) -> Failure {
        let json = format!(r#"{{"type":"{kind}","status":500,"title":"x"}}"#);
        crate::problem::failure(serde_json::from_str(&json).unwrap())
    }

    #[test]
    fn the_key_helps_against_a_provider_that_is_away_and_not_against_a_no() {
        assert!(may_need_key(&refused("provider-unavailable")));
        assert!(may_need_key(&Failure::new(Exit::Unreachable, "no answer")));
        for no in ["denied", "frozen", "busy", "login-refused", "totp-required"] {
            assert!(!may_need_key(&refused(no)), "{no}");
        }
    }

    #[test]
    fn the_review_is_named_by_the_ca_or_else_by_rule() {
        assert_eq!(number(&[review(42, false)], 1042), 42);
        let serial = Serial::new(5, 77).unwrap().get();
        assert_eq!(number(&[review(42, false)], serial), 77);
    }

    #[test]
    fn who_cannot_reach_the_ca_reads_of_the_offline_way() {
        let away = offline(Failure::new(Exit::Unreachable, "the CA cannot be reached"));
        assert!(away.hints[0].contains("ca-server break-glass sign"));
        assert!(
            offline(refused("busy"))
                .hints
                .iter()
                .all(|hint| !hint.contains("sealed"))
        );
    }
}
