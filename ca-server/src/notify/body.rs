//! The JSON that is sent, by what the receiver understands.

use ca_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::message::Message;
use super::text::Line;

/// What a receiver understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// `{"text": …}` and nothing else: Slack, Mattermost, Rocket.Chat, Google Chat. Mattermost
    /// refuses a `type` that it does not know, Google Chat every unknown member.
    Chat,
    /// `{"type", "timestamp", "data", "text"}` of Standard Webhooks: programs.
    Standard,
    /// An Adaptive Card, the only thing that a workflow of Microsoft Teams takes. Its text runs
    /// read no markup.
    Teams,
}

/// The bytes that tell `message`, of a record made at `time`.
///
/// # Errors
///
/// None for values of these types; passed on, not hidden.
pub(super) fn body(
    format: Format,
    message: &Message,
    time: Timestamp,
) -> Result<Vec<u8>, serde_json::Error> {
    let value = match format {
        Format::Chat => json!({ "text": message.text() }),
        Format::Standard => json!({
            "type": message.topic,
            "timestamp": time,
            "data": message.data,
            "text": message.text(),
        }),
        Format::Teams => teams(&message.lines),
    };
    serde_json::to_vec(&value)
}

fn teams(lines: &[Line]) -> Value {
    let blocks: Vec<Value> = lines
        .iter()
        .map(|line| {
            json!({
                "type": "RichTextBlock",
                "inlines": [{ "type": "TextRun", "text": line.plain() }],
            })
        })
        .collect();
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": blocks,
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::message::{Data, Topic};

    fn sent(format: Format) -> Value {
        let message = Message {
            topic: Topic::Frozen,
            lines: vec![
                Line::new("").value("carol").words(" froze ").value("alice"),
                Line::new("reason: ").value("[x](https://evil.example) <!here>"),
            ],
            data: Data {
                reason: Some("[x](https://evil.example) <!here>".to_owned()),
                ..Data::at(7)
            },
        };
        let time = Timestamp::from_unix_seconds(1_800_000_000);
        serde_json::from_slice(&body(format, &message, time).unwrap()).unwrap()
    }

    #[test]
    fn a_chat_gets_text_and_no_other_member() {
        assert_eq!(
            sent(Format::Chat),
            json!({ "text": "`carol` froze `alice`\nreason: `[x](https://evil.example) \u{2039}!here\u{203a}`" })
        );
    }

    #[test]
    fn a_program_gets_type_time_and_facts_beside_the_text() {
        let sent = sent(Format::Standard);
        assert_eq!(sent["type"], "frozen");
        assert_eq!(sent["timestamp"], "2027-01-15T08:00:00Z");
        assert_eq!(sent["data"]["index"], 7);
        assert_eq!(sent["data"]["reason"], "[x](https://evil.example) <!here>");
        assert!(sent["text"].as_str().unwrap().starts_with("`carol`"));
    }

    #[test]
    fn teams_gets_a_card_whose_texts_are_runs_without_markup() {
        let sent = sent(Format::Teams);
        assert_eq!(sent["type"], "message");
        let blocks = sent["attachments"][0]["content"]["body"]
            .as_array()
            .unwrap()
            .clone();
        let kinds: Vec<_> = blocks
            .iter()
            .map(|b| b["inlines"][0]["type"].clone())
            .collect();
        assert_eq!(kinds, ["TextRun", "TextRun"]);
        assert_eq!(blocks[0]["inlines"][0]["text"], "carol froze alice");
    }
}
