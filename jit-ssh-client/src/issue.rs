//! From a session to a certificate in the agent: ask, verify, install.
//!
//! Deliberately in this order: the agent is tried first, so nothing is issued in vain, and nothing
//! reaches agent or disk before it is verified.

use std::num::NonZeroU32;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ca_core::agent::CertificateEntry;
use ca_core::api::{AccessRequest, DiscoveredEnvironment, IssuedCertificate, RequestCertificate};
use ca_core::certificate::draft::openssh_line;
use ca_core::certificate::key_id::Mark;
use ca_core::certificate::subject_key::SubjectKey;
use ca_core::certificate::verify::VerifiedCertificate;
use ca_core::name::Principal;
use ca_core::serial::Serial;
use ca_core::time::Timestamp;
use ed25519_dalek::SigningKey;
use secrecy::SecretString;
use ssh_key::LineEnding;
use ssh_key::private::{Ed25519Keypair, PrivateKey};

use crate::access::Caller;
use crate::agent::{Agent, AgentError, fresh_key, public_line};
use crate::api::Answered;
use crate::ca::Ca;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::file;
use crate::grant;
use crate::pins::Pins;
use crate::problem::{with_commands, with_sentences};
use crate::random;
use crate::verify::{Asked, verify};

/// What the person wants.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// Where.
    pub(crate) environment: DiscoveredEnvironment,
    /// As whom; empty for the environment's defaults.
    pub(crate) principals: Vec<Principal>,
    /// For how long; none for the environment's default.
    pub(crate) duration: Option<Duration>,
    /// Why.
    pub(crate) reason: Option<String>,
    /// Ticket of another system.
    pub(crate) ticket: Option<String>,
    /// The window must not begin earlier.
    pub(crate) not_before: Option<Timestamp>,
    /// On what ground.
    pub(crate) ground: Ground,
}

/// On what ground a certificate is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ground {
    /// What policy permits; with the approvals it wants, that becomes a request.
    Policy,
    /// This access request, which has what it needs.
    Request(u64),
    /// An emergency.
    BreakGlass,
}

/// What came of it.
#[derive(Clone, Debug)]
pub(crate) enum Outcome {
    /// A certificate, where the keeper keeps it.
    Issued(Box<IssuedCertificate>),
    /// A request that other people decide, or whose time has to come.
    Waits(Box<AccessRequest>),
}

/// Where the private key goes.
#[derive(Debug)]
pub(crate) enum Keeper {
    /// The agent, perhaps asking before each use.
    Agent {
        /// The connection.
        agent: Agent,
        /// Whether it asks.
        confirm: bool,
    },
    /// A file of mode 0600.
    File,
}

/// Asks for a certificate, verifies it and hands it to `keeper`.
///
/// # Errors
///
/// A [`Failure`]: denied (3), not signed in (4), unreachable (6), agent or file (7), not to be
/// trusted (1).
pub(crate) async fn issue(
    caller: &mut Caller<'_>,
    wish: &Wish,
    keeper: &mut Keeper,
) -> Result<Outcome, Failure> {
    let key = fresh_key()?;
    let body = body(wish, public_line(&key)?)?;
    let answer = match ask(caller, wish.ground, &body).await? {
        Answered::Issued(answer) => answer,
        Answered::Waits(request) => return Ok(Outcome::Waits(request)),
    };
    let ca = caller.ca;
    ca.compare_clocks(answer.server_time);
    let epoch = Serial::try_from(answer.serial).map(Serial::epoch);
    if epoch.is_ok_and(|epoch| epoch != caller.pins.discovery.log.epoch) {
        // The log began a new epoch since we last looked; its key must still be the pinned one.
        caller.pins = ca.refresh(caller.pins.clone()).await?;
    }
    let subject_key: SubjectKey = body
        .public_key
        .parse()
        .map_err(|error| Failure::new(Exit::Broken, format!("our own key: {error}")))?;
    let asked = Asked {
        environment: &wish.environment,
        log: &caller.pins.discovery.log,
        principals: &wish.principals,
        duration: wish.duration,
        subject_key: &subject_key,
        mark: match wish.ground {
            Ground::BreakGlass => Mark::BreakGlass,
            Ground::Policy | Ground::Request(_) => Mark::Ordinary,
        },
    };
    let certificate = verify(&answer, &asked, clock::now())?;
    install(ca, &caller.pins, &answer, &certificate, (keeper, &key))?;
    Ok(Outcome::Issued(answer))
}

fn body(wish: &Wish, public_key: String) -> Result<RequestCertificate, Failure> {
    let access_request = match wish.ground {
        Ground::Request(id) => Some(id),
        Ground::Policy | Ground::BreakGlass => None,
    };
    Ok(RequestCertificate {
        environment: wish.environment.name.to_string(),
        principals: wish.principals.iter().map(ToString::to_string).collect(),
        duration_seconds: wish.duration.map(|duration| duration.as_secs()),
        reason: wish.reason.clone(),
        ticket: wish.ticket.clone(),
        not_before: wish.not_before,
        access_request,
        public_key,
        request_id: URL_SAFE_NO_PAD.encode(*random::bytes::<24>()?),
    })
}

/// The request itself.
async fn ask(
    caller: &mut Caller<'_>,
    ground: Ground,
    body: &RequestCertificate,
) -> Result<Answered, Failure> {
    let ca = caller.ca;
    let answer = match ground {
        Ground::BreakGlass => {
            let call = async |token: &SecretString| ca.api.break_glass(token, body).await;
            caller.call(call).await
        }
        Ground::Policy | Ground::Request(_) => {
            let call = async |token: &SecretString| ca.api.certificate(token, body).await;
            caller.call(call).await
        }
    };
    answer.map_err(|failure| match ground {
        Ground::Policy => with_commands(failure, body),
        // Other commands to log in are no advice about this request or this emergency.
        Ground::Request(_) | Ground::BreakGlass => with_sentences(failure),
    })
}

fn install(
    ca: &Ca,
    pins: &Pins,
    answer: &IssuedCertificate,
    certificate: &VerifiedCertificate,
    (keeper, key): (&mut Keeper, &SigningKey),
) -> Result<(), Failure> {
    let comment = grant::comment(&answer.environment, &answer.key_id);
    match keeper {
        Keeper::Agent { agent, confirm } => {
            // By the CA's clock: what is left does not depend on how wrong ours is.
            let left = answer.valid_before.since(answer.server_time).as_secs();
            let left = u32::try_from(left).unwrap_or(u32::MAX);
            let entry = CertificateEntry {
                certificate: certificate.blob(),
                key,
                comment: &comment,
                lifetime_seconds: Some(NonZeroU32::new(left).unwrap_or(NonZeroU32::MIN)),
                confirm: *confirm,
            };
            replace_in_agent(agent, pins, &entry, certificate)?;
            // A key file of an earlier --no-agent would be offered beside the agent's.
            file::remove(&grant::key_file(&ca.config, &answer.environment))?;
        }
        Keeper::File => {
            let pair = Ed25519Keypair::from_seed(&key.to_bytes());
            let text = PrivateKey::new(pair.into(), comment.as_str())
                .and_then(|private| private.to_openssh(LineEnding::LF))
                .map_err(|error| Failure::local(format!("cannot write the key: {error}")))?;
            let path = grant::key_file(&ca.config, &answer.environment);
            file::replace(&path, text.as_bytes())?;
        }
    }
    write_certificate(ca, answer, certificate.blob())
}

/// The new entry in, the old ones of its environment out, and a look whether it is there.
fn replace_in_agent(
    agent: &mut Agent,
    pins: &Pins,
    entry: &CertificateEntry<'_>,
    certificate: &VerifiedCertificate,
) -> Result<(), AgentError> {
    let environment = &certificate.key_id().environment;
    grant::remove_from_agent(agent, pins, Some(environment))?;
    agent.add(entry)?;
    let listed = agent.list()?;
    if listed
        .iter()
        .any(|identity| identity.blob == entry.certificate)
    {
        return Ok(());
    }
    Err(AgentError::NotListed)
}

fn write_certificate(ca: &Ca, answer: &IssuedCertificate, blob: &[u8]) -> Result<(), Failure> {
    let comment = grant::comment(&answer.environment, &answer.key_id);
    let line = openssh_line(blob, &comment)
        .map_err(|error| Failure::new(Exit::Broken, format!("cannot write: {error}")))?;
    let path = grant::certificate_file(&ca.config, &answer.environment);
    file::replace(&path, format!("{}\n", line.trim_end()).as_bytes())
}

/// Writes the certificate file of a grant that the agent holds, if it is missing or another one.
///
/// # Errors
///
/// A [`Failure`] naming the file.
pub(crate) fn mend_certificate_file(ca: &Ca, held: &grant::Grant) -> Result<(), Failure> {
    let path = grant::certificate_file(&ca.config, &held.environment);
    let comment = grant::comment(&held.environment, &held.certificate.key_id);
    let Ok(line) = openssh_line(&held.certificate.blob, &comment) else {
        return Ok(());
    };
    let line = format!("{}\n", line.trim_end());
    if file::read(&path)?.as_deref() == Some(line.as_str()) {
        return Ok(());
    }
    file::replace(&path, line.as_bytes())
}

#[cfg(test)]
mod tests;
