//! The programs under test are found, built from the sources as they are now.

use crate::support::programs::program;

#[test]
fn the_programs_of_the_workspace_are_built() {
    for name in ["ca-server", "jit-ssh"] {
        assert!(program(name).is_absolute());
    }
}
