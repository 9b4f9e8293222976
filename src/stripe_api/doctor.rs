//! What is registered, compared with what is needed. Pure.

use serde::Serialize;

use super::API_VERSION;
use super::endpoints::Endpoint;
use crate::config::mode_name;

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
    let mut findings = vec![number(&here, needed)];
    for endpoint in here {
        findings.extend([status(endpoint), events(endpoint, needed), version(endpoint), mode(endpoint, needed)]);
    }
    findings
}

fn number(here: &[&Endpoint], needed: Needed<'_>) -> Finding {
    let ids: Vec<&str> = here.iter().map(|endpoint| &endpoint.id[..]).collect();
    let of_one_kind = |connect: bool| here.iter().filter(|endpoint| endpoint.is_connect() == connect).count();
    if of_one_kind(true).max(of_one_kind(false)) < 2 {
        return Finding::well("url", format!("{} posts to {}", ids.join(" and "), needed.url));
    }
    Finding::ill(
        "url",
        format!("{} endpoints post each event to {}: {}", here.len(), needed.url, ids.join(", ")),
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

fn version(endpoint: &Endpoint) -> Finding {
    match endpoint.api_version.as_deref() {
        Some(version) => Finding::well("api_version", format!("{} renders events as of {version}", endpoint.id)),
        None => Finding::ill(
            "api_version",
            format!("{} has no version of its own: events change when the account is upgraded", endpoint.id),
            format!("delete it and create it anew, which pins {API_VERSION}"),
        ),
    }
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

    fn ill(endpoints: &[Endpoint]) -> Vec<(&'static str, String)> {
        let needed = Needed { url: URL, events: &["a", "b"], livemode: false };
        let findings = compare(endpoints, needed);
        assert!(findings.iter().all(|finding| finding.ok == finding.remedy.is_none()));
        findings.into_iter().filter(|finding| !finding.ok).map(|finding| (finding.check, finding.found)).collect()
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
        let twice = ill(&[endpoint(&json!({})), endpoint(&json!({ "id": "we_2" }))]);
        assert_eq!(twice, [("url", format!("2 endpoints post each event to {URL}: we_1, we_2"))]);
    }
}
