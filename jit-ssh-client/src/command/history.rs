//! `jit-ssh history ID`: the story of one grant, a line for each record in the log.

use ca_core::api::HistoryLine;
use jiff::tz::TimeZone;
use secrecy::SecretString;

use super::caller;
use crate::ca::Ca;
use crate::cli::History;
use crate::failure::Failure;
use crate::moment;
use crate::table;
use crate::terminal::plain;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(ca: &Ca, args: &History) -> Result<(), Failure> {
    let mut caller = caller(ca, &args.sign_in).await?;
    let number = args.number;
    let call = async |token: &SecretString| ca.api.history(token, number).await;
    let history = caller.call(call).await?;
    for line in told(&history.lines, &TimeZone::system()) {
        ca.voice.result(&line);
    }
    ca.voice.json(&serde_json::json!(history));
    Ok(())
}

fn told(lines: &[HistoryLine], zone: &TimeZone) -> Vec<String> {
    if lines.is_empty() {
        return vec!["the log has nothing about it".to_owned()];
    }
    let rows = lines.iter().map(|line| {
        [
            moment::show_seconds(line.time, zone),
            line.index.to_string(),
            line.by
                .as_ref()
                .map_or_else(|| "-".to_owned(), ToString::to_string),
            plain(&line.sentence),
        ]
    });
    table::lines(["TIME", "RECORD", "WHO", "WHAT HAPPENED"], rows.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_its_time_its_log_index_who_and_what() {
        let lines: Vec<HistoryLine> = serde_json::from_value(serde_json::json!([
            {"index": 17, "time": "2027-01-15T07:00:00Z", "kind": "request-opened", "by": "alice", "sentence": "asked for prod as root"},
            {"index": 19, "time": "2027-01-15T07:00:05Z", "kind": "ssh-session", "sentence": "ended\u{1b}[2J", "serial": 19},
        ]))
        .unwrap();
        assert_eq!(
            told(&lines, &TimeZone::UTC),
            [
                "TIME                        RECORD  WHO    WHAT HAPPENED",
                "2027-01-15 07:00:00 +00:00  17      alice  asked for prod as root",
                "2027-01-15 07:00:05 +00:00  19      -      ended\\u{1b}[2J",
            ]
        );
    }
}
