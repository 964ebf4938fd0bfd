//! Shares, turns and properties of each policy.

use super::*;

const YES: Candidate = Candidate {
    can_take: true,
    is_sound: true,
    weight: 1,
    connections: 0,
    load: 0,
    slot: 0,
    is_held_up: false,
    owed: 0,
};
const NO: Candidate = Candidate { can_take: false, ..YES };

fn run(rotation: &mut Rotation, candidates: &[Candidate]) -> Option<usize> {
    let choice = choose(Policy::RoundRobin, *rotation, candidates, None)?;
    *rotation = choice.rotation;
    Some(choice.index)
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % bound
    }

    fn candidates(&mut self) -> Vec<Candidate> {
        let count = self.below(8);
        (0..count)
            .map(|slot| Candidate {
                can_take: self.below(4) > 0,
                is_sound: self.below(4) > 0,
                weight: 1 + self.below(5) as u32,
                connections: self.below(10),
                load: self.below(1000),
                slot: slot as u32,
                is_held_up: self.below(2) == 0,
                owed: self.below(3).saturating_sub(1) as u32,
            })
            .collect()
    }
}

const POLICIES: [Policy; 4] =
    [Policy::RoundRobin, Policy::LeastConnections, Policy::LeastLoad, Policy::Sticky];

#[test]
fn under_every_policy_who_can_take_one_gets_it_and_the_unsound_only_if_there_is_no_other() {
    let mut numbers = Numbers(1);
    for policy in POLICIES {
        let mut rotation = Rotation::default();
        for _ in 0..20_000 {
            let candidates = numbers.candidates();
            rotation.next = rotation.next.min(candidates.len());
            let client = (numbers.below(2) == 0).then(|| numbers.below(1000));
            let any = candidates.iter().any(|candidate| candidate.can_take);
            let any_sound = candidates.iter().any(|candidate| candidate.can_take && candidate.is_sound);
            match choose(policy, rotation, &candidates, client) {
                None => assert!(!any),
                Some(Choice { index, rotation: after, .. }) => {
                    assert!(candidates[index].can_take);
                    assert!(candidates[index].is_sound || !any_sound);
                    assert!(after.next <= candidates.len());
                    rotation = after;
                }
            }
        }
    }
}

#[test]
fn the_shares_of_workers_that_can_always_take_one_are_exact() {
    let mut shares = [0; 7];
    let mut rotation = Rotation::default();
    for _ in 0..7000 {
        shares[run(&mut rotation, &[YES; 7]).unwrap()] += 1;
    }
    assert_eq!(shares, [1000; 7]);
}

#[test]
fn the_shares_follow_the_weights_exactly() {
    let mut shares = [0; 3];
    let mut rotation = Rotation::default();
    let candidates = [YES, Candidate { weight: 3, ..YES }, Candidate { weight: 6, ..YES }];
    for _ in 0..1000 {
        shares[run(&mut rotation, &candidates).unwrap()] += 1;
    }
    assert_eq!(shares, [100, 300, 600]);
}

#[test]
fn a_worker_that_cannot_take_one_is_passed_over_and_the_turn_goes_on_behind_it() {
    let mut rotation = Rotation::default();
    let candidates = [YES, NO, YES, YES];
    let order: Vec<_> = (0..6).map(|_| run(&mut rotation, &candidates).unwrap()).collect();
    assert_eq!(order, [0, 2, 3, 0, 2, 3]);
    assert_eq!(run(&mut rotation, &[NO; 3]), None);
    assert_eq!(run(&mut rotation, &[]), None);
}

/// Gives `count` connections to workers of which each is held up at random; how many each gets in the end.
fn shares_with_delays(weights: &[u32], count: usize, numbers: &mut Numbers) -> Vec<u64> {
    let mut rotation = Rotation::default();
    let mut owed = vec![0; weights.len()];
    let mut shares = vec![0; weights.len()];
    for at in 0..count {
        let candidates: Vec<_> = weights
            .iter()
            .zip(&owed)
            .map(|(&weight, &owed)| {
                // None is, towards the end: there is nobody to hold one up.
                let is_held_up = at + 1000 < count && numbers.below(3) == 0;
                Candidate { can_take: !is_held_up, is_held_up, weight, owed, ..YES }
            })
            .collect();
        let Some(choice) = choose(Policy::RoundRobin, rotation, &candidates, None) else { continue };
        if choice.is_repaid {
            owed[choice.index] -= 1;
        } else {
            for (index, missed) in rotation.passed_over(choice.index, &candidates) {
                owed[index] += missed;
            }
        }
        rotation = choice.rotation;
        shares[choice.index] += 1;
    }
    assert!(owed.iter().all(|&owed| owed == 0), "{owed:?}");
    shares
}

#[test]
fn what_goes_on_without_a_worker_that_is_held_up_is_repaid_to_the_last() {
    let mut numbers = Numbers(5);
    for weights in [&[1, 1][..], &[1, 1, 1, 1], &[3, 1, 2]] {
        let shares = shares_with_delays(weights, 20_000, &mut numbers);
        let total: u64 = shares.iter().sum();
        let turn: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
        for (&share, &weight) in shares.iter().zip(weights) {
            // But for the turn that has begun.
            assert!(share.abs_diff(total * u64::from(weight) / turn) <= u64::from(weight), "{shares:?}");
        }
    }
}

#[test]
fn who_is_owed_connections_gets_every_other_one_besides_its_own() {
    let mut rotation = Rotation::default();
    let candidates = [YES, Candidate { owed: 9, ..YES }];
    let order: Vec<_> = (0..8).map(|_| run(&mut rotation, &candidates).unwrap()).collect();
    assert_eq!(order, [1, 0, 1, 1, 1, 0, 1, 1]);
}

#[test]
fn what_all_are_owed_alike_is_owed_to_nobody() {
    assert_eq!(owed_alike([(7, 1), (9, 3)].into_iter()), 3);
    assert_eq!(owed_alike([(7, 1), (0, 1)].into_iter()), 0);
    assert_eq!(owed_alike([].into_iter()), 0);
}

#[test]
fn workers_that_come_and_go_do_not_disturb_the_turn_of_the_others() {
    let mut rotation = Rotation::default();
    assert_eq!(run(&mut rotation, &[YES; 3]), Some(0));
    assert_eq!(run(&mut rotation, &[YES; 3]), Some(1));
    // The first goes: the next turn is still that of the former third.
    rotation.removed(0);
    assert_eq!(run(&mut rotation, &[YES; 2]), Some(1));
    // One more comes at the end.
    assert_eq!(run(&mut rotation, &[YES; 3]), Some(0));
    // The one whose turn it would be goes, the last of all: the turn starts over.
    assert_eq!(run(&mut rotation, &[YES; 3]), Some(1));
    rotation.removed(2);
    assert_eq!(run(&mut rotation, &[YES; 2]), Some(0));
}

fn pick(policy: Policy, candidates: &[Candidate]) -> usize {
    choose(policy, Rotation::default(), candidates, None).unwrap().index
}

#[test]
fn the_fewest_connections_for_the_weight_win() {
    let with = |connections, weight| Candidate { connections, weight, ..YES };
    assert_eq!(pick(Policy::LeastConnections, &[with(3, 1), with(2, 1), with(4, 1)]), 1);
    assert_eq!(pick(Policy::LeastConnections, &[with(3, 1), with(5, 2), with(4, 1)]), 1);
    assert_eq!(pick(Policy::LeastConnections, &[with(0, 1), with(0, 2)]), 1);
    assert_eq!(pick(Policy::LeastLoad, &[Candidate { load: 5, ..YES }, YES]), 1);
}

#[test]
fn equals_take_turns() {
    for policy in [Policy::LeastConnections, Policy::LeastLoad] {
        let mut rotation = Rotation::default();
        let order: Vec<_> = (0..6)
            .map(|_| {
                let choice = choose(policy, rotation, &[YES; 3], None).unwrap();
                rotation = choice.rotation;
                choice.index
            })
            .collect();
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    }
}

fn slots(count: u32) -> Vec<Candidate> {
    (0..count).map(|slot| Candidate { slot, ..YES }).collect()
}

fn slot_for(client: u64, candidates: &[Candidate]) -> u32 {
    let choice = choose(Policy::Sticky, Rotation::default(), candidates, Some(client)).unwrap();
    candidates[choice.index].slot
}

#[test]
fn the_loss_of_a_worker_moves_its_own_clients_only_and_its_replacement_gets_them_back() {
    let all = slots(5);
    let mut without = all.clone();
    without.remove(2);
    for client in 0..2000 {
        let before = slot_for(client, &all);
        let after = slot_for(client, &without);
        assert!(before == 2 || before == after);
        // In another place, with the slot of the lost one.
        let mut replaced = without.clone();
        replaced.push(Candidate { slot: 2, ..YES });
        assert_eq!(slot_for(client, &replaced), before);
    }
}

#[test]
fn clients_are_spread_by_weight() {
    let mut candidates = slots(4);
    candidates[3].weight = 2;
    let mut shares = [0i32; 4];
    for client in 0..10_000 {
        shares[slot_for(mix(client), &candidates) as usize] += 1;
    }
    for (share, expected) in shares.into_iter().zip([2000, 2000, 2000, 4000]) {
        assert!((share - expected).abs() < 200, "{shares:?}");
    }
}
