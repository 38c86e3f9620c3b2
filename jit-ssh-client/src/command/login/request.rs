//! From a wish to a certificate where other people have a say: the open request is picked up, or a
//! new one opened; then it is waited for and used.

use std::time::Duration;

use ca_core::api::{
    AccessRequest, DiscoveredEnvironment, IssuedCertificate, ProblemType, RequestsQuery,
    RequestsShown,
};
use ca_core::time::Timestamp;
use secrecy::SecretString;

use crate::access::Caller;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::issue::{Keeper, Outcome, Wish, issue};
use crate::problem::kind;
use crate::request::{names, over, resume};
use crate::terms;
use crate::wait::{Stop, Waited, until_usable};

/// First and longest pause while the CA says that the time has not come: its clock decides.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(15);

/// Whether and how long to wait for a request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wait {
    /// Without `--no-wait`.
    pub(super) wanted: bool,
    /// `--wait`.
    pub(super) until: Option<Timestamp>,
    /// Without `--new`.
    pub(super) picks_up: bool,
}

/// What a login came to.
#[derive(Clone, Debug)]
pub(super) enum Obtained {
    /// A certificate, where the keeper keeps it.
    Issued(Box<IssuedCertificate>),
    /// A request that is still open.
    Open(Box<AccessRequest>, Stop),
}

/// A certificate for `wish`, or the request that stands between.
///
/// # Errors
///
/// A [`Failure`] to show.
pub(super) async fn obtain(
    caller: &mut Caller<'_>,
    wish: &Wish,
    keeper: &mut Keeper,
    wait: Wait,
) -> Result<Obtained, Failure> {
    if wait.picks_up
        && let Some(open) = open_request(caller, wish).await?
    {
        caller.ca.voice.progress(&format!(
            "Going on with your request {} ({} as {}); --new asks anew",
            open.id,
            open.environment,
            names(&open)
        ));
        return go_on(caller, open, (&wish.environment, keeper), wait).await;
    }
    let request = match issue(caller, wish, keeper).await? {
        Outcome::Issued(issued) => return Ok(Obtained::Issued(issued)),
        Outcome::Waits(request) => request,
    };
    terms::remember(&caller.ca.config, &request, wish, clock::now())?;
    go_on(caller, *request, (&wish.environment, keeper), wait).await
}

/// The caller's open request that `wish` means.
///
/// # Errors
///
/// A [`Failure`] of the sign-in or the CA.
pub(in crate::command) async fn open_request(
    caller: &mut Caller<'_>,
    wish: &Wish,
) -> Result<Option<AccessRequest>, Failure> {
    let ca = caller.ca;
    let query = RequestsQuery {
        show: RequestsShown::Mine,
    };
    let call = async |token: &SecretString| ca.api.requests(token, query).await;
    let mine = match caller.call(call).await {
        Ok(mine) => mine.requests,
        // A CA that knows no requests has none of ours.
        Err(failure) if kind(&failure) == Some(ProblemType::NotFound) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    terms::meant(&ca.config, &mine, wish, clock::now()).map(Option::<&_>::cloned)
}

async fn go_on(
    caller: &mut Caller<'_>,
    request: AccessRequest,
    (environment, keeper): (&DiscoveredEnvironment, &mut Keeper),
    wait: Wait,
) -> Result<Obtained, Failure> {
    let usable = terms::is_usable(&request, clock::now());
    let waited = match (usable, wait.wanted) {
        (true, _) => Waited::Ready(Box::new(request)),
        (false, false) => Waited::Open(Box::new(request), Stop::NotWanted),
        (false, true) => until_usable(caller, request, wait.until).await?,
    };
    match waited {
        Waited::Open(request, stop) => Ok(Obtained::Open(request, stop)),
        Waited::Ready(request) => use_it(caller, &request, environment, keeper)
            .await
            .map(Obtained::Issued),
    }
}

/// The certificate of a request that has what it needs.
///
/// # Errors
///
/// A [`Failure`] of the CA, with what to do about the request.
pub(in crate::command) async fn use_it(
    caller: &mut Caller<'_>,
    request: &AccessRequest,
    environment: &DiscoveredEnvironment,
    keeper: &mut Keeper,
) -> Result<Box<IssuedCertificate>, Failure> {
    let config = &caller.ca.config;
    let wish = terms::activation(config, request, environment.clone(), clock::now())?;
    let mut pause = PAUSE_MIN;
    loop {
        match issue(caller, &wish, keeper).await {
            Ok(Outcome::Issued(issued)) => return Ok(issued),
            Ok(Outcome::Waits(_)) => {
                let what = "the CA opened another request instead of using this one";
                return Err(Failure::new(Exit::Broken, what));
            }
            Err(failure) if kind(&failure) == Some(ProblemType::NotYet) => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(PAUSE_MAX);
            }
            Err(failure) if kind(&failure) == Some(ProblemType::RequestClosed) => {
                // Somebody's no, or another terminal, was faster: say how it ended.
                let id = request.id;
                let ca = caller.ca;
                let call =
                    async |token: &SecretString| ca.api.access_request(token, id, None).await;
                return Err(caller
                    .call(call)
                    .await
                    .map_or(failure, |ended| over(&ended)));
            }
            Err(failure) => return Err(not_used(failure, request)),
        }
    }
}

fn not_used(failure: Failure, request: &AccessRequest) -> Failure {
    let id = request.id;
    match kind(&failure) {
        Some(ProblemType::RequestChanged) => failure
            .line(format!(
                "request {id} was opened on another machine with other terms"
            ))
            .hint(format!(
                "log in there, or ask anew here: {} --new",
                resume(request)
            )),
        None if failure.exit == Exit::Unreachable => failure.hint(format!(
            "request {id} is approved and kept; go on with: {}",
            resume(request)
        )),
        _ => failure,
    }
}
