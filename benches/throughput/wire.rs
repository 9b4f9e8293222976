//! An answer as its bytes come in: no more of HTTP than the generator needs.

/// What a receiver said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// 200, stored.
    Accepted,
    /// 200, known already.
    Duplicate,
    /// 200, stored without effect.
    Ignored,
    /// Anything else, by its status.
    Refused(u16),
}

/// How often each was said.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// 200, stored.
    pub accepted: usize,
    /// 200, known already.
    pub duplicates: usize,
    /// 200, stored without effect.
    pub ignored: usize,
    /// Anything else.
    pub refused: usize,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, answer: Answer) {
        match answer {
            Answer::Accepted => self.accepted += 1,
            Answer::Duplicate => self.duplicates += 1,
            Answer::Ignored => self.ignored += 1,
            Answer::Refused(_) => self.refused += 1,
        }
    }

    /// Those that are in the database now and were not before.
    pub fn stored(&self) -> usize {
        self.accepted + self.ignored
    }

    /// Those that were answered 200.
    pub fn acknowledged(&self) -> usize {
        self.accepted + self.duplicates + self.ignored
    }
}

/// The answer at the beginning of `bytes`, once all of it is there, and its length.
pub fn answer(bytes: &[u8]) -> Option<(Answer, usize)> {
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n")?;
    let length = bytes[..head].split(|byte| *byte == b'\n').find_map(|line| {
        let (name, value) = line.split_at_checked(15)?;
        let value = std::str::from_utf8(value).ok().filter(|_| name.eq_ignore_ascii_case(b"content-length:"))?;
        value.trim().parse::<usize>().ok()
    });
    let body = bytes.get(head + 4..head + 4 + length.unwrap_or(0))?;
    let status = std::str::from_utf8(bytes.get(9..12)?).ok()?.parse().ok()?;
    let said = |word: &[u8]| body.windows(word.len()).any(|part| part == word);
    let answer = match status {
        200 if said(b"\"accepted\"") => Answer::Accepted,
        200 if said(b"\"duplicate\"") => Answer::Duplicate,
        200 => Answer::Ignored,
        status => Answer::Refused(status),
    };
    Some((answer, head + 4 + body.len()))
}
