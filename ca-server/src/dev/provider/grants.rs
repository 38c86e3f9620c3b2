//! Sign-ins under way: codes waiting to be exchanged and devices waiting for a person. Bounded in
//! number and in time; `now` is an argument.

use std::collections::HashMap;
use std::time::Duration;

use ca_core::time::Timestamp;

/// Most codes, and most devices, at once.
const GRANTS_MAX: usize = 1000;

/// How long a code may be exchanged.
const CODE_LIFETIME: Duration = Duration::from_secs(60);

/// How long a device may wait for its person.
pub(super) const DEVICE_LIFETIME: Duration = Duration::from_secs(600);

/// Least time between two polls of one device.
pub(super) const DEVICE_INTERVAL: Duration = Duration::from_secs(1);

/// What each poll that comes too soon adds to the interval (RFC 8628 §3.5).
const SLOW_DOWN: Duration = Duration::from_secs(5);

/// What a code stands for.
pub(super) struct CodeGrant {
    pub(super) person: String,
    pub(super) redirect_uri: String,
    pub(super) code_challenge: String,
    pub(super) nonce: Option<String>,
}

struct DeviceGrant {
    user_code: String,
    person: Option<String>,
    interval: Duration,
    last_poll: Option<Timestamp>,
}

struct Expiring<T> {
    value: T,
    expires: Timestamp,
}

/// What a poll of a device finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Poll {
    /// Somebody confirmed; the grant is used up.
    Confirmed(String),
    /// No such device, or it waited too long.
    Expired,
    /// Nobody confirmed yet.
    Pending,
    /// Polled faster than agreed.
    SlowDown,
}

/// Sign-ins under way.
#[derive(Default)]
pub(super) struct Grants {
    codes: HashMap<String, Expiring<CodeGrant>>,
    devices: HashMap<String, Expiring<DeviceGrant>>,
}

impl Grants {
    /// Keeps `grant` under `code`; false when there are too many.
    pub(super) fn add_code(&mut self, code: String, grant: CodeGrant, now: Timestamp) -> bool {
        insert(&mut self.codes, code, grant, now, CODE_LIFETIME)
    }

    /// What `code` stands for; it is used up, whatever comes of it (RFC 6749 §4.1.2).
    pub(super) fn take_code(&mut self, code: &str, now: Timestamp) -> Option<CodeGrant> {
        let grant = self.codes.remove(code)?;
        (now < grant.expires).then_some(grant.value)
    }

    /// Keeps a new device; false when there are too many.
    pub(super) fn add_device(
        &mut self,
        device_code: String,
        user_code: String,
        now: Timestamp,
    ) -> bool {
        let grant = DeviceGrant {
            user_code,
            person: None,
            interval: DEVICE_INTERVAL,
            last_poll: None,
        };
        insert(&mut self.devices, device_code, grant, now, DEVICE_LIFETIME)
    }

    /// Whether a device shows this code and waits for somebody.
    pub(super) fn is_waiting(&self, user_code: &str, now: Timestamp) -> bool {
        self.devices
            .values()
            .any(|grant| grant.is_waiting(user_code, now))
    }

    /// Lets the device that shows `user_code` sign in as `person`; false when there is none.
    pub(super) fn confirm(&mut self, user_code: &str, person: &str, now: Timestamp) -> bool {
        let waiting = self
            .devices
            .values_mut()
            .find(|grant| grant.is_waiting(user_code, now));
        match waiting {
            Some(grant) => {
                grant.value.person = Some(person.to_owned());
                true
            }
            None => false,
        }
    }

    /// One poll of a device (RFC 8628 §3.4).
    pub(super) fn poll(&mut self, device_code: &str, now: Timestamp) -> Poll {
        let Some(grant) = self.devices.get_mut(device_code) else {
            return Poll::Expired;
        };
        if now >= grant.expires {
            self.devices.remove(device_code);
            return Poll::Expired;
        }
        let device = &mut grant.value;
        let too_soon = device
            .last_poll
            .is_some_and(|last| now.since(last) < device.interval);
        device.last_poll = Some(now);
        if too_soon {
            device.interval = device.interval.saturating_add(SLOW_DOWN);
            return Poll::SlowDown;
        }
        match device.person.take() {
            None => Poll::Pending,
            Some(person) => {
                self.devices.remove(device_code);
                Poll::Confirmed(person)
            }
        }
    }
}

impl Expiring<DeviceGrant> {
    fn is_waiting(&self, user_code: &str, now: Timestamp) -> bool {
        now < self.expires && self.value.person.is_none() && self.value.user_code == user_code
    }
}

fn insert<T>(
    grants: &mut HashMap<String, Expiring<T>>,
    name: String,
    value: T,
    now: Timestamp,
    lifetime: Duration,
) -> bool {
    if grants.len() >= GRANTS_MAX {
        grants.retain(|_, grant| now < grant.expires);
    }
    if grants.len() >= GRANTS_MAX {
        return false;
    }
    let expires = now.plus(lifetime);
    grants.insert(name, Expiring { value, expires });
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_unix_seconds(seconds)
    }

    fn grant() -> CodeGrant {
        CodeGrant {
            person: "alice".to_owned(),
            redirect_uri: String::new(),
            code_challenge: String::new(),
            nonce: None,
        }
    }

    #[test]
    fn a_code_is_good_once_and_for_a_minute() {
        let mut grants = Grants::default();
        for code in ["a", "b"] {
            assert!(grants.add_code(code.to_owned(), grant(), at(0)));
        }
        assert!(grants.take_code("a", at(59)).is_some());
        assert!(grants.take_code("a", at(59)).is_none());
        assert!(grants.take_code("b", at(60)).is_none());
    }

    #[test]
    fn memory_is_bounded_and_expired_codes_make_room() {
        let mut grants = Grants::default();
        for at_code in 0..GRANTS_MAX {
            assert!(grants.add_code(at_code.to_string(), grant(), at(0)));
        }
        assert!(!grants.add_code("more".to_owned(), grant(), at(59)));
        assert!(grants.add_code("more".to_owned(), grant(), at(60)));
    }

    #[test]
    fn a_device_waits_slows_down_and_is_confirmed_once() {
        let mut grants = Grants::default();
        assert!(grants.add_device("device".to_owned(), "BCDF-GHJK".to_owned(), at(0)));
        assert_eq!(grants.poll("device", at(1)), Poll::Pending);
        assert_eq!(grants.poll("device", at(1)), Poll::SlowDown);
        assert_eq!(grants.poll("device", at(6)), Poll::SlowDown);
        assert!(!grants.confirm("OTHER", "alice", at(7)));
        assert!(grants.confirm("BCDF-GHJK", "alice", at(7)));
        assert!(!grants.confirm("BCDF-GHJK", "bob", at(7)));
        let confirmed = Poll::Confirmed("alice".to_owned());
        assert_eq!(grants.poll("device", at(30)), confirmed);
        assert_eq!(grants.poll("device", at(60)), Poll::Expired);
    }

    #[test]
    fn a_device_gives_up_after_ten_minutes() {
        let mut grants = Grants::default();
        assert!(grants.add_device("device".to_owned(), "BCDF-GHJK".to_owned(), at(0)));
        assert!(grants.is_waiting("BCDF-GHJK", at(599)));
        assert!(!grants.is_waiting("BCDF-GHJK", at(600)));
        assert!(!grants.confirm("BCDF-GHJK", "alice", at(600)));
        assert_eq!(grants.poll("device", at(600)), Poll::Expired);
    }
}
