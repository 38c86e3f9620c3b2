//! The values that certificate options may take: which permissions, which command, which networks.
//!
//! Does not decide which of them an environment allows; the profile does.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// What a certificate permits its holder besides running a command. Absent means denied by `sshd`.
///
/// Declared, and so ordered, by the bytes of the names, as certificates need them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Extension {
    /// X11 forwarding.
    #[serde(rename = "permit-X11-forwarding")]
    PermitX11Forwarding,
    /// Agent forwarding.
    #[serde(rename = "permit-agent-forwarding")]
    PermitAgentForwarding,
    /// TCP and socket forwarding in both directions.
    #[serde(rename = "permit-port-forwarding")]
    PermitPortForwarding,
    /// A terminal.
    #[serde(rename = "permit-pty")]
    PermitPty,
    /// Running `~/.ssh/rc`.
    #[serde(rename = "permit-user-rc")]
    PermitUserRc,
}

impl Extension {
    /// Every extension, in the order of the bytes of their names.
    pub const ALL: [Self; 5] = [
        Self::PermitX11Forwarding,
        Self::PermitAgentForwarding,
        Self::PermitPortForwarding,
        Self::PermitPty,
        Self::PermitUserRc,
    ];

    /// The name in the certificate; the capital X matters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PermitX11Forwarding => "permit-X11-forwarding",
            Self::PermitAgentForwarding => "permit-agent-forwarding",
            Self::PermitPortForwarding => "permit-port-forwarding",
            Self::PermitPty => "permit-pty",
            Self::PermitUserRc => "permit-user-rc",
        }
    }

    /// The extension of that name, if it is one of ours.
    #[must_use]
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

impl fmt::Display for Extension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text is not the value of an option.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionValueError {
    /// Nothing, more than 1024 bytes, or a control character.
    #[error("a forced command is 1 to 1024 bytes on one line, without control characters")]
    ForceCommand,
    /// Not an address or network.
    #[error("{0:?} is not an IP address or network such as 10.0.0.0/8 or 2001:db8::/32")]
    NotANetwork(String),
    /// `sshd` refuses the whole certificate when host bits are set.
    #[error("{found} has host bits set; the network is {meant}")]
    HostBits {
        /// The network as given.
        found: IpNet,
        /// What it was probably meant to be.
        meant: IpNet,
    },
    /// `sshd` compares IPv4 peers with IPv4 networks only, so this would match nobody.
    #[error("{0} is an IPv4-mapped address; write it as IPv4")]
    V4Mapped(IpNet),
    /// The same network twice.
    #[error("{0} appears twice")]
    Repeated(IpNet),
    /// More than [`NETWORKS_MAX`].
    #[error("{0} networks, at most {NETWORKS_MAX} are allowed")]
    TooMany(usize),
}

/// The one command a certificate runs: 1 to 1024 bytes, no control characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ForceCommand(String);

impl ForceCommand {
    /// The command line, as the login shell gets it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ForceCommand {
    type Error = OptionValueError;
    fn try_from(text: String) -> Result<Self, OptionValueError> {
        if text.is_empty() || text.len() > 1024 || text.chars().any(char::is_control) {
            return Err(OptionValueError::ForceCommand);
        }
        Ok(Self(text))
    }
}

impl FromStr for ForceCommand {
    type Err = OptionValueError;
    fn from_str(text: &str) -> Result<Self, OptionValueError> {
        Self::try_from(text.to_owned())
    }
}

impl From<ForceCommand> for String {
    fn from(command: ForceCommand) -> Self {
        command.0
    }
}

/// Most networks in one `source-address`.
pub const NETWORKS_MAX: usize = 64;

/// Where connections may come from, at most [`NETWORKS_MAX`] networks; empty means anywhere.
///
/// Each without host bits and none IPv4-mapped: `sshd` refuses the first and never matches the
/// second. In JSON and TOML a list of texts; an address alone means just that address.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "Vec<String>", into = "Vec<String>")]
pub struct SourceAddress(Vec<IpNet>);

impl SourceAddress {
    /// The list `networks`, order kept.
    ///
    /// # Errors
    ///
    /// [`OptionValueError`] for host bits, IPv4-mapped networks, repetition, or too many.
    pub fn new(networks: Vec<IpNet>) -> Result<Self, OptionValueError> {
        if networks.len() > NETWORKS_MAX {
            return Err(OptionValueError::TooMany(networks.len()));
        }
        for (at, net) in networks.iter().enumerate() {
            if net.trunc() != *net {
                let (found, meant) = (*net, net.trunc());
                return Err(OptionValueError::HostBits { found, meant });
            }
            if matches!(net.addr(), IpAddr::V6(address) if address.to_ipv4_mapped().is_some()) {
                return Err(OptionValueError::V4Mapped(*net));
            }
            if networks.iter().take(at).any(|earlier| earlier == net) {
                return Err(OptionValueError::Repeated(*net));
            }
        }
        Ok(Self(networks))
    }

    /// Whether connections may come from anywhere.
    #[must_use]
    pub fn is_unrestricted(&self) -> bool {
        self.0.is_empty()
    }

    /// The networks; empty means anywhere.
    #[must_use]
    pub fn networks(&self) -> &[IpNet] {
        &self.0
    }

    /// The first network of `narrower` that lies in none of ours. An unrestricted list holds
    /// every network.
    pub(crate) fn outside(&self, narrower: &Self) -> Option<IpNet> {
        let inside = |net: &&IpNet| self.0.iter().any(|outer| outer.contains(*net));
        if self.is_unrestricted() {
            return None;
        }
        narrower.0.iter().find(|net| !inside(net)).copied()
    }

    /// The option's value: networks joined by commas, which no network contains.
    pub(crate) fn option_text(&self) -> String {
        let texts: Vec<String> = self.0.iter().map(IpNet::to_string).collect();
        texts.join(",")
    }
}

impl TryFrom<Vec<String>> for SourceAddress {
    type Error = OptionValueError;
    fn try_from(texts: Vec<String>) -> Result<Self, OptionValueError> {
        if texts.len() > NETWORKS_MAX {
            return Err(OptionValueError::TooMany(texts.len()));
        }
        let networks: Result<Vec<IpNet>, _> = texts.iter().map(|text| network(text)).collect();
        Self::new(networks?)
    }
}

impl From<SourceAddress> for Vec<String> {
    fn from(list: SourceAddress) -> Self {
        list.0.iter().map(IpNet::to_string).collect()
    }
}

fn network(text: &str) -> Result<IpNet, OptionValueError> {
    text.parse::<IpNet>()
        .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        .map_err(|_| OptionValueError::NotANetwork(text.chars().take(64).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(texts: &[&str]) -> Result<SourceAddress, OptionValueError> {
        let owned: Vec<String> = texts.iter().map(ToString::to_string).collect();
        SourceAddress::try_from(owned)
    }

    #[test]
    fn extensions_are_ordered_as_the_bytes_of_their_names() {
        let names = Extension::ALL.map(Extension::name);
        assert!(names.is_sorted());
        assert!(Extension::ALL.is_sorted());
        for known in Extension::ALL {
            let json = serde_json::to_string(&known).unwrap();
            assert_eq!(json, format!("\"{}\"", known.name()));
        }
        assert_eq!(Extension::by_name("permit-x11-forwarding"), None);
    }

    #[test]
    fn every_network_list_that_sshd_refuses_or_never_matches_is_refused() {
        assert!(matches!(
            list(&["127.0.0.1/8"]),
            Err(OptionValueError::HostBits { .. })
        ));
        assert!(matches!(
            list(&["::ffff:10.0.0.1"]),
            Err(OptionValueError::V4Mapped(_))
        ));
        assert!(matches!(
            list(&["10.0.0.0/8", "10.0.0.0/8"]),
            Err(OptionValueError::Repeated(_))
        ));
        for text in [
            "",
            "localhost",
            "10.0.0.*",
            "!10.0.0.1",
            "10.0.0.1,10.0.0.2",
            " 10.0.0.1",
        ] {
            assert!(
                matches!(list(&[text]), Err(OptionValueError::NotANetwork(_))),
                "{text:?} was accepted"
            );
        }
        assert!(matches!(
            list(&["10.0.0.1"; 65]),
            Err(OptionValueError::TooMany(65))
        ));
    }

    #[test]
    fn an_address_alone_means_just_that_address() {
        assert_eq!(
            list(&["10.0.0.1", "2001:db8::/32"]).unwrap().option_text(),
            "10.0.0.1/32,2001:db8::/32"
        );
    }

    #[test]
    fn a_forced_command_is_one_line_and_not_empty() {
        for text in ["", "a\nb", "a\0", "a\u{1b}[2J", &"x".repeat(1025)] {
            assert!(
                text.parse::<ForceCommand>().is_err(),
                "{text:?} was accepted"
            );
        }
        assert!(
            "/usr/bin/backup --to \"/srv\""
                .parse::<ForceCommand>()
                .is_ok()
        );
    }
}
