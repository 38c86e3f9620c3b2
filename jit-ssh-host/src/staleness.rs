//! Which revocation list sshd should read: the authority's, or one that also refuses the authority.

use std::time::Duration;

use ca_core::api::{HostSettings, Staleness, WAIT_SECONDS_MAX};
use ca_core::time::Timestamp;

/// What sshd should read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// The list as it was signed.
    AsSigned,
    /// The list, and the environment's CA key revoked besides: no certificate of the environment
    /// opens a door; the break-glass key's still do.
    WithoutAuthority,
}

/// Decides. `fresh_at` is when the newest list was known to be good; none if there never was one,
/// and then nobody is let in whatever the rule says: nothing is known about revocations.
pub(crate) fn standing(
    settings: &HostSettings,
    fresh_at: Option<Timestamp>,
    now: Timestamp,
) -> Standing {
    let Some(fresh_at) = fresh_at else {
        return Standing::WithoutAuthority;
    };
    let limit = Duration::from_secs(settings.stale_after_seconds);
    if settings.staleness == Staleness::Strict && now.since(fresh_at) >= limit {
        Standing::WithoutAuthority
    } else {
        Standing::AsSigned
    }
}

/// How long to wait for news of the list: not so long that it grows stale meanwhile, also if one
/// answer is lost.
pub(crate) fn wait(settings: &HostSettings) -> Duration {
    let third = (settings.stale_after_seconds / 3).max(1);
    Duration::from_secs(third.min(WAIT_SECONDS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(staleness: Staleness) -> HostSettings {
        HostSettings {
            user_ca_keys: Vec::new(),
            environment_ca_key: String::new(),
            host_ca_key: None,
            log_verifier_key: String::new(),
            staleness,
            stale_after_seconds: 300,
            warn_before_seconds: Vec::new(),
        }
    }

    #[test]
    fn a_strict_host_refuses_the_authority_from_the_bound_on_and_a_lenient_one_never() {
        let fresh = Some(Timestamp::from_unix_seconds(1000));
        let cases = [
            (Staleness::Strict, 1299, Standing::AsSigned),
            (Staleness::Strict, 1300, Standing::WithoutAuthority),
            (Staleness::BestEffort, 1_000_000, Standing::AsSigned),
            // A clock that was set back does not make a list old.
            (Staleness::Strict, 10, Standing::AsSigned),
        ];
        for (rule, now, expected) in cases {
            let now = Timestamp::from_unix_seconds(now);
            assert_eq!(standing(&settings(rule), fresh, now), expected, "{now}");
        }
    }

    #[test]
    fn nobody_waits_for_news_until_the_list_is_stale() {
        let mut settings = settings(Staleness::Strict);
        for (stale_after, expected) in [(0, 1), (6, 2), (75, 25), (76, 25), (u64::MAX, 25)] {
            settings.stale_after_seconds = stale_after;
            assert_eq!(wait(&settings), Duration::from_secs(expected));
        }
    }

    #[test]
    fn before_the_first_list_nobody_gets_in() {
        for rule in [Staleness::Strict, Staleness::BestEffort] {
            let found = standing(&settings(rule), None, Timestamp::default());
            assert_eq!(found, Standing::WithoutAuthority);
        }
    }
}
