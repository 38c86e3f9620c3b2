//! What the certificates of an environment may contain, and what a request may ask to tighten.
//!
//! Decides only downwards: nothing a caller sends can add to the profile. Who gets a certificate
//! is policy's business.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::option_value::{Extension, ForceCommand, SourceAddress};
use super::options::Options;

/// The ceiling for every certificate of an environment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Longest life in seconds, counted from the moment of issue.
    pub max_duration_seconds: NonZeroU32,
    /// What certificates may permit; a terminal only, unless said otherwise.
    #[serde(default = "terminal_only")]
    pub extensions: BTreeSet<Extension>,
    /// The only command that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub force_command: Option<ForceCommand>,
    /// Where connections may come from; empty means anywhere.
    #[serde(default, skip_serializing_if = "SourceAddress::is_unrestricted")]
    pub source_address: SourceAddress,
    /// Whether only security keys that verify their user (PIN or fingerprint) get in.
    #[serde(default)]
    pub verify_required: bool,
}

fn terminal_only() -> BTreeSet<Extension> {
    BTreeSet::from([Extension::PermitPty])
}

/// What a request asks to have tightened. The default asks for nothing: the profile as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Restrictions {
    /// Keep only these permissions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extensions: Option<BTreeSet<Extension>>,
    /// Run only this command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub force_command: Option<ForceCommand>,
    /// Connect only from here; empty asks for nothing.
    #[serde(skip_serializing_if = "SourceAddress::is_unrestricted")]
    pub source_address: SourceAddress,
    /// Insist on user verification by the security key.
    pub verify_required: bool,
}

/// How options are looser than their profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TooLoose {
    /// A permission that the profile does not have.
    #[error("{0} is not permitted in this environment")]
    Extension(Extension),
    /// Another command than the profile's.
    #[error("the command is fixed in this environment: {fixed:?}")]
    ForceCommand {
        /// What the profile runs.
        fixed: String,
    },
    /// A network outside the profile's.
    #[error("{0} is outside the networks of this environment")]
    SourceAddress(IpNet),
    /// No restriction to networks where the profile has one.
    #[error("this environment restricts where connections come from")]
    SourceAddressMissing,
    /// No user verification where the profile insists on it.
    #[error("this environment requires verification by the security key")]
    VerifyRequiredMissing,
}

impl Profile {
    /// The options of a certificate for a request with `asked`.
    ///
    /// # Errors
    ///
    /// [`TooLoose`] names the first thing asked that would widen the profile.
    pub fn narrowed(&self, asked: &Restrictions) -> Result<Options, TooLoose> {
        let source_address = if asked.source_address.is_unrestricted() {
            &self.source_address
        } else {
            &asked.source_address
        };
        let extensions = asked.extensions.as_ref().unwrap_or(&self.extensions);
        let command = asked.force_command.as_ref().or(self.force_command.as_ref());
        let options = Options {
            extensions: extensions.clone(),
            force_command: command.cloned(),
            source_address: source_address.clone(),
            verify_required: self.verify_required || asked.verify_required,
        };
        self.admits(&options)?;
        Ok(options)
    }

    /// Whether `options` are at least as tight as this profile.
    ///
    /// # Errors
    ///
    /// [`TooLoose`] names the first thing that is not.
    pub fn admits(&self, options: &Options) -> Result<(), TooLoose> {
        if let Some(extra) = options.extensions.difference(&self.extensions).next() {
            return Err(TooLoose::Extension(*extra));
        }
        if let Some(fixed) = &self.force_command
            && options.force_command.as_ref() != Some(fixed)
        {
            let fixed = fixed.as_str().to_owned();
            return Err(TooLoose::ForceCommand { fixed });
        }
        if !self.source_address.is_unrestricted() && options.source_address.is_unrestricted() {
            return Err(TooLoose::SourceAddressMissing);
        }
        if let Some(outside) = self.source_address.outside(&options.source_address) {
            return Err(TooLoose::SourceAddress(outside));
        }
        if self.verify_required && !options.verify_required {
            return Err(TooLoose::VerifyRequiredMissing);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn profile(json: &str) -> Profile {
        serde_json::from_str(json).unwrap()
    }

    fn asked(json: &str) -> Restrictions {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_profile_permits_a_terminal_only_unless_it_says_otherwise() {
        let plain = profile(r#"{"max_duration_seconds":3600}"#);
        let options = plain.narrowed(&Restrictions::default()).unwrap();
        assert_eq!(options.extensions, BTreeSet::from([Extension::PermitPty]));
        assert_eq!(options.force_command, None);
        assert!(options.source_address.is_unrestricted());
    }

    #[test]
    fn a_profile_with_a_misspelt_or_invalid_field_is_refused() {
        for json in [
            "{}",
            r#"{"max_duration_seconds":0}"#,
            r#"{"max_duration_seconds":-1}"#,
            r#"{"max_duration_seconds":60,"extension":[]}"#,
            r#"{"max_duration_seconds":60,"extensions":["permit-all"]}"#,
            r#"{"max_duration_seconds":60,"extensions":["no-touch-required"]}"#,
            r#"{"max_duration_seconds":60,"source_address":["10.0.0.1/8"]}"#,
            r#"{"max_duration_seconds":60,"force_command":""}"#,
        ] {
            assert!(serde_json::from_str::<Profile>(json).is_err(), "{json}");
        }
        assert!(serde_json::from_str::<Restrictions>(r#"{"extra":1}"#).is_err());
    }

    #[test]
    fn a_request_may_tighten_everything() {
        let open = profile(
            r#"{"max_duration_seconds":60,"extensions":["permit-pty","permit-port-forwarding"],
                "source_address":["10.0.0.0/8"]}"#,
        );
        let options = open
            .narrowed(&asked(
                r#"{"extensions":[],"force_command":"uptime",
                    "source_address":["10.1.0.0/16","10.2.3.4"],"verify_required":true}"#,
            ))
            .unwrap();
        assert!(options.extensions.is_empty());
        assert_eq!(options.force_command.unwrap().as_str(), "uptime");
        assert_eq!(
            options.source_address.option_text(),
            "10.1.0.0/16,10.2.3.4/32"
        );
        assert!(options.verify_required);
    }

    #[test]
    fn each_way_to_widen_is_refused_by_its_name() {
        let tight = profile(
            r#"{"max_duration_seconds":60,"force_command":"uptime",
                "source_address":["10.0.0.0/8"],"verify_required":true}"#,
        );
        let refused = |json: &str| tight.narrowed(&asked(json)).unwrap_err();
        assert_eq!(
            refused(r#"{"extensions":["permit-pty","permit-agent-forwarding"]}"#),
            TooLoose::Extension(Extension::PermitAgentForwarding)
        );
        assert!(matches!(
            refused(r#"{"force_command":"uptime; sh"}"#),
            TooLoose::ForceCommand { .. }
        ));
        for net in ["0.0.0.0/0", "11.0.0.0/8", "8.0.0.0/6", "2001:db8::/32"] {
            assert_eq!(
                refused(&format!(r#"{{"source_address":["10.1.1.1","{net}"]}}"#)),
                TooLoose::SourceAddress(net.parse().unwrap())
            );
        }
        let loose = Options::default();
        assert!(matches!(
            tight.admits(&loose),
            Err(TooLoose::ForceCommand { .. })
        ));
        let options = tight.narrowed(&Restrictions::default()).unwrap();
        assert!(
            options.verify_required,
            "a request cannot switch verification off"
        );
        let anywhere = Options {
            source_address: SourceAddress::default(),
            ..options.clone()
        };
        assert_eq!(tight.admits(&anywhere), Err(TooLoose::SourceAddressMissing));
        let unverified = Options {
            verify_required: false,
            ..options
        };
        assert_eq!(
            tight.admits(&unverified),
            Err(TooLoose::VerifyRequiredMissing)
        );
    }

    fn any_extensions() -> impl Strategy<Value = BTreeSet<Extension>> {
        proptest::collection::btree_set(proptest::sample::select(&Extension::ALL[..]), 0..6)
    }

    proptest! {
        #[test]
        fn whatever_is_asked_the_outcome_never_permits_more_than_the_profile(
            permitted in any_extensions(), wanted in any_extensions(),
        ) {
            let mut ceiling = profile(r#"{"max_duration_seconds":60}"#);
            ceiling.extensions = permitted.clone();
            let request = Restrictions { extensions: Some(wanted.clone()), ..Restrictions::default() };
            match ceiling.narrowed(&request) {
                Ok(options) => prop_assert!(options.extensions.is_subset(&permitted)),
                Err(_) => prop_assert!(!wanted.is_subset(&permitted)),
            }
        }
    }
}
