//! Counting what a server sends, without copying or parsing it.
//!
//! `Walk` steps over WebSocket frame headers: 2-3 ns for a frame, whatever its length. `Mark` finds the time
//! stamps of latency runs (`@` and nineteen digits) in what the frames carry.

/// What has been seen on all connections.
#[derive(Default, Clone, Copy)]
pub struct Tally {
    /// Data frames begun.
    pub frames: u64,
    /// Payload bytes of data frames.
    pub bytes: u64,
    /// Close frames.
    pub closes: u64,
}

/// Where one connection stands between frames.
#[derive(Default)]
pub struct Walk {
    skip: u64,
    head: [u8; 10],
    have: u8,
    control: bool,
}

impl Walk {
    /// Steps over `data`; `piece` gets every part of a data frame's payload.
    #[inline]
    pub fn feed(&mut self, data: &[u8], tally: &mut Tally, mut piece: impl FnMut(&[u8])) {
        let mut at = 0;
        while at < data.len() {
            if self.skip > 0 {
                let take = (self.skip).min((data.len() - at) as u64) as usize;
                if !self.control {
                    tally.bytes += take as u64;
                    piece(&data[at..at + take]);
                }
                self.skip -= take as u64;
                at += take;
                continue;
            }
            let rest = &data[at..];
            if self.have == 0 && rest.len() >= 10 {
                at += self.header(rest, tally);
                continue;
            }
            self.head[self.have as usize] = data[at];
            self.have += 1;
            at += 1;
            if self.have >= 2 && self.have as usize == header_len(self.head[1]) {
                let head = self.head;
                self.have = 0;
                self.header(&head, tally);
            }
        }
    }

    /// Takes a header, which is complete, and says how long it is.
    #[inline]
    fn header(&mut self, head: &[u8], tally: &mut Tally) -> usize {
        let opcode = head[0] & 0x0f;
        self.control = opcode >= 8;
        match opcode {
            8 => tally.closes += 1,
            1 | 2 => tally.frames += 1,
            _ => {}
        }
        match head[1] & 0x7f {
            126 => self.skip = u64::from(u16::from_be_bytes([head[2], head[3]])),
            127 => self.skip = u64::from_be_bytes(head[2..10].try_into().expect("eight bytes")),
            short => self.skip = u64::from(short),
        }
        header_len(head[1])
    }
}

/// Bytes of the header of a server's frame, from its second byte.
fn header_len(second: u8) -> usize {
    match second & 0x7f {
        126 => 4,
        127 => 10,
        _ => 2,
    }
}

/// Digits of a time stamp: nanoseconds with leading zeros.
pub const STAMP_DIGITS: usize = 19;

/// Finds time stamps in a stream of pieces.
#[derive(Default)]
pub struct Mark {
    left: usize,
    value: u64,
}

impl Mark {
    /// Calls `found` with each complete stamp.
    pub fn feed(&mut self, mut data: &[u8], mut found: impl FnMut(u64)) {
        while !data.is_empty() {
            if self.left == 0 {
                let Some(at) = memchr::memchr(b'@', data) else { return };
                data = &data[at + 1..];
                (self.left, self.value) = (STAMP_DIGITS, 0);
            }
            let take = self.left.min(data.len());
            for digit in &data[..take] {
                self.value =
                    self.value.wrapping_mul(10).wrapping_add(u64::from(digit.wrapping_sub(b'0')));
            }
            self.left -= take;
            data = &data[take..];
            if self.left == 0 {
                found(self.value);
            }
        }
    }
}

/// Writes a stamp's digits.
pub fn write_stamp(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b'0' + (value % 10) as u8;
        value /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every way of cutting the stream in two counts the same.
    #[test]
    fn cuts_do_not_matter() {
        let mut stream = vec![0x81, 5];
        stream.extend(b"hello");
        stream.extend([0x82, 126, 0, 200]);
        let mut text = [b'x'; 200];
        text[100] = b'@';
        write_stamp(&mut text[101..101 + STAMP_DIGITS], 1_234_567);
        stream.extend(text);
        stream.extend([0x89, 1, 7, 0x88, 0]);
        for cut in 0..=stream.len() {
            let (mut walk, mut mark, mut tally, mut stamps) =
                (Walk::default(), Mark::default(), Tally::default(), vec![]);
            for part in [&stream[..cut], &stream[cut..]] {
                walk.feed(part, &mut tally, |piece| mark.feed(piece, |stamp| stamps.push(stamp)));
            }
            assert_eq!((tally.frames, tally.bytes, tally.closes), (2, 205, 1), "cut at {cut}");
            assert_eq!(stamps, [1_234_567], "cut at {cut}");
        }
    }
}
