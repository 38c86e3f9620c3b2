//! Proof that each part does what the product tests rely on: it accepts, and it refuses.

mod agent;
mod keygen;
mod oath;
mod oidc;
mod process;
mod programs;
mod pty;
mod python;
mod sshd;
