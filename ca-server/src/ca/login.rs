//! Signing in and out.

use std::net::IpAddr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ca_core::api::{self, OpenSession};
use ca_core::digest::Digest;
use ca_core::event::{Attempt, Event, Refused, SessionClosed, SessionOpened};
use ca_core::time::Timestamp;
use zeroize::Zeroizing;

use super::factor::{accept, refuse};
use super::requests::JUDGED_MAX;
use super::{Ca, Caller, Failure, actor_or_refuse, refused};
use crate::authn::Identity;
use crate::authn::session::actor;
use crate::identity::IdentifyError;
use crate::ledger::Refusal;
use crate::state::State;

impl Ca {
    /// ID token and second factor become a session. The token is returned once and never kept.
    ///
    /// # Errors
    ///
    /// [`Failure`]; every one after parsing has its record.
    pub async fn log_in(
        &self,
        body: OpenSession,
        source: IpAddr,
    ) -> Result<api::SessionOpened, Failure> {
        let now = self.clock.now();
        let key = &body.session_public_key;
        let identity = self
            .identify(Attempt::SignIn, (&body.id_token, key), source)
            .await?;
        let shown = (body.totp.as_deref(), body.recovery_code.as_deref());
        let evaluated = self.evaluate(identity.person(), shown, None, now).await?;
        let token = random_token()?;
        let session = Digest::of(token.as_bytes());
        let length = self.settings.session;
        let opened = self.ledger.commit(move |state, turn| {
            let who = (Attempt::SignIn, identity.person(), source);
            unspent(state, &identity, turn.now()).map_err(|why| refuse(who, why))?;
            let enrolled = state
                .factor(&identity.person().subject)
                .filter(|factor| factor.confirmed.is_some());
            let Some(factor) = enrolled else {
                return Err(refuse(who, (Failure::TotpNotEnrolled, "totp-not-enrolled")));
            };
            let spent = accept(factor, &evaluated, turn.now()).map_err(|why| refuse(who, why))?;
            Ok(Event::SessionOpened(Box::new(SessionOpened {
                person: identity.person().clone(),
                groups: identity.groups().clone(),
                session,
                id_token: identity.id_token(),
                id_token_expires: identity.id_token_expires(),
                token_bound: identity.token_bound(),
                second_factor: spent.kind,
                totp_step: spent.totp_step,
                recovery_code: spent.recovery_code,
                expires: turn.now().plus(length),
                source,
            })))
        });
        match opened.await?.into_inner() {
            Event::SessionOpened(opened) => Ok(api::SessionOpened {
                token: token.to_string(),
                user: opened.person.user,
                expires_at: opened.expires,
            }),
            _ => Err(Failure::Internal("another event than decided".to_owned())),
        }
    }

    /// Ends a session and revokes what was issued through it.
    ///
    /// # Errors
    ///
    /// [`Failure`], [`Failure::SessionRequired`] above all.
    pub async fn log_out(&self, caller: Caller) -> Result<api::SessionClosed, Failure> {
        let closed = self.ledger.commit(move |state, turn| {
            let actor = actor_or_refuse(state, turn, caller, Attempt::Session)?;
            let serials = state
                .live_of(&actor.person().subject, turn.now())
                .filter(|(_, certificate)| certificate.session == caller.session)
                .map(|(serial, _)| serial)
                .collect();
            let person = actor.person().clone();
            let session = caller.session;
            Ok::<_, Refusal<Failure>>(Event::SessionClosed(SessionClosed {
                person,
                session,
                serials,
            }))
        });
        match closed.await?.into_inner() {
            Event::SessionClosed(closed) => Ok(api::SessionClosed {
                revoked: closed.serials,
            }),
            _ => Err(Failure::Internal("another event than decided".to_owned())),
        }
    }

    /// What the session of `caller` is good for. Decides nothing, so nothing is recorded.
    ///
    /// # Errors
    ///
    /// [`Failure::SessionRequired`] when it is not open.
    pub async fn session_status(
        self: Arc<Self>,
        caller: Caller,
    ) -> Result<api::SessionStatus, Failure> {
        let look = move |state: &State, now: Timestamp| {
            let actor = actor(state, caller.session, now).ok()?;
            let session = state.session(&caller.session, now)?.clone();
            let live = state.live_of(&session.person.subject, now);
            let certificates: Vec<api::LiveCertificate> = live
                .map(|(serial, certificate)| api::LiveCertificate {
                    serial,
                    environment: certificate.environment.clone(),
                    principals: certificate.principals.clone(),
                    valid_before: certificate.valid_before,
                })
                .collect();
            let open = state.access_requests().rev();
            let open = open.filter(|request| request.is_open(now)).take(JUDGED_MAX);
            Some((actor, session, certificates, state.excerpt(open), now))
        };
        let seen = self.ledger.read(look).await?;
        let (actor, session, certificates, state, now) = seen.ok_or(Failure::SessionRequired)?;
        let policies = self.policies.current();
        let judged = tokio::task::spawn_blocking(move || {
            let (requests, to_approve) =
                self.concerning((&state, &actor), &policies, (caller, now));
            let reviews = self.reviews_seen(&state, &actor, &policies, (caller, now));
            (requests, to_approve, reviews)
        });
        let judged = judged.await;
        let (requests, to_approve, reviews) =
            judged.map_err(|error| Failure::Internal(error.to_string()))?;
        Ok(api::SessionStatus {
            user: session.person.user,
            expires_at: session.expires,
            second_factor_at: session.opened,
            certificates,
            requests,
            to_approve,
            reviews,
            break_glass: session.break_glass,
            server_time: now,
        })
    }

    /// Who the ID token says this is, or a recorded refusal with one face.
    pub(super) async fn identify(
        &self,
        attempt: Attempt,
        (id_token, session_public_key): (&str, &str),
        source: IpAddr,
    ) -> Result<Identity, Failure> {
        let now = self.clock.now();
        let error = match self
            .providers
            .identify(id_token, session_public_key, now)
            .await
        {
            Ok(identity) => return Ok(identity),
            Err(error) => error,
        };
        let why = match error {
            IdentifyError::Token(_) => Failure::LoginRefused,
            IdentifyError::Unreachable => Failure::ProviderUnavailable,
        };
        let record = refused(attempt, error.code(), &error, source);
        Err(self.record_refusal(record, why).await)
    }

    /// Records a refusal that no state had to be asked for. What the caller is told: `why`, or that
    /// nothing could be recorded.
    pub(super) async fn record_refusal(&self, record: Refused, why: Failure) -> Failure {
        let refusal = Refusal {
            why,
            record: Some(Box::new(record)),
        };
        let refused = self.ledger.commit(move |_, _| Err::<Event, _>(refusal));
        match refused.await {
            Err(error) => error.into(),
            Ok(_) => Failure::LoginRefused,
        }
    }
}

/// That this sign-in at the provider has opened no session before and is not over on the clock of
/// the log, by which its use is forgotten: a machine whose clock was set back must not accept it
/// again.
pub(super) fn unspent(
    state: &State,
    identity: &Identity,
    now: Timestamp,
) -> Result<(), (Failure, &'static str)> {
    if state.is_spent(&identity.id_token()) {
        return Err((Failure::LoginRefused, "id-token-reused"));
    }
    if now >= identity.id_token_expires() {
        return Err((Failure::LoginRefused, "id-token-expired"));
    }
    Ok(())
}

/// 256 random bits as base64url text.
pub(super) fn random_token() -> Result<Zeroizing<String>, Failure> {
    let bytes = Zeroizing::new(random::<32>()?);
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

/// Fresh random bytes from the operating system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], Failure> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| Failure::Internal(error.to_string()))?;
    Ok(bytes)
}
