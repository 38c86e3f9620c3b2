//! The terminal shows, hides and interrupts.

use std::process::Command;

use crate::support::keygen;
use crate::support::pty::Terminal;

#[test]
fn prompts_are_answered_and_what_is_secret_is_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let key = keygen::generate(dir.path(), "key");
    let mut command = Command::new("ssh-keygen");
    command.arg("-p").arg("-f").arg(&key.private);
    let mut terminal = Terminal::start(command);
    terminal.expect("Enter new passphrase");
    assert!(!terminal.echoes());
    terminal.type_line("open sesame");
    terminal.expect("Enter same passphrase again");
    terminal.type_line("open sesame");
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(0), "{screen}");
    assert!(screen.contains("saved with the new passphrase"), "{screen}");
    assert!(!screen.contains("sesame"), "{screen}");
}

#[test]
fn ctrl_c_interrupts_the_command() {
    let mut command = Command::new("sh");
    command.args([
        "-c",
        "trap 'echo interrupted; exit 5' INT; echo ready; sleep 1000 & wait",
    ]);
    let mut terminal = Terminal::start(command);
    terminal.expect("ready");
    terminal.interrupt();
    let (code, screen) = terminal.finish();
    assert_eq!(code, Some(5), "{screen}");
    assert!(screen.contains("interrupted"), "{screen}");
}
