//! Which worker gets the next connection: a pure function over values, without sockets, clock or threads.

/// How connections are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// One after the other among those that can take one, Node's `SCHED_RR`.
    #[default]
    RoundRobin,
}

/// What is known of one worker when a connection is to be given away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// It serves this listener, is alive and has room for a hand-off.
    pub can_take: bool,
}

/// Where the rotation of one listener stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Index of the candidate that is asked first.
    next: usize,
}

impl Rotation {
    /// Keeps the turn where it is when the candidate at `index` goes and those behind it move up.
    pub fn removed(&mut self, index: usize) {
        if index < self.next {
            self.next -= 1;
        }
    }
}

/// The index of the candidate to take the next connection, and the rotation after that; `None` if none can.
pub fn choose(policy: Policy, rotation: Rotation, candidates: &[Candidate]) -> Option<(usize, Rotation)> {
    match policy {
        Policy::RoundRobin => {
            let count = candidates.len();
            (0..count)
                .map(|offset| (rotation.next + offset) % count)
                .find(|&index| candidates[index].can_take)
                .map(|index| (index, Rotation { next: (index + 1) % count }))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const YES: Candidate = Candidate { can_take: true };
    const NO: Candidate = Candidate { can_take: false };

    fn run(rotation: &mut Rotation, candidates: &[Candidate]) -> Option<usize> {
        let (index, after) = choose(Policy::RoundRobin, *rotation, candidates)?;
        *rotation = after;
        Some(index)
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
    fn a_worker_that_cannot_take_one_is_passed_over_and_the_turn_goes_on_behind_it() {
        let mut rotation = Rotation::default();
        let candidates = [YES, NO, YES, YES];
        let order: Vec<_> = (0..6).map(|_| run(&mut rotation, &candidates).unwrap()).collect();
        assert_eq!(order, [0, 2, 3, 0, 2, 3]);
        assert_eq!(run(&mut rotation, &[NO; 3]), None);
        assert_eq!(run(&mut rotation, &[]), None);
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
}
