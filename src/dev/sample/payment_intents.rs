//! A purchase's payment intent, as it stands at one moment, and why it came to nothing.

use serde_json::{Value, json};

use super::objects::{fill, lay};
use super::{Method, Purchase};

impl Purchase {
    /// The payment intent as created: nobody has paid yet.
    pub fn payment_intent(&self, created: i64) -> Value {
        let mut intent = fill(
            include_str!("objects/payment_intent.json"),
            json!({
                "id": self.payment_intent, "amount": self.total, "created": created, "currency": self.currency,
                "client_secret": format!("{}_secret_{}", self.payment_intent, self.secret),
                "payment_method_types": [self.method.name()], "shipping": self.parcel(),
            }),
        );
        match self.method {
            Method::Card => {}
            Method::SepaDebit => intent["payment_method_options"] = json!({"sepa_debit": {}}),
            Method::BankTransfer => {
                intent["customer"] = json!(self.payment_intent.replacen("pi_", "cus_", 1));
                intent["payment_method_options"] = json!({"customer_balance": {
                    "bank_transfer": {
                        "eu_bank_transfer": {"country": "DE"}, "requested_address_types": ["iban"], "type": "eu_bank_transfer",
                    },
                    "funding_type": "bank_transfer",
                }});
            }
        }
        intent
    }

    /// The payment intent that waits for a bank transfer, of which so much has not come yet.
    pub fn transfer_payment_intent(&self, created: i64, remaining: i64) -> Value {
        let instructions = json!({
            "amount_remaining": remaining, "currency": self.currency,
            "financial_addresses": [{
                "iban": {
                    "account_holder_name": "Corner Shop", "bic": "SOGEDEFFXXX", "country": "DE", "iban": "DE11000000000000000000",
                },
                "supported_networks": ["sepa"], "type": "iban",
            }],
            "hosted_instructions_url": format!("https://payments.stripe.com/bank_transfers/instructions/{}", self.secret),
            "reference": self.fingerprint.to_uppercase(), "type": "eu_bank_transfer",
        });
        let action =
            json!({"display_bank_transfer_instructions": instructions, "type": "display_bank_transfer_instructions"});
        let waits = json!({"latest_charge": null, "next_action": action, "status": "requires_action"});
        self.attempted_payment_intent(created, waits)
    }

    /// The payment intent whose cardholder has to prove who they are.
    pub fn challenged_payment_intent(&self, created: i64) -> Value {
        let source = self.payment_intent.replacen("pi_3", "src_1", 1);
        let redirect = format!("https://hooks.stripe.com/redirect/authenticate/{source}?client_secret={}", self.secret);
        let action = json!({
            "type": "use_stripe_sdk",
            "use_stripe_sdk": {"source": source, "stripe_js": redirect, "type": "three_d_secure_redirect"},
        });
        let waits = json!({"latest_charge": null, "next_action": action, "status": "requires_action"});
        self.attempted_payment_intent(created, waits)
    }

    /// The payment intent once a charge has been tried, with `fields` over it.
    pub fn attempted_payment_intent(&self, created: i64, fields: Value) -> Value {
        let mut intent = self.payment_intent(created);
        lay(&mut intent, json!({"latest_charge": self.charge, "payment_method": self.payment_method}));
        lay(&mut intent, fields);
        intent
    }

    /// The payment intent that has its money.
    pub fn succeeded_payment_intent(&self, created: i64) -> Value {
        self.attempted_payment_intent(created, json!({"status": "succeeded", "amount_received": self.total}))
    }

    /// Why the last attempt failed, as a payment intent tells it.
    pub fn decline(&self) -> Value {
        json!({
            "advice_code": "try_again_later", "charge": self.charge, "code": "card_declined",
            "decline_code": "insufficient_funds", "doc_url": "https://stripe.com/docs/error-codes/card-declined",
            "message": "Your card has insufficient funds.", "network_decline_code": "51",
            "payment_method": {
                "id": self.payment_method, "object": "payment_method", "allow_redisplay": "limited",
                "billing_details": {"email": self.customer.email, "name": self.customer.name, "phone": null},
                "card": self.payment_method_details()["card"], "customer": null, "livemode": false,
                "metadata": {}, "type": "card",
            },
            "type": "card_error",
        })
    }

    /// Why a bank debit came to nothing, as a payment intent tells it.
    pub fn bounce(&self) -> Value {
        json!({
            "charge": self.charge, "code": "insufficient_funds",
            "message": "The customer's account has insufficient funds to cover this payment.",
            "payment_method": {
                "id": self.payment_method, "object": "payment_method", "allow_redisplay": "limited",
                "billing_details": {"email": self.customer.email, "name": self.customer.name, "phone": null},
                "customer": null, "livemode": false, "metadata": {},
                "sepa_debit": self.payment_method_details()["sepa_debit"], "type": "sepa_debit",
            },
            "type": "invalid_request_error",
        })
    }
}
