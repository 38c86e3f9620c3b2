//! Emergencies from end to end: the identity provider is down, the authority is down, and what
//! follows when both are up again. `make drill` runs these and shows what they did.

mod authority_down;
mod provider_down;
