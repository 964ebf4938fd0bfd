//! The fuzz targets, each on some random bytes: that they stand, and that nothing shallow is wrong. The search is
//! `cargo fuzz`'s, see fuzz/README.md. RCLUSTER_TORTURE multiplies the rounds.

#[path = "../fuzz/src/lib.rs"]
#[allow(missing_docs, unreachable_pub)]
mod bodies;

/// The same numbers in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % bound
    }
}

fn rounds(count: usize) -> usize {
    count * std::env::var("RCLUSTER_TORTURE").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

fn play(body: fn(&[u8]), count: usize) {
    let mut random = Random(88_172_645_463_325_252);
    for _ in 0..rounds(count) {
        let length = random.below(400);
        // Small numbers more often than large ones, as most choices have few answers.
        let byte = |_| {
            let bound = [8, 32, 256, 256][random.below(4)];
            random.below(bound) as u8
        };
        let bytes: Vec<u8> = (0..length).map(byte).collect();
        body(&bytes);
    }
    body(&[]);
}

#[test]
fn channel() {
    play(bodies::channel::run, 300);
}

#[test]
fn frame() {
    play(bodies::frame::run, 100);
}

#[test]
fn packet() {
    play(bodies::packet::run, 2000);
}

#[test]
fn page() {
    play(bodies::page::run, 1000);
}

#[test]
fn parcel() {
    play(bodies::parcel::run, 2000);
}

#[test]
fn proxied() {
    play(bodies::proxied::run, 1000);
}

#[test]
fn ring() {
    play(bodies::ring::run, 200);
}
