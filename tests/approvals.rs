//! Several people at their own machines: who asks waits, others decide, and what is granted opens a
//! stock sshd.

mod asking;
mod crashes;
mod deciding;
mod grants;
