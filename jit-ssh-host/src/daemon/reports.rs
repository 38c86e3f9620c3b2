//! The thread that talks to the authority: reports and acknowledgements, settings, the host
//! certificate.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use ca_core::api::{HostReport, HostSettings};

use crate::authority::{Authority, CallError};
use crate::failure::Failure;
use crate::file::{self, Keep};
use crate::{backoff, clock, host_certificate, journal, list_store, outbox};

use super::lists::random;
use super::shared::Shared;

/// How often it looks without being told.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// How often the settings are asked for.
const SETTINGS_EVERY: Duration = Duration::from_secs(300);
/// How long after a failed renewal it is tried again.
const RENEWAL_AGAIN: Duration = Duration::from_secs(60);

/// What the authority was told and when it is asked again.
#[derive(Default)]
struct Told {
    version: Option<u64>,
    one_by_one: bool,
    settings_next: Option<Instant>,
    renewal_next: Option<Instant>,
}

/// Why a round was not finished.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error(transparent)]
    File(#[from] Failure),
}

/// Never returns while the other threads live.
pub(crate) fn keep(shared: &Shared, authority: &Authority, told: &Receiver<()>) {
    let mut state = Told::default();
    let mut failures = 0_u32;
    loop {
        let pause = match round(shared, authority, &mut state) {
            Ok(()) => {
                failures = 0;
                LOOK_EVERY
            }
            Err(error) => {
                failures = failures.saturating_add(1);
                let problem = error.to_string();
                if shared.trouble(&problem) {
                    journal::warning(&problem);
                }
                backoff::wait(failures, random())
            }
        };
        if told.recv_timeout(pause) == Err(RecvTimeoutError::Disconnected) {
            return;
        }
    }
}

fn round(shared: &Shared, authority: &Authority, told: &mut Told) -> Result<(), RoundError> {
    send_reports(shared, authority, told)?;
    refresh_settings(shared, authority, told)?;
    renew(shared, authority, told)
}

fn send_reports(shared: &Shared, authority: &Authority, told: &mut Told) -> Result<(), RoundError> {
    let box_ = shared.place.outbox();
    loop {
        let (mut batch, dropped) = outbox::take(&box_)?;
        if dropped > 0 {
            journal::warning(&format!(
                "{dropped} reports were dropped: too many or unreadable"
            ));
        }
        if told.one_by_one {
            batch.files.truncate(1);
            batch.reports.truncate(1);
        }
        let version = shared.version();
        if batch.reports.is_empty() && version == told.version {
            return Ok(());
        }
        let report = HostReport {
            krl_version: version,
            sessions: batch.reports.clone(),
            version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        };
        match authority.report(&report) {
            Ok(taken) => {
                // A crash here sends them again; the authority records nothing twice.
                outbox::sent(&batch)?;
                told.version = version;
                told.one_by_one = told.one_by_one && !batch.reports.is_empty();
                let now = clock::now();
                shared.heard_time(taken.server_time, now);
            }
            // One report that it cannot read must not keep all later ones from it.
            Err(CallError::Refused {
                status: 400 | 413 | 422,
                said,
            }) if !batch.reports.is_empty() => {
                if told.one_by_one {
                    journal::warning(&format!("a report was refused and dropped: {said}"));
                    outbox::sent(&batch)?;
                }
                told.one_by_one = true;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

fn refresh_settings(
    shared: &Shared,
    authority: &Authority,
    told: &mut Told,
) -> Result<(), RoundError> {
    let moment = clock::monotonic();
    if told.settings_next.is_some_and(|next| moment < next) {
        return Ok(());
    }
    let settings = authority.settings()?;
    told.settings_next = moment.checked_add(SETTINGS_EVERY);
    if settings != shared.settings() {
        take_settings(shared, settings)?;
    }
    Ok(())
}

/// The keys for sshd first: a crash in between asks again and finds the settings still different.
fn take_settings(shared: &Shared, settings: HostSettings) -> Result<(), Failure> {
    let place = &shared.place;
    let pinned = place.config.log_verifier_key.clone();
    if settings.log_verifier_key != String::from(pinned) {
        journal::warning("the authority shows another log key; only `enroll --replace` takes it");
    }
    // Refused before anything is written if the environment's key is not one.
    crate::place::environment_key(&settings)?;
    write_user_ca_keys(place, &settings)?;
    file::replace_json(&place.settings(), &settings, Keep::Durably)?;
    list_store::enforce(place, &settings, clock::now())?;
    shared.set_settings(settings);
    journal::info("the environment's settings changed and are in force");
    Ok(())
}

/// Writes `TrustedUserCAKeys`. sshd stops reading at a line that it does not understand, so only
/// those that are understood here are written.
///
/// # Errors
///
/// A [`Failure`] when there is none, or the file cannot be written.
pub(crate) fn write_user_ca_keys(
    place: &crate::place::Place,
    settings: &HostSettings,
) -> Result<(), Failure> {
    let keys = crate::place::user_authorities(settings);
    if keys.is_empty() {
        return Err(Failure::local(
            "the authority names no CA key that sshd could trust",
        ));
    }
    let lines: Vec<String> = keys.iter().map(|key| format!("{key}\n")).collect();
    let path = place.user_ca_keys();
    file::replace(&path, lines.concat().as_bytes(), 0o644, Keep::Durably)
}

fn renew(shared: &Shared, authority: &Authority, told: &mut Told) -> Result<(), RoundError> {
    let moment = clock::monotonic();
    if told.renewal_next.is_some_and(|next| moment < next) {
        return Ok(());
    }
    let held = host_certificate::held(&shared.place);
    let has_host_ca = shared.settings().host_ca_key.is_some();
    if !host_certificate::renewal_is_due(held.as_ref(), has_host_ca, clock::now()) {
        return Ok(());
    }
    told.renewal_next = moment.checked_add(RENEWAL_AGAIN);
    let certificate = authority.renew_certificate()?;
    host_certificate::install(&shared.place, &certificate)?;
    journal::info(&format!(
        "the host certificate was renewed until {}",
        certificate.valid_before
    ));
    host_certificate::tell_sshd(&shared.place);
    Ok(())
}
