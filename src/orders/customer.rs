//! Who the customer is, by whoever says it best; and whom messages about one payment go to.

use super::attempt::{Attempt, Payment};
use super::facts::Component;
use super::facts::address::Address;
use super::facts::charge::Charge;
use super::facts::payment_intent::PaymentIntent;
use super::reading::Reading;

/// The first attempt that knows it tells it: who paid comes before who left.
fn first<T>(reading: &Reading<'_>, known: impl Fn(&Component<'_>) -> Option<T>) -> Option<T> {
    reading.attempts.iter().find_map(|attempt| known(&attempt.component))
}

/// The best usable address, or why there is none.
pub fn address(reading: &Reading<'_>) -> (Option<String>, Option<&'static str>) {
    let given = reading.attempts.iter().flat_map(of_attempt);
    let given: Vec<&Address> = expected(reading).into_iter().chain(given).collect();
    let usable = given.iter().find_map(|address| address.usable()).map(str::to_owned);
    let problem = given.iter().find_map(|address| match address {
        Address::Refused(problem) => Some(problem.as_str()),
        Address::Usable(_) => None,
    });
    let problem = if usable.is_none() { problem } else { None };
    (usable, problem)
}

/// Where messages about an attempt go: the shop's word, else its own address. No other payer reads of it.
pub fn of_payer<'r>(reading: &'r Reading<'_>, attempt: &'r Attempt<'_>) -> Option<&'r str> {
    let usable = |address: &'r Address| address.usable();
    expected(reading).and_then(usable).or_else(|| of_attempt(attempt).into_iter().find_map(usable))
}

/// The same about one of its payments.
pub fn of_payment<'r>(reading: &'r Reading<'_>, attempt: &'r Attempt<'_>, payment: &Payment<'r>) -> Option<&'r str> {
    expected(reading).and_then(Address::usable).or_else(|| own_of_payment(attempt, payment))
}

/// The payment's own address, whatever the shop said.
pub fn own_of_payment<'r>(attempt: &'r Attempt<'_>, payment: &Payment<'r>) -> Option<&'r str> {
    let intents: Vec<&PaymentIntent> = payment.intent.into_iter().collect();
    let charges: Vec<&Charge> = payment.charges.iter().map(|(_, charge)| *charge).collect();
    addresses(&attempt.component, &intents, &charges).into_iter().find_map(Address::usable)
}

/// An attempt's own address, whatever the shop said.
pub fn own_of_attempt<'r>(attempt: &'r Attempt<'_>) -> Option<&'r str> {
    of_attempt(attempt).into_iter().find_map(Address::usable)
}

fn expected<'r>(reading: &'r Reading<'_>) -> Option<&'r Address> {
    reading.expectation.as_ref().and_then(|expected| expected.email.as_ref())
}

fn of_attempt<'r>(attempt: &'r Attempt<'_>) -> Vec<&'r Address> {
    let intents: Vec<&PaymentIntent> = attempt.component.payment_intents.iter().map(|(_, intent)| *intent).collect();
    let charges: Vec<&Charge> = attempt.component.charges.iter().map(|(_, charge)| *charge).collect();
    addresses(&attempt.component, &intents, &charges)
}

/// The addresses that its sessions and invoices give, and these intents and charges, the best first.
fn addresses<'r>(
    component: &'r Component<'_>,
    intents: &[&'r PaymentIntent],
    charges: &[&'r Charge],
) -> Vec<&'r Address> {
    let sessions = component.sessions.iter().map(|(_, session)| &session.now.is.email);
    let invoices = component.invoices.iter().map(|(_, invoice)| &invoice.now.is.email);
    let intents = intents.iter().map(|intent| &intent.now.is.email);
    let receipts = charges.iter().map(|charge| &charge.now.is.receipt_email);
    let billing = charges.iter().map(|charge| &charge.now.is.billing_email);
    sessions.chain(invoices).chain(intents).chain(receipts).chain(billing).filter_map(Option::as_ref).collect()
}

/// The customer's name, as given.
pub fn name(reading: &Reading<'_>) -> Option<String> {
    expected_name(reading).or_else(|| first(reading, given_name))
}

/// The payer's name, as given.
pub fn name_of(reading: &Reading<'_>, attempt: &Attempt<'_>) -> Option<String> {
    expected_name(reading).or_else(|| given_name(&attempt.component))
}

fn expected_name(reading: &Reading<'_>) -> Option<String> {
    reading.expectation.as_ref().and_then(|expected| expected.name.clone())
}

fn given_name(component: &Component<'_>) -> Option<String> {
    let sessions = component.sessions.iter().map(|(_, session)| &session.now.is.name);
    let invoices = component.invoices.iter().map(|(_, invoice)| &invoice.now.is.name);
    let charges = component.charges.iter().map(|(_, charge)| &charge.now.is.name);
    sessions.chain(invoices).chain(charges).find_map(Clone::clone)
}

/// The customer's language.
pub fn locale(reading: &Reading<'_>) -> Option<String> {
    expected_locale(reading).or_else(|| first(reading, given_locale))
}

/// The payer's language.
pub fn locale_of(reading: &Reading<'_>, attempt: &Attempt<'_>) -> Option<String> {
    expected_locale(reading).or_else(|| given_locale(&attempt.component))
}

fn expected_locale(reading: &Reading<'_>) -> Option<String> {
    reading.expectation.as_ref().and_then(|expected| expected.locale.clone())
}

fn given_locale(component: &Component<'_>) -> Option<String> {
    component.sessions.iter().find_map(|(_, session)| session.now.is.locale.clone())
}

/// The subscription whose invoice it is.
pub fn subscription(reading: &Reading<'_>) -> Option<String> {
    let given = |component: &Component<'_>| {
        component.invoices.iter().find_map(|(_, invoice)| invoice.now.is.subscription.clone())
    };
    first(reading, given)
}
