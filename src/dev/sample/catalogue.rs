//! What the sample shop sells, where, and to whom. Everybody lives at example.com.

use rand::{Rng, RngExt};
use serde_json::{Value, json};

/// Wares and their prices in euro cents.
const WARES: [(&str, i64); 12] = [
    ("Walnut desk lamp", 8900),
    ("Linen notebook, A5", 1450),
    ("Stoneware mug", 1690),
    ("Merino scarf", 4900),
    ("Cast-iron teapot", 6250),
    ("Beeswax candles, set of 4", 1890),
    ("Oak cutting board", 3490),
    ("Enamel coffee pot", 4290),
    ("Wool blanket", 11_900),
    ("Brass bookmark", 990),
    ("Ceramic planter", 2790),
    ("Canvas tote", 1990),
];

/// A country that the shop sells to.
#[derive(Clone, Copy, Debug)]
pub struct Market {
    /// Lower-case ISO code.
    pub currency: &'static str,
    /// Euro cents become minor units by this factor in thousandths…
    per_mille: i64,
    /// …in multiples of this, because prices look like prices.
    step: i64,
    country: &'static str,
    locale: &'static str,
    people: &'static [Person],
}

/// Name, mail box, street, postal code, city, state.
type Person = (&'static str, &'static str, &'static str, &'static str, &'static str, Option<&'static str>);

const MARKETS: [Market; 7] = [
    market(
        "eur",
        1000,
        10,
        "DE",
        "de",
        &[
            ("Jürgen Groß", "juergen.gross", "Torstraße 140", "10119", "Berlin", None),
            ("Anna Köhler", "anna.koehler", "Lange Reihe 12", "20099", "Hamburg", None),
            ("Mehmet Yılmaz", "mehmet.yilmaz", "Keupstraße 26", "51063", "Köln", None),
        ],
    ),
    market(
        "eur",
        1000,
        10,
        "FR",
        "fr",
        &[
            ("Zoé Lefèvre", "zoe.lefevre", "18 rue des Martyrs", "75009", "Paris", None),
            ("Théo d'Aubigné", "theo.daubigne", "4 quai Saint-Antoine", "69002", "Lyon", None),
        ],
    ),
    market(
        "gbp",
        860,
        5,
        "GB",
        "en-GB",
        &[
            ("Siobhán O'Connor", "siobhan.oconnor", "27 Marchmont Road", "EH9 1HY", "Edinburgh", None),
            ("Oliver Bennett", "oliver.bennett", "9 Gloucester Road", "BS7 8AA", "Bristol", None),
        ],
    ),
    market(
        "usd",
        1100,
        5,
        "US",
        "en",
        &[
            ("Maya Thompson", "maya.thompson", "512 SE Division St", "97202", "Portland", Some("OR")),
            ("Luis Ortega", "luis.ortega", "1809 W 18th St", "60608", "Chicago", Some("IL")),
            ("Grace Kim", "grace.kim", "88 Bleecker St", "10012", "New York", Some("NY")),
        ],
    ),
    market(
        "jpy",
        1600,
        10,
        "JP",
        "ja",
        &[
            ("佐藤 美咲", "misaki.sato", "神宮前3-14-5", "150-0001", "渋谷区", Some("東京都")),
            ("高橋 健", "ken.takahashi", "北浜2-6-18", "541-0041", "大阪市中央区", Some("大阪府")),
        ],
    ),
    market(
        "kwd",
        3300,
        50,
        "KW",
        "en",
        &[("Noura Al-Sabah", "noura.alsabah", "Block 4, Street 12, House 7", "13055", "Kuwait City", None)],
    ),
    market(
        "huf",
        400_000,
        10_000,
        "HU",
        "hu",
        &[("Szabó Eszter", "eszter.szabo", "Bartók Béla út 33.", "1114", "Budapest", None)],
    ),
];

const fn market(
    currency: &'static str,
    per_mille: i64,
    step: i64,
    country: &'static str,
    locale: &'static str,
    people: &'static [Person],
) -> Market {
    Market { currency, per_mille, step, country, locale, people }
}

/// Who buys.
#[derive(Clone, Debug)]
pub struct Customer {
    /// As given.
    pub name: &'static str,
    /// At example.com.
    pub email: String,
    /// Of the checkout.
    pub locale: &'static str,
    /// As Stripe writes addresses.
    pub address: Value,
    /// ISO code.
    pub country: &'static str,
}

impl Market {
    /// One of all markets.
    pub fn any(rng: &mut impl Rng) -> Self {
        MARKETS[rng.random_range(0..MARKETS.len())]
    }

    /// One of those that pay in euro.
    pub fn euro(rng: &mut impl Rng) -> Self {
        MARKETS[rng.random_range(0..2)]
    }

    /// One to three kinds of wares: in words, and their price together.
    pub fn basket(&self, rng: &mut impl Rng) -> (String, i64) {
        let first = rng.random_range(0..WARES.len());
        let kinds = rng.random_range(1..=3);
        let mut words = Vec::new();
        let mut sum = 0;
        for kind in 0..kinds {
            // Five has no factor in common with twelve: no ware comes twice.
            let (ware, cents) = WARES[(first + 5 * kind) % WARES.len()];
            let count = rng.random_range(1..=2);
            words.push(format!("{count} × {ware}"));
            sum += self.price(cents) * count;
        }
        (words.join("; "), sum)
    }

    /// Free above about 100 euros.
    pub fn shipping(&self, subtotal: i64) -> i64 {
        if subtotal >= self.price(10_000) { 0 } else { self.price(490) }
    }

    /// Somebody who lives there.
    pub fn customer(&self, rng: &mut impl Rng) -> Customer {
        let (name, mailbox, line1, postal_code, city, state) = self.people[rng.random_range(0..self.people.len())];
        Customer {
            name,
            email: format!("{mailbox}@example.com"),
            locale: self.locale,
            country: self.country,
            address: json!({
                "city": city, "country": self.country, "line1": line1, "line2": null,
                "postal_code": postal_code, "state": state,
            }),
        }
    }

    fn price(&self, cents: i64) -> i64 {
        (cents * self.per_mille / 1000 / self.step).max(1) * self.step
    }
}
