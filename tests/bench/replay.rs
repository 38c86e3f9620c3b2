//! Figure 18: deciding a long log again by twenty edited policies.
//!
//! The log is of 90 days of 500 people: mostly certificates, and one in twenty each of refusals,
//! access requests, their approvals and their use. Ages, addresses, times and reasons differ from
//! record to record, as they do in life.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ca_core::api::SecondFactor;
use ca_core::digest::Digest;
use ca_core::event::{Attempt, Event, Person, Refused, RequestApproved, RequestOpened};
use ca_core::name::Subject;
use ca_core::serial::Serial;
use ca_server::clock::Clock;
use ca_server::ledger::Turn;
use ca_server::policy::EXAMPLES;
use serde_json::{Value, json};

use crate::ca::Ca;
use crate::fill::{Over, Template, fill_with};
use crate::measure::{children_cpu, process_mebibytes};
use crate::report::{Figure, Target, round};
use crate::support::process::Process;
use crate::support::programs::{command, program};
use crate::{Extent, say};

const PEOPLE: u64 = 500;
/// What the log is spread over.
const SPAN: Duration = Duration::from_secs(90 * 86_400);

pub(crate) fn figures(folder: &Path, extent: &Extent) -> Vec<Figure> {
    say("making a CA with a log to decide again");
    let mut ca = Ca::create(&folder.join("replay"));
    ca.prepare_for_load();
    let edited = policies(folder);
    let sizes = [extent.long / 10, extent.long];
    let step = SPAN / u32::try_from(extent.long).expect("a number of records");
    let mut begin = Clock::System.now();
    let mut runs = Vec::new();
    for size in sizes {
        let clock = Clock::manual(begin);
        let filled = fill_with(&ca, size, (clock.clone(), step), record);
        begin = clock.now();
        say(&format!(
            "{size} records in {filled:.1?}; deciding them again"
        ));
        runs.push(replay(&ca, &edited));
    }
    let [short, long] = runs.as_slice() else {
        unreachable!("two sizes");
    };
    let raw = json!({ "records": sizes, "short": short.json(), "long": long.json() });
    let rate = Figure {
        number: 18,
        name: "recorded decisions decided again, a second",
        unit: "1/s",
        value: long.done.then(|| long.decisions / long.seconds),
        target: Target::AtLeast(50_000.0),
        how: "ca-server policy replay --dir DIR --against 20 policies, whole process, server stopped",
        raw,
    };
    let memory = Figure {
        name: "its peak memory with the long log over that with a tenth of it",
        unit: "ratio",
        value: (long.done && short.done).then(|| long.peak / short.peak),
        target: Target::AtMost(1.5),
        how: "VmHWM, read every 20 ms until the process ends",
        ..rate.clone()
    };
    vec![rate, memory]
}

struct Run {
    done: bool,
    seconds: f64,
    cpu: f64,
    decisions: f64,
    changed: Value,
    peak: f64,
}

impl Run {
    fn json(&self) -> Value {
        json!({
            "seconds": round(self.seconds),
            "cpu_seconds": round(self.cpu),
            "decisions": self.decisions,
            "changed": self.changed,
            "peak_mebibytes": round(self.peak),
        })
    }
}

fn replay(ca: &Ca, edited: &Path) -> Run {
    let mut server = command(&program("ca-server"), &ca.folder);
    server.args(["policy", "replay", "--json", "--fail-on", "none", "--dir"]);
    server.arg(&ca.folder).arg("--against").arg(edited);
    let (begun, cpu) = (Instant::now(), children_cpu());
    let mut process = Process::start("ca-server", server);
    let mut peak = 0.0_f64;
    let status = loop {
        if let Some(status) = process.exit_status() {
            break status;
        }
        peak = peak.max(peak_of(process.id()));
        std::thread::sleep(Duration::from_millis(20));
    };
    let seconds = begun.elapsed().as_secs_f64();
    let said: Value = serde_json::from_str(&process.log()).unwrap_or_default();
    Run {
        done: status.success() && said["decisions"].is_u64(),
        seconds,
        cpu: children_cpu() - cpu,
        decisions: said["decisions"].as_f64().unwrap_or_default(),
        changed: said["changed"].clone(),
        peak,
    }
}

/// 0 of a process that has just ended, which has no memory to tell of.
fn peak_of(id: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    if status.contains("VmHWM") {
        process_mebibytes(id, "VmHWM")
    } else {
        0.0
    }
}

/// Twenty policies that all name the environment of the log.
fn policies(folder: &Path) -> PathBuf {
    let place = crate::folder_in(folder, "edited");
    let (name, schema) = EXAMPLES[0];
    std::fs::write(place.join(name), schema).expect("the schema");
    let mut text = String::from(FORBIDS);
    for at in 0..16 {
        let limit = 900 * (at + 1);
        write!(
            text,
            "@id(\"team-{at}\") @reason(\"team {at} uses staging\")\n\
             permit (principal in Group::\"team-{at}\", action in [Action::\"login\", \
             Action::\"approve\"], resource in Environment::\"staging\")\n\
             when {{ context.duration <= {limit} && context.mfa_age <= 36000 }};\n"
        )
        .expect("a string");
    }
    std::fs::write(place.join("edited.cedar"), text).expect("the policies");
    place
}

const FORBIDS: &str = r#"
@id("bound") @reason("no device codes")
forbid (principal, action == Action::"login", resource in Environment::"staging")
unless { context.token_bound };

@id("root") @reason("root needs somebody else")
forbid (principal, action == Action::"login", resource == Account::"staging/root")
unless { context.approvals >= 1 };

@id("fresh") @reason("long access needs a fresh code")
forbid (principal, action == Action::"login", resource in Environment::"staging")
when { context.duration > 7200 && context.mfa_age > 14400 };

@id("nights") @reason("nobody works at night without a reason")
forbid (principal, action == Action::"login", resource in Environment::"staging")
when { (context.hour < 6 || context.hour >= 22) && !(context has reason) };
"#;

/// What the record of this place tells of.
fn record(template: &Template, turn: Turn) -> Over {
    let index = turn.index();
    let mut over = template.certificate(turn);
    let Event::CertificateIssued(issued) = &mut over.event else {
        unreachable!("a certificate");
    };
    // Requests, approvals and uses follow each other, of one person each.
    let whose = if matches!(index % 20, 1..=3) {
        index - index % 20
    } else {
        index
    };
    issued.person = person(whose);
    issued.asked.groups = groups(whose);
    issued.asked.principals = vec![account(whose)];
    issued.asked.duration_seconds = 300 * (1 + scrambled(whose) % 48);
    issued.asked.mfa_age_seconds = scrambled(index) % 36_000;
    issued.asked.token_bound = !scrambled(whose).is_multiple_of(50);
    issued.asked.source = IpAddr::V4(Ipv4Addr::from_bits(
        0x0a00_0000 | u32::try_from(scrambled(index) & 0xffff).expect("16 bits"),
    ));
    issued.asked.reason = index
        .is_multiple_of(3)
        .then(|| format!("INC-{index} is burning"));
    let event = match index % 20 {
        0 => Some(refused(&over.event)),
        1 => Some(opened(&over.event, turn)),
        2 => Some(approved(&over.event, turn)),
        3 => {
            issued.request = serial(turn, 2);
            issued.approvers = vec![person(whose + 1)];
            None
        }
        _ => None,
    };
    match event {
        Some(event) => Over {
            event,
            to_be_signed: None,
        },
        None => over,
    }
}

/// The serial of the record so many places before.
fn serial(turn: Turn, before: u64) -> Option<u64> {
    let index = turn.index().checked_sub(before)?;
    Some(Serial::new(turn.epoch(), index).ok()?.get())
}

fn refused(event: &Event) -> Event {
    let Event::CertificateIssued(issued) = event else {
        unreachable!("a certificate");
    };
    Event::Refused(Box::new(Refused {
        attempt: Attempt::Certificate,
        code: "denied".to_owned(),
        detail: "no policy lets them log in like this".to_owned(),
        person: Some(issued.person.clone()),
        asked: Some(issued.asked.clone()),
        policies: Vec::new(),
        policy_digest: Some(issued.policy_digest),
        judged: None,
        request: None,
        approvers: Some(Vec::new()),
        not_before: None,
        source: issued.asked.source,
    }))
}

fn opened(event: &Event, turn: Turn) -> Event {
    let Event::CertificateIssued(issued) = event else {
        unreachable!("a certificate");
    };
    Event::RequestOpened(Box::new(RequestOpened {
        request: issued.serial,
        person: issued.person.clone(),
        session: issued.session,
        request_id: issued.request_id.clone(),
        request_digest: issued.request_digest,
        asked: issued.asked.clone(),
        not_before: None,
        digest: Digest::of(b"exactly this"),
        needs: "1 of approver".to_owned(),
        approvals_missing: 1,
        policies: vec!["root".to_owned()],
        policy_digest: issued.policy_digest,
        expires: turn.now().plus(Duration::from_secs(43_200)),
    }))
}

fn approved(event: &Event, turn: Turn) -> Event {
    let Event::CertificateIssued(issued) = event else {
        unreachable!("a certificate");
    };
    let whose = turn.index() - turn.index() % 20;
    Event::RequestApproved(Box::new(RequestApproved {
        request: serial(turn, 1).unwrap_or_default(),
        digest: Digest::of(b"exactly this"),
        requester: issued.person.clone(),
        by: person(whose + 1),
        groups: groups(whose + 1),
        environment: issued.asked.environment.clone(),
        duration_seconds: issued.asked.duration_seconds,
        mfa_age_seconds: issued.asked.mfa_age_seconds,
        second_factor: SecondFactor::Totp,
        needs: String::new(),
        approvals_missing: 0,
        policies: vec!["approvers-approve".to_owned()],
        policy_digest: issued.policy_digest,
        token_bound: Some(true),
        on_call: Some(false),
        source: issued.asked.source,
    }))
}

/// The same number always, and no pattern (`SplitMix64`).
fn scrambled(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 27)) >> 11
}

fn person(of: u64) -> Person {
    let number = scrambled(of) % PEOPLE;
    Person {
        subject: Subject::new("https://id.example.com", &format!("sub-{number}")).expect("one"),
        user: format!("person{number}").parse().expect("a name"),
    }
}

fn groups(of: u64) -> std::collections::BTreeSet<String> {
    let number = scrambled(of) % PEOPLE;
    let teams = [number % 24, number / 24 % 24].map(|team| format!("team-{team}"));
    teams.into_iter().chain(["everybody".to_owned()]).collect()
}

fn account(of: u64) -> ca_core::name::Principal {
    let name = match scrambled(of) % 8 {
        0 => "root",
        1 => "postgres",
        _ => "deploy",
    };
    name.parse().expect("a name")
}
