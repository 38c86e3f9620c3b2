use std::time::Instant;

use base64::Engine as _;
use hmac::{Hmac, KeyInit as _, Mac as _};

use super::super::delivery::Outcome;
use super::super::{Format, Topic};
use super::*;

#[tokio::test]
async fn an_event_arrives_once_with_a_signature_that_the_receiver_can_check() {
    let place = Place::new();
    let (log, mut receiver) = (place.create(), Receiver::start(&[]).await);
    let _notifier = place.start(&log, receiver.config(place.secret()));
    let index = log.freeze("laptop stolen").await;
    let got = receiver.next().await;
    let id = format!("ca-example-com-2027a-{index}");
    assert_eq!(got.header("webhook-id"), id);
    assert_eq!(got.header("webhook-timestamp"), "1800000000");
    assert_eq!(got.header("content-type"), "application/json");
    // As the specification says it, with nothing of ours.
    let key = base64::engine::general_purpose::STANDARD
        .decode(SECRET.trim_start_matches("whsec_"))
        .unwrap();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(&key).unwrap();
    mac.update(format!("{id}.1800000000.").as_bytes());
    mac.update(&got.body);
    let signature = got.header("webhook-signature").strip_prefix("v1,").unwrap();
    let signature = base64::engine::general_purpose::STANDARD.decode(signature);
    mac.verify_slice(&signature.unwrap()).unwrap();
    let json = got.json();
    assert_eq!(json["type"], "frozen");
    assert_eq!(json["data"]["environment"], "prod");
    assert_eq!(json["data"]["index"], index);
    let source = String::from_utf8(got.body).unwrap();
    assert!(!source.contains("192.0.2.7"), "{source}");
    cursor_at(&place.cursors(), index + 1).await;
    assert!(receiver.got.try_recv().is_err());
}

#[tokio::test]
async fn what_was_not_noted_as_delivered_comes_again_with_the_same_id_and_nothing_is_lost() {
    let place = Place::new();
    let (log, mut receiver) = (place.create(), Receiver::start(&[]).await);
    let notifier = place.start(&log, receiver.config(place.secret()));
    let first = log.freeze("one").await;
    let delivered = receiver.next().await;
    cursor_at(&place.cursors(), first + 1).await;
    // The next answer never comes: the process ends between delivery and cursor.
    receiver.answers.lock().unwrap().push_back(Answer::Hang);
    log.freeze("two").await;
    let interrupted = receiver.next().await;
    drop(notifier);
    log.freeze("three").await;
    log.stop().await;
    let log = place.open();
    let _notifier = place.start(&log, receiver.config(place.secret()));
    let again = receiver.next().await;
    assert_eq!(again.header("webhook-id"), interrupted.header("webhook-id"));
    assert_ne!(again.header("webhook-id"), delivered.header("webhook-id"));
    assert_eq!(again.body, interrupted.body);
    assert_eq!(receiver.next().await.reason(), "three");
}

#[tokio::test]
async fn a_crash_after_the_answer_and_before_the_cursor_repeats_that_message_only() {
    let place = Place::new();
    let (log, mut receiver) = (place.create(), Receiver::start(&[]).await);
    let notifier = place.start(&log, receiver.config(place.secret()));
    let file = place.cursors().join("desk.json");
    let first = log.freeze("one").await;
    receiver.next().await;
    cursor_at(&place.cursors(), first + 1).await;
    let before = std::fs::read(&file).unwrap();
    let second = log.freeze("two").await;
    let delivered = receiver.next().await;
    cursor_at(&place.cursors(), second + 1).await;
    drop(notifier);
    log.stop().await;
    // What the disk would hold: the new file was never renamed into place.
    std::fs::rename(&file, file.with_extension("json.new")).unwrap();
    std::fs::write(&file, before).unwrap();
    let log = place.open();
    let _notifier = place.start(&log, receiver.config(place.secret()));
    log.freeze("three").await;
    let again = receiver.next().await;
    assert_eq!(again.header("webhook-id"), delivered.header("webhook-id"));
    assert_eq!(receiver.next().await.reason(), "three");
}

#[tokio::test]
async fn a_receiver_that_fails_three_times_gets_the_message_at_the_fourth_and_in_order() {
    let place = Place::new();
    let bad = [Answer::Status(500, None); 3];
    let (log, mut receiver) = (place.create(), Receiver::start(&bad).await);
    let _notifier = place.start(&log, receiver.config(place.secret()));
    log.freeze("one").await;
    log.freeze("two").await;
    let mut got = Vec::new();
    for _ in 0..5 {
        got.push(receiver.next().await.reason());
    }
    assert_eq!(got, ["one", "one", "one", "one", "two"]);
}

#[tokio::test]
async fn a_message_that_is_refused_too_often_does_not_hold_back_the_next() {
    let place = Place::new();
    let bad = [Answer::Status(400, None); 3];
    let (log, mut receiver) = (place.create(), Receiver::start(&bad).await);
    let _notifier = place.start(&log, receiver.config(place.secret()));
    log.freeze("bad").await;
    let last = log.freeze("good").await;
    let mut got = Vec::new();
    for _ in 0..4 {
        got.push(receiver.next().await.reason());
    }
    assert_eq!(got, ["bad", "bad", "bad", "good"]);
    cursor_at(&place.cursors(), last + 1).await;
}

#[tokio::test]
async fn a_receiver_that_asks_for_a_pause_gets_it() {
    let place = Place::new();
    let busy = [Answer::Status(429, Some(1))];
    let (log, mut receiver) = (place.create(), Receiver::start(&busy).await);
    let _notifier = place.start(&log, receiver.config(place.secret()));
    log.freeze("one").await;
    receiver.next().await;
    let asked = Instant::now();
    receiver.next().await;
    assert!(
        asked.elapsed() >= Duration::from_millis(950),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn a_receiver_that_hangs_delays_no_commit_and_is_tried_again() {
    let place = Place::new();
    let (log, mut receiver) = (place.create(), Receiver::start(&[Answer::Hang]).await);
    let pace = Pace {
        timeout: Duration::from_millis(300),
        ..quick()
    };
    let _notifier = place.start_with(&log, receiver.config(place.secret()), pace);
    log.freeze("one").await;
    receiver.next().await;
    // Commits return while the receiver has the first message and says nothing.
    for _ in 0..20 {
        log.freeze("more").await;
    }
    assert!(receiver.got.try_recv().is_err(), "it did not hang");
    assert_eq!(receiver.next().await.reason(), "one");
    assert_eq!(receiver.next().await.reason(), "more");
}

#[tokio::test]
async fn a_new_target_is_told_nothing_of_the_past() {
    let place = Place::new();
    let (log, mut receiver) = (place.create(), Receiver::start(&[]).await);
    log.freeze("past").await;
    let _notifier = place.start(&log, receiver.config(place.secret()));
    log.freeze("present").await;
    assert_eq!(receiver.next().await.reason(), "present");
}

#[tokio::test]
async fn a_lost_cursor_or_one_of_another_log_begins_at_the_end() {
    let past_the_end =
        r#"{"origin":"ca.example.com/2027a","next":999,"reminded":"2027-01-15T08:00:00Z"}"#;
    let other_log =
        r#"{"origin":"other.example.com/1","next":1,"reminded":"2027-01-15T08:00:00Z"}"#;
    for text in [past_the_end, other_log, "garbage"] {
        let place = Place::new();
        let (log, mut receiver) = (place.create(), Receiver::start(&[]).await);
        log.freeze("past").await;
        std::fs::create_dir(place.cursors()).unwrap();
        std::fs::write(place.cursors().join("desk.json"), text).unwrap();
        let _notifier = place.start(&log, receiver.config(place.secret()));
        log.freeze("present").await;
        assert_eq!(receiver.next().await.reason(), "present");
    }
}

#[tokio::test]
async fn a_target_is_told_only_what_it_asked_for() {
    let place = Place::new();
    let (log, mut receiver) = (place.create(), Receiver::start(&[]).await);
    let config = WebhookConfig {
        events: Some([Topic::FreezeLifted].into()),
        ..receiver.config(place.secret())
    };
    let _notifier = place.start(&log, config);
    log.freeze("unwanted").await;
    let lifted = Event::FreezeLifted(ca_core::event::FreezeLifted {
        judged: None,
        target: FreezeTarget::Environment("prod".parse().unwrap()),
        by: person("carol"),
        reason: "wanted".to_owned(),
        source: "192.0.2.7".parse().unwrap(),
    });
    record(&log.ledger, lifted).await;
    assert_eq!(receiver.next().await.reason(), "wanted");
}

#[tokio::test]
async fn a_chat_without_a_secret_gets_text_without_a_signature() {
    let place = Place::new();
    let (log, mut receiver) = (place.create(), Receiver::start(&[]).await);
    let _notifier = place.start(&log, receiver.config(None));
    log.freeze("<!channel> @here").await;
    let got = receiver.next().await;
    assert!(got.headers.get("webhook-signature").is_none());
    assert_eq!(
        got.json(),
        serde_json::json!({
            "text": "`carol` froze environment `prod`\nreason: `\u{2039}!channel\u{203a} \u{ff20}here`"
        })
    );
}

#[tokio::test]
async fn a_test_message_says_for_each_target_how_it_went() {
    let (mut well, ill) = (
        Receiver::start(&[]).await,
        Receiver::start(&[Answer::Status(404, None)]).await,
    );
    let named = |receiver: &Receiver, name: &str| WebhookConfig {
        name: Some(name.to_owned()),
        format: Some(Format::Teams),
        ..receiver.config(None)
    };
    let free = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gone = WebhookConfig {
        url: SecretUrl(format!("http://{}/very-secret", free.local_addr().unwrap())),
        ..named(&ill, "gone")
    };
    drop(free);
    let configs = [named(&well, "well"), named(&ill, "ill"), gone];
    let outcomes = Targets::new(&configs, quick()).unwrap().test(now()).await;
    assert_eq!(outcomes[0], ("well".to_owned(), Outcome::Delivered));
    assert_eq!(outcomes[1], ("ill".to_owned(), Outcome::Refused(404)));
    let text = outcomes[2].1.to_string();
    assert!(
        !text.contains("very-secret") && text.contains("refused"),
        "{text}"
    );
    assert_eq!(well.next().await.json()["type"], "message");
}

#[tokio::test]
async fn an_open_review_is_reminded_of_each_day_once() {
    let place = Place::new();
    let (log, mut receiver) = (place.create(), Receiver::start(&[]).await);
    let config = || receiver.config(place.secret());
    let notifier = place.start(&log, config());
    let index = record(&log.ledger, messages::emergency()).await;
    assert_eq!(receiver.next().await.json()["type"], "break-glass");
    place.clock.set(now().plus(super::super::REMIND_EVERY));
    let first = receiver.next().await;
    assert_eq!(first.json()["type"], "review-reminder");
    let id = format!("ca-example-com-2027a-{index}-reminder-1");
    assert_eq!(first.header("webhook-id"), id);
    drop(notifier);
    // After a restart on the same day nothing is repeated: the next is that of the second day.
    place.clock.set(now().plus(super::super::REMIND_EVERY * 2));
    let config = receiver.config(place.secret());
    let _notifier = place.start(&log, config);
    let mut next = receiver.next().await;
    if next.header("webhook-id") == id {
        // It was ended before it could note the first.
        next = receiver.next().await;
    }
    assert!(next.header("webhook-id").ends_with("-reminder-2"));
}
