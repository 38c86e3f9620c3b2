//! What is inside a sealed share: the share itself, and enough about its set to name what is wrong
//! when shares do not belong together.

use std::collections::BTreeMap;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::certificate::principals::Principals;
use ca_core::name::{Environment, UserName};
use ca_core::time::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::authority::Authority;

/// Version of the text.
const VERSION: u32 = 1;

/// Room for the text of a share, so that it is never moved and left behind in memory.
const TEXT_BYTES_MAX: usize = 8 * 1024;

/// What all shares of one key say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Set {
    /// Sixteen random hexadecimal digits.
    pub(super) id: String,
    pub(super) environment: Environment,
    /// How many shares make the key.
    pub(super) needed: u8,
    /// How many there are.
    pub(super) shares: u8,
    pub(super) public_key: AuthorityKey,
    /// Longest life of a certificate, seconds.
    pub(super) max_seconds: u32,
    /// Login names when none is asked for.
    pub(super) default_principals: Principals,
    pub(super) sealed_at: Timestamp,
}

/// One holder's share, decrypted.
pub(super) struct Share {
    pub(super) set: Set,
    pub(super) holder: UserName,
    index: u8,
    /// The index, then a byte for each of the key's.
    value: Zeroizing<Vec<u8>>,
}

#[derive(Serialize)]
struct Written<'a> {
    jit_ssh_break_glass_share: u32,
    set: &'a Set,
    holder: &'a UserName,
    index: u8,
    share: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    jit_ssh_break_glass_share: u32,
    set: Set,
    holder: UserName,
    index: u8,
    share: SecretString,
}

impl Share {
    pub(super) fn new(
        set: Set,
        holder: UserName,
        value: Zeroizing<Vec<u8>>,
    ) -> anyhow::Result<Self> {
        let index = *value.first().context("an empty share")?;
        Ok(Self {
            set,
            holder,
            index,
            value,
        })
    }

    /// The text that is encrypted.
    pub(super) fn to_text(&self) -> anyhow::Result<Zeroizing<Vec<u8>>> {
        let mut encoded = Zeroizing::new(String::with_capacity(TEXT_BYTES_MAX));
        STANDARD.encode_string(&*self.value, &mut encoded);
        let mut text = Zeroizing::new(Vec::with_capacity(TEXT_BYTES_MAX));
        let written = Written {
            jit_ssh_break_glass_share: VERSION,
            set: &self.set,
            holder: &self.holder,
            index: self.index,
            share: &encoded,
        };
        serde_json::to_writer(&mut *text, &written)?;
        Ok(text)
    }

    /// Reads what was decrypted.
    pub(super) fn from_text(text: &[u8]) -> anyhow::Result<Self> {
        // What serde says may quote the text; it is not passed on.
        let read: Read = serde_json::from_slice(text)
            .map_err(|_| anyhow::anyhow!("what is inside is no break-glass share"))?;
        let version = read.jit_ssh_break_glass_share;
        anyhow::ensure!(
            version == VERSION,
            "the share has version {version}, this program reads {VERSION}"
        );
        let mut value = Zeroizing::new(Vec::with_capacity(TEXT_BYTES_MAX));
        STANDARD
            .decode_vec(read.share.expose_secret(), &mut value)
            .map_err(|_| anyhow::anyhow!("what is inside is no break-glass share"))?;
        let share = Self::new(read.set, read.holder, value)?;
        anyhow::ensure!(share.index == read.index, "the share names another index");
        anyhow::ensure!(share.set.needed > 0, "the share says that none is needed");
        Ok(share)
    }

    /// For people: whose, and of which set.
    pub(super) fn described(&self) -> String {
        let set = &self.set;
        format!(
            "share {} of {} for {}, held by {} (set {}, sealed {}, {} needed)",
            self.index, set.shares, set.environment, self.holder, set.id, set.sealed_at, set.needed
        )
    }
}

/// Shares that belong together, by their index.
#[derive(Default)]
pub(super) struct Gathered(BTreeMap<u8, (Share, String)>);

impl Gathered {
    /// Takes a share that came from `source`.
    ///
    /// # Errors
    ///
    /// When it is of another set, or here already.
    pub(super) fn add(&mut self, share: Share, source: &str) -> anyhow::Result<()> {
        if let Some((first, from)) = self.0.values().next()
            && first.set != share.set
        {
            anyhow::bail!(
                "{source} is {}, but {from} is {}: shares of two keys never make one",
                share.described(),
                first.described()
            );
        }
        if let Some((there, from)) = self.0.get(&share.index) {
            anyhow::bail!(
                "{source} holds the same share as {from}: {}",
                there.described()
            );
        }
        self.0.insert(share.index, (share, source.to_owned()));
        Ok(())
    }

    /// The set, once there is a share.
    pub(super) fn set(&self) -> Option<&Set> {
        self.0.values().next().map(|(share, _)| &share.set)
    }

    /// How many are still missing; none are only when there is a share.
    pub(super) fn missing(&self) -> usize {
        self.set().map_or(1, |set| {
            usize::from(set.needed).saturating_sub(self.0.len())
        })
    }

    /// Whose shares are here.
    pub(super) fn holders(&self) -> Vec<UserName> {
        let holders = self.0.values().take(self.used());
        holders.map(|(share, _)| share.holder.clone()).collect()
    }

    fn used(&self) -> usize {
        self.set().map_or(0, |set| usize::from(set.needed))
    }

    /// The key, whole.
    ///
    /// # Errors
    ///
    /// When shares are missing or one of them is wrong.
    pub(super) fn join(&self) -> anyhow::Result<Authority> {
        let set = self.set().context("no share is here")?;
        let (needed, missing) = (set.needed, self.missing());
        anyhow::ensure!(
            missing == 0,
            "{needed} shares of {} are needed, {} here ({}): {missing} more missing",
            set.shares,
            self.0.len(),
            names(&self.holders()),
        );
        let values = self.0.values().take(self.used());
        let values: Vec<_> = values.map(|(share, _)| share.value.clone()).collect();
        let authority = Authority::join(&values)?;
        anyhow::ensure!(
            authority.public_key()? == set.public_key,
            "the shares of {} do not make the key {}: one of them was changed",
            names(&self.holders()),
            set.public_key.fingerprint()
        );
        Ok(authority)
    }
}

/// Names in a sentence.
pub(super) fn names(of: &[UserName]) -> String {
    let names: Vec<&str> = of.iter().map(UserName::as_str).collect();
    names.join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A set of shares of a new key, for people named `holder-1` and on.
    pub(in super::super) fn sealed(needed: u8, shares: u8) -> (Authority, Vec<Share>) {
        let authority = Authority::generate().unwrap();
        let set = Set {
            id: format!("{:016x}", getrandom::u64().unwrap()),
            environment: "prod".parse().unwrap(),
            needed,
            shares,
            public_key: authority.public_key().unwrap(),
            max_seconds: 3600,
            default_principals: Principals::new(vec!["deploy".parse().unwrap()]).unwrap(),
            sealed_at: Timestamp::from_unix_seconds(1_800_000_000),
        };
        let split = authority.split(needed, shares).unwrap().into_iter();
        let share = |(number, value): (usize, _)| {
            let holder = format!("holder-{number}").parse().unwrap();
            Share::new(set.clone(), holder, value).unwrap()
        };
        let shares = (1..).zip(split).map(share).collect();
        (authority, shares)
    }

    fn copy(share: &Share) -> Share {
        Share::from_text(&share.to_text().unwrap()).unwrap()
    }

    #[test]
    fn enough_shares_that_went_through_their_text_make_the_key() {
        let (authority, shares) = sealed(2, 3);
        let mut gathered = Gathered::default();
        for share in [&shares[2], &shares[0]] {
            gathered.add(copy(share), "file").unwrap();
        }
        let joined = gathered.join().unwrap();
        assert_eq!(
            joined.public_key().unwrap(),
            authority.public_key().unwrap()
        );
        assert_eq!(names(&gathered.holders()), "holder-1, holder-3");
    }

    #[test]
    fn too_few_shares_are_refused_with_how_many_are_missing() {
        let (_, shares) = sealed(3, 5);
        let mut gathered = Gathered::default();
        gathered.add(copy(&shares[4]), "file").unwrap();
        let error = gathered.join().err().unwrap().to_string();
        assert!(error.contains("2 more missing"), "{error}");
        assert!(error.contains("holder-5"), "{error}");
    }

    #[test]
    fn the_same_share_twice_and_shares_of_two_sets_are_refused_by_name() {
        let (_, shares) = sealed(2, 3);
        let mut gathered = Gathered::default();
        gathered.add(copy(&shares[0]), "one.age").unwrap();
        let again = gathered.add(copy(&shares[0]), "two.age").unwrap_err();
        assert!(again.to_string().contains("same share as one.age"));
        let (_, others) = sealed(2, 3);
        let other = gathered.add(copy(&others[1]), "three.age").unwrap_err();
        let text = other.to_string();
        assert!(
            text.contains("three.age") && text.contains("one.age"),
            "{text}"
        );
        assert!(text.contains(&others[1].set.id), "{text}");
    }

    #[test]
    fn a_changed_share_is_noticed_before_anything_is_signed() {
        let (_, mut shares) = sealed(2, 2);
        shares[0].value[5] ^= 1;
        let mut gathered = Gathered::default();
        for share in &shares {
            gathered.add(copy(share), "file").unwrap();
        }
        let error = gathered.join().err().unwrap().to_string();
        assert!(error.contains("one of them was changed"), "{error}");
    }

    #[test]
    fn what_is_no_share_is_refused_without_being_quoted() {
        let (_, shares) = sealed(2, 2);
        let text = shares[0].to_text().unwrap();
        let text = std::str::from_utf8(&text).unwrap();
        for wrong in [
            "hello secret".to_owned(),
            text.replace("share\":1", "share\":2"),
            text.replace("\"index\":", "\"index\":1,\"other\":"),
            text.replace("\"needed\":2", "\"needed\":0"),
        ] {
            let error = Share::from_text(wrong.as_bytes()).err().unwrap();
            assert!(!format!("{error:#}").contains("secret"), "{error:#}");
        }
    }
}
