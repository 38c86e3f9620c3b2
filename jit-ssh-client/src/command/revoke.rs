//! `jit-ssh revoke`: certificates taken away from whoever holds them.

use ca_core::api::{Revoke as Body, Revoked};
use secrecy::SecretString;

use super::done::joined;
use super::{caller, consent, written};
use crate::ca::Ca;
use crate::cli::Revoke;
use crate::failure::Failure;
use crate::terminal::{plain, tick};

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show; nothing is revoked unless the person said yes.
pub(crate) async fn run(ca: &Ca, args: &Revoke) -> Result<(), Failure> {
    let reason = args.reason.as_deref();
    let reason = reason.map(|text| written("--reason", text)).transpose()?;
    let body = Body {
        serial: args.what.serial,
        mine: None,
        request: args.what.request,
        person: args.what.person.clone(),
        session_of: args.what.session_of,
        key: args.what.key.clone(),
        reason: reason.map(str::to_owned),
    };
    let what = meant(&body);
    consent(
        args.yes,
        &format!("Revoke {what}, and end its ssh sessions?"),
    )?;
    let mut caller = caller(ca, &args.sign_in).await?;
    let call = async |token: &SecretString| ca.api.revoke(token, &body).await;
    let revoked = caller.call(call).await?;
    ca.voice.result(&result(&what, &revoked));
    ca.voice.json(&serde_json::json!(revoked));
    Ok(())
}

fn meant(body: &Body) -> String {
    let person = body.person.as_deref().map(|name| {
        let name = plain(name);
        format!("everything {name} has now, and {name}'s sessions at the CA")
    });
    let serial = body
        .serial
        .map(|serial| format!("the certificate with serial {serial}"));
    let request = body
        .request
        .map(|id| format!("what was issued for request {id}"));
    let session = body.session_of.map(|serial| {
        format!(
            "the session at the CA that serial {serial} came through, and all that came through it"
        )
    });
    let key = body.key.as_deref();
    let key = key.map(|key| format!("every certificate of key {}", plain(key)));
    let all = [serial, request, person, session, key];
    all.into_iter().flatten().next().unwrap_or_default()
}

fn result(what: &str, revoked: &Revoked) -> String {
    match (revoked.serials.as_slice(), revoked.index) {
        ([], None) => format!("nothing to revoke: {what} is not live"),
        ([], Some(index)) => format!(
            "{} revoked {what}: no certificate was live   record {index}",
            tick()
        ),
        (serials, _) => format!(
            "{} revoked serial {}; their running ssh sessions end on every host that follows the revocation list (see: jit-ssh hosts)",
            tick(),
            joined(serials)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_says_how_much_is_taken_away() {
        let person = Body {
            person: Some("alice".into()),
            ..Body::default()
        };
        assert_eq!(
            meant(&person),
            "everything alice has now, and alice's sessions at the CA"
        );
        let key = Body {
            key: Some("SHA256:x\u{1b}".into()),
            ..Body::default()
        };
        assert!(!meant(&key).contains('\u{1b}'));
    }

    #[test]
    fn what_was_revoked_already_is_no_success_and_no_failure() {
        let none = Revoked {
            serials: Vec::new(),
            index: None,
        };
        assert!(result("x", &none).starts_with("nothing to revoke"));
        let some = Revoked {
            serials: vec![4, 5],
            index: Some(9),
        };
        assert!(result("x", &some).contains("revoked serial 4, 5"));
    }
}
