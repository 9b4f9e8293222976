//! Where a blank line ends. Each head of a request has one at its end, so that they bound how many requests some bytes hold.

/// Looks for blank lines in bytes that come in pieces.
#[derive(Clone, Debug, Default)]
pub struct BlankLines {
    line: Line,
}

/// What the line has so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Line {
    /// Text, or it follows a blank line: empty lines before a request mean nothing.
    #[default]
    Text,
    Nothing,
    /// A carriage return alone.
    Return,
}

impl Line {
    fn with(self, more: &[u8]) -> Self {
        match (self, more) {
            (line, []) => line,
            (Self::Nothing, [b'\r']) => Self::Return,
            _ => Self::Text,
        }
    }
}

impl BlankLines {
    /// The position behind the next blank line's end in `bytes`, which follow those that were looked at before. Only what
    /// stands before that position counts as looked at.
    pub fn next_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = self.line.with(&bytes[from..end]);
            from = end + 1;
            self.line = Line::Nothing;
            if line != Line::Text {
                self.line = Line::Text;
                return Some(from);
            }
        }
        self.line = self.line.with(&bytes[from..]);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ends that are found where the text comes in pieces of this length.
    fn ends(text: &str, piece: usize) -> Vec<usize> {
        let (mut lines, mut found) = (BlankLines::default(), Vec::new());
        for (n, chunk) in text.as_bytes().chunks(piece).enumerate() {
            let mut from = 0;
            while let Some(end) = lines.next_end(&chunk[from..]) {
                from += end;
                found.push(n * piece + from);
            }
        }
        found
    }

    #[test]
    fn every_head_ends_with_one_however_it_is_cut() {
        for (text, expected) in [
            ("GET / HTTP/1.1\r\n\r\n", vec![18]),
            ("GET / HTTP/1.1\n\n", vec![16]),
            ("GET / HTTP/1.1\nA: b\r\n\nGET", vec![22]),
            ("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\n\r\n", vec![18, 35]),
            ("POST / HTTP/1.1\r\nA: b\r\n\r\n{\n  \"a\": 1,\n  \"b\": 2\n}\n", vec![25]),
            ("\r\nGET / HTTP/1.1\r\n\r\n", vec![20]),
            ("\r\rx\n\r\r\n\n", vec![8]),
            ("", vec![]),
        ] {
            for piece in 1..=text.len().max(1) {
                assert_eq!(ends(text, piece), expected, "{text:?} in pieces of {piece}");
            }
        }
    }
}
