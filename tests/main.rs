//! Whole programs against real parts: sshd, ssh-agent, an OpenID provider, oathtool, a terminal.
//!
//! `support` starts the parts as ordinary processes; `parts` proves that each of them does what
//! the product tests rely on. Needs root (test accounts) and what `tests/prerequisites.sh` installs.

mod approvals;
mod audit;
mod client;
mod documents;
mod emergency;
mod faults;
mod host;
mod host_agent;
mod http_edge;
mod identity;
mod login;
mod offline_break_glass;
mod parts;
mod policies;
mod policy_cases;
mod policy_prove;
mod support;
mod webhooks;
mod who;
