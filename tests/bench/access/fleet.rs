//! Hosts without an sshd: each joins with a token and its own key, waits for the revocation list
//! over HTTPS, checks it as `jit-ssh-host` does, puts it in place and acknowledges it.
//!
//! What they leave out is `fsync`: two hundred real hosts have two hundred disks.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ca_core::api::{
    EnrolHost, HOST_ENROLMENT_NAMESPACE, HostEnrolled, HostReport, IssueJoinToken, JoinToken,
    ReportTaken, SignedKrl, WAIT_SECONDS_MAX,
};
use ca_core::certificate::authority_key::AuthorityKey;
use ca_core::digest::Digest;
use ca_core::krl::{Krl, Statement};
use ca_core::tlog::note::VerifierKey;
use ssh_key::private::Ed25519Keypair;
use ssh_key::{HashAlg, LineEnding, PrivateKey};
use tokio::task::AbortHandle;

use super::{Caller, ENVIRONMENT};
use crate::ca::Ca;
use crate::connection::{Connection, Target};
use crate::say;

/// Longest wait for a list; more is a fault, not a figure.
const ARRIVAL_MAX: Duration = Duration::from_secs(30);

/// One host.
#[derive(Clone)]
pub(super) struct Simulated {
    pub(super) credential: String,
    file: PathBuf,
    log_key: VerifierKey,
    ca_key: AuthorityKey,
}

/// All of them.
pub(super) struct Fleet {
    pub(super) hosts: Vec<Simulated>,
}

/// A fleet at work; it stops when dropped.
pub(super) struct Running {
    arrivals: Receiver<Instant>,
    wanted: Arc<AtomicU64>,
    tasks: Vec<AbortHandle>,
}

/// A token for a host of that name.
pub(super) fn join_token(ca: &Ca, administrator: &str, name: &str) -> String {
    let mut administrator = Caller::new(ca, administrator);
    administrator.ready();
    let body = IssueJoinToken {
        environment: ENVIRONMENT.to_owned(),
        names: vec![name.to_owned()],
    };
    let issued: JoinToken = administrator.post("/v1/hosts/tokens", &body);
    issued.token
}

impl Fleet {
    /// As many hosts join, with files below `folder`.
    pub(super) fn enrol(ca: &Ca, administrator: &str, (folder, count): (&Path, usize)) -> Self {
        say(&format!("{count} hosts join"));
        let join = |number: usize| {
            let name = format!("host-{number}.prod.example.com");
            let token = join_token(ca, administrator, &name);
            let file = crate::folder_in(folder, &name).join("revoked_keys");
            Simulated::join(ca, &token, (number, file))
        };
        Self {
            hosts: (0..count).map(join).collect(),
        }
    }

    /// Starts all of them and waits until each has the newest list.
    pub(super) fn start(&self, ca: &Ca) -> Running {
        let (tell, arrivals) = channel();
        let wanted = Arc::new(AtomicU64::new(0));
        let start = |host: &Simulated| {
            let work = host
                .clone()
                .work(ca.target(), Arc::clone(&wanted), tell.clone());
            ca.runtime().spawn(work).abort_handle()
        };
        let running = Running {
            tasks: self.hosts.iter().map(start).collect(),
            arrivals,
            wanted,
        };
        running.wait();
        running
    }
}

impl Running {
    /// From now on arrivals are lists that revoke this serial.
    pub(super) fn expect(&self, serial: u64) {
        self.wanted.store(serial, Ordering::SeqCst);
        while self.arrivals.try_recv().is_ok() {}
    }

    /// When each host had such a list in place.
    pub(super) fn wait(&self) -> Vec<Instant> {
        let one = |_| {
            let arrived = self.arrivals.recv_timeout(ARRIVAL_MAX);
            arrived.expect("every host gets the list")
        };
        (0..self.tasks.len()).map(one).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl Simulated {
    fn join(ca: &Ca, token: &str, (number, file): (usize, PathBuf)) -> Self {
        let mut seed = [0x5a; 32];
        seed[..8].copy_from_slice(&u64::try_from(number).expect("small").to_be_bytes());
        let key = PrivateKey::from(Ed25519Keypair::from_seed(&seed));
        let signature = key.sign(HOST_ENROLMENT_NAMESPACE, HashAlg::Sha512, token.as_bytes());
        let signature = signature.expect("a signature").to_pem(LineEnding::LF);
        let body = EnrolHost {
            token: token.to_owned(),
            host_public_key: key.public_key().to_openssh().expect("a key"),
            signature: signature.expect("PEM"),
        };
        let mut nobody = Caller::new(ca, "none");
        nobody.ready();
        let enrolled: HostEnrolled = nobody.post("/v1/hosts", &body);
        let settings = enrolled.settings;
        Self {
            credential: enrolled.credential,
            file,
            log_key: settings.log_verifier_key.parse().expect("a key"),
            ca_key: settings.environment_ca_key.parse().expect("a key"),
        }
    }

    /// Keeps the list until aborted. Connecting is not measured; a connection that is lost is.
    async fn work(self, target: Target, wanted: Arc<AtomicU64>, tell: Sender<Instant>) {
        let mut connection = target.connect().await.expect("a connection");
        let mut held = None;
        loop {
            let signed = self.poll(&mut connection, held).await;
            let (version, list, read) = self.check(&signed);
            if held == Some(version) {
                continue;
            }
            self.put_in_place(&list);
            let at = Instant::now();
            let serial = wanted.load(Ordering::SeqCst);
            if serial == 0 || read.revokes_serial(&self.ca_key, serial) {
                tell.send(at).ok();
            }
            self.acknowledge(&mut connection, version).await;
            held = Some(version);
        }
    }

    /// The list, at once or when it is another than version `after`.
    pub(super) async fn poll(&self, connection: &mut Connection, after: Option<u64>) -> SignedKrl {
        let mut path = format!("/v1/environments/{ENVIRONMENT}/krl");
        if let Some(after) = after {
            path.push_str(&format!("?after={after}&wait={WAIT_SECONDS_MAX}"));
        }
        let got = connection.fetch(&path, &self.credential).await;
        got.expect("a list")
    }

    /// Its version, bytes and content, after every check that a host makes.
    pub(super) fn check(&self, signed: &SignedKrl) -> (u64, Vec<u8>, Krl) {
        let statement = Statement::open(&signed.statement, &self.log_key).expect("signed");
        assert_eq!(statement.environment.as_str(), ENVIRONMENT);
        let list = STANDARD.decode(&signed.krl).expect("base64");
        assert_eq!(Digest::of(&list), statement.krl, "other bytes");
        let read = Krl::read(&list).expect("a list that sshd reads");
        (statement.version, list, read)
    }

    fn put_in_place(&self, list: &[u8]) {
        let hidden = self.file.with_file_name(".revoked_keys.new");
        std::fs::write(&hidden, list).expect("a list");
        std::fs::rename(hidden, &self.file).expect("a list");
    }

    async fn acknowledge(&self, connection: &mut Connection, version: u64) {
        let report = HostReport {
            krl_version: Some(version),
            sessions: Vec::new(),
            version: None,
        };
        let path = "/v1/hosts/current/reports";
        let sent = connection.send(path, &self.credential, &report).await;
        let _: ReportTaken = sent.expect("an acknowledgement");
    }
}
