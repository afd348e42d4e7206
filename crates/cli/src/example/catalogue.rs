//! What the shop sells.

use serde::Deserialize;

/// One product, as `products.json` has it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Product {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The room it belongs to.
    pub(crate) category: String,
    /// Price in euro cents.
    pub(crate) cents: u32,
    /// One line.
    pub(crate) blurb: String,
    /// One paragraph.
    pub(crate) story: String,
}

/// All products.
#[derive(Debug, Clone)]
pub(crate) struct Catalogue {
    products: Vec<Product>,
}

impl Catalogue {
    /// Reads `products.json`.
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        Ok(Self { products: serde_json::from_str(text)? })
    }

    /// All products in the order of the file.
    pub(crate) fn all(&self) -> &[Product] {
        &self.products
    }

    /// One product.
    pub(crate) fn find(&self, id: &str) -> Option<&Product> {
        self.products.iter().find(|product| product.id == id)
    }
}
