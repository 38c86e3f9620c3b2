//! A real installation: `ca-server init`, a configuration edited as an operator would, and
//! `ca-server serve` as a process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::http::Client;
use super::process::Process;
use super::programs::{command, program};
use super::run::{Finished, run};
use super::{port, wait};

pub use api::{Api, SignIn};
pub use person::Person;

pub mod api;
pub mod person;

/// Our client id at every provider of the tests.
pub const CLIENT_ID: &str = "jit-ssh";

/// A CA on a free loopback port. Stopped when dropped.
pub struct Installation {
    dir: TempDir,
    port: u16,
    tls: bool,
    environment: Vec<(String, String)>,
    arguments: Vec<String>,
    process: Option<Process>,
}

impl Installation {
    /// Made for `issuer`, with HTTPS, `enrolment = "open"` and no limit on requests. Not started.
    #[track_caller]
    pub fn made_for(issuer: &str) -> Self {
        let installation = Self::init(issuer, true);
        installation.renew_certificate();
        installation.configured(|config| {
            let tls = [("certificate", "tls.pem"), ("key", "tls.key")];
            let tls = tls.map(|(name, file)| (name.to_owned(), toml::Value::from(file)));
            config.insert("tls".to_owned(), toml::Table::from_iter(tls).into());
        })
    }

    /// The same with plain HTTP, as behind a proxy on this machine.
    #[track_caller]
    pub fn plain_made_for(issuer: &str) -> Self {
        Self::init(issuer, false)
    }

    fn init(issuer: &str, tls: bool) -> Self {
        let installation = Self {
            dir: TempDir::new().expect("a folder"),
            port: port::free(),
            tls,
            environment: Vec::new(),
            arguments: Vec::new(),
            process: None,
        };
        let place = installation.place();
        let mut init = command(&program("ca-server"), installation.dir.path());
        init.arg("init").arg("--dir").arg(place);
        init.args(["--url", &installation.url("")]);
        init.args(["--issuer", issuer, "--client-id", CLIENT_ID]);
        run(init).succeeds();
        let listen = format!("127.0.0.1:{}", installation.port);
        installation.configured(|config| {
            config.insert("listen".to_owned(), listen.into());
            config.insert("enrolment".to_owned(), "open".into());
            config.insert("requests_per_second".to_owned(), 0.into());
        })
    }

    /// Changes the configuration file.
    #[must_use]
    #[track_caller]
    pub fn configured(self, change: impl FnOnce(&mut toml::Table)) -> Self {
        let file = self.config_file();
        let text = std::fs::read_to_string(&file).expect("the configuration");
        let mut config: toml::Table = text.parse().expect("TOML");
        change(&mut config);
        std::fs::write(file, config.to_string()).expect("the configuration");
        self
    }

    /// Sets an environment variable of the server.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Further arguments of `serve`.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(ToString::to_string).collect();
        self
    }

    /// Starts it and waits until it is ready.
    #[must_use]
    #[track_caller]
    pub fn start(mut self) -> Self {
        self.start_again();
        self
    }

    /// Starts it (again) and waits until it is ready.
    #[track_caller]
    pub fn start_again(&mut self) {
        let mut serve = command(&program("ca-server"), self.dir.path());
        serve.arg("serve").arg("--config").arg(self.config_file());
        serve.args(&self.arguments);
        serve.envs(self.environment.iter().cloned());
        let mut process = Process::start("ca-server serve", serve);
        process.wait_for_port(self.port);
        let client = self.client();
        wait::until("a server that is ready", wait::START_MAX, || {
            let answer =
                client.try_send(client.request(reqwest::Method::GET, &self.url("/readyz")));
            answer.ok().filter(|answer| answer.status == 200)
        });
        self.process = Some(process);
    }

    /// Asks it to stop and waits; it must end well.
    #[track_caller]
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.signal(Signal::SIGTERM);
        let status = process.wait_for_exit(Duration::from_secs(20));
        assert!(status.success(), "{status}: {}", process.log());
    }

    /// Kills it: no clean-up of any kind.
    pub fn kill(&mut self) {
        self.process.take().expect("it runs").kill();
    }

    /// The running process.
    #[track_caller]
    pub fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    /// Everything that this run of the server has said.
    #[track_caller]
    pub fn log(&self) -> String {
        self.process.as_ref().expect("it runs").log()
    }

    /// An address on it: `/v1/discovery`, or nothing for its own.
    pub fn url(&self, path: &str) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}{path}", self.port)
    }

    /// The port on 127.0.0.1, the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A client that trusts its certificate.
    pub fn client(&self) -> Client {
        Client::new(self.root().as_deref())
    }

    /// The authority of its certificate, a PEM file; none without TLS.
    pub fn root(&self) -> Option<PathBuf> {
        self.tls.then(|| self.place().join("tls-root.pem"))
    }

    /// A new authority and a certificate of it, in the files that the configuration names.
    #[track_caller]
    pub fn renew_certificate(&self) {
        let authority = rcgen::KeyPair::generate().expect("a key");
        let mut about = rcgen::CertificateParams::new(Vec::new()).expect("parameters");
        about.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        // Not the name of the certificate below it: OpenSSL would take that for self-signed.
        let name = rcgen::DnValue::from("an authority of the tests");
        about
            .distinguished_name
            .push(rcgen::DnType::CommonName, name);
        let root = about.self_signed(&authority).expect("a certificate");
        let key = rcgen::KeyPair::generate().expect("a key");
        let leaf = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .and_then(|leaf| leaf.signed_by(&key, &rcgen::Issuer::new(about, &authority)))
            .expect("a certificate");
        for (name, text) in [
            ("tls-root.pem", root.pem()),
            ("tls.key", key.serialize_pem()),
            ("tls.pem", leaf.pem()),
        ] {
            std::fs::write(self.place().join(name), text).expect("a file");
        }
    }

    /// The folder that `init` made.
    pub fn place(&self) -> PathBuf {
        self.dir.path().join("ca")
    }

    /// The configuration file.
    pub fn config_file(&self) -> PathBuf {
        self.place().join("ca-server.toml")
    }

    /// The text of a file in its folder.
    #[track_caller]
    pub fn read(&self, file: impl AsRef<Path>) -> String {
        std::fs::read_to_string(self.place().join(file)).expect("a file")
    }

    /// Runs `ca-server` with `--dir` on this folder.
    #[track_caller]
    pub fn ca_server(&self, arguments: &[&str]) -> Finished {
        let mut server = command(&program("ca-server"), self.dir.path());
        server.args(arguments).arg("--dir").arg(self.place());
        run(server)
    }
}
