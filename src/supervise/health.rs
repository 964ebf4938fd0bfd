//! What is wrong with a worker that runs: its event loop is stuck, or it has grown beyond its limits. Pure.

/// The limits of one worker; 0 is none.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Limits {
    /// Milliseconds that its event loop may be stuck.
    pub hang: u64,
    /// Bytes of memory.
    pub rss: u64,
    /// Bytes of V8's heap; up to 1 a share of the heap's own limit.
    pub heap: f64,
    /// Requests that it may have answered.
    pub requests: u64,
}

/// What is known of a worker at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seen {
    /// Milliseconds since its event loop turned; `None` if it cannot tell.
    pub silent_for: Option<u64>,
    /// Bytes of memory.
    pub rss: u64,
    /// Bytes of V8's heap in use.
    pub heap_used: f64,
    /// Where V8 gives up.
    pub heap_limit: f64,
    /// V8 was about to give up for lack of heap.
    pub is_near_limit: bool,
    /// Requests answered.
    pub requests: u64,
}

/// What is wrong; `lib/supervisor` has the same numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum Trouble {
    /// The event loop is stuck.
    Hung = 0,
    /// Too much memory.
    Rss = 1,
    /// Too much of V8's heap.
    Heap = 2,
    /// It has answered as many requests as it should.
    Requests = 3,
}

/// What is wrong with a worker, the worst first.
pub fn check(limits: &Limits, seen: &Seen) -> Option<Trouble> {
    let is_over = |limit: u64, value: u64| limit > 0 && value >= limit;
    if is_over(limits.hang, seen.silent_for.unwrap_or(0)) {
        return Some(Trouble::Hung);
    }
    let heap = if limits.heap <= 1.0 { limits.heap * seen.heap_limit } else { limits.heap };
    if limits.heap > 0.0 && (seen.is_near_limit || heap > 0.0 && seen.heap_used >= heap) {
        Some(Trouble::Heap)
    } else if is_over(limits.rss, seen.rss) {
        Some(Trouble::Rss)
    } else if is_over(limits.requests, seen.requests) {
        Some(Trouble::Requests)
    } else {
        None
    }
}

/// Whether the watcher itself came so late that what it sees says more about the machine than about the workers.
pub fn is_late(expected: u64, now: u64, interval: u64) -> bool {
    now.saturating_sub(expected) > interval.max(100) * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: Seen = Seen {
        silent_for: Some(100),
        rss: 50 << 20,
        heap_used: 5e6,
        heap_limit: 1e9,
        is_near_limit: false,
        requests: 10,
    };

    #[test]
    fn without_limits_nothing_is_wrong() {
        let worst = Seen {
            silent_for: Some(u64::MAX),
            rss: u64::MAX,
            heap_used: 1e9,
            heap_limit: 1e9,
            is_near_limit: true,
            requests: u64::MAX,
        };
        assert_eq!(check(&Limits::default(), &worst), None);
    }

    #[test]
    fn each_limit_is_reached_at_its_number() {
        let limits = Limits { hang: 1000, rss: 1 << 30, heap: 0.9, requests: 100 };
        assert_eq!(check(&limits, &SOUND), None);
        assert_eq!(check(&limits, &Seen { silent_for: Some(999), ..SOUND }), None);
        assert_eq!(check(&limits, &Seen { silent_for: Some(1000), ..SOUND }), Some(Trouble::Hung));
        assert_eq!(check(&limits, &Seen { silent_for: None, ..SOUND }), None);
        assert_eq!(check(&limits, &Seen { rss: 1 << 30, ..SOUND }), Some(Trouble::Rss));
        assert_eq!(check(&limits, &Seen { heap_used: 8.9e8, ..SOUND }), None);
        assert_eq!(check(&limits, &Seen { heap_used: 9.1e8, ..SOUND }), Some(Trouble::Heap));
        assert_eq!(check(&limits, &Seen { requests: 100, ..SOUND }), Some(Trouble::Requests));
        assert_eq!(check(&limits, &Seen { is_near_limit: true, ..SOUND }), Some(Trouble::Heap));
        let in_bytes = Limits { heap: 4e6, ..limits };
        assert_eq!(check(&in_bytes, &SOUND), Some(Trouble::Heap));
    }

    #[test]
    fn a_heap_that_was_never_told_is_not_at_its_limit() {
        let silent = Seen { heap_used: 0.0, heap_limit: 0.0, ..SOUND };
        assert_eq!(check(&Limits { heap: 0.9, ..Limits::default() }, &silent), None);
    }

    #[test]
    fn a_late_watcher_does_not_judge() {
        assert!(!is_late(1000, 1000, 250));
        assert!(!is_late(1000, 1400, 250));
        assert!(is_late(1000, 1600, 250));
    }
}
