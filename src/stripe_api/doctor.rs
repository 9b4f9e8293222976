//! What is registered, compared with what is needed. Pure.

use serde::Serialize;

use super::API_VERSION;
use super::endpoints::Endpoint;
use crate::config::mode_name;
use std::ops::Range;

/// Invoices and payments stopped naming each other with the first version, and `invoice_payment.paid` came with the second.
const WITHOUT_LINK: Range<&str> = "2025-03-31".."2025-05-28";
const OWN: &str = "our own events";
const CONNECTED: &str = "connected accounts' events";

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at, such as `events`.
    pub check: &'static str,
    /// Whether it is as it should be.
    pub ok: bool,
    /// What was found.
    pub found: String,
    /// What to do, where it is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    /// As it should be.
    pub fn well(check: &'static str, found: impl Into<String>) -> Self {
        Self { check, ok: true, found: found.into(), remedy: None }
    }

    /// Not as it should be.
    pub fn ill(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { check, ok: false, found: found.into(), remedy: Some(remedy.into()) }
    }
}

/// What is needed of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Needed<'a> {
    /// Where events are received.
    pub url: &'a str,
    /// Event types that say something of orders.
    pub events: &'a [&'a str],
    /// The key's mode: real money.
    pub livemode: bool,
    /// Connected accounts are named, whose events must come too.
    pub connect: bool,
}

/// What there is to say of all endpoints that Stripe has.
pub fn compare(endpoints: &[Endpoint], needed: Needed<'_>) -> Vec<Finding> {
    let here: Vec<&Endpoint> = endpoints.iter().filter(|endpoint| endpoint.is_at(needed.url)).collect();
    if here.is_empty() {
        let elsewhere: Vec<&str> = endpoints.iter().map(|endpoint| &endpoint.url[..]).collect();
        let found = if elsewhere.is_empty() { "none at all".to_owned() } else { elsewhere.join(", ") };
        let found = format!("no endpoint for {}; there is {found}", needed.url);
        return vec![Finding::ill("url", found, format!("ringup endpoint create --url {}", needed.url))];
    }
    let (connect, own): (Vec<&Endpoint>, Vec<&Endpoint>) = here.into_iter().partition(|endpoint| endpoint.is_connect());
    let mut findings = Vec::new();
    for (whose, endpoints) in [(OWN, own), (CONNECTED, connect)] {
        let missing = endpoints.is_empty() && whose == CONNECTED && needed.connect;
        findings.extend(missing.then(|| no_connect(needed)));
        findings.extend(of_one_kind(whose, &endpoints, needed));
    }
    findings
}

/// What there is to say of the endpoints for the same events. One that rests beside one that posts does no harm.
fn of_one_kind(whose: &str, endpoints: &[&Endpoint], needed: Needed<'_>) -> Vec<Finding> {
    let (posting, resting): (Vec<&Endpoint>, Vec<&Endpoint>) =
        endpoints.iter().copied().partition(|endpoint| endpoint.status == "enabled");
    let Some(first) = posting.first() else {
        let at =
            |endpoint: &Endpoint| Finding::well("url", format!("{} is for {whose} at {}", endpoint.id, needed.url));
        return resting.iter().flat_map(|endpoint| [vec![at(endpoint)], each(endpoint, needed)].concat()).collect();
    };
    let mut findings = vec![number(whose, &posting, needed)];
    findings.extend(posting.iter().flat_map(|endpoint| each(endpoint, needed)));
    let instead = |rests: &&Endpoint| format!("{} is {}, and {} posts instead", rests.id, rests.status, first.id);
    findings.extend(resting.iter().map(|endpoint| Finding::well("status", instead(endpoint))));
    findings
}

fn each(endpoint: &Endpoint, needed: Needed<'_>) -> Vec<Finding> {
    vec![status(endpoint), events(endpoint, needed), version(endpoint), mode(endpoint, needed)]
}

fn no_connect(needed: Needed<'_>) -> Finding {
    let found =
        format!("STRIPE_ACCOUNTS names connected accounts, and no endpoint brings their events to {}", needed.url);
    Finding::ill("url", found, format!("ringup endpoint create --url {} --connect", needed.url))
}

fn number(whose: &str, posting: &[&Endpoint], needed: Needed<'_>) -> Finding {
    let ids: Vec<&str> = posting.iter().map(|endpoint| &endpoint.id[..]).collect();
    if let [only] = ids[..] {
        return Finding::well("url", format!("{only} posts {whose} to {}", needed.url));
    }
    Finding::ill(
        "url",
        format!("{} endpoints post {whose} to {}, each of them: {}", ids.len(), needed.url, ids.join(", ")),
        "keep the one whose secret is configured: ringup endpoint delete ID",
    )
}

fn status(endpoint: &Endpoint) -> Finding {
    let id = &endpoint.id;
    if endpoint.status == "enabled" {
        return Finding::well("status", format!("{id} is enabled"));
    }
    let remedy = format!("ringup endpoint update {id} --enable; then ringup sync, for what was missed");
    Finding::ill("status", format!("{id} is {}: Stripe sends nothing", endpoint.status), remedy)
}

fn events(endpoint: &Endpoint, needed: Needed<'_>) -> Finding {
    let all = endpoint.enabled_events.iter().any(|kind| kind == "*");
    let missing: Vec<&str> = needed
        .events
        .iter()
        .copied()
        .filter(|kind| !all && !endpoint.enabled_events.iter().any(|e| e == kind))
        .collect();
    if !missing.is_empty() {
        let found = format!("{} does not send {}", endpoint.id, missing.join(", "));
        return Finding::ill("events", found, format!("ringup endpoint update {} --events default", endpoint.id));
    }
    let more = endpoint.enabled_events.iter().filter(|kind| !needed.events.contains(&&kind[..])).count();
    let besides = match more {
        0 => String::new(),
        _ if all => "; every other type too, which is stored and ignored".to_owned(),
        more => format!("; {more} other types too, which are stored and ignored"),
    };
    Finding::well("events", format!("{} sends all {} types that matter{besides}", endpoint.id, needed.events.len()))
}

/// Every version's events are read, wherever they have what they tell; so another one is only said.
fn version(endpoint: &Endpoint) -> Finding {
    const CHECK: &str = "api_version";
    let id = &endpoint.id;
    let anew = format!("delete it and create it anew, which pins {API_VERSION}");
    let Some(version) = endpoint.api_version.as_deref() else {
        let found = format!("{id} has no version of its own: events change when the account is upgraded");
        return Finding::ill(CHECK, found, anew);
    };
    if WITHOUT_LINK.contains(&version) {
        let found = format!("{id} renders events as of {version}, in which nothing ties an invoice to its payment");
        return Finding::ill(CHECK, found, anew);
    }
    let found = format!("{id} renders events as of {version}");
    if version == API_VERSION {
        return Finding::well(CHECK, found);
    }
    Finding::well(CHECK, format!("{found}; this build speaks {API_VERSION}, and reads that too"))
}

fn mode(endpoint: &Endpoint, needed: Needed<'_>) -> Finding {
    let found = format!("{} is for {} events", endpoint.id, mode_name(endpoint.livemode));
    if endpoint.livemode == needed.livemode {
        return Finding::well("livemode", found);
    }
    Finding::ill("livemode", found, format!("the key is a {} key: use the other mode's", mode_name(needed.livemode)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value, json};

    const URL: &str = "https://shop.example/webhooks/stripe";

    fn endpoint(more: &Value) -> Endpoint {
        let mut all = json!({ "id": "we_1", "url": URL, "status": "enabled", "enabled_events": ["a", "b"],
            "api_version": "2026-09-30.endive", "livemode": false });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    fn compared(endpoints: &[Endpoint], connect: bool) -> Vec<Finding> {
        let findings = compare(endpoints, Needed { url: URL, events: &["a", "b"], livemode: false, connect });
        assert!(findings.iter().all(|finding| finding.ok == finding.remedy.is_none()));
        findings
    }

    fn ill(endpoints: &[Endpoint]) -> Vec<(&'static str, String)> {
        let findings = compared(endpoints, false).into_iter().filter(|finding| !finding.ok);
        findings.map(|finding| (finding.check, finding.found)).collect()
    }

    fn one(more: &Value) -> Vec<(&'static str, String)> {
        ill(&[endpoint(more)])
    }

    #[test]
    fn what_is_as_needed_is_well() {
        assert_eq!(one(&json!({})), []);
        assert_eq!(one(&json!({ "enabled_events": ["*"] })), []);
        assert_eq!(one(&json!({ "enabled_events": ["b", "c", "a"], "api_version": "2020-08-27" })), []);
        let connect = json!({ "id": "we_2", "metadata": { "ringup": "connect" } });
        assert_eq!(ill(&[endpoint(&json!({})), endpoint(&connect)]), []);
    }

    #[test]
    fn each_difference_is_told() {
        let said = |text: &str| text.to_owned();
        assert_eq!(ill(&[]), [("url", format!("no endpoint for {URL}; there is none at all"))]);
        let other = one(&json!({ "url": "https://other.example/" }));
        assert_eq!(other, [("url", format!("no endpoint for {URL}; there is https://other.example/"))]);
        assert_eq!(one(&json!({ "status": "disabled" })), [("status", said("we_1 is disabled: Stripe sends nothing"))]);
        assert_eq!(one(&json!({ "enabled_events": ["b"] })), [("events", said("we_1 does not send a"))]);
        assert_eq!(one(&json!({ "api_version": null }))[0].0, "api_version");
        assert_eq!(one(&json!({ "livemode": true })), [("livemode", said("we_1 is for live events"))]);
    }

    #[test]
    fn endpoints_for_the_same_events_are_counted_where_they_post() {
        let two = |more: &Value| [endpoint(&json!({})), endpoint(more)];
        let twice = ill(&two(&json!({ "id": "we_2" })));
        let told = format!("2 endpoints post our own events to {URL}, each of them: we_1, we_2");
        assert_eq!(twice, [("url", told)]);
        let resting = json!({ "id": "we_2", "status": "disabled", "enabled_events": [] });
        assert_eq!(ill(&two(&resting)), [], "a twin that rests does no harm");
        assert!(compared(&two(&resting), false).iter().any(|f| f.found == "we_2 is disabled, and we_1 posts instead"));
        let connect = json!({ "id": "we_2", "application": "ca_1" });
        assert_eq!(ill(&two(&connect)), []);
        let three = [two(&connect), two(&json!({ "id": "we_3", "application": "ca_1" }))].concat();
        let told = ill(&three[..2].iter().chain(&three[3..]).cloned().collect::<Vec<_>>());
        assert_eq!(told.len(), 1);
        assert!(told[0].1.starts_with("2 endpoints post connected accounts' events"), "{told:?}");
        assert!(compared(&two(&connect), true).iter().all(|finding| finding.ok));
        let missing = compared(&[endpoint(&json!({}))], true);
        let missing: Vec<_> = missing.iter().filter(|finding| !finding.ok).collect();
        assert_eq!((missing.len(), missing[0].check), (1, "url"));
        assert!(missing[0].remedy.as_ref().unwrap().ends_with("--connect"));
    }

    #[test]
    fn a_version_is_ill_where_its_events_lack_what_orders_need() {
        let version = |version: &str| {
            let found = compared(&[endpoint(&json!({ "api_version": version }))], false);
            let found = found.into_iter().find(|finding| finding.check == "api_version").unwrap();
            (found.ok, found.found.contains("this build speaks"))
        };
        assert_eq!(version(API_VERSION), (true, false));
        for other in ["2020-08-27", "2025-02-24.acacia", "2025-05-28.basil", "2027-01-01.fig"] {
            assert_eq!(version(other), (true, true), "{other}");
        }
        for linkless in ["2025-03-31.basil", "2025-04-30.basil"] {
            assert_eq!(version(linkless), (false, false), "{linkless}");
        }
    }
}
