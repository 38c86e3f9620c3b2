//! `jit-ssh-host` beside a stock sshd with PAM: what ends, when, and what does not.

mod crashes;
mod ending;
mod enrolled;
mod enrolment;
mod lists;
mod outage;
mod stand_in;
