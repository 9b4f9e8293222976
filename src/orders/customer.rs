//! Who the customer is, by whoever says it best.

use super::facts::Component;
use super::facts::address::Address;
use super::reading::Reading;

/// The first attempt that knows it tells it: who paid comes before who left.
fn first<T>(reading: &Reading<'_>, known: impl Fn(&Component<'_>) -> Option<T>) -> Option<T> {
    reading.attempts.iter().find_map(|attempt| known(&attempt.component))
}

/// The best usable address, or why there is none.
pub fn address(reading: &Reading<'_>) -> (Option<String>, Option<&'static str>) {
    let expected = reading.expectation.as_ref().and_then(|expected| expected.email.as_ref());
    let given = reading.attempts.iter().flat_map(|attempt| addresses(&attempt.component));
    let given: Vec<&Address> = expected.into_iter().chain(given).collect();
    let usable = given.iter().find_map(|address| address.usable()).map(str::to_owned);
    let problem = given.iter().find_map(|address| match address {
        Address::Refused(problem) => Some(problem.as_str()),
        Address::Usable(_) => None,
    });
    let problem = if usable.is_none() { problem } else { None };
    (usable, problem)
}

fn addresses<'a>(component: &Component<'a>) -> Vec<&'a Address> {
    let sessions = component.sessions.iter().map(|(_, session)| &session.now.is.email);
    let invoices = component.invoices.iter().map(|(_, invoice)| &invoice.now.is.email);
    let intents = component.payment_intents.iter().map(|(_, intent)| &intent.now.is.email);
    let receipts = component.charges.iter().map(|(_, charge)| &charge.now.is.receipt_email);
    let billing = component.charges.iter().map(|(_, charge)| &charge.now.is.billing_email);
    sessions.chain(invoices).chain(intents).chain(receipts).chain(billing).filter_map(Option::as_ref).collect()
}

/// The customer's name, as given.
pub fn name(reading: &Reading<'_>) -> Option<String> {
    let expected = reading.expectation.as_ref().and_then(|expected| expected.name.clone());
    let given = |component: &Component<'_>| {
        let sessions = component.sessions.iter().map(|(_, session)| &session.now.is.name);
        let invoices = component.invoices.iter().map(|(_, invoice)| &invoice.now.is.name);
        let charges = component.charges.iter().map(|(_, charge)| &charge.now.is.name);
        sessions.chain(invoices).chain(charges).find_map(Clone::clone)
    };
    expected.or_else(|| first(reading, given))
}

/// The customer's language.
pub fn locale(reading: &Reading<'_>) -> Option<String> {
    let expected = reading.expectation.as_ref().and_then(|expected| expected.locale.clone());
    let given =
        |component: &Component<'_>| component.sessions.iter().find_map(|(_, session)| session.now.is.locale.clone());
    expected.or_else(|| first(reading, given))
}

/// The subscription whose invoice it is.
pub fn subscription(reading: &Reading<'_>) -> Option<String> {
    let given = |component: &Component<'_>| {
        component.invoices.iter().find_map(|(_, invoice)| invoice.now.is.subscription.clone())
    };
    first(reading, given)
}
