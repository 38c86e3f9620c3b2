//! The whole key, in memory for a moment, and its shares: nothing here writes anywhere.

use anyhow::Context as _;
use ca_core::certificate::authority_key::{AuthorityKey, ed25519_signature_blob};
use ed25519_dalek::{Signer as _, SigningKey};
use rand_core::{TryCryptoRng, TryRng, UnwrapErr};
use ssh_encoding::Encode as _;
use vsss_rs::Gf256;
use zeroize::Zeroizing;

/// Bytes of an Ed25519 seed.
const SEED_BYTES: usize = 32;

/// An environment's break-glass CA key, zeroized when dropped.
pub(super) struct Authority(SigningKey);

impl Authority {
    /// A new one, from the operating system's generator.
    pub(super) fn generate() -> anyhow::Result<Self> {
        let mut seed = Zeroizing::new([0_u8; SEED_BYTES]);
        getrandom::fill(&mut *seed)?;
        Ok(Self(SigningKey::from_bytes(&seed)))
    }

    pub(super) fn public_key(&self) -> anyhow::Result<AuthorityKey> {
        let mut blob = Vec::new();
        "ssh-ed25519".encode(&mut blob)?;
        self.0.verifying_key().as_bytes().encode(&mut blob)?;
        Ok(AuthorityKey::from_blob(&blob)?)
    }

    /// Signs, as a certificate carries it.
    pub(super) fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        ed25519_signature_blob(&self.0.sign(bytes).to_bytes())
    }

    /// `shares` shares of which `needed` make the key again. The first byte is the share's index.
    /// With one needed each share is the key itself, which Shamir's scheme does not provide for.
    pub(super) fn split(&self, needed: u8, shares: u8) -> anyhow::Result<Vec<Zeroizing<Vec<u8>>>> {
        let seed = Zeroizing::new(self.0.to_bytes());
        if needed == 1 {
            let whole = |index| Zeroizing::new([&[index], seed.as_slice()].concat());
            return Ok((1..=shares).map(whole).collect());
        }
        let split = Gf256::split_bytes(needed.into(), shares.into(), *seed, UnwrapErr(System));
        let split = split.map_err(|error| anyhow::anyhow!("the key cannot be split: {error}"))?;
        Ok(split.into_iter().map(Zeroizing::new).collect())
    }

    /// The key of these shares, exactly as many as are needed, each with another index; or another
    /// key, if one of them is wrong: the caller compares the public half.
    pub(super) fn join(shares: &[Zeroizing<Vec<u8>>]) -> anyhow::Result<Self> {
        let sound = shares.iter().all(|share| share.len() == SEED_BYTES + 1);
        anyhow::ensure!(sound && !shares.is_empty(), "a share has the wrong length");
        let seed = match shares {
            [whole] => Zeroizing::new(whole.iter().skip(1).copied().collect()),
            _ => {
                let parts: Vec<Vec<u8>> = shares.iter().map(|share| share.to_vec()).collect();
                let parts = Zeroizing::new(parts);
                let joined = Gf256::combine_bytes(&*parts);
                Zeroizing::new(joined.map_err(|error| anyhow::anyhow!("the shares: {error}"))?)
            }
        };
        let seed: &[u8; SEED_BYTES] = seed.as_slice().try_into().context("not a key")?;
        Ok(Self(SigningKey::from_bytes(seed)))
    }
}

/// The operating system's generator, as the sharing library wants it. A failure ends the program:
/// there is no key without randomness.
struct System;

impl TryRng for System {
    type Error = getrandom::Error;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        getrandom::u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        getrandom::u64()
    }

    fn try_fill_bytes(&mut self, into: &mut [u8]) -> Result<(), Self::Error> {
        getrandom::fill(into)
    }
}

impl TryCryptoRng for System {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_enough_shares_make_the_key_and_one_fewer_another() {
        let authority = Authority::generate().unwrap();
        let public = authority.public_key().unwrap();
        for (needed, shares) in [(1, 1), (1, 3), (2, 2), (2, 3), (3, 5)] {
            let split = authority.split(needed, shares).unwrap();
            assert_eq!(split.len(), usize::from(shares));
            let taken: Vec<_> = split.iter().rev().take(needed.into()).cloned().collect();
            let joined = Authority::join(&taken).unwrap();
            assert_eq!(joined.public_key().unwrap(), public, "{needed} of {shares}");
            public.verify(b"bytes", &joined.sign(b"bytes")).unwrap();
            if needed > 2 {
                let fewer = Authority::join(&taken[1..]).unwrap();
                assert_ne!(fewer.public_key().unwrap(), public);
            }
        }
    }

    #[test]
    fn one_share_of_several_says_nothing_about_the_key() {
        let authority = Authority::generate().unwrap();
        let seed = authority.0.to_bytes();
        let split = authority.split(2, 3).unwrap();
        for share in &split {
            assert_ne!(&share[1..], seed.as_slice());
        }
        let twice = [split[0].clone(), split[0].clone()];
        assert!(Authority::join(&twice).is_err());
        assert!(Authority::join(&[]).is_err());
        let cut = [Zeroizing::new(split[0][..9].to_vec())];
        assert!(Authority::join(&cut).is_err());
    }

    #[test]
    fn a_changed_share_gives_another_key() {
        let authority = Authority::generate().unwrap();
        let public = authority.public_key().unwrap();
        let mut split = authority.split(2, 2).unwrap();
        split[1][7] ^= 1;
        let joined = Authority::join(&split).unwrap();
        assert_ne!(joined.public_key().unwrap(), public);
    }
}
