//! Figures 11 to 17: how fast access ends and begins for those who wait for it, and what the
//! waiting costs. Hosts are real ones (sshd, `jit-ssh-host`) and a fleet of others in this process
//! that does over the network what a real one does.

use std::path::Path;

use ca_core::api::{IssuedCertificate, RequestCertificate};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ca::Ca;
use crate::client::Person;
use crate::connection::Connection;
use crate::report::Figure;
use crate::{Extent, say};

mod approval;
mod ending;
mod fleet;
mod host;
mod list;
mod waiters;

/// The environment of all hosts.
const ENVIRONMENT: &str = "prod";
const PARTS: [&str; 4] = ["ending", "approval", "waiters", "list"];

/// Who takes part.
struct People {
    /// Asks for access, and gives it back.
    alice: Person,
    alice_token: String,
    bob_token: String,
    /// Approves, administers, revokes.
    carol: Person,
    carol_token: String,
}

/// Makes a CA of its own below `folder`.
pub(crate) fn figures(folder: &Path, extent: &Extent) -> Vec<Figure> {
    if !PARTS.iter().any(|part| extent.wants(part)) {
        return Vec::new();
    }
    if !nix::unistd::geteuid().is_root() {
        say("left out, as sshd needs root: hosts, approvals, waiting, revocation lists");
        return Vec::new();
    }
    say("making a CA with hosts");
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("open files");
    let mut ca = Ca::create(&folder.join("access"));
    // The code of the step before comes first: afterwards it is not good any more.
    let carol_token = ca.sign_in("carol");
    let people = People {
        alice: Person::sign_in(&ca, "alice"),
        carol: Person::sign_in(&ca, "carol"),
        carol_token,
        alice_token: ca.tokens[0].clone(),
        bob_token: ca.tokens[1].clone(),
    };
    ca.prepare_for_load();
    ca.start();
    let hosts = crate::folder_in(folder, "fleet");
    let fleet = fleet::Fleet::enrol(&ca, &people.carol_token, (&hosts, extent.hosts - 1));
    let mut figures = Vec::new();
    if extent.wants("ending") {
        figures.extend(ending::figures(&ca, &people, (&fleet, extent)));
    }
    if extent.wants("approval") {
        figures.push(approval::figure(&ca, &people, extent));
    }
    if extent.wants("waiters") {
        figures.extend(waiters::figures(&mut ca, (&fleet, extent)));
    }
    if extent.wants("list") {
        figures.extend(list::figures(&ca, &people, (&fleet, extent)));
    }
    ca.stop();
    figures
}

/// Somebody who asks the CA on a connection that is kept alive.
struct Caller<'a> {
    ca: &'a Ca,
    token: &'a str,
    connection: Option<Connection>,
}

impl<'a> Caller<'a> {
    fn new(ca: &'a Ca, token: &'a str) -> Self {
        Self {
            ca,
            token,
            connection: None,
        }
    }

    /// Connects, where the connection was idle for too long.
    fn ready(&mut self) {
        let (ca, old) = (self.ca, self.connection.take());
        self.connection = Some(ca.runtime().block_on(async {
            if let Some(mut old) = old
                && old.get("/healthz").await.is_ok()
            {
                return old;
            }
            ca.target().connect().await.expect("a connection")
        }));
    }

    /// What is got, on a connection that was checked before.
    fn get<T: DeserializeOwned>(&mut self, path: &str) -> T {
        self.ready();
        let connection = self.connection.as_mut().expect("ready");
        let got = connection.fetch(path, self.token);
        self.ca.runtime().block_on(got).expect("an answer")
    }

    /// What answers; nothing else happens on the way if the caller is [`Caller::ready`].
    fn post<T: DeserializeOwned>(&mut self, path: &str, body: &impl Serialize) -> T {
        let connection = self.connection.as_mut().expect("ready");
        let sent = connection.send(path, self.token, body);
        self.ca.runtime().block_on(sent).expect("an answer")
    }

    /// A certificate for `public_key`, of the account that everybody may use.
    fn certificate(&mut self, public_key: &str, seconds: u64, name: &str) -> IssuedCertificate {
        self.ready();
        let body = RequestCertificate {
            environment: ENVIRONMENT.to_owned(),
            principals: Vec::new(),
            duration_seconds: Some(seconds),
            reason: None,
            ticket: None,
            not_before: None,
            access_request: None,
            public_key: public_key.to_owned(),
            request_id: format!("bench-access-{name}"),
        };
        self.post("/v1/certificates", &body)
    }
}
