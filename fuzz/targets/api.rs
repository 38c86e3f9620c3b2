//! JSON from clients, and answers as clients read them: what is accepted reads back as itself.
#![no_main]

use ca_core::api;
use ca_core::certificate::profile::{Profile, Restrictions};
use libfuzzer_sys::fuzz_target;
use serde::{Serialize, de::DeserializeOwned};

fn reads_back<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(bytes) else {
        return;
    };
    let once = serde_json::to_value(&value).expect("what was read can be written");
    let again: T = serde_json::from_value(once.clone()).expect("what was written can be read");
    assert_eq!(serde_json::to_value(&again).expect("written"), once);
}

fuzz_target!(|bytes: &[u8]| {
    if bytes.len() > api::BODY_BYTES_MAX {
        return;
    }
    reads_back::<api::OpenSession>(bytes);
    reads_back::<api::BeginEnrolment>(bytes);
    reads_back::<api::ConfirmEnrolment>(bytes);
    reads_back::<api::IssueTicket>(bytes);
    reads_back::<api::RequestCertificate>(bytes);
    reads_back::<api::Revoke>(bytes);
    reads_back::<api::AuditQuery>(bytes);
    reads_back::<api::Discovery>(bytes);
    reads_back::<api::SessionOpened>(bytes);
    reads_back::<api::SessionStatus>(bytes);
    reads_back::<api::SessionClosed>(bytes);
    reads_back::<api::EnrolmentBegun>(bytes);
    reads_back::<api::EnrolmentConfirmed>(bytes);
    reads_back::<api::TicketIssued>(bytes);
    reads_back::<api::IssuedCertificate>(bytes);
    reads_back::<api::Revoked>(bytes);
    reads_back::<api::AuditPage>(bytes);
    reads_back::<api::Problem>(bytes);
    reads_back::<Profile>(bytes);
    reads_back::<Restrictions>(bytes);
});
