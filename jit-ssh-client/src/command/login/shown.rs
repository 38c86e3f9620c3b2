//! What a login shows at its end: the certificate, or the request that is still open.

use std::process::ExitCode;
use std::time::Duration;

use ca_core::api::{AccessRequest, DiscoveredEnvironment, IssuedCertificate, RequestStatus};
use ca_core::name::Principal;
use ca_core::time::Timestamp;

use crate::ca::Ca;
use crate::clock;
use crate::failure::Exit;
use crate::grant::{self, Grant};
use crate::issue::Keeper;
use crate::problem::quoted;
use crate::request::{resume, standing};
use crate::span;
use crate::terminal::tick;
use crate::wait::Stop;

/// A certificate that was there already.
pub(in crate::command) fn held(ca: &Ca, held: &Grant, now: Timestamp) {
    let certificate = &held.certificate;
    ca.voice.result(&format!(
        "{} {} as {} until {} ({} left)   serial {}   give back: jit-ssh done {}",
        tick(),
        held.environment,
        certificate.principals.join(", "),
        span::clock_time(held.end(), now),
        span::show(held.left(now)),
        certificate.serial,
        held.environment
    ));
    ca.voice.json(&serde_json::json!({
        "serial": certificate.serial,
        "environment": held.environment,
        "principals": certificate.principals,
        "key_id": certificate.key_id,
        "valid_after": Timestamp::from_unix_seconds(certificate.valid_after),
        "valid_before": held.end(),
    }));
}

/// A certificate that was just issued.
pub(in crate::command) fn issued(
    ca: &Ca,
    issued: &IssuedCertificate,
    environment: &DiscoveredEnvironment,
    keeper: &Keeper,
) {
    in_words(ca, issued, environment, keeper);
    ca.voice.json(&as_json(issued));
}

/// The same for programs.
pub(in crate::command) fn as_json(issued: &IssuedCertificate) -> serde_json::Value {
    serde_json::json!({
        "serial": issued.serial,
        "environment": issued.environment,
        "principals": issued.principals,
        "key_id": issued.key_id,
        "valid_after": issued.valid_after,
        "valid_before": issued.valid_before,
    })
}

/// The same for people.
pub(in crate::command) fn in_words(
    ca: &Ca,
    issued: &IssuedCertificate,
    environment: &DiscoveredEnvironment,
    keeper: &Keeper,
) {
    let names: Vec<&str> = issued.principals.iter().map(Principal::as_str).collect();
    let span = issued.valid_before.since(issued.server_time);
    ca.voice.result(&format!(
        "{} {} as {} until {} ({})   serial {}   give back: jit-ssh done {}",
        tick(),
        issued.environment,
        names.join(", "),
        span::clock_time(issued.valid_before, clock::now()),
        // The answer took its time; a grant of one hour should not read as 59 min.
        span::show(span.saturating_add(Duration::from_millis(1999))),
        issued.serial,
        issued.environment
    ));
    let user = names.first().copied().unwrap_or("NAME");
    let host = environment.host_patterns.first();
    let host = host.map_or("HOST".to_owned(), |pattern| {
        pattern.replace("**", "*").replace('*', "HOST")
    });
    let host = crate::terminal::plain(&host);
    match keeper {
        Keeper::Agent { confirm, .. } => {
            ca.voice.result(&format!("  ssh {user}@{host}"));
            if *confirm {
                ca.voice.progress(
                    "Each use asks first; that needs SSH_ASKPASS in the agent's environment.",
                );
            }
        }
        Keeper::File => {
            let path = grant::key_file(&ca.config, &issued.environment);
            let path = quoted(&path.display().to_string());
            ca.voice.result(&format!("  ssh -i {path} {user}@{host}"));
            ca.voice.progress(&format!(
                "The private key is in the file {path}; it is removed by: jit-ssh done {}",
                issued.environment
            ));
        }
    }
}

/// A request that is still open while nobody waits for it any more; the exit code for that.
pub(in crate::command) fn open(ca: &Ca, request: &AccessRequest, stop: Stop) -> ExitCode {
    for line in open_lines(request, stop, clock::now()) {
        ca.voice.result(&line);
    }
    ca.voice.json(&serde_json::json!({
        "request": request,
        "resume": resume(request),
    }));
    ExitCode::from(Exit::Waiting.code())
}

fn open_lines(request: &AccessRequest, stop: Stop, now: Timestamp) -> Vec<String> {
    let id = request.id;
    let stopped = match stop {
        Stop::Interrupted => "you stopped waiting; ",
        Stop::TimeOver => "the wait is over; ",
        Stop::NotWanted => "",
    };
    let mut lines = vec![
        format!("{stopped}request {id} stays open"),
        format!("  {}", standing(request, now)),
    ];
    if request.status == RequestStatus::Waiting {
        lines.push(format!("  approve with: jit-ssh approve {id}"));
    }
    let when = match request.not_before.filter(|begin| now < *begin) {
        Some(begin) => format!(" (from {} on)", span::clock_time(begin, now)),
        None => String::new(),
    };
    lines.push(format!("  go on with:   {}{when}", resume(request)));
    lines.push(format!("  take it back: jit-ssh withdraw {id}"));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::tests::request;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn who_stops_waiting_reads_that_the_request_stays_and_how_to_take_it_back() {
        let text = open_lines(&request(17), Stop::Interrupted, NOW).join("\n");
        for part in [
            "you stopped waiting; request 17 stays open",
            "jit-ssh approve 17",
            "jit-ssh login prod",
            "jit-ssh withdraw 17",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn a_scheduled_request_says_from_when_on_to_run_login_again() {
        let scheduled = AccessRequest {
            status: RequestStatus::Approved,
            not_before: Some(NOW.plus(Duration::from_secs(3 * 3600))),
            ..request(17)
        };
        let text = open_lines(&scheduled, Stop::NotWanted, NOW).join("\n");
        assert!(
            text.contains("begins 2027-01-15") && text.contains("(in 3 h)"),
            "{text}"
        );
        assert!(text.contains("jit-ssh login prod (from "), "{text}");
        assert!(!text.contains("jit-ssh approve"), "{text}");
    }
}
