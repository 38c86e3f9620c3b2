//! The only place of the tests that reads the clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds since 1970 by the clock that sshd and the programs under test use.
#[expect(
    clippy::disallowed_methods,
    reason = "real programs run on the real clock"
)]
pub fn unix_now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("a clock after 1970")
        .as_secs()
}
