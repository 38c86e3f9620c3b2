//! Words for a chat, with texts in them that anybody may have chosen.
//!
//! What people wrote (a reason, a name) must not mention a channel, make a link, start a new line
//! or look like our own words, whatever the chat makes of its markup: such values stand between
//! backticks, and every character that could end that or mean something inside is replaced.

/// Longest value shown, characters.
const VALUE_CHARS_MAX: usize = 500;

/// One line of a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Value(String),
    Words(String),
}

impl Line {
    /// A line that begins with words of ours.
    #[must_use]
    pub fn new(words: impl Into<String>) -> Self {
        Self(vec![Part::Words(words.into())])
    }

    /// More words of ours.
    #[must_use]
    pub fn words(mut self, words: impl Into<String>) -> Self {
        self.0.push(Part::Words(words.into()));
        self
    }

    /// Something that others wrote.
    #[must_use]
    pub fn value(mut self, value: impl std::fmt::Display) -> Self {
        self.0.push(Part::Value(tame(&value.to_string())));
        self
    }

    /// Followed by another.
    #[must_use]
    pub fn then(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// For Slack, Mattermost and their kin: values as code.
    #[must_use]
    pub fn marked(&self) -> String {
        self.0.iter().fold(String::new(), |text, part| match part {
            Part::Value(value) => text + "`" + value + "`",
            Part::Words(words) => text + words,
        })
    }

    /// Where no markup is read.
    #[must_use]
    pub fn plain(&self) -> String {
        self.0.iter().fold(String::new(), |text, part| match part {
            Part::Value(words) | Part::Words(words) => text + words,
        })
    }
}

/// One line without a character that any chat's markup knows, at most 500 characters.
fn tame(value: &str) -> String {
    let mut tamed: String = value.chars().take(VALUE_CHARS_MAX).map(harmless).collect();
    if value.chars().nth(VALUE_CHARS_MAX).is_some() {
        tamed.push('\u{2026}');
    }
    // Between backticks there must be something.
    if tamed.trim().is_empty() {
        tamed = "-".to_owned();
    }
    tamed
}

/// Look-alikes instead of escapes: Slack reads entities, Mattermost does not where it shows code.
fn harmless(c: char) -> char {
    match c {
        '`' => '\'',
        '<' => '\u{2039}',
        '>' => '\u{203a}',
        '&' => '\u{ff06}',
        '@' => '\u{ff20}',
        // Line and paragraph separators, and all controls.
        '\u{2028}' | '\u{2029}' => ' ',
        c if c.is_control() => ' ',
        // What is not seen or turns the direction of what follows.
        '\u{ad}'
        | '\u{61c}'
        | '\u{180e}'
        | '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}'
        | '\u{e0000}'..='\u{e007f}' => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(value: &str) -> String {
        Line::new("reason: ").value(value).marked()
    }

    #[test]
    fn an_ordinary_value_stands_as_it_is_between_backticks() {
        assert_eq!(
            marked("INC-42: db down (50%)"),
            "reason: `INC-42: db down (50%)`"
        );
        assert_eq!(marked("Größe 日本"), "reason: `Größe 日本`");
    }

    #[test]
    fn no_value_mentions_anybody_links_anywhere_or_leaves_its_backticks() {
        for evil in [
            "<!here> <!channel> <!everyone>",
            "<@U012AB3CD> <#C123>",
            "<https://evil.example|approve here>",
            "@channel @here @all",
            "&lt;!here&gt;",
            "a` @here `b",
            "```\nADMIN: approved```",
            "x\r\nALARM: all is well\u{2028}y\u{2029}z",
            "\u{202e}evorppa\u{202c}",
            "\u{200b}@\u{feff}here",
            "\u{1b}[2J",
        ] {
            let text = marked(evil);
            let inside = text.strip_prefix("reason: `").unwrap();
            let inside = inside.strip_suffix('`').unwrap();
            for character in ['`', '<', '>', '&', '@', '\n', '\r', '\u{2028}', '\u{202e}'] {
                assert!(!inside.contains(character), "{evil:?} gave {text:?}");
            }
            assert!(!inside.chars().any(char::is_control), "{text:?}");
            assert!(!inside.contains('\u{200b}'), "{text:?}");
        }
    }

    #[test]
    fn a_long_value_is_cut_and_an_empty_one_is_a_dash() {
        let whole = "x".repeat(500);
        assert_eq!(marked(&whole), format!("reason: `{whole}`"));
        let long = "ü".repeat(501);
        let cut = marked(&long);
        assert!(cut.ends_with("ü\u{2026}`"), "{cut}");
        assert_eq!(cut.chars().filter(|c| *c == 'ü').count(), 500);
        assert_eq!(marked(" \n"), "reason: `-`");
        assert_eq!(marked(""), "reason: `-`");
    }

    #[test]
    fn plain_text_has_the_same_words_without_marks() {
        let line = Line::new("").value("alice").words(" asks");
        assert_eq!(line.plain(), "alice asks");
        assert_eq!(line.marked(), "`alice` asks");
    }
}
