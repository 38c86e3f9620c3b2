//! From a person to a session at the CA: the stored one, or a sign-in with both factors.

use ca_core::api::{OpenSession, ProblemType, SessionOpened};
use secrecy::{ExposeSecret, SecretString};

use crate::ca::Ca;
use crate::clock;
use crate::failure::Failure;
use crate::ledger::Ledger;
use crate::pins::Pins;
use crate::second_factor::{Factor, Source, ask};
use crate::session::Session;
use crate::sign_in::{SignInWish, SignedIn, sign_in};

/// How to get a session when there is none.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Through which provider page.
    pub(crate) wish: SignInWish,
    /// Where the second factor comes from.
    pub(crate) factor: Source,
    /// Whether a stored session is not enough (`--fresh`).
    pub(crate) fresh: bool,
}

/// A person who calls the CA, and signs in when that is needed: once a run at most.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    /// The CA.
    pub(crate) ca: &'a Ca,
    /// The keys trusted here.
    pub(crate) pins: Pins,
    /// How to sign in.
    plan: Plan,
    /// The session in use.
    session: Option<Session>,
    /// Whether a session that the CA does not accept is replaced.
    renewable: bool,
}

impl<'a> Caller<'a> {
    /// A person without a session yet.
    pub(crate) const fn new(ca: &'a Ca, pins: Pins, plan: Plan) -> Self {
        Self {
            ca,
            pins,
            plan,
            session: None,
            renewable: true,
        }
    }

    /// The session to call with: the one in use, the stored one if it serves, or a new one.
    ///
    /// # Errors
    ///
    /// A [`Failure`] of the sign-in.
    pub(crate) async fn session(&mut self) -> Result<Session, Failure> {
        if let Some(session) = &self.session {
            return Ok(session.clone());
        }
        if !self.plan.fresh {
            let stored = Session::load(&self.ca.config)?;
            let hint = self.plan.wish.login_hint.as_deref();
            let now = clock::now();
            if let Some(session) = stored.filter(|s| s.serves(hint, now) && !s.break_glass) {
                self.session = Some(session.clone());
                return Ok(session);
            }
        }
        self.sign_in().await
    }

    /// A new session, whatever was there.
    ///
    /// # Errors
    ///
    /// A [`Failure`] of the sign-in.
    pub(crate) async fn sign_in(&mut self) -> Result<Session, Failure> {
        let session = new_session(self.ca, &mut self.pins, &self.plan).await?;
        self.session = Some(session.clone());
        self.renewable = false;
        Ok(session)
    }

    /// Calls with `session` and no other from now on.
    pub(crate) fn adopt(&mut self, session: Session) {
        self.session = Some(session);
        self.renewable = false;
    }

    /// One call. A session that is over, or whose second factor is too old for this, is renewed.
    ///
    /// # Errors
    ///
    /// A [`Failure`] of the sign-in or of the call.
    pub(crate) async fn call<A>(
        &mut self,
        call: impl AsyncFn(&SecretString) -> Result<A, Failure>,
    ) -> Result<A, Failure> {
        let session = self.session().await?;
        match call(&session.token).await {
            Err(failure) if self.renewable && wants_sign_in(&failure) => {
                let session = self.sign_in().await?;
                call(&session.token).await
            }
            other => other,
        }
    }

    /// One call through the session there is: nobody is asked to sign in.
    ///
    /// # Errors
    ///
    /// A [`Failure`] of the call.
    pub(crate) async fn call_as_is<A>(
        &mut self,
        call: impl AsyncFn(&SecretString) -> Result<A, Failure>,
    ) -> Result<A, Failure> {
        let session = self.session().await?;
        call(&session.token).await
    }

    /// How this person signs in.
    pub(crate) const fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// Whether another sign-in would help.
pub(crate) fn wants_sign_in(failure: &Failure) -> bool {
    let kind = failure.problem.as_ref().map(|problem| problem.kind);
    matches!(
        kind,
        Some(ProblemType::SessionRequired | ProblemType::TotpRequired)
    )
}

/// Signs in with both factors and stores the session.
///
/// # Errors
///
/// A [`Failure`] of the sign-in.
async fn new_session(ca: &Ca, pins: &mut Pins, plan: &Plan) -> Result<Session, Failure> {
    if plan.factor == Source::Nobody {
        // Before a browser opens for nothing.
        ask(&plan.factor, "", None).await?;
    }
    // Providers change; a sign-in takes seconds, so this call is not felt.
    *pins = ca.refresh(pins.clone()).await?;
    let signed_in = sign_in(&ca.config, &pins.discovery, &plan.wish, ca.voice).await?;
    let opened = match open(ca, &signed_in, &plan.factor, "TOTP code: ").await {
        Err(failure) if plan.factor.may_retry() && was_refused(&failure) => {
            ca.voice.progress("That was not accepted; one more try.");
            open(ca, &signed_in, &plan.factor, "TOTP code: ").await
        }
        other => other,
    }?;
    let session = Session::opened(opened, plan.wish.login_hint.as_deref());
    end_other(ca, pins, &session).await?;
    session.save(&ca.config)?;
    Ok(session)
}

/// Ends the stored session when it is another person's: nobody could end it afterwards.
async fn end_other(ca: &Ca, pins: &Pins, new: &Session) -> Result<(), Failure> {
    let now = clock::now();
    let stored = Session::load(&ca.config)?;
    let Some(old) = stored.filter(|old| old.user != new.user && old.serves(None, now)) else {
        return Ok(());
    };
    ca.voice.warn(&format!("this ends {}'s session", old.user));
    match ca.api.close_session(&old.token).await {
        Ok(closed) => {
            let mut ledger = Ledger::load(&ca.config, now)?;
            ledger.revoked(&closed.revoked, pins.latest_end(now));
            ledger.save(&ca.config)
        }
        Err(failure) => {
            ca.voice.warn(&format!(
                "{}'s session could not be ended at the CA: {failure}",
                old.user
            ));
            Ok(())
        }
    }
}

fn was_refused(failure: &Failure) -> bool {
    let problem = failure.problem.as_ref();
    problem.is_some_and(|problem| problem.kind == ProblemType::LoginRefused)
}

async fn open(
    ca: &Ca,
    signed_in: &SignedIn,
    source: &Source,
    question: &str,
) -> Result<SessionOpened, Failure> {
    let factor = ask(source, question, None).await?;
    let mut body = OpenSession {
        id_token: signed_in.id_token.expose_secret().to_owned(),
        session_public_key: signed_in.session_public_key.clone(),
        totp: None,
        recovery_code: None,
    };
    match &factor {
        Factor::Totp(code) => body.totp = Some(code.to_string()),
        Factor::Recovery(code) => body.recovery_code = Some(code.to_string()),
    }
    ca.api.open_session(&body).await
}
