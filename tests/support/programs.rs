//! The product's own programs, built once per test run.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The folder of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are in a folder of it")
}

/// The folder `tests`.
pub fn tests_folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The target folder in use.
pub fn target_folder() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .expect("it is target/tmp")
}

/// The path of a program of the workspace (`ca-server`, `jit-ssh`), up to date.
///
/// Cargo does not build the programs of other packages for a test, so the first call does,
/// unless `$JIT_SSH_PROGRAMS_BUILT` says that it was just done (`make test`).
pub fn program(name: &str) -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        if std::env::var_os("JIT_SSH_PROGRAMS_BUILT").is_none() {
            let mut cargo = Command::new(env!("CARGO"));
            // The same selection as `make programs`: another one would build everything again.
            cargo.args(["build", "--workspace", "--locked", "--bins", "--tests"]);
            cargo.current_dir(repository());
            let built = cargo.status().expect("cargo");
            assert!(built.success(), "the programs do not build");
        }
    });
    let deps = std::env::current_exe().expect("the path of the test program");
    let profile = deps
        .parent()
        .and_then(Path::parent)
        .expect("target/debug/deps/NAME");
    let path = profile.join(name);
    assert!(path.is_file(), "{} was not built", path.display());
    path
}

/// A command without the environment variables that would let a developer's own agent,
/// configuration or browser leak into a test. `HOME` is `home`.
pub fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    for name in [
        "SSH_AUTH_SOCK",
        "SSH_CONNECTION",
        "SSH_TTY",
        "SSH_ASKPASS",
        "DISPLAY",
        "BROWSER",
    ] {
        command.env_remove(name);
    }
    for name in [
        "JIT_SSH_CONFIG",
        "WAYLAND_DISPLAY",
        "XDG_CONFIG_HOME",
        "XDG_RUNTIME_DIR",
    ] {
        command.env_remove(name);
    }
    command.env("HOME", home).current_dir(home);
    command
}
