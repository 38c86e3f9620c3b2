//! What people try, in random order.

use proptest::prelude::*;

use super::{GROUPS, NAMES};

const LENGTHS: [u64; 3] = [600, 3600, 7200];

/// Something that somebody tries. `which` is a request, or a certificate, by the order of their
/// making; `stale` means through the session before the last; nobody means the requester.
#[derive(Clone, Debug)]
pub(super) enum Step {
    SignIn {
        who: usize,
        with: usize,
    },
    Open {
        who: usize,
        long: u64,
        later: Option<u64>,
    },
    Approve {
        who: usize,
        stale: bool,
        which: usize,
        seen: usize,
        most: Option<u64>,
    },
    Deny {
        who: usize,
        stale: bool,
        which: usize,
    },
    Withdraw {
        who: usize,
        which: usize,
    },
    Activate {
        who: Option<usize>,
        which: usize,
        altered: bool,
    },
    Pass(u64),
    Expire,
    Revoke {
        which: usize,
    },
    Freeze {
        who: usize,
    },
    Lift {
        who: usize,
    },
    Restart,
}

pub(super) fn step() -> impl Strategy<Value = Step> {
    let who = 0..NAMES.len();
    let decider = prop_oneof![1 => 0..2usize, 5 => 2..NAMES.len()];
    let asker = prop_oneof![4 => 0..2usize, 1 => 2..NAMES.len()];
    let seen = prop_oneof![9 => Just(0usize), 1 => 1usize..4];
    // Mostly one of the last, so that something comes of it.
    let which = prop_oneof![8 => Just(0usize), 2 => Just(1), 1 => 0usize..6];
    let rarely = prop_oneof![9 => Just(false), 1 => Just(true)];
    let most = prop_oneof![8 => Just(None), 1 => Just(Some(59)), 3 => (60u64..4000).prop_map(Some)];
    let later = prop_oneof![2 => Just(None), 1 => (1u64..10_000).prop_map(Some)];
    let long = proptest::sample::select(LENGTHS.to_vec());
    prop_oneof![
        4 => who.clone().prop_map(|who| Step::SignIn { who, with: who }),
        1 => (who.clone(), 0..GROUPS.len()).prop_map(|(who, with)| Step::SignIn { who, with }),
        2 => (asker, long, later)
            .prop_map(|(who, long, later)| Step::Open { who, long, later }),
        16 => (decider, rarely.clone(), which.clone(), seen, most).prop_map(
            |(who, stale, which, seen, most)| Step::Approve { who, stale, which, seen, most }),
        1 => (who.clone(), rarely.clone(), which.clone())
            .prop_map(|(who, stale, which)| Step::Deny { who, stale, which }),
        1 => (who.clone(), which.clone()).prop_map(|(who, which)| Step::Withdraw { who, which }),
        8 => (prop_oneof![5 => Just(None), 1 => who.clone().prop_map(Some)], which.clone(), rarely)
            .prop_map(|(who, which, altered)| Step::Activate { who, which, altered }),
        3 => prop_oneof![6 => 0u64..600, 2 => 600u64..9000, 1 => Just(90_000)].prop_map(Step::Pass),
        1 => Just(Step::Expire),
        2 => which.prop_map(|which| Step::Revoke { which }),
        1 => who.clone().prop_map(|who| Step::Freeze { who }),
        6 => who.prop_map(|who| Step::Lift { who }),
        1 => Just(Step::Restart),
    ]
}
