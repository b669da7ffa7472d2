//! Random sequences of what may happen to an installation, against a model that knows the steps and the bytes alone: after
//! every step `verify` says what the model says, and what the monitor wrote and signed is what it had to.
//!
//! `CARGO_PROFILE_DEV_OPT_LEVEL=2 HTG_SEQUENCES=10000 cargo test --lib sequences` is the long run: about half an hour
//! on two busy cores. `HTG_SEED=n` plays one of them again.

mod compare;
mod disk;
mod expect;
mod intake;
mod ledger;
mod monitor;
mod reader;
mod readers;
mod segments;
mod tamper;
mod walk;
mod world;

use crate::flow::store::tests::high;
use posture::{Ended, FindingRecord, Severity};
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use std::{
    collections::BTreeSet,
    env,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};
use tamper::Tamper;
use world::{Act, Step, World};

/// Sequences in the short run.
const SEQUENCES: u64 = 400;
/// Steps of one, at most.
const STEPS: usize = 24;
/// At a time: some wait for a reader who looks twice.
const THREADS: usize = 8;

fn finding(value: u64, grave: bool) -> FindingRecord {
    let severity = if grave { Severity::High } else { Severity::Low };
    FindingRecord { severity, ..high(value) }
}

fn act() -> impl Strategy<Value = Act> {
    let ended = prop_oneof![Just(Ended::OperatorStop), Just(Ended::RunFinished), Just(Ended::Signal)];
    prop_oneof![
        4 => Just(Act::Start),
        6 => (0..6_u8, prop::bool::weighted(0.8)).prop_map(|(value, grave)| Act::Find { value, grave }),
        5 => Just(Act::Tick),
        6 => Just(Act::Export),
        1 => any::<u8>().prop_map(Act::Reload),
        2 => Just(Act::Rotate),
        3 => Just(Act::Recover),
        2 => ended.prop_map(Act::Stop),
    ]
}

fn tamper() -> impl Strategy<Value = Tamper> {
    let n = any::<u8>;
    prop_oneof![
        1 => n().prop_map(Tamper::Edit),
        1 => n().prop_map(Tamper::Garble),
        4 => n().prop_map(Tamper::CutLines),
        1 => n().prop_map(Tamper::CutBytes),
        1 => Just(Tamper::Garbage),
        1 => (0..6_u8).prop_map(Tamper::Forge),
        4 => Just(Tamper::ForgePrune),
        1 => n().prop_map(Tamper::DropFirst),
        1 => Just(Tamper::DropSegment),
        1 => Just(Tamper::DropLog),
        1 => (n(), n(), n(), any::<bool>()).prop_map(|(from, to, file, signed)| Tamper::Swap { from, to, file, signed }),
        1 => (n(), n(), n()).prop_map(|(generation, file, at)| Tamper::Flip { generation, file, at }),
        1 => n().prop_map(Tamper::RollBack),
        1 => Just(Tamper::LoseCurrent),
        1 => n().prop_map(Tamper::DropNewest),
        1 => Just(Tamper::DropExports),
        1 => Just(Tamper::DropRotations),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let seconds = prop::sample::select(vec![1, 30, 200, 200, 200, 601, 86_400, 8 * 86_400, 31 * 86_400]);
    prop_oneof![
        24 => act().prop_map(Step::Do),
        5 => (0..48_u8, act()).prop_map(|(at, act)| Step::Die(at, act)),
        4 => (10..40_u8).prop_map(Step::Flood),
        1 => any::<u16>().prop_map(Step::Relay),
        1 => Just(Step::SelfTest),
        5 => seconds.prop_map(Step::Pass),
        1 => (any::<i8>(), prop::sample::select(vec![1, 24])).prop_map(|(n, by)| Step::SetClock(i16::from(n) * by)),
        6 => tamper().prop_map(Step::Tamper),
        1 => Just(Step::Save),
        1 => Just(Step::PutBack),
        1 => Just(Step::Trust),
    ]
}

/// What is wrong with the sequence of this seed, made as short as can be.
fn play(seed: u64, told: &Mutex<BTreeSet<&'static str>>) -> Result<(), String> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: 1, failure_persistence: None, max_shrink_iters: 4000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let steps = prop::collection::vec(step(), 1..STEPS);
    let played = runner.run(&steps, |steps| {
        let mut world = World::new();
        world.take(&Step::Do(Act::Start)).map_err(TestCaseError::fail)?;
        for (number, step) in steps.iter().enumerate() {
            let wrong = |why| TestCaseError::fail(format!("step {number}, {step:?}: {why}"));
            world.take(step).map_err(wrong)?;
        }
        told.lock().unwrap().append(&mut world.told);
        Ok(())
    });
    played.map_err(|error| match error {
        TestError::Fail(why, steps) => format!("seed {seed}: {why}, of {steps:?}"),
        TestError::Abort(why) => format!("seed {seed}: {why}"),
    })
}

#[test]
fn random_sequences_come_to_what_the_model_says() {
    let told = Mutex::default();
    let number = |name: &str| env::var(name).ok().map(|n| n.parse::<u64>().unwrap());
    if let Some(seed) = number("HTG_SEED") {
        return play(seed, &told).unwrap();
    }
    let sequences = number("HTG_SEQUENCES").unwrap_or(SEQUENCES);
    let (next, wrong) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    thread::scope(|threads| {
        for _ in 0..THREADS {
            threads.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= sequences || wrong.lock().unwrap().len() >= 3 {
                        return;
                    }
                    if let Err(why) = play(seed, &told) {
                        wrong.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    // They go everywhere.
    let told = told.into_inner().unwrap();
    let all = [
        "verified",
        "drifted",
        "degraded",
        "expired",
        "stopped",
        "rolled_back",
        "clock_ahead",
        "memory_rolled_back",
        "signature",
        "memory_forked",
        "state_link",
        "missing",
        "log_line",
        "log_cut",
        "no_export",
    ];
    let missing: Vec<_> = all.iter().filter(|code| !told.contains(*code)).collect();
    assert!(missing.is_empty(), "no reader was told {missing:?}, but {told:?}");
}
