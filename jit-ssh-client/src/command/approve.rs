//! `jit-ssh approve ID`: yes to exactly what was shown.

use ca_core::api::{AccessRequest, Approve as Body, ProblemType, RequestStatus};
use secrecy::SecretString;

use super::login::parse_duration;
use super::{caller, consent};
use crate::ca::Ca;
use crate::cli::Approve;
use crate::clock;
use crate::failure::Failure;
use crate::problem::kind;
use crate::request::{over, standing, whole};
use crate::span;
use crate::terminal::{tick, to_stderr};

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show; nothing is approved unless the person said yes.
pub(crate) async fn run(ca: &Ca, args: &Approve) -> Result<(), Failure> {
    let duration = parse_duration("--for", args.duration.as_deref())?;
    let mut caller = caller(ca, &args.sign_in).await?;
    let id = args.id;
    let call = async |token: &SecretString| ca.api.access_request(token, id, None).await;
    let request = caller.call(call).await?;
    // On stderr: it is there to be looked at, also with --json.
    for line in whole(&request, clock::now()) {
        to_stderr(&line);
    }
    decidable(&request)?;
    consent(args.yes, &question(&request, duration))?;
    let body = Body {
        digest: request.digest,
        duration_seconds: duration.map(|duration| duration.as_secs()),
    };
    let call = async |token: &SecretString| ca.api.approve(token, id, &body).await;
    let approved = caller
        .call(call)
        .await
        .map_err(|failure| changed(failure, id))?;
    ca.voice.result(&format!(
        "{} you approved request {id} of {}: {}",
        tick(),
        approved.user,
        standing(&approved, clock::now())
    ));
    ca.voice.json(&serde_json::json!(approved));
    Ok(())
}

/// Whether a yes makes sense. Who may say it is the CA's to judge.
fn decidable(request: &AccessRequest) -> Result<(), Failure> {
    match request.status {
        RequestStatus::Waiting => Ok(()),
        RequestStatus::Approved => Err(Failure::usage(format!(
            "request {} has the approvals it needs",
            request.id
        ))),
        _ => {
            let failure = over(request);
            let lines = failure.lines;
            Err(Failure {
                lines,
                ..Failure::usage(failure.what)
            })
        }
    }
}

fn question(request: &AccessRequest, duration: Option<std::time::Duration>) -> String {
    let shorter = duration.map(|duration| format!(", for {} at most", span::show(duration)));
    format!(
        "Approve request {} of {}{}?",
        request.id,
        request.user,
        shorter.unwrap_or_default()
    )
}

fn changed(failure: Failure, id: u64) -> Failure {
    if kind(&failure) == Some(ProblemType::RequestChanged) {
        return failure
            .line("it is not what you were shown, so it was not approved")
            .hint(format!("look at it again: jit-ssh approve {id}"));
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::tests::request;

    #[test]
    fn only_a_waiting_request_is_asked_about() {
        assert!(decidable(&request(17)).is_ok());
        for status in [
            RequestStatus::Approved,
            RequestStatus::Activated,
            RequestStatus::Denied,
            RequestStatus::Expired,
            RequestStatus::Withdrawn,
        ] {
            let request = AccessRequest {
                status,
                ..request(17)
            };
            let failure = decidable(&request).unwrap_err();
            assert_eq!(failure.exit.code(), 2, "{status:?}");
            assert!(failure.what.contains("17"), "{}", failure.what);
        }
    }

    #[test]
    fn the_question_names_the_person_and_the_shorter_window() {
        let half = Some(std::time::Duration::from_secs(1800));
        assert_eq!(
            question(&request(17), half),
            "Approve request 17 of alice, for 30 min at most?"
        );
    }
}
