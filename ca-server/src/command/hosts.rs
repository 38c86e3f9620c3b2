//! `ca-server hosts`: what the running server knows of each host, for whoever is on its machine.

use anyhow::Context as _;
use ca_core::api::{HostStatus, Hosts};
use clap::Args;

use super::place::Place;
use crate::admin::AdminStore;

/// List the hosts: whether the newest revocations are in force there, and when they last asked.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example:\n  ca-server hosts --dir /var/lib/jit-ssh")]
pub struct HostsCommand {
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

impl HostsCommand {
    /// Prints.
    ///
    /// # Errors
    ///
    /// When the server does not run, or may not be asked.
    #[expect(clippy::print_stdout, reason = "this is what the command is for")]
    pub fn run(&self) -> anyhow::Result<()> {
        let config = self.place.config()?;
        let admin = AdminStore::connect(&config.admin_socket)?;
        let admin = admin.context(
            "the server does not run, and only it hears of hosts: start it with ca-server serve",
        )?;
        let hosts = admin.hosts()?;
        if self.json {
            println!("{}", serde_json::to_string_pretty(&hosts)?);
            return Ok(());
        }
        for host in &hosts.hosts {
            println!("{}", line(host, &hosts));
        }
        println!("{}", summary(&hosts));
        Ok(())
    }
}

fn line(host: &HostStatus, hosts: &Hosts) -> String {
    let names: Vec<&str> = host.names.iter().map(|name| name.as_str()).collect();
    let list = match (host.krl_version, host.acknowledged_after_milliseconds) {
        (None, _) => "no list acknowledged yet".to_owned(),
        (Some(version), _) if version != host.krl_version_newest => "BEHIND".to_owned(),
        (_, Some(after)) => format!("current after {after} ms"),
        (_, None) => "current".to_owned(),
    };
    let seen = host.last_seen.map_or_else(
        || "not seen since the server started".to_owned(),
        |seen| format!("seen {} s ago", hosts.server_time.since(seen).as_secs()),
    );
    format!(
        "{} {} ({}): {list}, {seen}, {} ssh sessions",
        host.host,
        names.join(","),
        host.environment,
        host.ssh_sessions
    )
}

/// The sentence that matters after a revocation.
fn summary(hosts: &Hosts) -> String {
    let current = |host: &&HostStatus| host.krl_version == Some(host.krl_version_newest);
    let count = hosts.hosts.iter().filter(current).count();
    let slowest = hosts
        .hosts
        .iter()
        .filter(current)
        .filter_map(|host| host.acknowledged_after_milliseconds)
        .max();
    let within = slowest.map_or_else(String::new, |after| format!(" within {after} ms"));
    format!(
        "{count} of {} hosts have the newest revocations in force{within}",
        hosts.hosts.len()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_that_is_behind_stands_out_and_does_not_count() {
        let hosts: Hosts = serde_json::from_value(serde_json::json!({
            "server_time": "2026-11-24T12:00:10Z",
            "hosts": [
                { "host": 7, "environment": "prod", "names": ["web1"], "krl_version": 9,
                  "krl_version_newest": 9, "acknowledged_after_milliseconds": 80,
                  "last_seen": "2026-11-24T12:00:08Z", "ssh_sessions": 2 },
                { "host": 8, "environment": "prod", "names": ["web2", "w2"], "krl_version": 5,
                  "krl_version_newest": 9, "ssh_sessions": 0 },
            ],
        }))
        .unwrap();
        assert_eq!(
            line(&hosts.hosts[0], &hosts),
            "7 web1 (prod): current after 80 ms, seen 2 s ago, 2 ssh sessions"
        );
        let behind = line(&hosts.hosts[1], &hosts);
        assert!(
            behind.contains("web2,w2 (prod): BEHIND, not seen"),
            "{behind}"
        );
        assert_eq!(
            summary(&hosts),
            "1 of 2 hosts have the newest revocations in force within 80 ms"
        );
    }
}
