//! GitHub's webhooks: the signature, and what is worth telling of an event.
//!
//! `X-Hub-Signature-256: sha256=<hex>` is HMAC-SHA256 over the raw body; there is no timestamp, so `X-GitHub-Delivery`
//! is what tells a repetition. The SHA-1 header is legacy and never counts. Bodies may have 25 MiB: only the parts that
//! are told are read. Source: GitHub's webhook documentation.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::config::Secret;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// Bytes of a SHA-256 digest.
const DIGEST: usize = 32;
/// A title is one short line.
const TITLE: usize = 200;

/// Whether one of `secrets` signed `body`.
pub fn verify(header: &[u8], body: &[u8], secrets: &[Secret]) -> bool {
    let mut given = [0; DIGEST];
    let Some(digits) = header.strip_prefix(b"sha256=") else { return false };
    // GitHub writes small letters; one digest has one form.
    if digits.iter().any(u8::is_ascii_uppercase) || hex::decode_to_slice(digits, &mut given).is_err() {
        return false;
    }
    // Each secret is tried, so that the time taken says nothing of which one it was.
    secrets.iter().fold(false, |found, secret| found | bool::from(digest(secret.as_ref(), body).ct_eq(&given)))
}

/// The header of `body`, as GitHub would send it.
pub fn sign(secret: &str, body: &[u8]) -> String {
    format!("sha256={}", hex::encode(digest(secret.as_bytes(), body)))
}

fn digest(secret: &[u8], body: &[u8]) -> [u8; DIGEST] {
    // A key may have any length, so this never fails.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return [0; DIGEST] };
    mac.update(body);
    mac.finalize().into_bytes().into()
}

/// What is worth telling of an event, and the headers under which it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// `X-GitHub-Event`, such as `push`.
    pub event: String,
    /// The body's `action`, such as `completed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// `X-GitHub-Delivery`: the same on a redelivery.
    pub delivery: String,
    /// `owner/name`
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The branch or tag that it is about, such as `refs/heads/main`; of a pull request, the one that it is to go to.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub git_ref: Option<String>,
    /// The commit that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// The login of whoever did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// One line: a commit's, a pull request's, an issue's, a workflow's or a release's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// How it ended, where it is something that ends, such as `success`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conclusion: Option<String>,
    /// Its page at GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The body's type, for a relay.
    #[serde(default)]
    pub content_type: String,
    /// `X-Hub-Signature-256`, for a relay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl Event {
    /// The event's type with its action, such as `workflow_run.completed`.
    pub fn kind(&self) -> String {
        self.action.as_ref().map_or_else(|| self.event.clone(), |action| format!("{}.{action}", self.event))
    }
}

/// Why a signed body is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// No JSON object.
    #[error("the body is not one JSON object")]
    Json,
    /// A form without the field `payload`.
    #[error("the form has no payload")]
    Form,
    /// The event's name.
    #[error("X-GitHub-Event is not lower-case letters and underscores")]
    Event,
    /// The delivery's id.
    #[error("X-GitHub-Delivery is not 1 to 255 printable characters")]
    Delivery,
}

/// The JSON of a body, whichever way it was sent.
///
/// # Errors
/// Where a form has no payload.
pub fn json<'a>(content_type: &str, body: &'a [u8]) -> Result<Cow<'a, [u8]>, Unreadable> {
    if !content_type.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        return Ok(Cow::Borrowed(body));
    }
    let mut fields = url::form_urlencoded::parse(body);
    let payload = fields.find(|(name, _)| name == "payload").ok_or(Unreadable::Form)?;
    Ok(Cow::Owned(payload.1.into_owned().into_bytes()))
}

/// Reads an event. What it lacks, or has in another form, is left out.
///
/// # Errors
/// Where it has no usable name or id, or is no JSON object.
pub fn parse(event: &str, delivery: &str, json: &[u8]) -> Result<Event, Unreadable> {
    if !is_word(event) {
        return Err(Unreadable::Event);
    }
    if delivery.is_empty() || delivery.len() > 255 || !delivery.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(Unreadable::Delivery);
    }
    let body: Body<'_> = serde_json::from_slice(json).map(Body).map_err(|_| Unreadable::Json)?;
    let subject = body.subject(event);
    let short = |text: String| text.lines().next().map(|line| line.chars().take(TITLE).collect::<String>());
    Ok(Event {
        event: event.to_owned(),
        action: body.text(&["action"]).filter(|action| is_word(action)),
        delivery: delivery.to_owned(),
        repository: body.text(&["repository", "full_name"]),
        git_ref: body.git_ref(event, &subject),
        commit: body.text(&["after"]).or_else(|| first(&subject, &["/head_sha", "/head/sha", "/sha"])),
        sender: body.text(&["sender", "login"]),
        title: body
            .text(&["head_commit", "message"])
            .or_else(|| {
                first(&subject, &["/display_title", "/title", "/name", "/tag_name", "/description", "/summary"])
            })
            .and_then(short),
        conclusion: first(&subject, &["/conclusion", "/state"]).filter(|_| ENDING.contains(&event)),
        url: body.text(&["compare"]).or_else(|| first(&subject, &["/html_url", "/target_url", "/url"])),
        content_type: String::new(),
        signature: None,
    })
}

/// Events of things that end in one way or another.
const ENDING: [&str; 6] = ["workflow_run", "workflow_job", "check_run", "check_suite", "deployment_status", "status"];

fn is_word(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// The body's members, each still as it was sent.
struct Body<'a>(HashMap<Cow<'a, str>, &'a RawValue>);

impl Body<'_> {
    fn value(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.0.get(name)?.get()).ok()
    }

    /// The text at the end of `path`, unless it is blank.
    fn text(&self, path: &[&str]) -> Option<String> {
        let (first, rest) = path.split_first()?;
        let found = self.value(first)?;
        let found = rest.iter().try_fold(&found, |value, name| value.get(name))?;
        found.as_str().filter(|text| !text.trim().is_empty()).map(str::to_owned)
    }

    /// What the event is about: the member that bears the event's name, or what stands for it.
    fn subject(&self, event: &str) -> Value {
        let name = match event {
            "pull_request_review" | "pull_request_review_comment" | "pull_request_review_thread" => "pull_request",
            "issues" | "issue_comment" => "issue",
            name => name,
        };
        self.value(name).unwrap_or_default()
    }

    fn git_ref(&self, event: &str, subject: &Value) -> Option<String> {
        let branch = |name: String| format!("refs/heads/{name}");
        let full = |name: String, tag: bool| match (name.starts_with("refs/"), tag) {
            (true, _) => name,
            (false, true) => format!("refs/tags/{name}"),
            (false, false) => branch(name),
        };
        match event {
            "push" => self.text(&["ref"]),
            "create" | "delete" => {
                let is_tag = self.text(&["ref_type"]).is_some_and(|kind| kind == "tag");
                self.text(&["ref"]).map(|name| full(name, is_tag))
            }
            "release" => first(subject, &["/tag_name"]).map(|name| full(name, true)),
            _ => first(subject, &["/head_branch", "/check_suite/head_branch", "/base/ref"]).map(branch),
        }
    }
}

fn first(subject: &Value, pointers: &[&str]) -> Option<String> {
    let texts = pointers.iter().filter_map(|pointer| subject.pointer(pointer)?.as_str());
    texts.map(str::trim).find(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const SECRET: &str = "It's a Secret to Everybody";
    const SIGNED: &[u8] = b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    fn secrets<const N: usize>(texts: [&str; N]) -> [Secret; N] {
        texts.map(|text| Secret::new(text).unwrap())
    }

    #[test]
    fn githubs_own_vector_is_believed_under_any_of_the_secrets_and_nothing_else_is() {
        let body = b"Hello, World!";
        let own = secrets([SECRET]);
        assert!(verify(SIGNED, body, &own));
        assert!(verify(SIGNED, body, &secrets(["new", SECRET])) && verify(SIGNED, body, &secrets([SECRET, "old"])));
        assert_eq!(sign(SECRET, body).as_bytes(), SIGNED);
        assert!(!verify(SIGNED, b"Hello, World?", &own) && !verify(SIGNED, body, &secrets(["other"])));
        assert!(!verify(SIGNED, body, &[]) && !verify(sign("", body).as_bytes(), body, &[]));
        for header in ["", "sha256=", "sha1=757107ea0eb2509fc211221cce984b8a37570b6d", "757107ea", "sha256=zz"] {
            assert!(!verify(header.as_bytes(), body, &own), "{header}");
        }
        assert!(!verify(&SIGNED[..SIGNED.len() - 1], body, &own));
        assert!(!verify(&[SIGNED, b"0"].concat(), body, &own));
    }

    #[test]
    fn a_form_has_the_same_json_inside() {
        assert_eq!(&*json("application/json", b"{}").unwrap(), b"{}");
        let form = "Application/X-WWW-Form-Urlencoded; charset=utf-8";
        assert_eq!(&*json(form, b"x=1&payload=%7B%22a%22%3A%22b+c%22%7D").unwrap(), br#"{"a":"b c"}"#);
        assert_eq!(json(form, b"x=1"), Err(Unreadable::Form));
    }

    #[test]
    fn a_push_is_about_its_branch_and_commit() {
        let body = r#"{"ref":"refs/heads/main","after":"abc","compare":"https://github.com/o/r/compare/x",
            "repository":{"full_name":"o/r"},"sender":{"login":"ada"},"head_commit":{"message":"One\n\nTwo"}}"#;
        let event = parse("push", "d-1", body.as_bytes()).unwrap();
        assert_eq!(event.kind(), "push");
        assert_eq!((event.repository.as_deref(), event.git_ref.as_deref()), (Some("o/r"), Some("refs/heads/main")));
        assert_eq!((event.commit.as_deref(), event.sender.as_deref()), (Some("abc"), Some("ada")));
        assert_eq!((event.title.as_deref(), event.conclusion), (Some("One"), None));
        assert_eq!(event.url.as_deref(), Some("https://github.com/o/r/compare/x"));
    }

    #[test]
    fn what_ends_says_how() {
        let body = r#"{"action":"completed","workflow_run":{"name":"CI","head_branch":"main","head_sha":"abc",
            "conclusion":"failure","html_url":"https://github.com/o/r/actions/runs/1"}}"#;
        let event = parse("workflow_run", "d-1", body.as_bytes()).unwrap();
        assert_eq!(event.kind(), "workflow_run.completed");
        assert_eq!((event.git_ref.as_deref(), event.conclusion.as_deref()), (Some("refs/heads/main"), Some("failure")));
        assert_eq!((event.title.as_deref(), event.commit.as_deref()), (Some("CI"), Some("abc")));
    }

    #[test]
    fn branches_and_tags_by_their_full_names() {
        let about = |event: &str, body: &str| parse(event, "d", body.as_bytes()).unwrap().git_ref;
        assert_eq!(about("create", r#"{"ref":"v1","ref_type":"tag"}"#).as_deref(), Some("refs/tags/v1"));
        assert_eq!(about("delete", r#"{"ref":"x","ref_type":"branch"}"#).as_deref(), Some("refs/heads/x"));
        assert_eq!(about("release", r#"{"release":{"tag_name":"v1"}}"#).as_deref(), Some("refs/tags/v1"));
        assert_eq!(
            about("pull_request", r#"{"pull_request":{"base":{"ref":"main"}}}"#).as_deref(),
            Some("refs/heads/main")
        );
        assert_eq!(about("star", "{}"), None);
    }

    #[test]
    fn odd_parts_are_left_out_and_odd_wholes_refused() {
        let odd = parse("push", "d", br#"{"action":7,"ref":[],"repository":"x","sender":null,"after":" "}"#).unwrap();
        assert_eq!(odd, Event { event: "push".to_owned(), delivery: "d".to_owned(), ..Event::default() });
        assert_eq!(parse("push", "d", br#"{"action":"Not A Word"}"#).unwrap().action, None);
        for body in ["", "[]", "null", "{", "\"x\""] {
            assert_eq!(parse("push", "d", body.as_bytes()), Err(Unreadable::Json), "{body}");
        }
        for event in ["", "Push", "a.b", "a b", &"a".repeat(65)] {
            assert_eq!(parse(event, "d", b"{}"), Err(Unreadable::Event), "{event}");
        }
        for delivery in ["", "a b", "é", &"a".repeat(256)] {
            assert_eq!(parse("push", delivery, b"{}"), Err(Unreadable::Delivery), "{delivery}");
        }
    }
}
