//! The messages that need one line and a reason.

use ca_core::event::{Event, FreezeTarget, Person, RequestApproved, SshSessionReported};
use ca_core::name::Environment;
use ca_core::time::Timestamp;

use super::{Data, Line, Message, Topic, number_of, why};
use crate::policy::words;

/// See [`super::message`].
pub(super) fn message(index: u64, event: &Event) -> Option<Message> {
    let data = || Data::at(index);
    let told = match event {
        Event::BreakGlassSessionOpened(opened) => Message {
            topic: Topic::BreakGlassSessionOpened,
            lines: vec![
                Line::new("BREAK-GLASS: ")
                    .value(&opened.person.user)
                    .words(" signed in with a break-glass key, without the identity provider"),
            ],
            data: Data {
                requester: Some(opened.person.user.to_string()),
                expires_at: Some(opened.expires),
                ..data()
            },
        },
        Event::FreezeLifted(lifted) => {
            let verb = " lifted the freeze of ";
            freeze(
                index,
                Topic::FreezeLifted,
                &lifted.target,
                (verb, &lifted.by, &lifted.reason),
            )
        }
        Event::Frozen(frozen) => {
            let verb = " froze ";
            freeze(
                index,
                Topic::Frozen,
                &frozen.target,
                (verb, &frozen.by, &frozen.reason),
            )
        }
        Event::ReviewClosed(closed) => Message {
            topic: Topic::ReviewClosed,
            lines: vec![
                Line::new("The emergency in ")
                    .value(&closed.environment)
                    .words(format!(" with serial {} was reviewed by ", closed.serial))
                    .value(&closed.by.user),
                Line::new("finding: ").value(&closed.finding),
            ],
            data: Data {
                by: Some(closed.by.user.to_string()),
                environment: Some(closed.environment.clone()),
                serials: vec![closed.serial],
                reason: Some(closed.finding.clone()),
                ..data()
            },
        },
        _ => return of_request(index, event),
    };
    Some(told)
}

fn of_request(index: u64, event: &Event) -> Option<Message> {
    let told = match event {
        Event::RequestApproved(approved) => request_approved(index, approved),
        Event::RequestDenied(denied) => {
            let about = (denied.request, &denied.requester, &denied.environment);
            let end = Line::new(" was denied by ").value(&denied.by.user);
            let mut message = request_ended(index, Topic::RequestDenied, about, end);
            message.lines.extend(why(Some(&denied.reason), None));
            message.data.by = Some(denied.by.user.to_string());
            message.data.reason = Some(denied.reason.clone());
            message
        }
        Event::RequestExpired(expired) => {
            let about = (expired.request, &expired.person, &expired.environment);
            request_ended(index, Topic::RequestExpired, about, Line::new(" expired"))
        }
        Event::RequestWithdrawn(withdrawn) => {
            let about = (withdrawn.request, &withdrawn.person, &withdrawn.environment);
            request_ended(
                index,
                Topic::RequestWithdrawn,
                about,
                Line::new(" was withdrawn"),
            )
        }
        _ => return None,
    };
    Some(told)
}

fn request_approved(index: u64, approved: &RequestApproved) -> Message {
    let about = (approved.request, &approved.requester, &approved.environment);
    let complete = approved.approvals_missing == 0;
    let longest = words(std::time::Duration::from_secs(approved.duration_seconds));
    let end = Line::new(" was approved by ")
        .value(&approved.by.user)
        .words(format!(" for at most {longest}"));
    let topic = if complete {
        Topic::RequestApproved
    } else {
        Topic::ApprovalGiven
    };
    let mut message = request_ended(index, topic, about, end);
    let command = if complete {
        let command = format!("jit-ssh login {}", approved.environment);
        message.lines.push(
            Line::new("nothing is missing; ")
                .value(&approved.requester.user)
                .words(" picks it up: ")
                .value(&command),
        );
        command
    } else {
        let command = format!("jit-ssh approve {}", number_of(approved.request));
        let line = Line::new("still needs ").value(&approved.needs);
        message.lines.push(line.words("; decide: ").value(&command));
        command
    };
    message.data = Data {
        by: Some(approved.by.user.to_string()),
        duration_seconds: Some(approved.duration_seconds),
        needs: Some(approved.needs.clone()),
        approvals_missing: Some(approved.approvals_missing),
        command: Some(command),
        ..message.data
    };
    message
}

fn request_ended(
    index: u64,
    topic: Topic,
    (request, person, environment): (u64, &Person, &Environment),
    end: Line,
) -> Message {
    let number = number_of(request);
    let line = Line::new(format!("Request {number} of "))
        .value(&person.user)
        .words(" for ")
        .value(environment)
        .then(end);
    Message {
        topic,
        lines: vec![line],
        data: Data {
            requester: Some(person.user.to_string()),
            environment: Some(environment.clone()),
            request: Some(number),
            ..Data::at(index)
        },
    }
}

fn freeze(
    index: u64,
    topic: Topic,
    target: &FreezeTarget,
    (verb, by, reason): (&str, &Person, &str),
) -> Message {
    let line = Line::new("").value(&by.user).words(verb);
    let (line, requester, environment) = match target {
        FreezeTarget::Environment(environment) => {
            let line = line.words("environment ").value(environment);
            (line, None, Some(environment.clone()))
        }
        FreezeTarget::Person(person) => {
            let line = line.value(&person.user);
            (line, Some(person.user.to_string()), None)
        }
    };
    let mut lines = vec![line];
    lines.extend(why(Some(reason), None));
    Message {
        topic,
        lines,
        data: Data {
            requester,
            environment,
            by: Some(by.user.to_string()),
            reason: Some(reason.to_owned()),
            ..Data::at(index)
        },
    }
}

/// Something that a host saw and that must not be.
pub(super) fn session_alarm(index: u64, topic: Topic, report: &SshSessionReported) -> Message {
    let what = if topic == Topic::SshSessionNotRecorded {
        "ALARM: a certificate without a record was used on host "
    } else {
        "ALARM: an ssh session that had to end goes on, on host "
    };
    let at: Timestamp = report.at;
    let line = Line::new(format!("{what}{} of ", report.host))
        .value(&report.environment)
        .words(" as ")
        .value(&report.account)
        .words(format!(", at {at}"));
    let names = Line::new("key id: ").value(&report.key_id);
    Message {
        topic,
        lines: vec![line, names.words(format!(", serial {}", report.serial))],
        data: Data {
            environment: Some(report.environment.clone()),
            accounts: vec![report.account.clone()],
            serials: vec![report.serial],
            host: Some(report.host),
            ..Data::at(index)
        },
    }
}
