//! A certificate from a CA that speaks HTTP on loopback into a real agent.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;

use ca_core::api::{Discovery, SessionOpened};
use ca_core::time::{Timestamp, Validity};

use super::*;
use crate::access::Plan;
use crate::agent::tests::RealAgent;
use crate::api::Patience;
use crate::config::{ConfigFile, Surroundings, resolve};
use crate::second_factor::Source;
use crate::session::Session;
use crate::sign_in::SignInWish;
use crate::terminal::Voice;
use crate::verify::tests as honest;

/// What the CA does with one connection.
#[derive(Clone, Copy)]
enum Turn {
    /// Answers the request.
    Issue,
    /// Reads the request and hangs up.
    HangUp,
    /// Answers with this problem.
    Problem(&'static str),
    /// Answers that other people decide.
    Waits,
}

/// Serves `turns`, one connection each; gives the bodies it saw.
fn serve(listener: TcpListener, turns: Vec<Turn>) -> std::thread::JoinHandle<Vec<String>> {
    std::thread::spawn(move || {
        let mut bodies = Vec::new();
        for turn in turns {
            let (mut stream, _) = listener.accept().unwrap();
            let body = read_body(&mut stream);
            let (status, answer) = match turn {
                Turn::HangUp => {
                    bodies.push(body);
                    continue;
                }
                Turn::Issue => ("201 Created", issued(&body)),
                Turn::Waits => {
                    let request = serde_json::to_string(&crate::terms::tests::request(17));
                    ("202 Accepted", request.unwrap())
                }
                Turn::Problem(json) => ("401 Unauthorized", json.to_owned()),
            };
            bodies.push(body);
            let length = answer.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
        bodies
    })
}

fn read_body(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut part = [0; 4096];
    loop {
        let count = stream.read(&mut part).unwrap();
        text.push_str(std::str::from_utf8(&part[..count]).unwrap());
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase();
            let length = length.split("content-length: ").nth(1).unwrap();
            let length: usize = length.lines().next().unwrap().parse().unwrap();
            if body.len() >= length {
                assert!(head.contains("Bearer t0ken") || head.contains("bearer t0ken"));
                return body.to_owned();
            }
        }
    }
}

/// The honest answer to the request in `body`, at the real time.
fn issued(body: &str) -> String {
    let request: RequestCertificate = serde_json::from_str(body).unwrap();
    let now = clock::now().unix_seconds();
    let mut draft = honest::draft();
    draft.subject_key = request.public_key.parse().unwrap();
    draft.validity = Validity::new(now - 60, now + 600).unwrap();
    let mut answer = honest::honest(&draft);
    answer.server_time = Timestamp::from_unix_seconds(now);
    serde_json::to_string(&answer).unwrap()
}

struct Given {
    ca: Ca,
    pins: Pins,
    real: RealAgent,
    wish: Wish,
    plan: Plan,
}

fn given(listener: &TcpListener) -> Given {
    let real = RealAgent::start();
    let file = ConfigFile {
        ca_url: format!("http://{}", listener.local_addr().unwrap()),
        ca_certificate: None,
        state_dir: Some(real.folder().join("state")),
        browser: None,
    };
    let path = real.folder().join("c.toml");
    let config = resolve(&Surroundings::default(), path, file).unwrap();
    let opened = SessionOpened {
        token: "t0ken".into(),
        user: "alice".parse().unwrap(),
        expires_at: clock::now().plus(Duration::from_secs(3600)),
    };
    Session::opened(opened, None).save(&config).unwrap();
    let discovery = Discovery {
        environments: vec![honest::environment()],
        log: honest::log(),
        ..crate::pins::tests::discovery()
    };
    Given {
        ca: Ca::new(config, Patience::Person, Voice::Silent).unwrap(),
        pins: Pins {
            fetched_at: clock::now(),
            discovery,
        },
        real,
        wish: Wish {
            environment: honest::environment(),
            principals: Vec::new(),
            duration: Some(Duration::from_secs(600)),
            reason: None,
            ticket: None,
            not_before: None,
            ground: Ground::Policy,
        },
        plan: Plan {
            wish: SignInWish::default(),
            factor: Source::Nobody,
            fresh: false,
        },
    }
}

impl Given {
    async fn outcome(&self, keeper: &mut Keeper) -> Result<Outcome, Failure> {
        let mut caller = Caller::new(&self.ca, self.pins.clone(), self.plan.clone());
        issue(&mut caller, &self.wish, keeper).await
    }

    async fn issue(&self) -> Result<IssuedCertificate, Failure> {
        let mut keeper = Keeper::Agent {
            agent: self.real.connect(),
            confirm: false,
        };
        match self.outcome(&mut keeper).await? {
            Outcome::Issued(issued) => Ok(*issued),
            Outcome::Waits(request) => panic!("it waits: {request:?}"),
        }
    }
}

#[tokio::test]
async fn the_agent_holds_the_certificate_alone_and_the_file_is_private() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let given = given(&listener);
    let served = serve(listener, vec![Turn::Issue, Turn::Issue]);
    given.issue().await.unwrap();
    let second = given.issue().await.unwrap();
    assert_eq!(served.join().unwrap().len(), 2);
    // The second replaced the first; one entry, and it is a certificate.
    let listed = given.real.connect().list().unwrap();
    assert_eq!(listed.len(), 1);
    let path = grant::certificate_file(&given.ca.config, &"prod".parse().unwrap());
    let line = std::fs::read_to_string(&path).unwrap();
    assert!(line.starts_with(second.certificate.trim_end()), "{line}");
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let shown = given.real.ssh_add(&["-L"]);
    assert!(
        shown.starts_with("ssh-ed25519-cert-v01@openssh.com "),
        "{shown}"
    );
    assert!(!grant::key_file(&given.ca.config, &"prod".parse().unwrap()).exists());
}

#[tokio::test]
async fn a_lost_answer_is_asked_for_again_under_the_same_request_id() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let given = given(&listener);
    let served = serve(listener, vec![Turn::HangUp, Turn::Issue]);
    given.issue().await.unwrap();
    let bodies = served.join().unwrap();
    assert_eq!(bodies[0], bodies[1]);
    let body: RequestCertificate = serde_json::from_str(&bodies[0]).unwrap();
    assert!((16..=64).contains(&body.request_id.len()));
}

#[tokio::test]
async fn without_a_session_and_without_anybody_to_ask_nothing_is_issued() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let given = given(&listener);
    let problem = r#"{"type":"session-required","status":401,"title":"sign in"}"#;
    let served = serve(listener, vec![Turn::Problem(problem)]);
    let failure = given.issue().await.unwrap_err();
    assert_eq!(failure.exit, Exit::NotAuthenticated);
    assert_eq!(served.join().unwrap().len(), 1);
    assert_eq!(given.real.connect().list().unwrap(), []);
}

#[tokio::test]
async fn a_ca_that_is_down_is_exit_6_and_changes_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let given = given(&listener);
    drop(listener);
    let failure = given.issue().await.unwrap_err();
    assert_eq!(failure.exit, Exit::Unreachable);
    assert!(
        failure.what.contains("cannot be reached"),
        "{}",
        failure.what
    );
    assert_eq!(given.real.connect().list().unwrap(), []);
}

#[tokio::test]
async fn the_key_file_of_no_agent_is_private_and_works_with_its_certificate() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let given = given(&listener);
    let served = serve(listener, vec![Turn::Issue]);
    let mut keeper = Keeper::File;
    given.outcome(&mut keeper).await.unwrap();
    served.join().unwrap();
    let path = grant::key_file(&given.ca.config, &"prod".parse().unwrap());
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // ssh-keygen reads the key, and it is the one that is certified.
    let public = std::process::Command::new("ssh-keygen")
        .arg("-y")
        .arg("-f")
        .arg(&path)
        .output();
    let public = String::from_utf8(public.unwrap().stdout).unwrap();
    let fingerprint = public.trim().parse::<SubjectKey>().unwrap().fingerprint();
    let written = grant::written(&given.ca.config, &given.pins).unwrap();
    assert_eq!(written[0].certificate.fingerprint, fingerprint);
}

#[tokio::test]
async fn a_wish_that_others_decide_becomes_a_request_and_touches_no_agent() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let given = given(&listener);
    let served = serve(listener, vec![Turn::Waits]);
    let mut keeper = Keeper::Agent {
        agent: given.real.connect(),
        confirm: false,
    };
    let outcome = given.outcome(&mut keeper).await.unwrap();
    assert!(matches!(outcome, Outcome::Waits(request) if request.id == 17));
    served.join().unwrap();
    assert_eq!(given.real.connect().list().unwrap(), []);
}

#[tokio::test]
async fn a_request_is_used_with_its_number_and_a_fresh_key_and_name() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut given = given(&listener);
    let served = serve(listener, vec![Turn::Issue, Turn::Issue]);
    given.issue().await.unwrap();
    given.wish.ground = Ground::Request(17);
    given.issue().await.unwrap();
    let bodies: Vec<RequestCertificate> = served
        .join()
        .unwrap()
        .iter()
        .map(|body| serde_json::from_str(body).unwrap())
        .collect();
    assert_eq!(
        (bodies[0].access_request, bodies[1].access_request),
        (None, Some(17))
    );
    assert_ne!(bodies[0].public_key, bodies[1].public_key);
    assert_ne!(bodies[0].request_id, bodies[1].request_id);
}
