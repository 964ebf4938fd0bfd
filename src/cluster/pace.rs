//! Whether requests have held up a worker lately: pure.

/// Nanoseconds that an event loop may be busy in one turn, and so many more for each connection accepted in it, without
/// anybody being held up by a single one of them.
const TURN: u64 = 4_000_000;
const CONNECTION: u64 = 1_000_000;
/// How long it is remembered.
const MEMORY: u64 = 1_000_000_000;

/// What an event loop was busy with.
#[derive(Debug, Default)]
pub struct Pace {
    /// The time of its last turn, and the time it had waited by then.
    last: Option<(u64, u64)>,
    held_up_at: Option<u64>,
}

impl Pace {
    /// The loop turns, having dealt with so many connections accepted in the turn before. The time and what of it has been
    /// spent waiting, in nanoseconds. Whether it has been held up lately.
    pub fn turns(&mut self, time: u64, waited: u64, connections: u32) -> bool {
        if let Some((last_time, last_waited)) = self.last.replace((time, waited)) {
            let busy = time.saturating_sub(last_time).saturating_sub(waited.saturating_sub(last_waited));
            if busy > TURN + u64::from(connections) * CONNECTION {
                self.held_up_at = Some(time);
            }
        }
        self.held_up_at.is_some_and(|at| time.saturating_sub(at) < MEMORY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn a_loop_is_held_up_by_what_takes_long_and_not_by_waiting_or_by_many() {
        let mut pace = Pace::default();
        assert!(!pace.turns(100 * MS, 0, 0));
        // Waiting.
        assert!(!pace.turns(200 * MS, 97 * MS, 0));
        // Many connections.
        assert!(!pace.turns(230 * MS, 97 * MS, 30));
        assert!(pace.turns(255 * MS, 97 * MS, 1));
        assert!(pace.turns(1254 * MS, 1096 * MS, 0));
        assert!(!pace.turns(1255 * MS, 1097 * MS, 0));
    }
}
