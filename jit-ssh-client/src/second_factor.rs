//! The six digits: from a prompt on the terminal or from a command.
//!
//! Deliberately strict: spaces and other scripts' digits are refused here, before they are spent.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::process::Command;
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure};
use crate::prompt;

/// How long `--totp-command` may take, seconds.
const COMMAND_SECONDS_MAX: u64 = 120;
/// Most output of it that is read, bytes.
const OUTPUT_BYTES_MAX: u64 = 256;

/// Where the second factor comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// `--totp-command`: standard output of a shell command.
    Command(String),
    /// Nobody may be asked.
    Nobody,
    /// A question on the terminal.
    Prompt,
    /// A question for a recovery code.
    RecoveryPrompt,
}

/// What was shown.
pub(crate) enum Factor {
    /// Six ASCII digits.
    Totp(Zeroizing<String>),
    /// A recovery code, as typed.
    Recovery(Zeroizing<String>),
}

impl Source {
    /// Whether a second try makes sense: a person mistypes, a command does not.
    pub(crate) const fn may_retry(&self) -> bool {
        matches!(self, Self::Prompt | Self::RecoveryPrompt)
    }
}

/// Asks for the factor. A malformed answer is asked for again once, where a person answers.
///
/// # Errors
///
/// A [`Failure`] with exit 4: nobody to ask, the command failed, not six digits.
pub(crate) async fn ask(
    source: &Source,
    question: &str,
    otpauth_uri: Option<&str>,
) -> Result<Factor, Failure> {
    match source {
        Source::Command(command) => {
            let output = run(command, otpauth_uri).await?;
            Ok(Factor::Totp(six_digits(&output)?))
        }
        Source::Nobody => Err(nobody()),
        Source::Prompt => {
            let terminal = prompt::terminal().ok_or_else(nobody)?;
            let typed = prompt::secret(&terminal, question)?;
            let digits = six_digits(&typed).or_else(|_| {
                let again = prompt::secret(&terminal, "that is not six digits; again: ")?;
                six_digits(&again)
            })?;
            Ok(Factor::Totp(digits))
        }
        Source::RecoveryPrompt => {
            let terminal = prompt::terminal().ok_or_else(nobody)?;
            let typed = prompt::secret(&terminal, "recovery code: ")?;
            Ok(Factor::Recovery(Zeroizing::new(typed.trim().to_owned())))
        }
    }
}

fn nobody() -> Failure {
    Failure::new(
        Exit::NotAuthenticated,
        "a TOTP code is needed and there is no terminal to ask on",
    )
    .hint("run it in a terminal, or add --totp-command CMD")
}

/// Exactly six ASCII digits, one line end allowed after them.
fn six_digits(text: &str) -> Result<Zeroizing<String>, Failure> {
    if text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(Zeroizing::new(text.to_owned()));
    }
    // The text may be nearly a code, so it is not repeated.
    Err(Failure::new(
        Exit::NotAuthenticated,
        "a TOTP code is six digits and nothing else",
    ))
}

async fn run(command: &str, otpauth_uri: Option<&str>) -> Result<Zeroizing<String>, Failure> {
    let failed = |why: String| {
        Failure::new(
            Exit::NotAuthenticated,
            format!("--totp-command brought no code: {why}"),
        )
    };
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(command).stdout(Stdio::piped());
    // By environment, not by argument: other users can read arguments.
    if let Some(uri) = otpauth_uri {
        shell.env("JIT_SSH_OTPAUTH_URI", uri);
    }
    shell.kill_on_drop(true);
    let mut child = shell.spawn().map_err(|error| failed(error.to_string()))?;
    let mut output = Zeroizing::new(String::new());
    let bound = Duration::from_secs(COMMAND_SECONDS_MAX);
    let status = tokio::time::timeout(bound, async {
        if let Some(stdout) = child.stdout.take() {
            let mut stdout = stdout.take(OUTPUT_BYTES_MAX);
            stdout.read_to_string(&mut output).await?;
        }
        child.wait().await
    });
    let status = status.await.map_err(|_| failed("it did not end".into()))?;
    let status = status.map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        return Err(failed(status.to_string()));
    }
    Ok(Zeroizing::new(output.trim_ascii().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_six_ascii_digits_are_a_code() {
        assert_eq!(six_digits("012345").unwrap().as_str(), "012345");
        for text in [
            "12345",
            "1234567",
            "123 456",
            " 12345",
            "１２３４５６",
            "12345a",
            "",
        ] {
            let failure = six_digits(text).unwrap_err();
            assert_eq!(failure.exit, Exit::NotAuthenticated, "{text:?}");
            assert!(text.is_empty() || !failure.what.contains(text));
        }
    }

    #[tokio::test]
    async fn a_command_gives_the_code_and_sees_the_enrolment_address() {
        let command = Source::Command("echo \"$JIT_SSH_OTPAUTH_URI\"".into());
        let factor = ask(&command, "", Some("123456")).await.unwrap();
        assert!(matches!(factor, Factor::Totp(code) if code.as_str() == "123456"));
    }

    #[tokio::test]
    async fn a_command_that_fails_or_says_something_else_is_not_authenticated() {
        for command in ["exit 3", "echo hello", "echo 1234567", "true"] {
            let source = Source::Command(command.into());
            let failure = ask(&source, "", None).await.err().unwrap();
            assert_eq!(failure.exit, Exit::NotAuthenticated, "{command}");
        }
    }
}
