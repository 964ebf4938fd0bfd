//! Which worker gets the next connection: a pure function over values, without sockets, clock or threads.

/// How connections are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// One after the other among those that can take one, Node's `SCHED_RR`.
    #[default]
    RoundRobin,
    /// To the one with the fewest open connections.
    LeastConnections,
    /// To the one whose event loop is used least.
    LeastLoad,
    /// All of one client to the same one.
    Sticky,
}

/// What is known of one worker when a connection is to be given away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Candidate {
    /// It serves this listener, is alive and has room for a hand-off.
    pub can_take: bool,
    /// It neither hangs nor is it on trial after others have crashed: only such get connections while there are any.
    pub is_sound: bool,
    /// Its share relative to the others, at least 1.
    pub weight: u32,
    /// Connections it has or is about to have.
    pub connections: u64,
    /// How much its event loop is used.
    pub load: u64,
    /// By which clients find it again; the same for the worker that takes its place.
    pub slot: u32,
    /// It has no room now, for having much to do: what goes on without it is owed to it.
    pub is_held_up: bool,
    /// Connections that it is owed and can take now.
    pub owed: u32,
}

/// Who gets a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// Its place among the candidates.
    pub index: usize,
    /// The rotation after that.
    pub rotation: Rotation,
    /// It was owed that one.
    pub is_repaid: bool,
}

/// Where the rotation of one listener stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rotation {
    /// Index of the candidate that is asked first.
    next: usize,
    /// Connections it has had in this turn.
    given: u32,
    /// The last connection was one that somebody was owed.
    has_repaid: bool,
}

impl Rotation {
    /// Keeps the turn where it is when the candidate at `index` goes and those behind it move up.
    pub fn removed(&mut self, index: usize) {
        if index < self.next {
            self.next -= 1;
        } else if index == self.next {
            self.given = 0;
        }
    }

    /// Whom the rotation passes over to get to the candidate at `index`, and what each of them would have had.
    pub fn passed_over(self, index: usize, candidates: &[Candidate]) -> impl Iterator<Item = (usize, u32)> {
        let count = candidates.len();
        let passed = (index + count - self.next % count.max(1)) % count.max(1);
        (0..passed).map(move |offset| {
            let at = (self.next + offset) % count;
            let had = if offset == 0 { self.given } else { 0 };
            (at, candidates[at].weight.saturating_sub(had))
        })
    }

    /// The rotation once the candidate at `index` has got a connection: its turn is as long as its weight.
    fn after(self, index: usize, candidates: &[Candidate]) -> Self {
        let given = if index == self.next { self.given + 1 } else { 1 };
        if given < candidates[index].weight {
            Self { next: index, given, has_repaid: false }
        } else {
            Self { next: (index + 1) % candidates.len(), given: 0, has_repaid: false }
        }
    }
}

/// The candidate to take the next connection; `None` if none can.
///
/// Under `RoundRobin` who is owed connections gets every other one, besides its own: the others have work meanwhile.
///
/// `client` is what stands for the client under `Sticky`; without it, or where two are equal, it is the turn of the
/// rotation that decides.
pub fn choose(
    policy: Policy,
    rotation: Rotation,
    candidates: &[Candidate],
    client: Option<u64>,
) -> Option<Choice> {
    let any_sound = candidates.iter().any(|candidate| candidate.can_take && candidate.is_sound);
    let count = candidates.len();
    let mut in_turn = (0..count)
        .map(|offset| (rotation.next + offset) % count)
        .filter(|&index| candidates[index].can_take && (candidates[index].is_sound || !any_sound));
    if policy == Policy::RoundRobin
        && !rotation.has_repaid
        && let Some(index) = in_turn.clone().find(|&index| candidates[index].owed > 0)
    {
        return Some(Choice { index, rotation: Rotation { has_repaid: true, ..rotation }, is_repaid: true });
    }
    let index = match (policy, client) {
        (Policy::Sticky, Some(client)) => in_turn
            .max_by(|&a, &b| attraction(candidates[a], client).total_cmp(&attraction(candidates[b], client))),
        (Policy::RoundRobin | Policy::Sticky, _) => in_turn.next(),
        // One more than it has, so that the weight counts among idle ones too.
        (Policy::LeastConnections, _) => least(in_turn, candidates, |candidate| candidate.connections + 1),
        (Policy::LeastLoad, _) => least(in_turn, candidates, |candidate| candidate.load + 1),
    }?;
    Some(Choice { index, rotation: rotation.after(index, candidates), is_repaid: false })
}

/// Turns of the rotation that all are owed, of what each is owed and its weight: nobody has lost by these.
pub fn owed_alike(workers: impl Iterator<Item = (u32, u32)>) -> u32 {
    workers.map(|(owed, weight)| owed / weight.max(1)).min().unwrap_or(0)
}

/// The first of those with the least of something for their weight.
fn least(
    indexes: impl Iterator<Item = usize>,
    candidates: &[Candidate],
    measure: impl Fn(&Candidate) -> u64,
) -> Option<usize> {
    // a / weight of a < b / weight of b, without the division.
    let scaled =
        |of: usize, by: usize| u128::from(measure(&candidates[of])) * u128::from(candidates[by].weight);
    indexes.reduce(|best, index| if scaled(index, best) < scaled(best, index) { index } else { best })
}

/// Rendezvous hashing: each client goes to the worker that attracts it most. Who goes leaves the others' clients
/// where they are.
fn attraction(candidate: Candidate, client: u64) -> f64 {
    let hash = mix(client ^ mix(u64::from(candidate.slot) + 1));
    // In (0, 1): the top 53 bits and a half.
    let uniform = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
    f64::from(candidate.weight) / -uniform.ln()
}

/// Spreads the bits of a value over all bits (the finaliser of SplitMix64).
pub fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests;
