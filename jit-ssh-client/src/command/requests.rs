//! `jit-ssh requests`: what waits, for whom, a line each.

use ca_core::api::{AccessRequest, RequestsQuery, RequestsShown};
use ca_core::time::Timestamp;
use secrecy::SecretString;

use super::caller;
use crate::ca::Ca;
use crate::cli::ListRequests;
use crate::clock;
use crate::failure::Failure;
use crate::request::{commands, names, standing};
use crate::span;
use crate::table;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(ca: &Ca, args: &ListRequests) -> Result<(), Failure> {
    let query = RequestsQuery {
        show: match (args.mine, args.to_approve) {
            (true, _) => RequestsShown::Mine,
            (false, true) => RequestsShown::ToApprove,
            (false, false) => RequestsShown::All,
        },
    };
    let mut caller = caller(ca, &args.sign_in).await?;
    let call = async |token: &SecretString| ca.api.requests(token, query).await;
    let found = caller.call(call).await?;
    for line in listed(&found.requests, clock::now()) {
        ca.voice.result(&line);
    }
    ca.voice.json(&serde_json::json!(found));
    Ok(())
}

/// The table, and for a single request what can be done about it.
fn listed(requests: &[AccessRequest], now: Timestamp) -> Vec<String> {
    if requests.is_empty() {
        return vec!["no access request is open".to_owned()];
    }
    let rows = requests.iter().map(|request| {
        [
            request.id.to_string(),
            request.user.to_string(),
            format!("{} as {}", request.environment, names(request)),
            span::show(std::time::Duration::from_secs(request.duration_seconds)),
            span::clock_time(request.opened_at, now),
            standing(request, now),
        ]
    });
    let heading = ["ID", "WHO", "WANTS", "FOR", "ASKED", "STATUS"];
    let mut lines = table::lines(heading, rows.collect());
    match requests {
        [only] => lines.extend(commands(only)),
        _ => lines.push("look at one with: jit-ssh show ID".to_owned()),
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terms::tests::request;

    #[test]
    fn each_request_is_a_line_and_a_single_one_comes_with_its_commands() {
        let now = Timestamp::from_unix_seconds(1_800_000_000);
        assert_eq!(listed(&[], now), ["no access request is open"]);
        let one = listed(&[request(17)], now);
        assert!(one[0].starts_with("ID  WHO"), "{one:?}");
        assert!(
            one[1].contains("alice") && one[1].contains("prod as root"),
            "{one:?}"
        );
        assert!(one[2].contains("jit-ssh withdraw 17"), "{one:?}");
        let two = listed(&[request(17), request(18)], now);
        assert_eq!(
            two.last().map(String::as_str),
            Some("look at one with: jit-ssh show ID")
        );
    }
}
