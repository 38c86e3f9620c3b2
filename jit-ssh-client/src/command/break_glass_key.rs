//! `jit-ssh break-glass-key add|list|remove`: keys for the day when the identity provider is down.

use std::path::Path;
use std::time::Duration;

use ca_core::api::{AddBreakGlassKey, BreakGlassKey};
use secrecy::SecretString;

use super::caller;
use crate::access::Caller;
use crate::break_glass_key::{Remembered, Remembering, sign, there};
use crate::ca::Ca;
use crate::cli::{AddKey, Look, RemoveKey};
use crate::clock;
use crate::failure::Failure;
use crate::span;
use crate::table;
use crate::terminal::{plain, tick};

/// A second factor older than this is asked for before the key signs, so that it signs once.
const FACTOR_AGE_MAX: Duration = Duration::from_secs(14 * 60);

/// Runs `add`.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn add(ca: &Ca, args: &AddKey) -> Result<(), Failure> {
    let path = std::path::absolute(&args.path)
        .map_err(|error| Failure::local(format!("no current folder: {error}")))?;
    let path = there(path)?;
    let mut caller = caller(ca, &args.sign_in).await?;
    sign_in_recently(&mut caller).await?;
    let key = caller
        .call(async |token: &SecretString| enrol(ca, token, &path).await)
        .await?;
    let mut known = Remembering::load(&ca.config)?;
    known.add(Remembered {
        fingerprint: key.fingerprint.clone(),
        path: path.clone(),
    });
    known.save(&ca.config)?;
    ca.voice.result(&format!(
        "{} {} is enrolled; while the identity provider is down it is used by: jit-ssh break-glass ENV --reason TEXT",
        tick(),
        plain(&key.fingerprint)
    ));
    ca.voice.json(&serde_json::json!({
        "fingerprint": key.fingerprint,
        "public_key": key.public_key,
        "added_at": key.added_at,
        "path": path,
    }));
    Ok(())
}

/// A challenge is good once, so each attempt has its own.
async fn enrol(ca: &Ca, token: &SecretString, path: &Path) -> Result<BreakGlassKey, Failure> {
    let challenge = ca.api.challenge().await?.challenge;
    let signed = sign(path, &challenge).await?;
    let body = AddBreakGlassKey {
        public_key: signed.public_key,
        challenge,
        signature: signed.signature,
    };
    ca.api.add_break_glass_key(token, &body).await
}

async fn sign_in_recently(caller: &mut Caller<'_>) -> Result<(), Failure> {
    let ca = caller.ca;
    let call = async |token: &SecretString| ca.api.session(token).await;
    let status = caller.call(call).await?;
    // Both by the CA's clock.
    if status.server_time.since(status.second_factor_at) > FACTOR_AGE_MAX {
        caller.sign_in().await?;
    }
    Ok(())
}

/// Runs `list`.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn list(ca: &Ca, args: &Look) -> Result<(), Failure> {
    let mut caller = caller(ca, &args.sign_in).await?;
    let call = async |token: &SecretString| ca.api.break_glass_keys(token).await;
    let found = caller.call(call).await?;
    let known = Remembering::load(&ca.config)?;
    let now = clock::now();
    if found.keys.is_empty() {
        ca.voice
            .result("no break-glass key is enrolled (add one: jit-ssh break-glass-key add PATH)");
    } else {
        let rows = found.keys.iter().map(|key| {
            let path = known.file_of(&key.fingerprint);
            [
                plain(&key.fingerprint),
                span::clock_time(key.added_at, now),
                path.map_or_else(
                    || "not on this machine".to_owned(),
                    |path| path.display().to_string(),
                ),
            ]
        });
        for line in table::lines(["KEY", "ENROLLED", "FILE"], rows.collect()) {
            ca.voice.result(&line);
        }
    }
    ca.voice.json(&serde_json::json!(found));
    Ok(())
}

/// Runs `remove`.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(crate) async fn remove(ca: &Ca, args: &RemoveKey) -> Result<(), Failure> {
    let mut caller = caller(ca, &args.sign_in).await?;
    let fingerprint = args.fingerprint.as_str();
    let call = async |token: &SecretString| ca.api.remove_break_glass_key(token, fingerprint).await;
    caller.call(call).await?;
    let mut known = Remembering::load(&ca.config)?;
    known.remove(fingerprint);
    known.save(&ca.config)?;
    ca.voice.result(&format!(
        "{} {} opens nothing any more; the key file itself was not touched",
        tick(),
        plain(fingerprint)
    ));
    ca.voice.json(&serde_json::json!({"removed": fingerprint}));
    Ok(())
}
