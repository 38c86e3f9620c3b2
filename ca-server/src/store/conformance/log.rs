//! Sample records and the log they make.

use ca_core::api::SecondFactor;
use ca_core::digest::Digest;
use ca_core::event::{
    Asked, CertificateIssued, CertificatesRevoked, Event, Person, RevocationCause,
};
use ca_core::name::Subject;
use ca_core::time::Timestamp;
use ca_core::tlog::hash::leaf_hash;
use ca_core::tlog::tree::Peaks;

use crate::store::{Batch, Head, LEAF_BYTES, Opening, Record};

/// A log to append to a store, with what it should then hold.
#[derive(Debug, Default)]
pub(crate) struct Log {
    /// Everything appended so far.
    pub(crate) records: Vec<Record>,
    peaks: Peaks,
}

impl Log {
    /// A log that holds `records` already.
    pub(crate) fn of(records: Vec<Record>) -> Self {
        let mut peaks = Peaks::new();
        for record in &records {
            peaks.push(leaf_hash(&record.leaf)).unwrap();
        }
        Self { records, peaks }
    }

    /// The next `count` sample records as a batch.
    pub(crate) fn next(&mut self, count: u64) -> Batch {
        let size = self.peaks.size();
        self.batch((size..size + count).map(sample).collect())
    }

    /// `records` as a batch.
    pub(crate) fn batch(&mut self, records: Vec<Record>) -> Batch {
        for record in &records {
            self.peaks.push(leaf_hash(&record.leaf)).unwrap();
        }
        self.records.extend(records.clone());
        Batch {
            records,
            tiles: Vec::new(),
            head: self.head(),
        }
    }

    /// The head after everything so far.
    pub(crate) fn head(&self) -> Head {
        Head {
            epoch: 3,
            size: self.peaks.size(),
            root: self.peaks.root(),
            time: time(self.peaks.size().saturating_sub(1)),
            mac: [u8::try_from(self.peaks.size() % 251).unwrap(); 32],
        }
    }
}

/// Time of the leaf at `index`: two at a time share one.
pub(super) fn time(index: u64) -> Timestamp {
    Timestamp::from_unix_milliseconds(1_700_000_000_000 + index / 2 * 1000)
}

/// The sample record at `index`: certificates of five people for seven accounts in two
/// environments, and a revocation now and then. About 1 KB.
pub(crate) fn sample(index: u64) -> Record {
    let user = |n: u64| Person {
        subject: Subject::new("https://id.example", &format!("sub-{n}")).unwrap(),
        user: format!("user{n}").parse().unwrap(),
    };
    let person = user(index % 5);
    let source = "192.0.2.7".parse().unwrap();
    let event = if index % 11 == 10 {
        Event::CertificatesRevoked(CertificatesRevoked {
            judged: None,
            by: person,
            holder: user(index % 3),
            serials: vec![serial(index - 2), serial(index - 1)],
            cause: RevocationCause::Revoked,
            sessions: Vec::new(),
            everything: false,
            requests: Vec::new(),
            reason: None,
            source,
        })
    } else {
        let digest = Digest::of(&index.to_be_bytes());
        Event::CertificateIssued(Box::new(CertificateIssued {
            approvers: Vec::new(),
            break_glass: false,
            request: None,
            person,
            session: digest,
            request_id: format!("request-{index}"),
            request_digest: digest,
            asked: Asked {
                unreviewed: None,
                environment: ["prod", "staging"][usize::from(index.is_multiple_of(4))]
                    .parse()
                    .unwrap(),
                principals: vec![format!("account{}", index % 7).parse().unwrap()],
                duration_seconds: 3600,
                groups: ["ops".to_owned()].into(),
                mfa_age_seconds: 60,
                second_factor: SecondFactor::Totp,
                token_bound: true,
                on_call: false,
                reason: Some("a reason in somebody's words".to_owned()),
                ticket: None,
                source,
            },
            policies: vec!["ops-may-have-accounts".to_owned()],
            policy_digest: digest,
            serial: serial(index),
            key_id: format!("user@prod #{index}"),
            subject_key: "SHA256:uNiVztksCsDhcc0u9e8BrrJXVGgSwyB6SGYwhWyGvFY".to_owned(),
            valid_after: 1,
            valid_before: 2,
        }))
    };
    record(index, event.to_bytes().unwrap(), Some(vec![1; 400]))
}

pub(super) fn serial(index: u64) -> u64 {
    3 << 40 | index
}

pub(super) fn record(index: u64, event: Vec<u8>, precertificate: Option<Vec<u8>>) -> Record {
    let mut leaf = [0; LEAF_BYTES];
    leaf[..8].copy_from_slice(b"jitsshT1");
    leaf[10..18].copy_from_slice(&time(index).unix_milliseconds().to_be_bytes());
    leaf[18..50].copy_from_slice(Digest::of(&index.to_be_bytes()).as_bytes());
    leaf[50..82].copy_from_slice(Digest::of(&event).as_bytes());
    Record {
        leaf,
        opening: Some(Opening {
            event,
            salt: [u8::try_from(index % 256).unwrap(); 32],
            precertificate,
        }),
    }
}
