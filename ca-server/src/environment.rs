//! An environment as the configuration describes it: the ceiling that no policy can lift.

use std::time::Duration;

use ca_core::api::Staleness;
use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::certificate::principals::Principals;
use ca_core::certificate::profile::Profile;
use ca_core::name::{Environment, Principal};

/// What certificates of an environment may be, and what is asked for when nothing is said.
#[derive(Clone, Debug)]
pub struct EnvironmentRules {
    /// Its name.
    pub name: Environment,
    /// Longest life and permitted options.
    pub profile: Profile,
    /// The key that signs here and nowhere else.
    pub authority_key: AuthorityKey,
    /// Host patterns for ssh_config.
    pub host_patterns: Vec<String>,
    /// Login names asked for when none is named.
    pub default_principals: Principals,
    /// Login names that hints may suggest.
    pub accounts: Vec<Principal>,
    /// Window asked for when none is named, seconds.
    pub default_duration_seconds: u64,
    /// What its hosts trust and do.
    pub hosts: HostRules,
}

/// What hosts of an environment trust and do, besides its own CA key.
#[derive(Clone, Debug)]
pub struct HostRules {
    /// Life of a host certificate.
    pub certificate_life: Duration,
    /// What a host does while its revocation list is stale.
    pub staleness: Staleness,
    /// Age of the list, seconds, from which on it is stale.
    pub stale_after_seconds: u64,
    /// How long before its end a grant is warned of, seconds, longest first.
    pub warn_before_seconds: Vec<u64>,
    /// The offline break-glass key, OpenSSH one-line text.
    pub break_glass_key: Option<String>,
}
