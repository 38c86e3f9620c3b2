//! `jit-ssh hosts`: where the newest revocations are in force, and when each host was last heard of.

use std::time::Duration;

use ca_core::api::HostStatus;
use ca_core::name::HostName;
use ca_core::time::Timestamp;
use secrecy::SecretString;

use super::caller;
use super::login::parse_environment;
use crate::ca::Ca;
use crate::cli::Hosts;
use crate::failure::Failure;
use crate::span;
use crate::table;

/// Runs the command.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn run(ca: &Ca, args: &Hosts) -> Result<(), Failure> {
    let wanted = args.environment.as_deref().map(parse_environment);
    let wanted = wanted.transpose()?;
    let mut caller = caller(ca, &args.sign_in).await?;
    if let Some(name) = &wanted {
        ca.environment(&mut caller.pins, name).await?;
    }
    let call = async |token: &SecretString| ca.api.hosts(token).await;
    let mut found = caller.call(call).await?;
    found
        .hosts
        .retain(|host| wanted.as_ref().is_none_or(|name| *name == host.environment));
    // By the CA's clock, which also dated what is shown.
    for line in listed(&found.hosts, found.server_time) {
        ca.voice.result(&line);
    }
    ca.voice.json(&serde_json::json!(found));
    Ok(())
}

fn listed(hosts: &[HostStatus], now: Timestamp) -> Vec<String> {
    if hosts.is_empty() {
        return vec!["no host is enrolled (let one join: jit-ssh host-token ENV NAME)".to_owned()];
    }
    let rows = hosts.iter().map(|host| {
        let names: Vec<&str> = host.names.iter().map(HostName::as_str).collect();
        let ended = host.certificate_valid_before.filter(|end| *end <= now);
        [
            names.join(","),
            host.environment.to_string(),
            revocations(host),
            host.acknowledged_after_milliseconds
                .map_or_else(|| "-".to_owned(), took),
            host.last_seen.map_or_else(
                || "not since the CA started".to_owned(),
                |seen| format!("{} ago", span::show(now.since(seen))),
            ),
            host.ssh_sessions.to_string(),
            match (host.certificate_valid_before, ended) {
                (None, _) => "none".to_owned(),
                (_, Some(end)) => format!("ENDED {}", span::clock_time(end, now)),
                (Some(end), None) => format!("until {}", span::clock_time(end, now)),
            },
        ]
    });
    let heading = [
        "HOST",
        "ENVIRONMENT",
        "REVOCATIONS",
        "AFTER",
        "LAST SEEN",
        "SESSIONS",
        "CERTIFICATE",
    ];
    let mut lines = table::lines(heading, rows.collect());
    let current = hosts.iter().filter(|host| is_current(host)).count();
    lines.push(format!(
        "{current} of {} have the newest revocations in force",
        hosts.len()
    ));
    lines
}

fn is_current(host: &HostStatus) -> bool {
    host.krl_version == Some(host.krl_version_newest)
}

/// The version in force, and how far it is behind.
fn revocations(host: &HostStatus) -> String {
    let newest = host.krl_version_newest;
    match host.krl_version {
        None => format!("none of {newest} yet"),
        Some(version) if version == newest => format!("{version} current"),
        Some(version) => format!("{version} of {newest} BEHIND"),
    }
}

fn took(milliseconds: u64) -> String {
    if milliseconds >= 60_000 {
        return span::show(Duration::from_millis(milliseconds));
    }
    format!("{}.{} s", milliseconds / 1000, milliseconds / 100 % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_behind_or_silent_stands_out() {
        let hosts: Vec<HostStatus> = serde_json::from_value(serde_json::json!([
            {"host": 5, "environment": "prod", "names": ["web1.prod.example.com", "web1"], "krl_version": 9,
             "krl_version_newest": 9, "acknowledged_after_milliseconds": 840,
             "last_seen": "2027-01-15T07:59:55Z", "ssh_sessions": 2, "certificate_valid_before": "2027-01-16T08:00:00Z"},
            {"host": 6, "environment": "prod", "names": ["db1"], "krl_version": 7, "krl_version_newest": 9,
             "last_seen": "2027-01-15T07:57:00Z", "ssh_sessions": 0, "certificate_valid_before": "2027-01-15T07:00:00Z"},
            {"host": 7, "environment": "prod", "names": ["db2"], "krl_version_newest": 9, "ssh_sessions": 0},
        ]))
        .unwrap();
        let lines = listed(&hosts, Timestamp::from_unix_seconds(1_800_000_000));
        for (line, parts) in [
            (
                1,
                [
                    "web1.prod.example.com,web1",
                    "9 current",
                    "0.8 s",
                    "5 s ago",
                ],
            ),
            (2, ["db1", "7 of 9 BEHIND", "3 min ago", "ENDED"]),
            (
                3,
                ["db2", "none of 9 yet", "not since the CA started", "none"],
            ),
        ] {
            for part in parts {
                assert!(lines[line].contains(part), "{part}: {}", lines[line]);
            }
        }
        assert_eq!(lines[4], "1 of 3 have the newest revocations in force");
    }
}
