//! Reports that the authority has not taken yet: one small file each, durable before anything that
//! rests on them is forgotten. At least once: a crash between sending and removing sends again.

use std::path::{Path, PathBuf};

use ca_core::api::{BODY_BYTES_MAX, REPORTS_MAX, SessionReport};

use crate::failure::Failure;
use crate::file::{self, Keep};

/// Most reports kept. Over it the oldest are dropped: weeks of a busy host without its authority.
pub(crate) const KEPT_MAX: usize = 16_384;

/// Most bytes of reports in one request: the server reads no more than [`BODY_BYTES_MAX`].
const BATCH_BYTES_MAX: usize = BODY_BYTES_MAX - 4 * 1024;

/// Reports taken out to be sent.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Their files.
    pub(crate) files: Vec<PathBuf>,
    /// The reports, oldest first, at most [`REPORTS_MAX`].
    pub(crate) reports: Vec<SessionReport>,
}

/// Puts a report in. The same report again is the same file.
///
/// # Errors
///
/// A [`Failure`] naming the file.
pub(crate) fn put(outbox: &Path, report: &SessionReport) -> Result<(), Failure> {
    // Sorted by name is sorted by time, and of one moment a beginning before an end.
    let name = format!(
        "{:016}-{:02x}{:02x}{:02x}{:02x}{:02x}{:02x}-{}.json",
        report.at.unix_milliseconds(),
        byte(report, 0),
        byte(report, 1),
        byte(report, 2),
        byte(report, 3),
        byte(report, 4),
        byte(report, 5),
        serde_json::to_string(&report.happened)
            .unwrap_or_default()
            .trim_matches('"'),
    );
    file::replace_json(&outbox.join(name), report, Keep::Durably)
}

fn byte(report: &SessionReport, at: usize) -> u8 {
    let digest = report.ssh_session.as_bytes();
    digest.get(at).copied().unwrap_or_default()
}

/// Takes the oldest out, leaving their files. Drops files that are no reports, and the oldest over
/// [`KEPT_MAX`]; the second value says how many.
///
/// # Errors
///
/// A [`Failure`] naming the folder or a file.
pub(crate) fn take(outbox: &Path) -> Result<(Batch, usize), Failure> {
    let names = file::names(outbox)?;
    let over = names.len().saturating_sub(KEPT_MAX);
    let mut dropped = 0_usize;
    let mut batch = Batch::default();
    let mut bytes = 0_usize;
    for (position, path) in names.into_iter().enumerate() {
        if position < over {
            file::remove(&path)?;
            dropped = dropped.saturating_add(1);
            continue;
        }
        match read_one(&path) {
            Ok(Some((report, length))) => {
                bytes = bytes.saturating_add(length);
                if bytes > BATCH_BYTES_MAX {
                    break;
                }
                batch.reports.push(report);
                batch.files.push(path);
            }
            Ok(None) => {}
            Err(_) => {
                file::remove(&path)?;
                dropped = dropped.saturating_add(1);
            }
        }
        if batch.reports.len() >= REPORTS_MAX {
            break;
        }
    }
    Ok((batch, dropped))
}

/// A report and its length with the comma after it.
fn read_one(path: &Path) -> Result<Option<(SessionReport, usize)>, Failure> {
    let Some(bytes) = file::read(path)? else {
        return Ok(None);
    };
    let length = bytes.len().saturating_add(1);
    serde_json::from_slice(&bytes)
        .map(|report| Some((report, length)))
        .map_err(|error| Failure::file("read", path, &error))
}

/// Removes what was sent.
///
/// # Errors
///
/// A [`Failure`] naming a file; those before it are gone.
pub(crate) fn sent(batch: &Batch) -> Result<(), Failure> {
    batch.files.iter().try_for_each(|path| file::remove(path))
}

#[cfg(test)]
mod tests {
    use ca_core::api::SessionEvent;
    use ca_core::digest::Digest;
    use ca_core::time::Timestamp;

    use super::*;

    fn report(second: u64, happened: SessionEvent) -> SessionReport {
        SessionReport {
            ssh_session: Digest::of(b"one"),
            happened,
            at: Timestamp::from_unix_seconds(second),
            serial: 7,
            ca_fingerprint: "SHA256:x".to_owned(),
            key_id: "alice@prod#7".to_owned(),
            account: "deploy".parse().unwrap(),
            from: None,
        }
    }

    #[test]
    fn what_is_put_in_twice_comes_out_once_and_oldest_first_until_it_was_sent() {
        let folder = tempfile::tempdir().unwrap();
        let [began, ended] = [(5, SessionEvent::Began), (5, SessionEvent::EndedAtExpiry)]
            .map(|(second, happened)| report(second, happened));
        for report in [&ended, &began, &began] {
            put(folder.path(), report).unwrap();
        }
        for _ in 0..2 {
            let (batch, dropped) = take(folder.path()).unwrap();
            assert_eq!(batch.reports, [began.clone(), ended.clone()]);
            assert_eq!(dropped, 0);
        }
        sent(&take(folder.path()).unwrap().0).unwrap();
        assert!(take(folder.path()).unwrap().0.reports.is_empty());
    }

    #[test]
    fn a_file_that_is_no_report_is_dropped_and_holds_up_nothing() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("0-garbage.json"), b"{").unwrap();
        put(folder.path(), &report(5, SessionEvent::Began)).unwrap();
        let (batch, dropped) = take(folder.path()).unwrap();
        assert_eq!((batch.reports.len(), dropped), (1, 1));
    }

    #[test]
    fn one_batch_is_no_longer_than_the_authority_takes() {
        let folder = tempfile::tempdir().unwrap();
        for second in 0..u64::try_from(REPORTS_MAX).unwrap() + 1 {
            let path = folder.path().join(format!("{second:016}.json"));
            file::replace_json(
                &path,
                &report(second, SessionEvent::Began),
                Keep::UntilReboot,
            )
            .unwrap();
        }
        let (batch, _) = take(folder.path()).unwrap();
        assert!(!batch.reports.is_empty() && batch.reports.len() <= REPORTS_MAX);
        let body = serde_json::to_vec(&batch.reports).unwrap();
        assert!(body.len() <= BATCH_BYTES_MAX);
    }
}
