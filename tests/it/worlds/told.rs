//! What the mail server and the webhook's receiver got against the true books.

use std::collections::{BTreeMap, BTreeSet};

use mail_parser::MessageParser;
use ringup::notices::About;
use stripe_simulator::{ApiVersion, Books, OrderBook, Owed, PaymentBook};

use super::books::{refund_amount, sums};
use super::case::Case;
use super::ids::Ids;
use super::{House, SHOP};
use crate::support::hooks::Hook;
use crate::support::smtp::Received;

/// What came to rest after one world.
pub struct Sinks<'a> {
    pub house: &'a House,
    pub case: &'a Case,
    /// Each with how many deliveries had arrived when it was sent.
    pub mails: Vec<(usize, Received)>,
    pub hooks: Vec<Hook>,
    pub ids: &'a Ids,
}

/// Whether what was told adds up to what is, by mail and by webhook.
pub fn adds_up(sinks: &Sinks<'_>, books: &Books) -> Result<(), String> {
    nothing_is_left(sinks)?;
    let rows = rows(sinks);
    let mails = sinks.mails.iter().map(|(arrived, mail)| read(mail, *arrived, &rows));
    let mails = mails.collect::<Result<Vec<_>, _>>()?;
    let mails: Vec<Mail> = mails.into_iter().flatten().collect();
    by_mail(&mails, sinks, books).map_err(|why| format!("by mail: {why}: {mails:#?}"))?;
    let hooks: Vec<News> = sinks.hooks.iter().map(news).collect();
    by_hook(&hooks, books, sinks.case.version).map_err(|why| format!("by webhook: {why}: {hooks:#?}"))
}

/// All was sent, and nothing was given up.
fn nothing_is_left(sinks: &Sinks<'_>) -> Result<(), String> {
    let rows = format!(
        "SELECT concat_ws(' ', dedupe_key, state, last_error) AS text FROM outbox WHERE dedupe_key LIKE '%{}%' \
           AND (state = 'queued' OR state = 'dead' AND last_error NOT LIKE 'superseded%')",
        sinks.ids.tag()
    );
    let left = sinks.house.texts(&rows);
    if left.is_empty() { Ok(()) } else { Err(format!("not told: {left:#?}")) }
}

/// A mail's row in the outbox.
type Row = (String, String, String, About);

fn rows(sinks: &Sinks<'_>) -> BTreeMap<String, Row> {
    let query = format!(
        "SELECT json_build_array(id, notice, dedupe_key, about::json)::text AS text FROM outbox \
         WHERE kind = 'email' AND dedupe_key LIKE '%{}%'",
        sinks.ids.tag()
    );
    let rows = sinks.house.texts(&query).into_iter().map(|row| serde_json::from_str::<Row>(&row).unwrap());
    rows.map(|row| (row.0.clone(), row)).collect()
}

/// A mail about money that moved, as its reader understands it.
#[derive(Debug)]
struct Mail {
    to: String,
    /// How many deliveries had arrived when it was sent.
    arrived: usize,
    /// Its notice's key.
    key: String,
    /// 1 of money that came or came back, −1 of money that was given back.
    sign: i64,
    /// In the minor unit, as the mail's own text says it.
    amount: i64,
    currency: String,
    /// What it is about.
    object: String,
    payment: String,
}

/// What the customer is told of money, by notice: the label of the amount, and its sign.
fn label(notice: &str) -> Option<(&'static str, i64)> {
    match notice {
        "order.paid" | "order.renewed" => Some(("Paid: ", 1)),
        "order.refunded" | "order.partially_refunded" => Some(("Refunded: ", -1)),
        "order.refund_failed" => Some(("Refund: ", 1)),
        _ => None,
    }
}

/// Reads a mail; `None` of one that tells of no money that moved.
fn read(received: &Received, arrived: usize, rows: &BTreeMap<String, Row>) -> Result<Option<Mail>, String> {
    let parsed = MessageParser::default().parse(received.data.as_bytes()).unwrap();
    let id = parsed.message_id().unwrap().split('@').next().unwrap();
    let (_, notice, key, about) = rows.get(id).ok_or_else(|| format!("no message of the world is {id}"))?;
    let to = parsed.to().unwrap().first().unwrap().address().unwrap().to_owned();
    // An odd address is in quotes on its way.
    let envelope: Vec<String> = received.to.iter().map(|to| to.replace('"', "")).collect();
    assert_eq!(envelope, [to.replace('"', "")], "{key}: the envelope and the header");
    let to = to.replace('"', "");
    let Some((label, sign)) = label(notice) else {
        let for_the_shop = ["order.review", "order.disputed", "order.dispute_closed"].contains(&&notice[..]);
        let for_the_customer = ["order.awaiting_funds", "order.payment_failed"].contains(&&notice[..]);
        let known = if to == SHOP { for_the_shop } else { for_the_customer };
        return if known { Ok(None) } else { Err(format!("{key} was sent to {to}")) };
    };
    let text = parsed.body_text(0).unwrap().replace("\r\n", "\n");
    let said: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix(label)).collect();
    let seen = about.seen().ok_or_else(|| format!("{key} is about no amount"))?;
    let (amount, currency) = match said[..] {
        [money] => parse(money).ok_or_else(|| format!("{key} says {money:?}"))?,
        // Where all was paid from credit, no amount is paid beside it.
        [] if seen.0 == 0 && about.amount_credited > Some(0) => (0, seen.1.to_owned()),
        _ => return Err(format!("{key} says no one amount: {text}")),
    };
    if (amount, &currency[..]) != seen {
        return Err(format!("{key} says {amount} {currency}, and is about {seen:?}"));
    }
    let payment = about.payment.clone().ok_or_else(|| format!("{key} is about no payment"))?;
    Ok(Some(Mail { to, arrived, key: key.clone(), sign, amount, currency, object: about.object.clone(), payment }))
}

/// An amount as English readers read it, in the minor unit.
fn parse(money: &str) -> Option<(i64, String)> {
    let symbols = [("CA$", "cad"), ("$", "usd"), ("€", "eur"), ("¥", "jpy"), ("£", "gbp")];
    let (symbol, currency) = symbols.iter().find(|(symbol, _)| money.starts_with(symbol))?;
    let digits = money[symbol.len()..].replace(',', "");
    let minor = match (digits.split_once('.'), *currency) {
        (None, "jpy") => digits,
        (Some((whole, cents)), other) if other != "jpy" && cents.len() == 2 => format!("{whole}{cents}"),
        _ => return None,
    };
    Some((minor.parse().ok()?, (*currency).to_owned()))
}

/// To each payer, in the currency that they saw.
fn by_mail(mails: &[Mail], sinks: &Sinks<'_>, books: &Books) -> Result<(), String> {
    each_refund_once(mails, books)?;
    let told_names: BTreeSet<&str> = mails.iter().filter_map(|mail| mail.key.strip_prefix("order.paid:")).collect();
    let left_out = books.orders.iter().filter(|book| is_joined_late(book, &told_names));
    let left_out = left_out.flat_map(|book| &book.payments);
    let left_out: BTreeSet<&String> = left_out.filter_map(|payment| payment.payer.as_ref()).collect();
    let mut told: BTreeMap<(String, String), i64> = BTreeMap::new();
    for mail in mails {
        let payer = payer(mail, sinks, books)?;
        *told.entry((payer, mail.currency.clone())).or_default() += mail.sign * mail.amount;
    }
    let owed: BTreeMap<_, i64> =
        books.ledger().into_iter().map(|(payer, ledger)| (payer, ledger.paid - ledger.refunded)).collect();
    let payers: BTreeSet<_> =
        told.keys().chain(owed.keys()).filter(|(address, _)| !left_out.contains(address)).collect();
    for payer in payers {
        let (told, owed) = (told.get(payer).copied().unwrap_or(0), owed.get(payer).copied().unwrap_or(0));
        if told != owed {
            return Err(format!("{payer:?} was told {told}, and {owed} is true"));
        }
    }
    Ok(())
}

/// The payer whom a mail concerns: nobody else may read it. It may have gone to another address of the same order as long
/// as the payer's better one had not arrived, such as the one that the shop registers.
fn payer(mail: &Mail, sinks: &Sinks<'_>, books: &Books) -> Result<String, String> {
    let of = |payment: &&PaymentBook| names(payment).any(|name| *name == mail.payment);
    let (case, ids) = (sinks.case, sinks.ids);
    for (book, original) in books.orders.iter().zip(&case.world.books.orders) {
        let Some(payer) = book.payments.iter().find(of).and_then(|payment| payment.payer.clone()) else { continue };
        let known: BTreeSet<String> =
            case.addresses(mail.arrived, original).into_iter().map(|address| ids.name(address)).collect();
        if mail.to == payer || (known.contains(&mail.to) && !known.contains(&payer)) {
            return Ok(payer);
        }
        return Err(format!("{} was sent to {}, its payer is {payer}, known were {known:?}", mail.key, mail.to));
    }
    Err(format!("{} was sent to {}, and no payer is known", mail.key, mail.to))
}

/// No more mails tell that an amount was given back than refunds of it were made.
fn each_refund_once(mails: &[Mail], books: &Books) -> Result<(), String> {
    let mut told: BTreeMap<(&str, i64), usize> = BTreeMap::new();
    let mut objects = BTreeSet::new();
    for mail in mails.iter().filter(|mail| mail.sign < 0) {
        *told.entry((&mail.payment, mail.amount)).or_default() += 1;
        if mail.object.starts_with("re_") && !objects.insert(&mail.object) {
            return Err(format!("{} is told twice", mail.object));
        }
    }
    let payments = || books.orders.iter().flat_map(|book| &book.payments);
    for ((payment, amount), told) in told {
        let of = |it: &&PaymentBook| names(it).any(|name| name == payment);
        let refunds = payments().filter(of).flat_map(|payment| &payment.refunds);
        let made = refunds.filter(|refund| refund.amount_presented == amount).count();
        if told > made {
            return Err(format!("{told} refunds of {amount} were told of {payment}, and {made} were made"));
        }
    }
    Ok(())
}

/// The names that messages may call a payment by, the best one first.
fn names(payment: &PaymentBook) -> impl Iterator<Item = &String> {
    [&payment.payment_intent, &payment.invoice, &payment.session].into_iter().flatten()
}

/// Whether a payment of the order was told under several names before it was known that these are one.
fn is_joined_late(book: &OrderBook, told: &BTreeSet<&str>) -> bool {
    let best: BTreeSet<&String> = book.payments.iter().filter_map(|payment| names(payment).next()).collect();
    let of_order = |name: &&&str| book.reference == **name || book.also_known_as.contains(**name);
    told.iter().filter(of_order).any(|name| !best.contains(&(*name).to_owned()))
}

/// A webhook about money that moved, as a program understands it.
#[derive(Debug)]
struct News {
    id: String,
    kind: String,
    about: About,
}

fn news(hook: &Hook) -> News {
    let (body, id) = (hook.json(), hook.header("webhook-id").to_owned());
    let about = serde_json::from_value(body["data"]["notice"].clone()).unwrap();
    News { id, kind: body["type"].as_str().unwrap().to_owned(), about }
}

impl News {
    /// Money that came in, that was given back (where parts add up to the whole, that is said without an amount), and
    /// that came back.
    fn moves(&self) -> bool {
        self.about.amount.is_some()
            && (self.is_made() || ["order.paid", "order.refund_failed"].contains(&&self.kind[..]))
    }

    fn is_made(&self) -> bool {
        ["order.refunded", "order.partially_refunded"].contains(&&self.kind[..])
    }

    fn is_of(&self, payment: &PaymentBook) -> bool {
        self.about.payment.as_ref().is_some_and(|of| names(payment).any(|name| name == of))
    }
}

/// To the shop's programs, of each payment.
fn by_hook(hooks: &[News], books: &Books, version: ApiVersion) -> Result<(), String> {
    let mut ids = BTreeSet::new();
    if let Some(twice) = hooks.iter().find(|news| !ids.insert(&news.id)) {
        return Err(format!("{} came twice", twice.id));
    }
    let payments = || books.orders.iter().flat_map(|book| &book.payments);
    let is_astray = |news: &&News| news.moves() && !payments().any(|payment| news.is_of(payment));
    if let Some(astray) = hooks.iter().find(is_astray) {
        return Err(format!("{} {} is of no payment", astray.kind, astray.about.object));
    }
    for book in &books.orders {
        let of_order = |news: &&News| news.kind == "order.paid" && book.payments.iter().any(|it| news.is_of(it));
        let told_names = hooks.iter().filter(of_order).map(|news| &news.about.object[..]).collect();
        if is_joined_late(book, &told_names) {
            continue;
        }
        for payment in book.payments.iter().filter(|payment| payment.complete && payment.amount > 0) {
            let of_payment: Vec<&News> = hooks.iter().filter(|news| news.moves() && news.is_of(payment)).collect();
            of_one_payment(&of_payment, payment, version)
                .map_err(|why| format!("{} of {}: {why}", names(payment).next().unwrap(), book.reference))?;
        }
    }
    Ok(())
}

/// What was told as paid is the payment; of what was told as given back, less what was told as failed, what went back is
/// left. A failure counts only where its refund was told as made. Refunds of one amount that are known by steps of a sum
/// differ in nothing that was told, so that they are counted.
fn of_one_payment(news: &[&News], payment: &PaymentBook, version: ApiVersion) -> Result<(), String> {
    let true_sums = sums(payment, version);
    if let Some(foreign) = news.iter().find(|news| news.about.currency.as_ref() != Some(&true_sums.currency)) {
        return Err(format!("{} is not in {}", foreign.kind, true_sums.currency));
    }
    let amount = |news: &News| news.about.amount.unwrap_or_default();
    let paid: i64 = news.iter().filter(|news| news.kind == "order.paid").map(|news| amount(news)).sum();
    if paid != true_sums.amount {
        return Err(format!("{paid} was told as paid, and {} is true", true_sums.amount));
    }
    let (made, failed): (Vec<&News>, Vec<&News>) =
        news.iter().filter(|news| news.kind != "order.paid").partition(|news| news.is_made());
    let refunds = || payment.refunds.iter().map(|refund| (refund_amount(refund, version), refund));
    let told = made.iter().chain(&failed).map(|news| amount(news));
    for back in told.chain(refunds().map(|(amount, _)| amount)).collect::<BTreeSet<i64>>() {
        let alike = |all: &[&News]| all.iter().filter(|news| amount(news) == back).count();
        let live = refunds().filter(|(amount, refund)| *amount == back && refund.made == Owed::Always).count();
        let taken_back = |news: &&&News| failed.iter().any(|failed| failed.about.object == news.about.object);
        let taken_back = made.iter().filter(|news| amount(news) == back).filter(taken_back).count();
        let (made, failed) = (alike(&made), alike(&failed));
        if made < live + taken_back || made > live + failed {
            return Err(format!("{made} of {back} were told as given back and {failed} as failed, {live} are"));
        }
    }
    Ok(())
}
