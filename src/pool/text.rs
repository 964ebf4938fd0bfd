//! Payloads put together, so that JavaScript parses many at once.

use super::task::Payload;

/// The JSON payloads of a batch, or of many completions, as one array.
#[derive(Debug, Default)]
pub struct Text {
    /// As long as all fits.
    pub narrow: Vec<u8>,
    /// From the first payload on that does not fit.
    pub wide: Option<Vec<u16>>,
}

impl Text {
    /// Empties it, and keeps its memory.
    pub fn clear(&mut self) {
        self.narrow.clear();
        self.wide = None;
    }

    /// Adds an element to the array.
    pub fn add(&mut self, payload: &Payload) {
        let separator = if self.narrow.is_empty() && self.wide.is_none() { b'[' } else { b',' };
        if let (None, Payload::Wide(_)) = (&self.wide, payload) {
            self.wide = Some(self.narrow.drain(..).map(u16::from).collect());
        }
        match (&mut self.wide, payload) {
            (_, Payload::Empty | Payload::Promised(_) | Payload::Landed(_)) => {}
            (None, Payload::Narrow(bytes)) => {
                self.narrow.push(separator);
                self.narrow.extend_from_slice(bytes);
            }
            (Some(wide), Payload::Narrow(bytes)) => {
                wide.push(separator.into());
                wide.extend(bytes.iter().copied().map(u16::from));
            }
            (Some(wide), Payload::Wide(units)) => {
                wide.push(separator.into());
                wide.extend_from_slice(units);
            }
            (None, Payload::Wide(_)) => unreachable!("made wide above"),
        }
    }

    /// Ends the array. False where it has no elements.
    pub fn finish(&mut self) -> bool {
        match &mut self.wide {
            Some(wide) => wide.push(b']'.into()),
            None if self.narrow.is_empty() => return false,
            None => self.narrow.push(b']'),
        }
        true
    }
}
