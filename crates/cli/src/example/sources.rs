//! The shop's sources, read at compile time from `examples/shop`.
//!
//! A variant is the sources of release one with a few files laid over them, so that what differs between two releases
//! can be read in one small directory.

use std::collections::BTreeMap;

use super::Variant;

/// Path below the source directory to text.
pub(crate) type Sources = BTreeMap<&'static str, &'static str>;

/// The products, the data the service is released with.
pub(crate) const PRODUCTS: &str = include_str!("../../../../examples/shop/api/products.json");

macro_rules! layer {
    ($name:ident, $directory:literal, [$($path:literal),* $(,)?]) => {
        const $name: &[(&str, &str)] =
            &[$(($path, include_str!(concat!("../../../../examples/shop/", $directory, "/", $path)))),*];
    };
}

layer!(
    BASE,
    "src",
    [
        "api.js",
        "card.js",
        "dom.js",
        "features.js",
        "frame.js",
        "go.js",
        "images.js",
        "images/backpack.svg",
        "images/chair.svg",
        "images/clock.svg",
        "images/icon.svg",
        "images/lamp.svg",
        "images/mug.svg",
        "images/notebook.svg",
        "images/plant.svg",
        "images/teapot.svg",
        "index.html",
        "main.js",
        "news.js",
        "release.js",
        "router.js",
        "routes/account.js",
        "routes/cart.js",
        "routes/catalogue.js",
        "routes/checkout.js",
        "routes/order.js",
        "routes/product.js",
        "shape.js",
        "styles.css",
        "theme.css",
        "worker.js",
    ]
);
layer!(
    TWO,
    "two",
    [
        "favourites.js",
        "features.js",
        "release.js",
        "routes/catalogue.js",
        "routes/favourites.js",
        "shape.js",
        "theme.css",
    ]
);
layer!(BAD, "bad", ["release.js", "theme.css",]);
layer!(WORKER, "worker", ["sw.js", "worker.js",]);

/// All source files of a variant, overlays applied.
pub(crate) fn sources(variant: Variant, worker: bool) -> Sources {
    let mut layers = vec![BASE];
    match variant {
        Variant::One => {}
        Variant::Two => layers.push(TWO),
        Variant::Bad => layers.extend([TWO, BAD]),
    }
    if worker {
        layers.push(WORKER);
    }
    layers.into_iter().flatten().copied().collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_example_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/shop");
        for (directory, layer) in [("src", BASE), ("two", TWO), ("bad", BAD), ("worker", WORKER)] {
            let mut found = Vec::new();
            let mut open = vec![root.join(directory)];
            while let Some(next) = open.pop() {
                for entry in std::fs::read_dir(next).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        open.push(path);
                    } else {
                        found.push(
                            path.strip_prefix(root.join(directory)).unwrap().to_str().unwrap().to_owned(),
                        );
                    }
                }
            }
            found.sort();
            let mut embedded: Vec<_> = layer.iter().map(|(path, _)| (*path).to_owned()).collect();
            embedded.sort();
            assert_eq!(found, embedded, "files below examples/shop/{directory}");
        }
    }

    #[test]
    fn an_overlay_replaces_and_adds_files() {
        let one = sources(Variant::One, false);
        let two = sources(Variant::Two, false);
        assert!(one.keys().all(|path| two.contains_key(path)));
        assert_ne!(one["shape.js"], two["shape.js"]);
        assert_eq!(one["styles.css"], two["styles.css"]);
        assert!(two.contains_key("routes/favourites.js") && !one.contains_key("routes/favourites.js"));
        assert_eq!(sources(Variant::Bad, false)["shape.js"], two["shape.js"]);
        assert!(sources(Variant::One, true).contains_key("sw.js") && !one.contains_key("sw.js"));
    }
}
