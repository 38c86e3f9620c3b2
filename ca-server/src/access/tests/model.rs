//! Random interleavings of everything that can happen to requests, against a model that knows
//! nothing of policies, digests or logs: only who said what, and when.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::state::LATE;
use steps::{Step, step};

mod steps;

const NAMES: [&str; 5] = ["ann", "ben", "cid", "dan", "eve"];
const GROUPS: [&[&str]; 7] = [
    &["sre"],
    &["sre", "leads"],
    &["leads"],
    &["security"],
    &["leads", "security"],
    &["sre", "leads", "security"],
    &["engineering"],
];

/// One yes, as somebody who watches would note it.
struct Yes {
    who: usize,
    with: BTreeSet<String>,
    seconds: u64,
}

/// One request.
struct Noted {
    index: u64,
    by: usize,
    wish: Wish,
    expires: Timestamp,
    yes: Vec<Yes>,
    over: bool,
}

impl Noted {
    fn is_open(&self, now: Timestamp) -> bool {
        !self.over && now < self.expires
    }
}

/// The notes, beside the stage that they are about.
struct Model {
    stage: Stage,
    sessions: Vec<Vec<(Digest, BTreeSet<String>)>>,
    frozen: Vec<bool>,
    noted: Vec<Noted>,
    certificates: BTreeMap<u64, Timestamp>,
    revoked: BTreeSet<u64>,
    version: u64,
    granted: usize,
}

impl Model {
    fn new() -> Self {
        let mut model = Self {
            stage: Stage::new(),
            sessions: vec![Vec::new(); NAMES.len()],
            frozen: vec![false; NAMES.len()],
            noted: Vec::new(),
            certificates: BTreeMap::new(),
            revoked: BTreeSet::new(),
            version: 0,
            granted: 0,
        };
        model.version = model
            .stage
            .state
            .krl_version(&model.stage.rules.name)
            .version;
        for who in 0..NAMES.len() {
            model.sign_in(who, who);
        }
        model
    }

    fn sign_in(&mut self, who: usize, with: usize) {
        let session = self.stage.sign_in(NAMES[who], GROUPS[with]);
        self.sessions[who].push((session, groups(GROUPS[with])));
    }

    fn session(&self, who: usize, stale: bool) -> (Digest, BTreeSet<String>) {
        let sessions = &self.sessions[who];
        let back = if stale { 2.min(sessions.len()) } else { 1 };
        sessions[sessions.len() - back].clone()
    }

    /// The number in the notes of that request, counted from the newest, while it is remembered.
    fn find(&self, which: usize) -> Option<usize> {
        let number = self.noted.len().checked_sub(which + 1)?;
        let noted = &self.noted[number];
        match self.stage.state.access_request(noted.index) {
            Some(_) => Some(number),
            None => {
                assert!(
                    !noted.is_open(self.stage.now),
                    "an open request is forgotten"
                );
                None
            }
        }
    }

    /// Whether a yes of this person with these groups is worth anything now.
    fn counts(&self, who: usize, with: &BTreeSet<String>) -> bool {
        with.is_subset(&self.session(who, false).1) && !self.frozen[who]
    }

    /// The yeses that are worth something now.
    fn keys(&self, number: usize) -> Vec<&Yes> {
        let yes = self.noted[number].yes.iter();
        yes.filter(|yes| self.counts(yes.who, &yes.with)).collect()
    }

    /// A lead and somebody else of security, neither of them the requester.
    fn has_quorum(&self, number: usize) -> bool {
        let keys = self.keys(number);
        let of =
            |yes: &Yes, group: &str| yes.who != self.noted[number].by && yes.with.contains(group);
        keys.iter().any(|lead| {
            let other = |yes: &&&Yes| yes.who != lead.who && of(yes, "security");
            of(lead, "leads") && keys.iter().find(other).is_some()
        })
    }

    fn play(&mut self, step: &Step) {
        match *step {
            Step::SignIn { who, with } => self.sign_in(who, with),
            Step::Open { who, long, later } => self.open(who, long, later),
            Step::Approve {
                who,
                stale,
                which,
                seen,
                most,
            } => {
                self.approve((who, stale), which, seen, most);
            }
            Step::Deny { who, stale, which } => self.deny((who, stale), which),
            Step::Withdraw { who, which } => self.withdraw(who, which),
            Step::Activate {
                who,
                which,
                altered,
            } => self.activate(who, which, altered),
            Step::Pass(seconds) => self.stage.pass(seconds),
            Step::Expire => self.stage.expire(),
            Step::Revoke { which } => self.revoke(which),
            Step::Freeze { who } => {
                self.stage.freeze(NAMES[who]);
                self.frozen[who] = true;
            }
            Step::Lift { who } => {
                self.stage.lift(NAMES[who]);
                self.frozen[who] = false;
            }
            Step::Restart => self.restart(),
        }
    }

    fn open(&mut self, who: usize, long: u64, later: Option<u64>) {
        let (session, with) = self.session(who, false);
        let start = later.map(|seconds| self.stage.now.plus(Duration::from_secs(seconds)));
        let wish = Wish {
            not_before: start,
            ..vault(long)
        };
        let opened = self.stage.open(session, &wish);
        assert_eq!(opened.is_some(), with.contains("sre"), "who may ask");
        let Some(index) = opened else { return };
        self.noted.push(Noted {
            index,
            by: who,
            expires: start.map_or(self.stage.now.plus(REQUEST_LIFE), |s| s.plus(wish.duration)),
            wish,
            yes: Vec::new(),
            over: false,
        });
    }

    fn approve(
        &mut self,
        (who, stale): (usize, bool),
        which: usize,
        seen: usize,
        most: Option<u64>,
    ) {
        let Some(number) = self.find(which) else {
            return;
        };
        let of = self.find(which + seen).unwrap_or(number);
        let (session, with) = self.session(who, stale);
        let noted = &self.noted[number];
        let asked = noted.wish.duration.as_secs();
        let seconds = most.unwrap_or(asked);
        let digest = self.stage.request(self.noted[of].index).digest;
        let expected = who != noted.by
            && decides(&with)
            && noted.is_open(self.stage.now)
            && of == number
            && noted.yes.iter().all(|yes| yes.who != who)
            && (60..=asked).contains(&seconds)
            && self.counts(who, &with);
        let outcome = self
            .stage
            .approve_seen(session, noted.index, (digest, most));
        assert_eq!(outcome.is_ok(), expected, "{outcome:?}");
        let Ok(approved) = outcome else { return };
        self.noted[number].yes.push(Yes { who, with, seconds });
        let enough = self.has_quorum(number);
        assert_eq!(approved.needs.is_empty(), enough, "{}", approved.needs);
        assert_eq!(approved.approvals_missing == 0, enough);
    }

    fn deny(&mut self, (who, stale): (usize, bool), which: usize) {
        let Some(number) = self.find(which) else {
            return;
        };
        let (session, with) = self.session(who, stale);
        let noted = &self.noted[number];
        let expected =
            who != noted.by && decides(&with) && !self.frozen[who] && noted.is_open(self.stage.now);
        let outcome = self.stage.deny(session, noted.index);
        assert_eq!(outcome.is_ok(), expected, "{outcome:?}");
        self.noted[number].over |= expected;
    }

    fn withdraw(&mut self, who: usize, which: usize) {
        let Some(number) = self.find(which) else {
            return;
        };
        let noted = &self.noted[number];
        let expected = who == noted.by && noted.is_open(self.stage.now);
        let outcome = self.stage.withdraw(self.session(who, false).0, noted.index);
        assert_eq!(outcome.is_ok(), expected, "{outcome:?}");
        self.noted[number].over |= expected;
    }

    fn activate(&mut self, who: Option<usize>, which: usize, altered: bool) {
        let Some(number) = self.find(which) else {
            return;
        };
        let who = who.unwrap_or(self.noted[number].by);
        // Nobody who is frozen comes as far as the request.
        if self.frozen[who] {
            return;
        }
        let (session, with) = self.session(who, false);
        let (noted, now) = (&self.noted[number], self.stage.now);
        let mut wish = noted.wish.clone();
        if altered {
            wish.duration += Duration::from_secs(1);
        }
        let expected = who == noted.by
            && noted.is_open(now)
            && !altered
            && noted.wish.not_before.is_none_or(|start| start <= now)
            && with.contains("sre")
            && self.has_quorum(number);
        let asked = noted.wish.duration.as_secs();
        let allowed = self.keys(number).iter().map(|yes| yes.seconds).min();
        let scheduled = noted
            .wish
            .not_before
            .map(|_| noted.expires.since(now).as_secs());
        let bounds = [Some(asked), allowed, scheduled];
        let window = bounds.into_iter().flatten().min().unwrap();
        let outcome = self.stage.activate(session, noted.index, &wish);
        assert_eq!(outcome.is_ok(), expected, "{outcome:?}");
        let Ok(serial) = outcome else { return };
        let certificate = self.stage.state.certificate(serial, now).unwrap();
        let end = now.plus(Duration::from_secs(window));
        assert_eq!(certificate.valid_before, end, "the window");
        assert!(
            self.certificates.insert(serial, end).is_none(),
            "a serial given twice"
        );
        self.noted[number].over = true;
        self.granted += 1;
    }

    fn revoke(&mut self, which: usize) {
        let serials: Vec<u64> = self.certificates.keys().rev().copied().collect();
        let Some(serial) = serials.get(which).copied() else {
            return;
        };
        let live = self.certificates[&serial].plus(LATE) > self.stage.now;
        let version = |model: &Self| {
            let state = &model.stage.state;
            state.krl_version(&model.stage.rules.name).version
        };
        let before = version(self);
        // Together with one that nobody has.
        self.stage.revoke(NAMES[0], vec![serial, 99]);
        let news = live && self.revoked.insert(serial);
        assert_eq!(version(self) > before, news, "the version of the list");
    }

    fn restart(&mut self) {
        let [from_snapshot, replayed] = self.stage.restarted();
        assert_eq!(from_snapshot, self.stage.state, "from the snapshot");
        assert_eq!(replayed, self.stage.state, "from the log");
        self.stage.state = from_snapshot;
    }

    /// What holds at every moment.
    fn check(&mut self) {
        let (state, now) = (&self.stage.state, self.stage.now);
        let prod = &self.stage.rules.name;
        let version = state.krl_version(prod).version;
        assert!(version >= self.version, "an older revocation list");
        self.version = version;
        let remembered = |serial: &u64| self.certificates[serial].plus(LATE) > now;
        let expected: Vec<u64> = self.revoked.iter().copied().filter(remembered).collect();
        assert_eq!(state.revoked_in(prod, now).collect::<Vec<_>>(), expected);
        let lives = |serial: &u64| self.certificates[serial] > now;
        let live = self.certificates.keys().copied().filter(lives);
        let live: Vec<u64> = live
            .filter(|serial| !self.revoked.contains(serial))
            .collect();
        assert_eq!(
            state
                .live(now)
                .map(|(serial, _)| serial)
                .collect::<Vec<_>>(),
            live
        );
        for noted in &self.noted {
            let shown = state.access_request(noted.index);
            let open = shown.is_some_and(|request| request.is_open(now));
            assert_eq!(open, noted.is_open(now), "request {}", noted.index);
        }
    }
}

fn decides(with: &BTreeSet<String>) -> bool {
    with.contains("leads") || with.contains("security")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn no_order_of_events_grants_without_the_quorum_or_loses_a_revocation(
        steps in proptest::collection::vec(step(), 0..120)
    ) {
        let mut model = Model::new();
        for step in &steps {
            model.play(step);
            model.check();
        }
        model.restart();
    }
}

/// A model that never grants anything proves nothing.
#[test]
fn random_people_come_to_grants_and_revocations() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let many = proptest::collection::vec(step(), 120);
    let (mut granted, mut revoked) = (0, 0);
    for _ in 0..24 {
        let mut model = Model::new();
        for step in &many.new_tree(&mut runner).unwrap().current() {
            model.play(step);
        }
        granted += model.granted;
        revoked += model.revoked.len();
    }
    assert!(
        granted >= 12 && revoked >= 4,
        "{granted} granted, {revoked} revoked"
    );
}
