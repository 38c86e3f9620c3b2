//! Hosts: joining with a one-use token, and what a host's credential is good for: its settings, its
//! own name, its own reports.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ca_core::api::{
    self, EnrolHost, HOST_ENROLMENT_NAMESPACE, HostSettings, IssueJoinToken, JoinToken, RemoveHost,
};
use ca_core::certificate::host::HostNames;
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::digest::Digest;
use ca_core::event::{Attempt, Event, HostEnrolled, HostRemoved, JoinTokenIssued, Judged};
use ca_core::name::{Environment, HostName};
use ca_core::time::Timestamp;

use super::audit::permitted;
use super::login::{random, random_token};
use super::text::written;
use super::{Ca, Caller, Failure, Signing, actor_or_refuse, refused};
use crate::access::{self, OnCall};
use crate::authn::session::Actor;
use crate::authn::sshsig;
use crate::issuance::host::{self, PreparedHost};
use crate::ledger::{Recorded, Refusal, Turn};
use crate::policy::{Action, On, PolicySet, Question};
use crate::state::{Host, State};

/// How long a join token is good.
const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// Shortest time between two certificates of a host.
const RENEWAL_MIN: Duration = Duration::from_secs(60);

/// When each host was last heard of, and how much it told lately. Not in the log: it changes with
/// every poll.
#[derive(Debug, Default)]
pub struct Seen {
    last: Mutex<HashMap<u64, Heard>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    at: Timestamp,
    minute: u64,
    told: usize,
}

/// What a host may tell of ssh sessions in a minute: each is a record, for ever.
const TOLD_PER_MINUTE: usize = 1200;

impl Seen {
    pub(super) fn note(&self, host: u64, now: Timestamp) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.entry(host).or_default().at = now;
    }

    pub(super) fn last(&self, host: u64) -> Option<Timestamp> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.get(&host).map(|heard| heard.at)
    }

    /// Counts what a host tells; beyond its share, how many seconds it has to wait.
    pub(super) fn spend(&self, host: u64, told: usize, now: Timestamp) -> Result<(), u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = last.entry(host).or_default();
        let minute = now.unix_seconds() / 60;
        if heard.minute != minute {
            (heard.minute, heard.told) = (minute, 0);
        }
        if heard.told.saturating_add(told) > TOLD_PER_MINUTE {
            return Err(60 - now.unix_seconds() % 60);
        }
        heard.told += told;
        Ok(())
    }
}

impl Ca {
    /// An administrator lets one host join.
    ///
    /// # Errors
    ///
    /// [`Failure::Denied`] unless policy lets the caller `administer`.
    pub async fn issue_join_token(
        &self,
        caller: Caller,
        body: IssueJoinToken,
    ) -> Result<JoinToken, Failure> {
        let (environment, _) = self
            .environments
            .get_key_value(body.environment.as_str())
            .ok_or(Failure::NotFound("environment"))?;
        let environment = environment.clone();
        let names = host_names(&body.names)?;
        let token = random_token()?;
        let digest = Digest::of(token.as_bytes());
        let policies = self.policies.current();
        let on_call = Arc::clone(&self.settings.on_call);
        let issued = self.ledger.commit(move |state, turn| {
            let (actor, judged) = administrator((state, turn), caller, &policies, &on_call)?;
            Ok::<_, Refusal<Failure>>(Event::JoinTokenIssued(JoinTokenIssued {
                by: Some(actor.person().clone()),
                environment,
                names,
                token: digest,
                expires: turn.now().plus(TOKEN_LIFE),
                judged: Some(Box::new(judged)),
                source: caller.source,
            }))
        });
        let expires_at = issued.await?.time().plus(TOKEN_LIFE);
        Ok(JoinToken {
            token: token.to_string(),
            expires_at,
        })
    }

    /// Takes a host's credential away. Its sshd goes on with what it has.
    ///
    /// # Errors
    ///
    /// [`Failure::Denied`] unless policy lets the caller `administer`.
    pub async fn remove_host(
        &self,
        caller: Caller,
        (host, body): (u64, RemoveHost),
    ) -> Result<(), Failure> {
        let reason = written("reason", &body.reason)?;
        let policies = self.policies.current();
        let on_call = Arc::clone(&self.settings.on_call);
        let removed = self.ledger.commit(move |state, turn| {
            let (actor, judged) = administrator((state, turn), caller, &policies, &on_call)?;
            let Some(found) = state.host(host) else {
                let why = Failure::NotFound("host");
                let mut record = refused(Attempt::Host, "not-found", &why, caller.source);
                record.person = Some(actor.person().clone());
                let record = Some(Box::new(record));
                return Err(Refusal { why, record });
            };
            Ok(Event::HostRemoved(HostRemoved {
                host,
                by: actor.person().clone(),
                environment: found.environment.clone(),
                reason,
                judged: Some(Box::new(judged)),
                source: caller.source,
            }))
        });
        removed.await.map_err(Failure::from)?;
        Ok(())
    }

    /// A host joins with its token and proves that it holds its host key. Hosts of the environment
    /// that had one of its names are gone with it.
    ///
    /// # Errors
    ///
    /// [`Failure::LoginRefused`] for a token or signature that is not good; the record says which.
    pub async fn enrol_host(
        &self,
        body: EnrolHost,
        source: IpAddr,
    ) -> Result<api::HostEnrolled, Failure> {
        let key: SubjectKey = body.host_public_key.parse().map_err(|error| {
            let detail = format!("{error}");
            let field = "host_public_key";
            Failure::Invalid { field, detail }
        })?;
        let message = body.token.as_bytes();
        let signed = sshsig::verify(&key, HOST_ENROLMENT_NAMESPACE, message, &body.signature);
        let token = Digest::of(message);
        let credential = random_token()?;
        let digest = Digest::of(credential.as_bytes());
        let public_key = key.to_string();
        let enrolled = self.ledger.commit(move |state, turn| {
            let refuse = |code: &str| Refusal::<Failure> {
                why: Failure::LoginRefused,
                record: Some(Box::new(refused(Attempt::Host, code, &"joining", source))),
            };
            let good = state.join_token(&token, turn.now());
            let good = good.ok_or_else(|| refuse("join-token-unknown"))?;
            signed.map_err(|_| refuse("host-signature-wrong"))?;
            Ok::<_, Refusal<Failure>>(Event::HostEnrolled(Box::new(HostEnrolled {
                host: turn.index(),
                environment: good.environment.clone(),
                names: good.names.clone(),
                public_key,
                token,
                credential: digest,
                source,
            })))
        });
        let (host, recorded) = {
            let recorded = enrolled.await?;
            (recorded.index(), recorded.into_inner())
        };
        let Event::HostEnrolled(recorded) = recorded else {
            return Err(Failure::Internal("another event than decided".to_owned()));
        };
        let caller = Caller {
            session: digest,
            source,
        };
        // Joined already: without a certificate it works, and asks again by itself.
        let certificate = match self.renew_host_certificate(caller).await {
            Ok(certificate) => Some(certificate),
            Err(error) => {
                tracing::warn!(%error, host, "joined without a host certificate");
                None
            }
        };
        Ok(api::HostEnrolled {
            host,
            settings: self.settings_of(&recorded.environment)?,
            environment: recorded.environment,
            names: recorded.names,
            credential: credential.to_string(),
            certificate,
            server_time: self.clock.now(),
        })
    }

    /// What hosts of the caller's environment trust and do.
    ///
    /// # Errors
    ///
    /// [`Failure::SessionRequired`] without a host's credential.
    pub async fn host_settings(&self, caller: Caller) -> Result<HostSettings, Failure> {
        let (_, environment) = self.calling_host(caller).await?;
        self.settings_of(&environment)
    }

    /// The host that calls, and its environment; noted as seen.
    pub(super) async fn calling_host(&self, caller: Caller) -> Result<(u64, Environment), Failure> {
        let look = move |state: &State, _| {
            let (number, host) = state.host_of_credential(&caller.session)?;
            Some((number, host.environment.clone()))
        };
        match self.ledger.read(look).await? {
            Some((number, environment)) => {
                self.seen.note(number, self.clock.now());
                Ok((number, environment))
            }
            None => {
                let code = "host-credential-unknown";
                let record = refused(Attempt::Host, code, &"a host's call", caller.source);
                Err(self.record_refusal(record, Failure::SessionRequired).await)
            }
        }
    }

    fn settings_of(&self, environment: &Environment) -> Result<HostSettings, Failure> {
        let signing = self.environments.get(environment);
        let signing = signing.ok_or(Failure::NotFound("environment"))?;
        let rules = &signing.rules;
        let environment_ca_key = rules.authority_key.to_string();
        let mut user_ca_keys = vec![environment_ca_key.clone()];
        user_ca_keys.extend(rules.hosts.break_glass_key.clone());
        Ok(HostSettings {
            user_ca_keys,
            environment_ca_key,
            host_ca_key: host_ca_key(signing),
            log_verifier_key: self.ledger.verifier().to_string(),
            staleness: rules.hosts.staleness,
            stale_after_seconds: rules.hosts.stale_after_seconds,
            warn_before_seconds: rules.hosts.warn_before_seconds.clone(),
        })
    }

    /// A new certificate for the calling host: its own key, its own names, nothing else.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`] where the environment has no host CA key.
    pub async fn renew_host_certificate(
        &self,
        caller: Caller,
    ) -> Result<api::HostCertificate, Failure> {
        let (_, environment) = self.calling_host(caller).await?;
        let signing = self.environments.get(&environment);
        let host_signer = signing.and_then(|signing| signing.host_signer.as_ref());
        let (Some(signing), Some(signer)) = (signing, host_signer) else {
            return Err(Failure::NotFound("host CA key in this environment"));
        };
        let (key, life) = (
            signer.public_key().clone(),
            signing.rules.hosts.certificate_life,
        );
        let nonce = random()?;
        let recorded = self
            .ledger
            .commit(move |state, turn| prepare(state, turn, caller, (&key, life, nonce)))
            .await
            .map_err(Failure::from)?;
        let line = sign(signing, &recorded).await?;
        let issued = recorded.get().issued();
        Ok(api::HostCertificate {
            certificate: line,
            serial: issued.serial,
            valid_after: Timestamp::from_unix_seconds(issued.valid_after),
            valid_before: Timestamp::from_unix_seconds(issued.valid_before),
        })
    }
}

/// Who calls, if policy lets them `administer`, and how it judged that.
fn administrator(
    (state, turn): (&State, Turn),
    caller: Caller,
    policies: &PolicySet,
    on_call: &OnCall,
) -> Result<(Actor, Judged), Refusal<Failure>> {
    let actor = actor_or_refuse(state, turn, caller, Attempt::Host)?;
    let question = Question {
        who: access::who(&actor),
        action: Action::Administer,
        on: On::Authority,
        facts: access::facts(&actor, caller.source, on_call.has(&actor), turn.now()),
    };
    let judged = permitted(policies, &question, (Attempt::Host, &actor, caller))?;
    Ok((actor, judged))
}

/// The host CA key of an environment, if it has one.
pub(crate) fn host_ca_key(signing: &Signing) -> Option<String> {
    let signer = signing.host_signer.as_ref()?;
    Some(signer.public_key().to_string())
}

fn prepare(
    state: &State,
    turn: Turn,
    caller: Caller,
    (key, life, nonce): (
        &ca_core::certificate::authority_key::AuthorityKey,
        Duration,
        [u8; 32],
    ),
) -> Result<PreparedHost, Refusal<Failure>> {
    let refuse = |code: &str, why: Failure| Refusal {
        record: Some(Box::new(refused(Attempt::Host, code, &why, caller.source))),
        why,
    };
    let host = state.host_of_credential(&caller.session);
    let host = host.ok_or_else(|| refuse("host-credential-unknown", Failure::SessionRequired))?;
    if let Some(wait) = too_soon(host.1, life, turn.now()) {
        let retry_after_seconds = wait.as_secs().saturating_add(1);
        let soon = Failure::TooManyAttempts {
            retry_after_seconds,
        };
        return Err(refuse("host-certificate-too-soon", soon));
    }
    host::prepare(host, (key, life), nonce, (turn.serial(), turn.now())).map_err(|error| {
        tracing::error!(%error, "a host certificate could not be prepared");
        refuse("not-issued", Failure::Internal(error.to_string()))
    })
}

/// How long until this host may have another certificate.
fn too_soon(host: &Host, life: Duration, now: Timestamp) -> Option<Duration> {
    let made = host.certificate_valid_before?.minus(life);
    let next = made.plus(RENEWAL_MIN);
    (now < next).then(|| next.since(now))
}

async fn sign(signing: &Signing, recorded: &Recorded<PreparedHost>) -> Result<String, Failure> {
    let signer = signing.host_signer.as_ref();
    let signer = signer.ok_or(Failure::CaKeyUnavailable)?;
    let signature = signer.sign(recorded.into()).await.map_err(|error| {
        tracing::error!(%error, environment = %signing.rules.name, "host CA key");
        Failure::CaKeyUnavailable
    })?;
    let key = signer.public_key();
    recorded
        .get()
        .finish(signature.blob(), key, recorded.time())
        .map_err(|error| {
            tracing::error!(%error, "wrong host certificate not released");
            Failure::Internal("the host CA key made a wrong certificate".to_owned())
        })
}

fn host_names(given: &[String]) -> Result<Vec<HostName>, Failure> {
    let invalid = |detail: String| Failure::Invalid {
        field: "names",
        detail,
    };
    let names: BTreeSet<&String> = given.iter().collect();
    if names.len() != given.len() {
        return Err(invalid("a name is given twice".to_owned()));
    }
    let names: Result<Vec<HostName>, _> = given.iter().map(|name| name.parse()).collect();
    let names = names.map_err(|error| invalid(error.to_string()))?;
    let names = HostNames::new(names).map_err(|error| invalid(error.to_string()))?;
    Ok(names.as_slice().to_vec())
}
