//! A statement's text, and where its values stand in it: found when it is compiled, so that no run pays for looking.

/// How many placeholders a text may have.
const MOST: usize = 24;
/// How a part of a change says that it depends on the conditions.
const GUARDED: &str = "(SELECT holds FROM guard)";

/// The text of a statement whose placeholders are `$1`, `$2`, …, each once and in this sequence.
#[derive(Debug)]
pub struct Text {
    sql: &'static str,
    /// Where each placeholder begins and ends, in bytes.
    places: [(usize, usize); MOST],
    count: usize,
    is_guarded: bool,
}

impl Text {
    /// Reads it.
    ///
    /// # Panics
    /// Where a placeholder is out of sequence, or there are more than a text may have: a constant does not compile then.
    pub const fn of(sql: &'static str) -> Self {
        let bytes = sql.as_bytes();
        let (mut places, mut count, mut at) = ([(0, 0); MOST], 0, 0);
        while at < bytes.len() {
            let start = at;
            at += 1;
            if bytes[start] == b'$' {
                let mut number = 0;
                while at < bytes.len() && bytes[at].is_ascii_digit() {
                    number = 10 * number + (bytes[at] - b'0') as usize;
                    at += 1;
                }
                assert!(count < MOST, "a statement has too many placeholders");
                assert!(number == count + 1, "a statement's placeholders are not $1, $2, … in this sequence");
                places[count] = (start, at);
                count = number;
            }
        }
        Self { sql, places, count, is_guarded: contains(bytes, GUARDED.as_bytes()) }
    }

    /// The whole.
    pub fn sql(&self) -> &'static str {
        self.sql
    }

    /// How many values it takes.
    pub fn count(&self) -> usize {
        self.count
    }

    /// It is made only where a change's conditions hold.
    pub fn is_guarded(&self) -> bool {
        self.is_guarded
    }

    /// What stands before the value that so many others precede: after the last one, the rest. None where there is no
    /// place for so many.
    pub fn piece(&self, before: usize) -> Option<&'static str> {
        let start = if before == 0 { 0 } else { self.places[..self.count].get(before - 1)?.1 };
        let end = if before == self.count { self.sql.len() } else { self.places[before].0 };
        Some(&self.sql[start..end])
    }
}

const fn contains(text: &[u8], word: &[u8]) -> bool {
    let mut at = 0;
    while at + word.len() <= text.len() {
        let mut same = 0;
        while same < word.len() && text[at + same] == word[same] {
            same += 1;
        }
        if same == word.len() {
            return true;
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stand_between_the_pieces() {
        let text = Text::of("SELECT $1 || x FROM y WHERE z = $2");
        let pieces = [0, 1, 2, 3].map(|before| text.piece(before));
        assert_eq!(pieces, [Some("SELECT "), Some(" || x FROM y WHERE z = "), Some(""), None]);
        assert_eq!((Text::of("SELECT 1").piece(0), Text::of("SELECT 1").piece(1)), (Some("SELECT 1"), None));
    }

    #[test]
    fn a_placeholder_out_of_sequence_is_refused() {
        for odd in ["a = $2", "a = $11", "a = $", "a = $1 AND b = $1"] {
            assert!(std::panic::catch_unwind(|| Text::of(odd)).is_err(), "{odd}");
        }
    }

    #[test]
    fn what_depends_on_conditions_says_so() {
        assert!(Text::of("DELETE FROM x WHERE (SELECT holds FROM guard)").is_guarded());
        assert!(!Text::of("DELETE FROM x WHERE (SELECT holds FROM guar").is_guarded());
    }
}
