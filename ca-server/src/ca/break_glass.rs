//! Emergencies: access at once for whom policy lets, also while the identity provider is down. Each
//! opens a review.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ca_core::api::{
    self, AddBreakGlassKey, BREAK_GLASS_NAMESPACE, Challenge, IssuedCertificate,
    OpenBreakGlassSession, RequestCertificate, SecondFactor,
};
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::digest::Digest;
use ca_core::event::{
    Attempt, BreakGlassKeyAdded, BreakGlassKeyRemoved, BreakGlassSessionOpened, Event, Person,
};
use ca_core::time::Timestamp;

use super::certificates::NotRecorded;
use super::certificates::decide::{answered, not_frozen, prepare, refuse_denied, refuse_wish};
use super::certificates::wish::Parsed;
use super::factor::{accept, refuse};
use super::login::{random, random_token};
use super::{Ca, Caller, Failure, actor_or_refuse, challenges, refused};
use crate::access;
use crate::authn::session::{Actor, actor};
use crate::authn::sshsig;
use crate::issuance::Prepared;
use crate::ledger::{CommitError, Refusal, Turn};
use crate::policy::PolicySet;
use crate::state::State;

/// Length of a session that was opened with a break-glass key.
const SESSION: Duration = Duration::from_secs(3600);
/// Longest age of the second factor for enrolling a key: who finds an open session must not be
/// able to make it last.
const KEY_MFA_AGE_MAX: Duration = Duration::from_secs(15 * 60);
/// Keys that one person may have.
const KEYS_MAX: usize = 5;
/// Window when none is asked for, seconds.
const DURATION_SECONDS: u64 = 1800;

impl Ca {
    /// A text for a break-glass key to sign.
    ///
    /// # Errors
    ///
    /// [`Failure::Internal`] without randomness.
    pub fn challenge(&self) -> Result<Challenge, Failure> {
        let now = self.clock.now();
        let challenge = self.challenges.make(random()?, now);
        let internal = || Failure::Internal("no challenge could be made".to_owned());
        Ok(Challenge {
            challenge: challenge.ok_or_else(internal)?,
            expires_at: now.plus(challenges::LIFE),
        })
    }

    /// Whether `signature` is the key's over an open challenge.
    fn proven(&self, key: &SubjectKey, (challenge, signature): (&str, &str)) -> bool {
        let open = self.challenges.is_open(challenge, self.clock.now());
        open && sshsig::verify(key, BREAK_GLASS_NAMESPACE, challenge.as_bytes(), signature).is_ok()
    }

    /// Enrols a key of the caller's for the day when the identity provider is down.
    ///
    /// # Errors
    ///
    /// [`Failure::TotpRequired`] unless the second factor was shown within the last 15 minutes.
    pub async fn add_break_glass_key(
        &self,
        caller: Caller,
        body: AddBreakGlassKey,
    ) -> Result<api::BreakGlassKey, Failure> {
        let key = subject_key(&body.public_key)?;
        let proven = self.proven(&key, (&body.challenge, &body.signature))
            && self.challenges.spend(&body.challenge, self.clock.now());
        let (public_key, fingerprint) = (key.to_string(), key.fingerprint());
        let added = BreakGlassKeyParts {
            public_key: public_key.clone(),
            fingerprint: fingerprint.clone(),
            proven,
        };
        let added = self.ledger.commit(move |state, turn| {
            let actor = actor_or_refuse(state, turn, caller, Attempt::BreakGlass)?;
            may_add(state, &actor, &added)
                .map_err(|why| refuse((Attempt::BreakGlass, actor.person(), caller.source), why))?;
            Ok::<_, Refusal<Failure>>(Event::BreakGlassKeyAdded(BreakGlassKeyAdded {
                person: actor.person().clone(),
                public_key: added.public_key,
                fingerprint: added.fingerprint,
                source: caller.source,
            }))
        });
        let added_at = added.await?.time();
        Ok(api::BreakGlassKey {
            fingerprint,
            public_key,
            added_at,
        })
    }

    /// Removes a key of the caller's.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`] for a key that is not the caller's.
    pub async fn remove_break_glass_key(
        &self,
        caller: Caller,
        fingerprint: String,
    ) -> Result<(), Failure> {
        let removed = self.ledger.commit(move |state, turn| {
            let actor = actor_or_refuse(state, turn, caller, Attempt::BreakGlass)?;
            let found = state.break_glass_key(&fingerprint);
            if found.is_none_or(|key| key.person.subject != actor.person().subject) {
                let who = (Attempt::BreakGlass, actor.person(), caller.source);
                let none = Failure::NotFound("break-glass key of yours");
                return Err(refuse(who, (none, "break-glass-key-unknown")));
            }
            Ok(Event::BreakGlassKeyRemoved(BreakGlassKeyRemoved {
                person: actor.person().clone(),
                fingerprint,
                source: caller.source,
            }))
        });
        removed.await.map_err(Failure::from)?;
        Ok(())
    }

    /// The caller's keys.
    ///
    /// # Errors
    ///
    /// [`Failure::SessionRequired`] above all.
    pub async fn break_glass_keys(&self, caller: Caller) -> Result<api::BreakGlassKeys, Failure> {
        let look = move |state: &State, now: Timestamp| {
            let actor = actor(state, caller.session, now).ok()?;
            let mut keys: Vec<api::BreakGlassKey> = state
                .break_glass_keys()
                .filter(|(_, key)| key.person.subject == actor.person().subject)
                .map(|(fingerprint, key)| api::BreakGlassKey {
                    fingerprint: fingerprint.to_owned(),
                    public_key: key.public_key.clone(),
                    added_at: key.added,
                })
                .collect();
            keys.sort_by_key(|key| key.added_at);
            Some(api::BreakGlassKeys { keys })
        };
        self.ledger
            .read(look)
            .await?
            .ok_or(Failure::SessionRequired)
    }

    /// Signs in with an enrolled key and a TOTP code. The provider is not asked.
    ///
    /// # Errors
    ///
    /// [`Failure::LoginRefused`] whatever was wrong; the record says what.
    pub async fn open_break_glass_session(
        &self,
        body: OpenBreakGlassSession,
        source: IpAddr,
    ) -> Result<api::SessionOpened, Failure> {
        let key = subject_key(&body.public_key)?;
        let fingerprint = key.fingerprint();
        let proven = self.proven(&key, (&body.challenge, &body.signature));
        let holder = self.holder_of(fingerprint.clone()).await?;
        // Spent only for a key that is enrolled: others cannot use memory up.
        let fresh = |_: &Person| proven && self.challenges.spend(&body.challenge, self.clock.now());
        let Some(person) = holder.filter(fresh) else {
            let code = if proven {
                "break-glass-key-unknown"
            } else {
                "break-glass-signature-wrong"
            };
            let record = refused(Attempt::BreakGlass, code, &fingerprint, source);
            return Err(self.record_refusal(record, Failure::LoginRefused).await);
        };
        let shown = (Some(body.totp.as_str()), None);
        let now = self.clock.now();
        let evaluated = self.evaluate(&person, shown, None, now).await?;
        let token = random_token()?;
        let session = Digest::of(token.as_bytes());
        let user = person.user.clone();
        let stale_after = self.settings.break_glass_after;
        let opened = self.ledger.commit(move |state, turn| {
            let who = (Attempt::BreakGlass, &person, source);
            let key = state.break_glass_key(&fingerprint);
            let enrolled = key.is_some_and(|key| key.person.subject == person.subject);
            let factor = state.factor(&person.subject).filter(|_| enrolled);
            let Some(factor) = factor.filter(|factor| factor.confirmed.is_some()) else {
                return Err(refuse(who, (Failure::LoginRefused, "totp-not-enrolled")));
            };
            let spent = accept(factor, &evaluated, turn.now()).map_err(|why| refuse(who, why))?;
            let Some(totp_step) = spent.totp_step else {
                return Err(refuse(who, (Failure::LoginRefused, "totp-wrong")));
            };
            let known = state.known(&person.subject);
            let known = known.filter(|known| turn.now() < known.seen.plus(stale_after));
            let Some(known) = known else {
                return Err(refuse(who, (Failure::LoginRefused, "not-seen-lately")));
            };
            Ok(Event::BreakGlassSessionOpened(Box::new(
                BreakGlassSessionOpened {
                    groups: known.groups.clone(),
                    person: person.clone(),
                    session,
                    fingerprint,
                    totp_step,
                    expires: turn.now().plus(SESSION),
                    source,
                },
            )))
        });
        let opened_at = opened.await.map_err(Failure::from)?.time();
        Ok(api::SessionOpened {
            token: token.to_string(),
            user,
            expires_at: opened_at.plus(SESSION),
        })
    }

    async fn holder_of(&self, fingerprint: String) -> Result<Option<Person>, Failure> {
        let look = move |state: &State, _| {
            let key = state.break_glass_key(&fingerprint);
            key.map(|key| key.person.clone())
        };
        Ok(self.ledger.read(look).await?)
    }

    /// Issues at once, without approvals, what policy lets the caller take in an emergency.
    ///
    /// # Errors
    ///
    /// [`Failure`]; every decision, also a refusal, has its record.
    pub async fn break_glass(
        self: Arc<Self>,
        caller: Caller,
        mut body: RequestCertificate,
    ) -> Result<IssuedCertificate, Failure> {
        body.duration_seconds.get_or_insert(DURATION_SECONDS);
        let policies = self.policies.current();
        let (ca, set, nonce) = (Arc::clone(&self), Arc::clone(&policies), random()?);
        let committed = self.ledger.commit(move |state, turn| {
            let actor = actor_or_refuse(state, turn, caller, Attempt::BreakGlass)?;
            let parsed = ca
                .parse(&body, caller.source)
                .and_then(emergency)
                .map_err(|failure| refuse_wish(&actor, failure, caller.source));
            parsed
                .map_err(Refusal::from)
                .and_then(|parsed| decide(&ca, (state, turn), &actor, &set, (parsed, nonce)))
                .map_err(of_emergency)
        });
        let recorded = match committed.await {
            Ok(recorded) => recorded,
            Err(CommitError::Refused(NotRecorded::Answered(serial))) => self.recall(serial).await?,
            Err(CommitError::Refused(NotRecorded::Denied(denied))) => {
                return Err(self.denied(policies, *denied).await);
            }
            Err(CommitError::Refused(NotRecorded::Failed(failure))) => return Err(failure),
            Err(CommitError::Refused(NotRecorded::Waits(_))) => {
                return Err(Failure::Internal("an emergency does not wait".to_owned()));
            }
            Err(CommitError::Busy(why)) => return Err(Failure::Busy(why)),
            Err(CommitError::Stopped) => return Err(Failure::Stopped),
        };
        let certificate = self.sign(&recorded).await?;
        self.answer(&recorded, &certificate)
    }
}

struct BreakGlassKeyParts {
    public_key: String,
    fingerprint: String,
    proven: bool,
}

fn may_add(
    state: &State,
    actor: &Actor,
    key: &BreakGlassKeyParts,
) -> Result<(), (Failure, &'static str)> {
    let invalid = |field, detail: &str| Failure::Invalid {
        field,
        detail: detail.to_owned(),
    };
    let recent = actor.second_factor() == SecondFactor::Totp && actor.mfa_age() <= KEY_MFA_AGE_MAX;
    if actor.is_break_glass() || !recent {
        return Err((Failure::TotpRequired, "mfa-too-old"));
    }
    if !actor.token_bound() {
        let unbound = "sign in through a browser on this machine, not with a device code";
        return Err((invalid("public_key", unbound), "token-not-bound"));
    }
    if actor.is_frozen() {
        return Err((Failure::Frozen("you are frozen".to_owned()), "frozen"));
    }
    if !key.proven {
        let wrong = "not a fresh signature of this key over the challenge";
        return Err((invalid("signature", wrong), "break-glass-signature-wrong"));
    }
    if state.break_glass_key(&key.fingerprint).is_some() {
        let taken = "this key is enrolled already";
        return Err((invalid("public_key", taken), "break-glass-key-taken"));
    }
    let subject = &actor.person().subject;
    let mine = state
        .break_glass_keys()
        .filter(|(_, key)| key.person.subject == *subject);
    if mine.count() >= KEYS_MAX {
        let many = "you have 5 break-glass keys: remove one first";
        return Err((invalid("public_key", many), "break-glass-keys-many"));
    }
    Ok(())
}

fn subject_key(text: &str) -> Result<SubjectKey, Failure> {
    text.parse().map_err(|error| Failure::Invalid {
        field: "public_key",
        detail: format!("{error}"),
    })
}

/// An emergency has a reason, is now, and waits for nobody.
fn emergency(parsed: Parsed<'_>) -> Result<Parsed<'_>, Failure> {
    let invalid = |field, detail: &str| {
        Err(Failure::Invalid {
            field,
            detail: detail.to_owned(),
        })
    };
    if parsed.wish.reason.is_none() {
        return invalid("reason", "say what happened: it is reviewed afterwards");
    }
    if parsed.wish.not_before.is_some() {
        return invalid("not_before", "an emergency is now");
    }
    if parsed.access_request.is_some() {
        return invalid("access_request", "an emergency activates no request");
    }
    Ok(parsed)
}

fn decide(
    ca: &Ca,
    (state, turn): (&State, Turn),
    actor: &Actor,
    policies: &PolicySet,
    (parsed, nonce): (Parsed<'_>, [u8; 32]),
) -> Result<Prepared, Refusal<NotRecorded>> {
    let source = parsed.wish.source;
    let rules = &parsed.signing.rules;
    not_frozen(state, actor, rules, source)?;
    answered(state, turn, actor, &parsed)?;
    let on_call = ca.settings.on_call.has(actor);
    let unreviewed = state.unreviewed(actor.person());
    let wish = parsed.wish.clone();
    let facts = (on_call, unreviewed);
    let grant = access::break_glass(actor, wish, (rules, policies), facts, turn.now())
        .map_err(|denied| refuse_denied(actor, policies, denied, source))?;
    prepare(actor, grant, (parsed, nonce), turn)
}

/// The same refusal, recorded as one of an emergency.
fn of_emergency(mut refusal: Refusal<NotRecorded>) -> Refusal<NotRecorded> {
    if let Some(record) = &mut refusal.record {
        record.attempt = Attempt::BreakGlass;
    }
    refusal
}
