//! The judges written in Python: they share no code with what they judge.

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use super::programs;
use super::run::{Finished, run, run_with_input};

/// Python in the environment that `tests/prerequisites.sh` makes, running a script of `tests/python`.
pub fn script(name: &str) -> Command {
    let python = programs::target_folder().join("venv/bin/python");
    assert!(
        python.exists(),
        "no {}; run: bash tests/prerequisites.sh",
        python.display()
    );
    let mut command = Command::new(python);
    command
        .arg("-B")
        .arg(programs::tests_folder().join("python").join(name));
    command
}

/// Asks pymerkle for the roots over the first entries, and for consistency between them.
///
/// `heads` are (size, root). Prints `OK N heads` or exits 1 with the first mismatch.
pub fn check_tree<E: AsRef<[u8]>>(entries: &[E], heads: &[(u64, [u8; 32])]) -> Finished {
    let mut command = script("check_tree.py");
    for (size, root) in heads {
        command.arg(format!("{size}:{}", hex(root)));
    }
    let mut input = String::new();
    for entry in entries {
        writeln!(input, "{}", hex(entry.as_ref())).expect("a String");
    }
    run_with_input(command, input.as_bytes())
}

/// Reads a whole log as a stranger: `prefix` is the URL that `/checkpoint` and `/tile/` follow.
///
/// `ca_file` is the PEM file of a private TLS authority. Prints `OK SIZE ROOT ORIGIN` or exits 1.
pub fn read_log(prefix: &str, vkey: &str, ca_file: Option<&Path>) -> Finished {
    let mut command = script("read_log.py");
    if let Some(file) = ca_file {
        command.arg("--ca-file").arg(file);
    }
    command.args(["--", prefix, vkey]);
    run(command)
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String");
        text
    })
}
