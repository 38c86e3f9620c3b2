//! Which addresses are worth asking from, and what the answers say about addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde::Serialize;

use super::outline::Mentions;

/// Ranges that are tried.
const RANGES_MAX: usize = 8;

const OTHER_IPV4: &str = "other IPv4 addresses";
const OTHER_IPV6: &str = "other IPv6 addresses";

/// From where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Addresses {
    /// From everywhere that was tried.
    Anywhere,
    /// From these only.
    Only(BTreeSet<String>),
    /// From everywhere else.
    NotFrom(BTreeSet<String>),
}

/// One address and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) address: IpAddr,
    pub(super) name: String,
}

/// Nobody's addresses (RFC 5737, RFC 3849), for those of no range that a policy mentions.
const IPV4: [Ipv4Addr; 3] = [
    Ipv4Addr::new(198, 51, 100, 1),
    Ipv4Addr::new(192, 0, 2, 1),
    Ipv4Addr::new(203, 0, 113, 1),
];
const IPV6: [Ipv6Addr; 2] = [
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1),
];

/// The addresses to ask from: one outside all ranges, and one of each range. One alone where no
/// policy looks at addresses.
pub(super) fn candidates(mentions: &Mentions) -> Vec<Candidate> {
    let outside = |address: &IpAddr| mentions.ranges.iter().all(|range| !range.contains(address));
    let other = |addresses: Vec<IpAddr>, name: &str| {
        let found = addresses.iter().copied().find(outside);
        let address = found.or_else(|| addresses.first().copied())?;
        let name = name.to_owned();
        Some(Candidate { address, name })
    };
    let ipv4 = other(IPV4.map(IpAddr::V4).into(), OTHER_IPV4);
    if !mentions.any(&["source"]) {
        return ipv4.into_iter().collect();
    }
    let ipv6 = other(IPV6.map(IpAddr::V6).into(), OTHER_IPV6);
    let ranges = mentions.ranges.iter().take(RANGES_MAX).map(|range| {
        let narrower = |other: &&IpNet| *other != range && range.contains(*other);
        let narrower: Vec<&IpNet> = mentions.ranges.iter().filter(narrower).collect();
        let free = |address: &IpAddr| narrower.iter().all(|other| !other.contains(address));
        let some = [range.broadcast(), range.network()];
        Candidate {
            address: some.into_iter().find(free).unwrap_or(range.network()),
            name: range.to_string(),
        }
    });
    let kinds = mentions.kinds_of_address.iter().map(|kind| {
        let (address, name) = match kind.as_str() {
            "isMulticast" => (Ipv4Addr::new(224, 0, 0, 1), "multicast"),
            _ => (Ipv4Addr::LOCALHOST, "loopback"),
        };
        Candidate {
            address: IpAddr::V4(address),
            name: name.to_owned(),
        }
    });
    ipv4.into_iter()
        .chain(ipv6)
        .chain(ranges)
        .chain(kinds)
        .collect()
}

impl Addresses {
    /// What it says that of `all` those at the places `permitted` are permitted.
    pub(super) fn of(all: &[Candidate], permitted: &BTreeSet<usize>) -> Self {
        let named = |wanted: bool| {
            let places = all.iter().enumerate();
            places
                .filter(|(at, _)| permitted.contains(at) == wanted)
                .map(|(_, candidate)| candidate.name.clone())
                .collect::<BTreeSet<String>>()
        };
        let refused = named(false);
        if refused.is_empty() {
            return Self::Anywhere;
        }
        if [OTHER_IPV4, OTHER_IPV6]
            .iter()
            .any(|name| refused.contains(*name))
        {
            return Self::Only(named(true));
        }
        Self::NotFrom(refused)
    }

    /// `only from 10.0.0.0/8`; nothing if from anywhere.
    #[must_use]
    pub fn words(&self) -> Option<String> {
        let join = |names: &BTreeSet<String>| {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            names.join(", ")
        };
        match self {
            Self::Anywhere => None,
            Self::Only(names) => Some(format!("only from {}", join(names))),
            Self::NotFrom(names) => Some(format!("not from {}", join(names))),
        }
    }

    /// Whether everywhere in `other` is here, too.
    pub(super) fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Anywhere, _) => true,
            (Self::Only(here), Self::Only(there)) => there.is_subset(here),
            (Self::NotFrom(here), Self::NotFrom(there)) => here.is_subset(there),
            (Self::NotFrom(here), Self::Only(there)) => here.is_disjoint(there),
            (Self::Only(_), _) | (Self::NotFrom(_), Self::Anywhere) => false,
        }
    }
}
