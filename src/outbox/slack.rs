//! Messages to Slack's incoming webhooks: Block Kit with a text that stands in for it.
//!
//! Whatever others wrote is escaped, so that no customer's name pings a channel. Slack's answers say whether trying
//! again can help: the rest is a wrong setting, which stops the destination until a person has looked.
//! Sources: Slack's pages on incoming webhooks, formatting and rate limits.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::client::Answer;
use super::deliver::Outcome;
use super::letter::one_line;
use crate::money::Money;
use crate::notices::{About, GitHubEvent, Kind, OrderView};

/// Most characters of a section's text.
const SECTION: usize = 3000;

/// What a message says, before it is laid out.
struct Said {
    title: String,
    lines: Vec<String>,
    link: Option<(String, &'static str)>,
}

/// The message about a notice. `admin` is the address at which people reach this receiver.
///
/// # Errors
/// Where the notice's own data can't be read.
pub(super) fn message(
    kind: &Kind,
    about: &str,
    order: Option<&OrderView>,
    told_at: DateTime<Utc>,
    admin: Option<&str>,
) -> serde_json::Result<Value> {
    let said = match (kind, order) {
        (Kind::GitHub(_), _) => on_github(&serde_json::from_str(about)?),
        (Kind::SubscriptionTest, _) => {
            Said { title: "A test from ringup: this destination works".to_owned(), lines: Vec::new(), link: None }
        }
        (Kind::MessageDead, _) => on_message(&serde_json::from_str(about)?),
        (Kind::SubscriptionDisabled, _) => on_subscription(&serde_json::from_str(about)?),
        (Kind::MailFailing, _) => on_mail(&serde_json::from_str(about)?),
        (Kind::EventsMissed, _) => on_missed(&serde_json::from_str(about)?),
        (_, order) => on_order(kind, &serde_json::from_str(about)?, &order.cloned().unwrap_or_default(), admin),
    };
    Ok(layout(&said, told_at))
}

fn layout(said: &Said, told_at: DateTime<Utc>) -> Value {
    let title = format!("*{}*", said.title);
    let text = std::iter::once(&title).chain(&said.lines).map(String::as_str).collect::<Vec<_>>().join("\n");
    let mut blocks = vec![json!({ "type": "section", "text": { "type": "mrkdwn", "text": cut(&text) } })];
    if let Some((url, label)) = &said.link {
        let button = json!({ "type": "button", "text": { "type": "plain_text", "text": label }, "url": url });
        blocks.push(json!({ "type": "actions", "elements": [button] }));
    }
    let (at, plain) = (told_at.timestamp(), told_at.format("%Y-%m-%d %H:%M UTC"));
    let date = format!("<!date^{at}^{{date_short_pretty}} {{time}}|{plain}>");
    blocks.push(json!({ "type": "context", "elements": [{ "type": "mrkdwn", "text": date }] }));
    json!({ "text": cut(&said.title), "blocks": blocks })
}

fn on_order(kind: &Kind, about: &About, order: &OrderView, admin: Option<&str>) -> Said {
    let name = format!("Order {}", escape(&order.reference));
    let what = match kind {
        Kind::OrderPaid => ":moneybag: {} is paid",
        Kind::OrderIdentified => ":label: A payment that was told before belongs to {}",
        Kind::OrderRenewed => ":repeat: {}: a subscription was renewed",
        Kind::OrderRefunded => ":leftwards_arrow_with_hook: {} was refunded",
        Kind::OrderPartiallyRefunded => ":leftwards_arrow_with_hook: {} was refunded in part",
        Kind::OrderRefundFailed => ":warning: {}: a refund failed",
        Kind::OrderPaymentFailed => ":x: {}: the payment failed",
        Kind::OrderAwaitingFunds => ":hourglass_flowing_sand: {} waits for the money",
        Kind::OrderDisputed => ":rotating_light: {} is disputed",
        Kind::OrderDisputeClosed => ":scales: {}: the dispute is closed",
        Kind::OrderCanceled => ":no_entry_sign: {} was canceled",
        Kind::OrderReview => ":eyes: {} needs a look",
        Kind::GitHub(_)
        | Kind::SubscriptionDisabled
        | Kind::SubscriptionTest
        | Kind::MessageDead
        | Kind::MailFailing
        | Kind::EventsMissed => "{}",
    };
    let mut lines = Vec::new();
    lines.extend(amounts(about).map(|amounts| escape(&amounts)));
    lines.extend(about.reason.as_deref().map(|reason| format!("Why: {}", escape(&reason.replace('_', " ")))));
    if about.lost_from_start {
        lines.push("It was lost when it first became known: nobody could answer it.".to_owned());
    }
    lines.extend(order.customer_name.as_deref().map(|name| format!("Customer: {}", escape(name))));
    if !order.livemode {
        lines.push("_A test: no money moved._".to_owned());
    }
    lines.push(format!("`{}`", escape(&about.object)));
    Said { title: what.replace("{}", &name), lines, link: admin.map(|admin| (page(admin, order), "Look at the order")) }
}

/// What moved in the shop's currency, then as the customer saw it, and what came from their balance.
fn amounts(about: &About) -> Option<String> {
    let money = |amount: Option<i64>, currency: &Option<String>| {
        amount.zip(currency.as_deref()).map(|(amount, currency)| Money::new(amount, currency).format("en"))
    };
    let own = money(about.amount, &about.currency)?;
    let presented = money(about.presentment_amount, &about.presentment_currency);
    let credited = money(about.amount_credited.filter(|amount| *amount > 0), &about.currency);
    let presented = presented.map(|seen| format!(" ({seen})")).unwrap_or_default();
    let credited = credited.map(|credited| format!(", and {credited} from the customer’s balance")).unwrap_or_default();
    Some(format!("{own}{presented}{credited}"))
}

/// The order's page.
fn page(admin: &str, order: &OrderView) -> String {
    let encode =
        |text: &str| percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string();
    let account = if order.account.is_empty() { String::new() } else { format!("&account={}", encode(&order.account)) };
    let admin = admin.trim_end_matches('/');
    format!("{admin}/admin/orders/{}?livemode={}{account}", encode(&order.reference), order.livemode)
}

fn on_github(event: &GitHubEvent) -> Said {
    let place = [event.repository.as_deref(), event.git_ref.as_deref().map(short)].into_iter().flatten();
    let place = place.map(escape).collect::<Vec<_>>().join(" · ");
    let what = event.action.as_ref().map_or_else(|| event.event.clone(), |action| format!("{} {action}", event.event));
    let mut lines: Vec<String> = event.title.as_deref().map(escape).into_iter().collect();
    lines.extend(event.conclusion.as_deref().map(|end| format!("Ended: {}", escape(end))));
    lines.extend(event.sender.as_deref().map(|who| format!("By {}", escape(who))));
    lines.extend(event.commit.as_deref().map(|commit| format!("`{}`", escape(commit.get(..12).unwrap_or(commit)))));
    let link = event.url.as_deref().filter(|url| url.starts_with("https://") && !url.contains(['<', '>', '|', ' ']));
    Said {
        title: format!("{place}: {}", escape(&what.replace('_', " "))),
        lines,
        link: link.map(|url| (url.to_owned(), "Look at GitHub")),
    }
}

fn short(git_ref: &str) -> &str {
    git_ref.strip_prefix("refs/heads/").or_else(|| git_ref.strip_prefix("refs/tags/")).unwrap_or(git_ref)
}

fn on_missed(about: &About) -> Said {
    Said {
        title: format!(":satellite_antenna: Events of {} did not reach us", escape(&about.object)),
        lines: vec![
            escape(about.reason.as_deref().unwrap_or_default()),
            "They were fetched from Stripe, and are applied. What is wrong: `ringup endpoint doctor`".to_owned(),
        ],
        link: None,
    }
}

fn on_mail(about: &About) -> Said {
    Said {
        title: ":rotating_light: The mail server takes no mail of the shop’s".to_owned(),
        lines: vec![
            escape(about.reason.as_deref().unwrap_or_default()),
            "Mails wait, and go out once it does. `ringup subscriptions list` shows how it stands.".to_owned(),
        ],
        link: None,
    }
}

fn on_subscription(about: &About) -> Said {
    Said {
        title: format!(":octagonal_sign: Nothing more is sent to {}", escape(&about.object)),
        lines: vec![
            escape(about.reason.as_deref().unwrap_or_default()),
            format!("Once it is mended: `ringup subscriptions resume {}`", escape(&about.object)),
        ],
        link: None,
    }
}

fn on_message(about: &About) -> Said {
    Said {
        title: ":skull: A message was given up".to_owned(),
        lines: vec![
            format!("`{}`", escape(&about.object)),
            escape(about.reason.as_deref().unwrap_or_default()),
            "`ringup messages list --state dead` shows it, `ringup messages retry` tries it anew.".to_owned(),
        ],
        link: None,
    }
}

/// Text that is nothing but text: one line, and none of Slack's three control characters. Marks of emphasis do no
/// harm.
fn escape(text: &str) -> String {
    one_line(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// Not inside an escape: half an entity would show.
fn cut(text: &str) -> String {
    if text.chars().count() <= SECTION {
        return text.to_owned();
    }
    let kept: String = text.chars().take(SECTION - 1).collect();
    let end = kept.rfind('&').filter(|start| !kept[*start..].contains(';')).unwrap_or(kept.len());
    format!("{}…", &kept[..end])
}

/// What Slack's answer means.
pub(super) fn outcome(answer: Result<Answer, String>) -> Outcome {
    let answer = match answer {
        Ok(answer) => answer,
        Err(why) => return Outcome::Retry { answer: why, pause: None },
    };
    let shown = answer.shown();
    match (answer.status, answer.body.trim()) {
        (200..300, _) => Outcome::Sent(shown),
        (300..400 | 429 | 500.., _) => Outcome::Retry { answer: shown, pause: answer.retry_after },
        // What was wrong is this one message: another may well be right.
        (_, "invalid_payload" | "no_text" | "invalid_blocks" | "invalid_blocks_format" | "too_many_attachments") => {
            Outcome::Refused(shown)
        }
        // no_service, channel_is_archived, channel_not_found, action_prohibited, invalid_token, …: a wrong setting.
        _ => Outcome::Stopped(shown),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::time::Duration;

    fn order() -> OrderView {
        OrderView {
            reference: "R/7".to_owned(),
            customer_name: Some("<!channel> & *Ada*\r\nx".to_owned()),
            livemode: true,
            ..OrderView::default()
        }
    }

    fn sent(kind: &Kind, about: &str, order: Option<&OrderView>) -> Value {
        let at = DateTime::from_timestamp(1_700_000_000, 0).unwrap();
        message(kind, about, order, at, Some("https://ringup.example/")).unwrap()
    }

    #[test]
    fn an_order_is_told_with_its_amount_and_a_link_and_nothing_pings() {
        let about = r#"{"object":"pi_1","amount":1099,"currency":"eur"}"#;
        let told = sent(&Kind::OrderPaid, about, Some(&order()));
        assert_eq!(told["text"], ":moneybag: Order R/7 is paid");
        let text = told["blocks"][0]["text"]["text"].as_str().unwrap();
        assert_eq!(text, "*:moneybag: Order R/7 is paid*\n€10.99\nCustomer: &lt;!channel&gt; &amp; *Ada* x\n`pi_1`");
        assert_eq!(told["blocks"][1]["elements"][0]["url"], "https://ringup.example/admin/orders/R%2F7?livemode=true");
        assert_eq!(
            told["blocks"][2]["elements"][0]["text"],
            "<!date^1700000000^{date_short_pretty} {time}|2023-11-14 22:13 UTC>"
        );
    }

    #[test]
    fn amounts_are_the_shops_with_what_the_customer_saw_beside_them() {
        let line = |about: &str| {
            let told = sent(&Kind::OrderPaid, about, None);
            told["blocks"][0]["text"]["text"].as_str().unwrap().lines().nth(1).unwrap().to_owned()
        };
        let presented = r#"{"object":"pi_1","amount":1099,"currency":"eur","presentment_amount":1650,"presentment_currency":"cad"}"#;
        assert_eq!(line(presented), "€10.99 (CA$16.50)");
        let credited = r#"{"object":"in_1","amount":0,"currency":"eur","amount_credited":1099}"#;
        assert_eq!(line(credited), "€0.00, and €10.99 from the customer’s balance");
    }

    #[test]
    fn a_dispute_that_nobody_could_answer_says_so() {
        let about = r#"{"object":"du_1","reason":"lost","lost_from_start":true}"#;
        let told = sent(&Kind::OrderDisputeClosed, about, Some(&order()));
        let text = told["blocks"][0]["text"]["text"].as_str().unwrap();
        assert!(text.contains("Why: lost\nIt was lost when it first became known"), "{text}");
    }

    #[test]
    fn a_test_payment_says_so_and_a_review_says_why() {
        let unreal = OrderView { livemode: false, ..order() };
        let told = sent(&Kind::OrderReview, r#"{"object":"pi_1","reason":"double_payment"}"#, Some(&unreal));
        let text = told["blocks"][0]["text"]["text"].as_str().unwrap();
        assert!(text.contains("Why: double payment") && text.contains("_A test: no money moved._"), "{text}");
    }

    #[test]
    fn a_push_is_told_with_its_branch() {
        let event = r#"{"event":"push","delivery":"d","repository":"o/r","ref":"refs/heads/main","title":"Fix <it>","sender":"ada","commit":"0123456789abcdef","url":"https://github.com/o/r/compare/x"}"#;
        let told = sent(&Kind::GitHub("push".into()), event, None);
        assert_eq!(told["text"], "o/r · main: push");
        assert_eq!(told["blocks"][0]["text"]["text"], "*o/r · main: push*\nFix &lt;it&gt;\nBy ada\n`0123456789ab`");
        assert_eq!(told["blocks"][1]["elements"][0]["url"], "https://github.com/o/r/compare/x");
    }

    #[test]
    fn long_text_is_cut_between_characters_and_not_inside_an_escape() {
        assert_eq!(cut(&"é".repeat(3000)).chars().count(), 3000);
        assert_eq!(cut(&"é".repeat(3001)).chars().count(), 3000);
        let cut = cut(&format!("{}&amp;{}", "a".repeat(2997), "b".repeat(10)));
        assert_eq!(cut, format!("{}…", "a".repeat(2997)));
    }

    #[test]
    fn what_slack_says() {
        let answered = |status: u16, body: &str| {
            let pause = (status == 429).then_some(Duration::from_secs(30));
            outcome(Ok(Answer { status, body: body.to_owned(), retry_after: pause }))
        };
        assert_eq!(answered(200, "ok"), Outcome::Sent("200 ok".to_owned()));
        let slower = Outcome::Retry { answer: "429 rate_limited".to_owned(), pause: Some(Duration::from_secs(30)) };
        assert_eq!(answered(429, "rate_limited"), slower);
        let broken = Outcome::Retry { answer: "500 rollup_error".to_owned(), pause: None };
        assert_eq!(answered(500, "rollup_error"), broken);
        for (status, body) in [(400, "invalid_payload"), (400, "no_text"), (400, "invalid_blocks")] {
            assert_eq!(answered(status, body), Outcome::Refused(format!("{status} {body}")));
        }
        for (status, body) in [
            (403, "action_prohibited"),
            (403, "invalid_token"),
            (404, "channel_not_found"),
            (404, "no_service"),
            (410, "channel_is_archived"),
            (400, "user_not_found"),
        ] {
            assert_eq!(answered(status, body), Outcome::Stopped(format!("{status} {body}")));
        }
    }
}
