//! Random commands through the real engine, with jumps of the clock and restarts between them, against a toy model of
//! the rules: who has a live code where, which stay the same, which are new, what follows from each step, who opens
//! what. After each step the preview, the published index, the judge and the books are held against each other too.
//!
//! A run that fails is shrunk: the shortest list of actions that still fails is printed, with what they came to.
//!
//! `KEYWARD_STEPS` asks for a longer run, `KEYWARD_SEED` repeats one.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test stops where what it relies on is not there")]

#[path = "state_machine/draw.rs"]
mod draw;
#[path = "state_machine/toy.rs"]
mod toy;
#[path = "state_machine/world.rs"]
mod world;

use std::{
    env,
    panic::{AssertUnwindSafe, catch_unwind},
    time::{Duration, Instant},
};

use draw::{WEIGHTS, What};
use rand::{Rng, RngExt, SeedableRng, rngs::StdRng};
use world::{Tally, World};

const STEPS: u64 = 5_000;
const STEPS_PER_RUN: u64 = 70;
/// How long a failing run is shrunk.
const SHRINK: Duration = Duration::from_secs(40);

/// Something to do. What it comes to is drawn from its dice and the world when its turn comes, so that actions before
/// it can be taken out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A command of this sort.
    Do(What, u64),
    /// Some commands at once, none of which waits for the one before: they share a flush.
    Burst(u64),
    /// The clock goes elsewhere.
    Jump(u64),
    /// An orderly stop, and a start.
    Restart,
    /// The power fails: a start from what lies on the disk.
    Crash,
    /// The server gets a carrier.
    Carrier,
}

// C1 C3 C4 C5 C6 C7 K1 K2 K4 K6 K7 K8 K9 K10 K11 G1 G2 G3 G4 S1 S3 U1 U2 U8 V1 V2 V3 V4 M6
#[test]
fn the_engine_does_as_the_rules_say() {
    let number =
        |name: &str, otherwise: u64| env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
    let seed = number("KEYWARD_SEED", rand::rng().next_u64() >> 16);
    let steps = number("KEYWARD_STEPS", STEPS);
    println!("KEYWARD_SEED={seed} KEYWARD_STEPS={steps}");
    let mut tally = Tally::default();
    for run in 0..steps.div_ceil(STEPS_PER_RUN) {
        let actions = actions(seed.wrapping_add(run));
        if let Err(why) = play(&actions, &mut tally) {
            let (shortest, told) = shrink(actions, why);
            panic!(
                "KEYWARD_SEED={} KEYWARD_STEPS=1, {} actions left of it:\n{told}",
                seed.wrapping_add(run),
                shortest.len()
            );
        }
    }
    println!("{tally:?}");
    tally.assert_enough(steps);
}

fn actions(seed: u64) -> Vec<Action> {
    let mut random = StdRng::seed_from_u64(seed);
    (0..STEPS_PER_RUN).map(|_| action(&mut random)).collect()
}

fn action(random: &mut StdRng) -> Action {
    let dice = random.next_u64();
    match random.random_range(0..100) {
        0..10 => Action::Jump(dice),
        10..12 => Action::Restart,
        12 => Action::Crash,
        13 => Action::Carrier,
        14..20 => Action::Burst(dice),
        _ => Action::Do(what(random), dice),
    }
}

fn what(random: &mut StdRng) -> What {
    let mut at = random.random_range(0..WEIGHTS.iter().map(|(_, weight)| weight).sum::<u32>());
    for (what, weight) in WEIGHTS {
        match at.checked_sub(weight) {
            Some(rest) => at = rest,
            None => return what,
        }
    }
    unreachable!("the weights sum up")
}

/// Plays a run; where it fails, everything that was done and what differed.
fn play(actions: &[Action], tally: &mut Tally) -> Result<(), String> {
    let mut told = Vec::new();
    let played = catch_unwind(AssertUnwindSafe(|| {
        let mut world = World::new()?;
        let each = actions.iter().try_for_each(|action| world.act(*action, &mut told, tally));
        each.and_then(|()| world.end())
    }));
    let why = match played {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(why)) => why,
        Err(panicked) => {
            let text = panicked.downcast_ref::<String>().cloned();
            format!(
                "a panic: {}",
                text.or(panicked.downcast_ref::<&str>().map(|text| (*text).into())).unwrap_or_default()
            )
        }
    };
    Err(format!("{}\n=> {why}", told.join("\n")))
}

/// Takes out stretches of actions, half of them to single ones, as long as what is left still fails.
fn shrink(mut actions: Vec<Action>, mut why: String) -> (Vec<Action>, String) {
    let started = Instant::now();
    let mut stretch = actions.len().div_ceil(2);
    loop {
        let mut at = 0;
        let before = actions.len();
        while at < actions.len() && started.elapsed() < SHRINK {
            let mut fewer = actions.clone();
            fewer.drain(at..(at + stretch).min(actions.len()));
            match play(&fewer, &mut Tally::default()) {
                Err(still) => (actions, why) = (fewer, still),
                Ok(()) => at += stretch,
            }
        }
        if started.elapsed() >= SHRINK || (stretch == 1 && actions.len() == before) {
            return (actions, why);
        }
        stretch = (stretch / 2).max(1);
    }
}
