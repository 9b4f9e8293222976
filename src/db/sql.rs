//! A statement's text, and where its values stand in it: found when it is compiled, so that no run pays for looking.

use super::together::GUARDED;

/// How many placeholders a text may have.
const MOST: usize = 24;

/// The text of a statement whose placeholders are `$1`, `$2`, …, each once and in this sequence.
#[derive(Debug)]
pub struct Sql {
    text: &'static str,
    /// Where each placeholder begins and ends, in bytes.
    places: [(usize, usize); MOST],
    count: usize,
    is_guarded: bool,
}

impl Sql {
    /// Reads it.
    ///
    /// # Panics
    /// Where a placeholder is out of sequence, or there are more than a text may have: a constant does not compile then.
    pub const fn of(text: &'static str) -> Self {
        let bytes = text.as_bytes();
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
        Self { text, places, count, is_guarded: contains(bytes, GUARDED.as_bytes()) }
    }

    /// The whole.
    pub(super) fn text(&self) -> &'static str {
        self.text
    }

    /// How many values it takes.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// It is made only where a change's conditions hold.
    pub(super) fn is_guarded(&self) -> bool {
        self.is_guarded
    }

    /// What stands between the value that `number` values precede and the one before that. None where it takes no such value.
    pub(super) fn before(&self, number: usize) -> Option<&'static str> {
        let (end, _) = self.places[..self.count].get(number)?;
        Some(&self.text[self.end_of(number)..*end])
    }

    /// What stands after the last value.
    pub(super) fn rest(&self) -> &'static str {
        &self.text[self.end_of(self.count)..]
    }

    /// Where the last of so many placeholders ends.
    fn end_of(&self, placeholders: usize) -> usize {
        if placeholders == 0 { 0 } else { self.places[placeholders - 1].1 }
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
        let sql = Sql::of("SELECT $1 || x FROM y WHERE z = $2");
        let pieces = [0, 1, 2].map(|number| sql.before(number));
        assert_eq!(pieces, [Some("SELECT "), Some(" || x FROM y WHERE z = "), None]);
        assert_eq!((sql.rest(), Sql::of("SELECT 1").rest(), Sql::of("SELECT 1").before(0)), ("", "SELECT 1", None));
    }

    #[test]
    fn a_placeholder_out_of_sequence_and_one_too_many_are_refused() {
        let many = (1..=MOST).map(|number| format!("${number} ")).collect::<Vec<_>>().concat();
        assert_eq!(Sql::of(many.clone().leak()).count(), MOST);
        let too_many = &*format!("{many}${}", MOST + 1).leak();
        for odd in ["a = $2", "a = $11", "a = $", "a = $1 AND b = $1", too_many] {
            assert!(std::panic::catch_unwind(|| Sql::of(odd)).is_err(), "{odd}");
        }
    }

    #[test]
    fn what_depends_on_conditions_says_so() {
        assert!(Sql::of("DELETE FROM x WHERE (SELECT holds FROM guard)").is_guarded());
        assert!(!Sql::of("DELETE FROM x WHERE (SELECT holds FROM guar").is_guarded());
    }
}
