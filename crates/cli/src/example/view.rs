//! How answers look. Release one and the later ones say the same in two shapes, as two versions of a real service do;
//! every answer names its shape, so that a page that gets the other one can tell.

use serde_json::{Value, json};

use super::{
    Variant,
    catalogue::{Catalogue, Product},
    sessions::{Line, Order, Session},
};

/// The form of a release's answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Prices are whole cents; lists are named for what they hold.
    Numbers,
    /// Prices are amounts with a currency; lists are `items`.
    Amounts,
}

impl Shape {
    /// The form a variant speaks.
    pub(crate) fn of(variant: Variant) -> Self {
        match variant {
            Variant::One => Self::Numbers,
            Variant::Two | Variant::Bad => Self::Amounts,
        }
    }

    /// The number that every answer carries.
    pub(crate) fn number(self) -> u32 {
        match self {
            Self::Numbers => 1,
            Self::Amounts => 2,
        }
    }

    fn price(self, cents: u64) -> Value {
        match self {
            Self::Numbers => json!(cents),
            Self::Amounts => {
                json!({ "amount": format!("{}.{:02}", cents / 100, cents % 100), "currency": "EUR" })
            }
        }
    }

    fn item(self, product: &Product) -> Value {
        json!({
            "id": product.id,
            "name": product.name,
            "category": product.category,
            "blurb": product.blurb,
            "story": product.story,
            "price": self.price(product.cents.into()),
        })
    }

    /// All products.
    pub(crate) fn products(self, catalogue: &Catalogue) -> Value {
        let items: Vec<_> = catalogue.all().iter().map(|product| self.item(product)).collect();
        match self {
            Self::Numbers => json!({ "shape": 1, "products": items }),
            Self::Amounts => json!({ "shape": 2, "items": items }),
        }
    }

    /// One product.
    pub(crate) fn product(self, product: &Product) -> Value {
        match self {
            Self::Numbers => json!({ "shape": 1, "product": self.item(product) }),
            Self::Amounts => json!({ "shape": 2, "item": self.item(product) }),
        }
    }

    /// What is in a session's basket. Lines whose product is no longer sold are left out.
    pub(crate) fn cart(self, session: &Session, catalogue: &Catalogue) -> Value {
        let known = known_lines(session, catalogue);
        let total = self.price(total(&known));
        match self {
            Self::Numbers => {
                let lines: Vec<_> = known
                    .iter()
                    .map(|(line, product)| {
                        json!({ "product": product.id, "name": product.name, "price": product.cents, "quantity": line.quantity })
                    })
                    .collect();
                json!({ "shape": 1, "lines": lines, "total": total })
            }
            Self::Amounts => {
                let items: Vec<_> = known
                    .iter()
                    .map(|(line, product)| {
                        json!({ "id": product.id, "name": product.name, "price": self.price(product.cents.into()), "quantity": line.quantity })
                    })
                    .collect();
                let count: u64 = known.iter().map(|(line, _)| u64::from(line.quantity)).sum();
                json!({ "shape": 2, "items": items, "count": count, "total": total })
            }
        }
    }

    /// One order, without the shape's number.
    pub(crate) fn order(self, order: &Order) -> Value {
        json!({ "id": order.id, "count": order.count, "total": self.price(order.cents) })
    }
}

/// A session's lines with their products.
pub(crate) fn known_lines<'a>(
    session: &'a Session,
    catalogue: &'a Catalogue,
) -> Vec<(&'a Line, &'a Product)> {
    session.lines.iter().filter_map(|line| Some((line, catalogue.find(&line.product)?))).collect()
}

/// What lines cost together, in cents.
pub(crate) fn total(lines: &[(&Line, &Product)]) -> u64 {
    lines.iter().map(|(line, product)| u64::from(line.quantity) * u64::from(product.cents)).sum()
}

#[cfg(test)]
mod tests {
    use super::{super::sources::PRODUCTS, *};

    #[test]
    fn both_shapes_say_the_same_amounts_in_different_words() {
        let catalogue = Catalogue::parse(PRODUCTS).unwrap();
        let line = |product: &str, quantity| Line { product: product.into(), quantity };
        let session =
            Session { lines: vec![line("mug", 2), line("clock", 1), line("gone", 9)], ..Session::default() };
        let numbers = Shape::Numbers.cart(&session, &catalogue);
        assert_eq!(numbers["total"], 2 * 2490 + 6700);
        assert_eq!(numbers["lines"][0]["price"], 2490);
        assert_eq!(numbers["lines"].as_array().unwrap().len(), 2);
        let amounts = Shape::Amounts.cart(&session, &catalogue);
        assert_eq!(amounts["total"], json!({ "amount": "116.80", "currency": "EUR" }));
        assert_eq!(amounts["count"], 3);
        assert_eq!(Shape::Amounts.price(5), json!({ "amount": "0.05", "currency": "EUR" }));
    }
}
