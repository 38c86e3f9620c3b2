//! Questions about requests, hosts, emergencies and freezes.

use ca_core::digest::Digest;
use ca_core::event::{FreezeTarget, Person};
use ca_core::name::{Environment, Subject};
use ca_core::serial::Serial;
use ca_core::time::Timestamp;

use super::emergency::is_same;
use super::{
    AccessRequest, BreakGlassKey, Emergency, Freeze, Host, JoinToken, Known, KrlVersion, LATE,
    Review, State,
};

impl State {
    /// Whether this record of a certificate that was signed offline was imported.
    #[must_use]
    pub fn is_imported(&self, serial: u64, record: &Digest) -> bool {
        let mut imported = self.emergency.imported.iter();
        imported.any(|(number, _, digest)| *number == serial && digest == record)
    }

    /// Whether some record of a certificate with this serial of that offline key was imported.
    #[must_use]
    pub fn has_imported(&self, serial: u64, fingerprint: &str) -> bool {
        let mut imported = self.emergency.imported.iter();
        imported.any(|(number, key, _)| *number == serial && key == fingerprint)
    }

    /// Whether this target is frozen.
    #[must_use]
    pub fn is_frozen(&self, target: &FreezeTarget) -> bool {
        let mut frozen = self.emergency.freezes.keys();
        frozen.any(|frozen| is_same(frozen, target))
    }

    /// The access request of that number (log index), open or over for less than a day.
    #[must_use]
    pub fn access_request(&self, index: u64) -> Option<&AccessRequest> {
        self.requests.get(index)
    }

    /// Every access request that is shown, oldest first.
    pub fn access_requests(&self) -> impl DoubleEndedIterator<Item = &AccessRequest> {
        self.requests.all()
    }

    /// A person's open access requests.
    pub fn open_requests_of<'a>(
        &'a self,
        subject: &'a Subject,
        now: Timestamp,
    ) -> impl Iterator<Item = &'a AccessRequest> {
        self.requests.open_of(subject, now)
    }

    /// A person's access requests, open or not.
    pub fn requests_of<'a>(
        &'a self,
        subject: &'a Subject,
    ) -> impl Iterator<Item = &'a AccessRequest> {
        self.requests
            .all()
            .filter(move |request| request.person.subject == *subject)
    }

    /// A state with nothing but the wanted requests, the people who approved them, freezes and
    /// reviews: to look at without keeping the ledger from its work.
    #[must_use]
    pub fn excerpt<'a>(&'a self, wanted: impl Iterator<Item = &'a AccessRequest>) -> Self {
        let requests: Vec<&AccessRequest> = wanted.collect();
        let voters = requests.iter().flat_map(|request| &request.votes);
        let subjects = voters.map(|vote| &vote.by.subject);
        let people = subjects.filter_map(|subject| {
            let known = self.emergency.people.get(subject)?;
            Some((subject.clone(), known.clone()))
        });
        let emergency = Emergency {
            people: people.collect(),
            reviews: self.emergency.reviews.clone(),
            freezes: self.emergency.freezes.clone(),
            ..Emergency::default()
        };
        Self {
            epoch: self.epoch,
            size: self.size,
            time: self.time,
            requests: requests.into_iter().cloned().collect(),
            emergency,
            ..Self::default()
        }
    }

    /// Every key that ever signed for `environment`, and every offline key whose records were
    /// imported: certificates of each may still be open.
    pub fn authorities_of<'a>(
        &'a self,
        environment: &'a Environment,
    ) -> impl Iterator<Item = &'a str> {
        let online = self
            .ca_keys
            .iter()
            .filter(move |(name, _)| name == environment);
        let offline = self.emergency.authorities.iter();
        let offline = offline.filter(move |(name, _)| name == environment);
        online.chain(offline).map(|(_, key)| key.as_str())
    }

    /// Log index of the newest change to any access request.
    #[must_use]
    pub const fn requests_changed(&self) -> u64 {
        self.requests.changed()
    }

    /// The newest revocation list of `environment`. Before the first revocation its version is the
    /// number that record 0 of this log would have: above all versions of logs before.
    #[must_use]
    pub fn krl_version(&self, environment: &Environment) -> KrlVersion {
        let first = KrlVersion {
            version: Serial::new(self.epoch, 1).map_or(0, |serial| serial.get() - 1),
            changed: Timestamp::default(),
        };
        self.krl.get(environment).copied().unwrap_or(first)
    }

    /// The newest revocation list of each environment that ever had one.
    pub fn krl_versions(&self) -> impl Iterator<Item = (&Environment, KrlVersion)> {
        self.krl.iter().map(|(name, version)| (name, *version))
    }

    /// Revoked serials of `environment` whose certificates are not over at `now`, also by clocks
    /// that are a little behind; ascending.
    pub fn revoked_in<'a>(
        &'a self,
        environment: &'a Environment,
        now: Timestamp,
    ) -> impl Iterator<Item = u64> + 'a {
        self.revoked.keys().copied().filter(move |serial| {
            let certificate = self.certificates.get(serial);
            let certificate = certificate.filter(|found| found.environment == *environment);
            certificate.is_some_and(|found| now < found.valid_before.plus(LATE))
        })
    }

    /// Live, unrevoked certificates of everybody, by serial.
    pub fn live(&self, now: Timestamp) -> impl Iterator<Item = (u64, &super::Certificate)> {
        self.certificates
            .iter()
            .map(|(serial, certificate)| (*serial, certificate))
            .filter(move |(serial, certificate)| {
                now < certificate.valid_before && !self.is_revoked(*serial)
            })
    }

    /// Open sessions, by digest of their token.
    pub fn sessions(&self, now: Timestamp) -> impl Iterator<Item = (&Digest, &super::Session)> {
        self.sessions
            .iter()
            .filter(move |(_, session)| now < session.expires)
    }

    /// A host by its number.
    #[must_use]
    pub fn host(&self, host: u64) -> Option<&Host> {
        self.hosts.get(host)
    }

    /// The host that holds this credential.
    #[must_use]
    pub fn host_of_credential(&self, credential: &Digest) -> Option<(u64, &Host)> {
        self.hosts.of_credential(credential)
    }

    /// Every host, by number.
    pub fn hosts(&self) -> impl Iterator<Item = (u64, &Host)> {
        self.hosts.all()
    }

    /// The join token of that digest, if it is good at `now`.
    #[must_use]
    pub fn join_token(&self, token: &Digest, now: Timestamp) -> Option<&JoinToken> {
        self.hosts.join_token(token, now)
    }

    /// Everybody as of their last sign-in through a provider.
    pub fn everybody(&self) -> impl Iterator<Item = (&Subject, &Known)> {
        self.emergency.people.iter()
    }

    /// A person as of their last sign-in through a provider.
    #[must_use]
    pub fn known(&self, subject: &Subject) -> Option<&Known> {
        self.emergency.people.get(subject)
    }

    /// People whose name or identity (`issuer#sub`) is `text`.
    pub fn people_called<'a>(&'a self, text: &'a str) -> impl Iterator<Item = Person> + 'a {
        self.emergency
            .people
            .iter()
            .filter(move |(subject, known)| {
                known.user.as_str() == text || subject.to_string() == text
            })
            .map(|(subject, known)| Person {
                subject: subject.clone(),
                user: known.user.clone(),
            })
    }

    /// The break-glass key of that fingerprint.
    #[must_use]
    pub fn break_glass_key(&self, fingerprint: &str) -> Option<&BreakGlassKey> {
        self.emergency.keys.get(fingerprint)
    }

    /// Every break-glass key, by fingerprint.
    pub fn break_glass_keys(&self) -> impl Iterator<Item = (&str, &BreakGlassKey)> {
        let keys = self.emergency.keys.iter();
        keys.map(|(fingerprint, key)| (fingerprint.as_str(), key))
    }

    /// Open reviews, by serial of the emergency's certificate.
    pub fn reviews(&self) -> impl Iterator<Item = (u64, &Review)> {
        let reviews = self.emergency.reviews.iter();
        reviews.map(|(serial, review)| (*serial, review))
    }

    /// How many emergencies of this person nobody has judged yet.
    #[must_use]
    pub fn unreviewed(&self, person: &Person) -> u64 {
        let of_person = |review: &&Review| match &review.subject {
            Some(subject) => *subject == person.subject || review.user == person.user,
            None => review.user == person.user,
        };
        let count = self.emergency.reviews.values().filter(of_person).count();
        u64::try_from(count).unwrap_or(u64::MAX)
    }

    /// What stands against issuing anything to this person in this environment.
    #[must_use]
    pub fn freeze(&self, person: &Person, environment: Option<&Environment>) -> Option<&Freeze> {
        let of_person = |target: &FreezeTarget| match target {
            FreezeTarget::Environment(name) => Some(name) == environment,
            FreezeTarget::Person(frozen) => frozen.subject == person.subject,
        };
        let mut freezes = self.emergency.freezes.iter();
        freezes
            .find(|(target, _)| of_person(target))
            .map(|(_, freeze)| freeze)
    }

    /// Every freeze in force.
    pub fn freezes(&self) -> impl Iterator<Item = (&FreezeTarget, &Freeze)> {
        self.emergency.freezes.iter()
    }
}
