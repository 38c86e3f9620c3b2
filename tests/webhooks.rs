//! Webhooks of a real installation, judged by a library of Standard Webhooks that is not ours.

use std::os::unix::fs::OpenOptionsExt as _;

use crate::support::port;
use crate::support::process::Process;
use crate::support::python::script;
use crate::support::serve::Installation;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";

fn receiver(port: u16) -> Process {
    let mut command = script("receive_webhooks.py");
    command.arg(port.to_string()).arg(SECRET);
    let mut receiver = Process::start("receive_webhooks.py", command);
    receiver.wait_for_port(port);
    receiver
}

fn installation(port: u16, secret: &str) -> Installation {
    let installation =
        Installation::plain_made_for("https://id.example.com").configured(|config| {
            let webhook = [
                ("url", format!("http://127.0.0.1:{port}/hook")),
                ("name", "desk".to_owned()),
                ("secret_file", "keys/desk.secret".to_owned()),
            ];
            let webhook = webhook.map(|(name, value)| (name.to_owned(), toml::Value::from(value)));
            let webhooks = vec![toml::Value::from(toml::Table::from_iter(webhook))];
            config.insert("webhooks".to_owned(), webhooks.into());
        });
    let path = installation.place().join("keys/desk.secret");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .unwrap();
    std::io::Write::write_all(&mut file, format!("{secret}\n").as_bytes()).unwrap();
    installation
}

#[test]
fn a_standard_library_accepts_what_is_signed_with_its_secret() {
    let port = port::free();
    let mut receiver = receiver(port);
    let told = installation(port, SECRET).ca_server(&["webhook", "test"]);
    assert_eq!(told.succeeds().stdout, "desk: delivered\n");
    receiver.wait_for_log(r#""type":"test""#);
    assert!(receiver.log().contains("OK test-"), "{}", receiver.log());
}

#[test]
fn a_standard_library_refuses_another_secret_and_the_operator_is_told() {
    let port = port::free();
    let _receiver = receiver(port);
    let told = installation(port, OTHER).ca_server(&["webhook", "test"]);
    assert_eq!(told.exits_with(1).stdout, "desk: refused with status 401\n");
}

#[test]
fn serve_refuses_a_secret_that_others_can_read() {
    use std::os::unix::fs::PermissionsExt as _;
    let installation = installation(port::free(), SECRET);
    let path = installation.place().join("keys/desk.secret");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let told = installation.ca_server(&["webhook", "test"]).exits_with(78);
    assert!(told.stderr.contains("chmod 600"), "{}", told.stderr);
}
