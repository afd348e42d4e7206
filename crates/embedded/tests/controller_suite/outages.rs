//! What visitors get when nothing can serve them, and what a person can do about it.

use std::net::TcpListener;

use cutover_engine::config::OutageConfig;

use crate::{
    harness::tests,
    support::{Extra, Place, eventually, gapless},
};

tests!(the_outage_page_is_changed_while_it_is_shown,);

/// An app with a service at `/ext` whose place nobody takes once the release is staged.
fn with_a_service_that_ends(place: &Place, message: &str) -> [TcpListener; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [blue, green] = [0, 1].map(|n: usize| listeners[n].local_addr().unwrap());
    let rest = format!(
        "[outage]\nmessage = \"{message}\"\ncontacts = [\"help@shop.test\"]\n[[service]]\nname = \"ext\"\n\
         routes = [\"/ext/*\"]\nupstream = {{ blue = \"http://{blue}\", green = \"http://{green}\" }}\n"
    );
    place.describe(&Extra { rest, ..Extra::default() });
    listeners
}

fn says(up: &crate::support::Up, text: &str) {
    eventually(|| {
        let page = up.get("/ext/");
        if page.status == 503 && page.body.contains(text) { Ok(()) } else { Err(format!("{page:?}")) }
    });
}

async fn the_outage_page_is_changed_while_it_is_shown() {
    let place = Place::new();
    let ended = with_a_service_that_ends(&place, "We are mending the shop.");
    let up = place.up().await;
    up.release(&place, "v1").await;
    drop(ended);
    says(&up, "We are mending the shop.");
    says(&up, "help@shop.test");
    let new =
        OutageConfig { message: "It will take until noon.".to_owned(), contacts: vec!["0800 1".to_owned()] };
    let generation = up.edge.generation();
    assert!(up.control.override_outage(new.clone()).await.unwrap());
    says(&up, "It will take until noon.");
    says(&up, "0800 1");
    assert_eq!(up.edge.generation(), generation, "the table is the same");
    let history = up.history().await;
    assert!(history.last().unwrap().message.contains("until noon"), "{history:?}");
    assert!(!up.control.override_outage(new).await.unwrap(), "it says so already");
    assert_eq!(up.history().await.len(), history.len());
    up.down().await;
    let up = place.up().await;
    says(&up, "It will take until noon.");
    // Another release has a text of its own.
    let ended = with_a_service_that_ends(&place, "The new shop is being mended.");
    up.release(&place, "v2").await;
    drop(ended);
    says(&up, "The new shop is being mended.");
    up.down().await;
    let up = place.up().await;
    says(&up, "The new shop is being mended.");
    gapless(&up.history().await);
    up.down().await;
}
