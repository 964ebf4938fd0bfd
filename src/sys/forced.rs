//! A switch that forces the fall-backs, so that they are tested where they are not needed.
//!
//! `RCLUSTER_FORCE` holds words separated by commas: `vfork` or `fork` instead of `clone(CLONE_VM)`, `no-pidfd`.

use std::sync::OnceLock;

fn has(word: &str) -> bool {
    static WORDS: OnceLock<Vec<String>> = OnceLock::new();
    WORDS
        .get_or_init(|| {
            let value = std::env::var("RCLUSTER_FORCE").unwrap_or_default();
            value.split(',').map(|word| word.trim().to_owned()).collect()
        })
        .iter()
        .any(|forced| forced == word)
}

/// The first way to clone that may be tried: 0 for the best.
pub(super) fn first_clone_road() -> usize {
    match (has("fork"), has("vfork")) {
        (true, _) => 2,
        (_, true) => 1,
        _ => 0,
    }
}

/// Whether to do without pidfds.
pub(super) fn no_pidfd() -> bool {
    has("no-pidfd")
}
