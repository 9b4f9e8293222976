//! Ids that look like Stripe's: unique in a script, and the same each time it is played.

/// The sequence of event ids, which breaks ties between events of one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventIds {
    /// As Stripe's are: without any order. Another number gives another order.
    Shuffled(u64),
    /// A later event has the greater id.
    Ascending,
    /// A later event has the lesser id.
    Descending,
}

impl EventIds {
    /// The id of the `count`th event.
    pub(crate) fn event(self, count: u64) -> String {
        match self {
            Self::Shuffled(seed) => format!("evt_1{}", letters(mix(mix(seed) ^ count), 23)),
            Self::Ascending => format!("evt_1Sim{count:020}"),
            Self::Descending => format!("evt_1Sim{:020}", u64::MAX - count),
        }
    }

    /// A coin that is tossed anew for each `count`.
    pub(crate) fn coin(self, count: u64) -> bool {
        let seed = if let Self::Shuffled(seed) = self { seed } else { 7 };
        mix(mix(seed ^ 0xC0_1D) ^ count) & 1 == 1
    }
}

/// The id of the object that `parts` name.
pub(crate) fn object(prefix: &str, length: usize, parts: &[u64]) -> String {
    let start = prefix.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| mix(hash ^ u64::from(byte)));
    let hash = parts.iter().fold(start, |hash, part| mix(hash ^ part));
    format!("{prefix}{}", letters(hash, length))
}

fn letters(mut hash: u64, length: usize) -> String {
    const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    (0..length)
        .map(|_| {
            hash = mix(hash);
            char::from(ALPHABET[usize::try_from(hash % 62).unwrap_or_default()])
        })
        .collect()
}

/// `SplitMix64`: spreads neighbouring numbers over the whole range.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descending_ids_fall_and_ascending_ids_rise() {
        assert!(EventIds::Descending.event(1) > EventIds::Descending.event(2));
        assert!(EventIds::Ascending.event(9) < EventIds::Ascending.event(10));
    }

    #[test]
    fn ids_are_repeatable_and_differ_by_prefix_and_part() {
        assert_eq!(object("pi_3", 23, &[1]), object("pi_3", 23, &[1]));
        assert_ne!(object("pi_3", 23, &[1]), object("pi_3", 23, &[2]));
        assert_ne!(object("pi_3", 23, &[1])[4..], object("ch_3", 23, &[1])[4..]);
    }
}
