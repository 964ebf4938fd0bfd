//! A worker that writes whatever it likes into the memory it shares with the primary.

use std::sync::atomic::Ordering;
use std::time::Duration;

use rcluster::cluster::load::Load;
use rcluster::cluster::turns::SLOTS;
use rcluster::sys::shm::{Page, TEXT, WORDS};

use super::Input;

pub fn run(data: &[u8]) {
    let (ours, fd) = Load::create().unwrap();
    let theirs = Page::open(&fd).unwrap();
    let mut input = Input::new(data);
    while let Some(step) = input.byte() {
        let slot = usize::from(step) % SLOTS;
        match step % 16 {
            0..=3 => {
                let (Some(word), Some(value)) = (input.byte(), input.number::<8>()) else { return };
                theirs.words()[usize::from(word) % WORDS].store(value, Ordering::Relaxed);
            }
            4 => {
                let Some(word) = input.byte() else { return };
                theirs.words()[usize::from(word) % WORDS].store(u64::MAX, Ordering::Relaxed);
            }
            5 => {
                let text = input.up_to(usize::from(step));
                assert_eq!(theirs.write_text(text), text.len());
            }
            6 => ours.sent(),
            7 => ours.unsent(input.number::<2>().unwrap_or_default()),
            8 => assert!(ours.give_turn(slot) <= 0xffff),
            9 => assert!(ours.take_turns_back(slot) <= 0xffff),
            10 => ours.use_slot(slot),
            11 => {
                ours.ask_stack();
                let answer = ours.wait_for_stack(Duration::ZERO);
                assert!(answer.is_none_or(|text| text.len() <= 3 * TEXT));
            }
            12 => {
                let load = ours.at(input.number::<8>().unwrap_or_default());
                let _ = (load.is_hung(), ours.told());
            }
            13 => {
                let turns = ours.turns(slot);
                assert!(turns.given <= 0xffff && turns.begun <= 0xffff);
                assert!(ours.turns_given() <= SLOTS as u64 * 0xffff);
            }
            14 => {
                let _ = (ours.pending(), ours.went_on_at(), ours.is_asleep(), ours.wake());
            }
            _ => ours.want_news(),
        }
    }
}
