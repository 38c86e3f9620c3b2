//! What a stock sshd makes of our certificates: the CA's own under a profile, and our encoder's
//! under the CA's real key with fields that the CA would never grant.

use ca_core::certificate::draft::Draft;
use ca_core::certificate::option_value::{ForceCommand, SourceAddress};
use ca_core::certificate::principals::Principals;
use ca_core::time::Validity;

use crate::support::agent::Agent;
use crate::support::clock::unix_now;
use crate::support::dev::Dev;
use crate::support::keygen::{self, KeyFiles};
use crate::support::ssh::Ssh;
use crate::support::sshd::Sshd;
use crate::support::unix_account::UnixAccount;
use crate::support::{forge, run::Finished};

struct Host {
    dev: Dev,
    sshd: Sshd,
    account: UnixAccount,
}

impl Host {
    fn start() -> Self {
        let dev = Dev::start();
        let account = UnixAccount::create();
        let setup = Sshd::trusting(&[&dev.ca_line("prod")]).account(&account, &["deploy"]);
        let sshd = setup.with_revocation_list(&[]).start();
        Self { dev, sshd, account }
    }

    fn try_with(&self, agent: &Agent, remote: &str) -> Finished {
        Ssh::to(&self.sshd, self.account.name())
            .agent(agent.socket())
            .run(remote)
    }

    /// What sshd says to a certificate of our encoder with `change`.
    fn forged(&self, change: impl FnOnce(&mut Draft)) -> Finished {
        let agent = Agent::start();
        forge::into_agent(
            agent.socket(),
            &self.dev.place().join("keys/prod.ca"),
            change,
        );
        self.try_with(&agent, "echo inside; echo \"$SSH_ORIGINAL_COMMAND\"")
    }
}

#[test]
fn sshd_accepts_our_encoders_certificate_and_refuses_each_single_fault() {
    let host = Host::start();
    let now = unix_now();
    assert!(
        host.forged(|_| {}).stdout.contains("inside"),
        "{}",
        host.sshd.log()
    );
    let window = |after: u64, before: u64| Validity::new(after, before).expect("a window");
    let expired = host.forged(|draft| draft.validity = window(now - 600, now - 1));
    assert!(!expired.succeeded() && host.sshd.log().contains("expired"));
    let early = host.forged(|draft| draft.validity = window(now + 300, now + 600));
    assert!(!early.succeeded() && host.sshd.log().contains("not yet valid"));
    let other = Principals::new(vec!["web".parse().expect("a name")]).expect("principals");
    let other = host.forged(|draft| draft.principals = other);
    assert!(!other.succeeded() && host.sshd.log().contains("does not contain an authorized"));
    let far: SourceAddress = serde_json::from_str("[\"10.0.0.0/8\"]").expect("networks");
    let far = host.forged(|draft| draft.options.source_address = far);
    assert!(
        !far.succeeded()
            && host
                .sshd
                .log()
                .contains("not from a permitted source address")
    );
    let near: SourceAddress = serde_json::from_str("[\"127.0.0.0/8\"]").expect("networks");
    assert!(
        host.forged(|draft| draft.options.source_address = near)
            .succeeded()
    );
}

#[test]
fn a_forced_command_runs_instead_of_what_was_asked_for() {
    let host = Host::start();
    let command: ForceCommand = serde_json::from_str("\"echo only-this\"").expect("a command");
    let forced = host
        .forged(|draft| draft.options.force_command = Some(command))
        .succeeds();
    assert!(forced.stdout.contains("only-this") && !forced.stdout.contains("inside"));
}

#[test]
fn a_certificate_by_another_key_or_in_the_revocation_list_stays_outside() {
    let host = Host::start();
    let folder = tempfile::TempDir::new().expect("a folder");
    let stranger = keygen::generate(folder.path(), "stranger");
    let agent = Agent::start();
    forge::into_agent(agent.socket(), &stranger.private, |_| {});
    assert!(
        !host.try_with(&agent, "true").succeeded(),
        "a stranger's CA was believed"
    );

    let alice = host.dev.person("alice");
    let login = alice.login(&["prod", "--json"]).succeeds();
    host.try_with(&alice.agent, "true").succeeds();
    let granted: serde_json::Value = serde_json::from_str(&login.stdout).expect("JSON");
    let key = host.dev.place().join("keys/prod.ca");
    let ca = KeyFiles {
        private: key.clone(),
        public: key.with_extension("pub"),
    };
    let krl = folder.path().join("krl");
    keygen::write_krl(&krl, &ca, &format!("serial: {}\n", granted["serial"]));
    host.sshd
        .replace_revocation_list(&std::fs::read(&krl).expect("the KRL"));
    assert!(
        !host.try_with(&alice.agent, "true").succeeded(),
        "it was revoked"
    );
    assert!(host.sshd.log().contains("revoked"), "{}", host.sshd.log());
}

#[test]
fn the_profile_of_an_environment_is_in_every_certificate_of_it() {
    let mut dev = Dev::start();
    dev.stop();
    let file = dev.place().join("ca-server.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    let mut config: toml::Table = text.parse().expect("TOML");
    let profile = config["environments"]["prod"]["profile"]
        .as_table_mut()
        .expect("a profile");
    profile.insert("force_command".into(), "echo only-this".into());
    profile.insert("source_address".into(), vec!["127.0.0.1/32"].into());
    std::fs::write(&file, config.to_string()).expect("the configuration");
    dev.start_again();
    let account = UnixAccount::create();
    let sshd = Sshd::trusting(&[&dev.ca_line("prod")])
        .account(&account, &["deploy"])
        .start();
    let alice = dev.person("alice");
    alice.login(&["prod"]).succeeds();
    let shown = keygen::describe_line(&alice.agent.list()[0]);
    assert_eq!(
        shown.critical_options,
        [
            "force-command echo only-this",
            "source-address 127.0.0.1/32"
        ]
    );
    let session = Ssh::to(&sshd, account.name()).agent(alice.agent.socket());
    assert_eq!(
        session.run("echo something else").succeeds().stdout,
        "only-this\n"
    );
}

#[test]
fn sshd_takes_the_printed_configuration_and_lets_the_right_certificate_in() {
    let dev = Dev::start();
    let printed = dev.ca_server(&["sshd-config", "prod", "--json"]).succeeds();
    let printed: serde_json::Value = serde_json::from_str(&printed.stdout).expect("JSON");
    let line = printed["ca_public_key"].as_str().expect("a key");
    let account = UnixAccount::create();
    let mut setup = Sshd::trusting(&[line]).account(&account, &["deploy"]);
    for setting in printed["sshd_config"].as_array().expect("lines") {
        let setting = setting.as_str().expect("a line");
        if !setting.starts_with("TrustedUserCAKeys") {
            setup = setup.setting(setting);
        }
    }
    let sshd = setup.start();
    let alice = dev.person("alice");
    alice.login(&["prod"]).succeeds();
    let session = Ssh::to(&sshd, account.name()).agent(alice.agent.socket());
    session.run("true").succeeds();
}

#[test]
fn a_ca_key_in_an_ssh_agent_signs_and_when_the_agent_is_gone_nothing_is_released() {
    let mut dev = Dev::start();
    dev.stop();
    let key = dev.place().join("keys/prod.ca");
    let mut agent = Agent::start();
    agent.add(&key);
    let file = dev.place().join("ca-server.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration");
    let mut config: toml::Table = text.parse().expect("TOML");
    let mut held = toml::Table::new();
    held.insert(
        "agent_socket".into(),
        agent.socket().to_string_lossy().into_owned().into(),
    );
    let line = std::fs::read_to_string(key.with_extension("pub")).expect("the public key");
    held.insert("public_key".into(), line.trim().into());
    config["environments"]["prod"]
        .as_table_mut()
        .expect("prod")
        .insert("key".into(), held.into());
    std::fs::write(&file, config.to_string()).expect("the configuration");
    std::fs::rename(&key, dev.place().join("away")).expect("the key file is not needed");
    dev.start_again();
    let account = UnixAccount::create();
    let sshd = Sshd::trusting(&[&dev.ca_line("prod")])
        .account(&account, &["deploy"])
        .start();
    let alice = dev.person("alice");
    alice.login(&["prod"]).succeeds();
    Ssh::to(&sshd, account.name())
        .agent(alice.agent.socket())
        .run("true")
        .succeeds();
    agent.stop();
    let gone = alice.login(&["prod", "--fresh"]).exits_with(6);
    assert!(gone.stderr.contains("hint:"), "{}", gone.stderr);
    alice.login(&["staging"]).succeeds();
}
