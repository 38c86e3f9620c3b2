//! Who somebody is: sign-in at a provider that we did not write, and the second factor.

mod enrolment;
mod provider_away;
mod second_factor;
mod sign_in;
mod wrong_tokens;
