//! The only place of the tests that reads the clock.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// By the clock that sshd and the programs under test use.
#[expect(
    clippy::disallowed_methods,
    reason = "real programs run on the real clock"
)]
fn since_1970() -> Duration {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.expect("a clock after 1970")
}

/// Seconds since 1970 by that clock.
pub fn unix_now() -> u64 {
    since_1970().as_secs()
}

/// Milliseconds since 1970 by that clock.
pub fn unix_milliseconds() -> u128 {
    since_1970().as_millis()
}
