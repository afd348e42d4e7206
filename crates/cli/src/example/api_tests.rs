//! The service over real sockets.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use serde_json::{Value, json};

use super::*;

/// The service, running until dropped.
struct Running {
    address: SocketAddr,
    end: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Running {
    fn start(variant: Variant) -> Self {
        let (shop, ending) = shop(variant, "abcd1234".into(), sources::PRODUCTS, None).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let (end, ended) = tokio::sync::oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
                tell.send(listener.local_addr().unwrap()).unwrap();
                let ended = async move {
                    let _ = ended.await;
                    ending.send_replace(true);
                };
                axum::serve(listener, router(shop)).with_graceful_shutdown(ended).await.unwrap();
            });
        });
        Self { address: told.recv().unwrap(), end: Some(end), thread: Some(thread) }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Asks it to end and waits until it has.
    fn stop(&mut self) {
        if let Some(end) = self.end.take() {
            let _ = end.send(());
        }
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }

    /// Sends bytes as they are and reads the answer.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // A reset after a refusal is an answer too.
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A browser's cookie jar around an agent that follows nothing by itself.
struct Visitor<'a> {
    shop: &'a Running,
    agent: ureq::Agent,
    cookies: std::collections::BTreeMap<String, String>,
}

struct Answer {
    status: u16,
    location: Option<String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

impl<'a> Visitor<'a> {
    fn of(shop: &'a Running) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(Duration::from_secs(30)));
        Self { shop, agent: config.build().into(), cookies: Default::default() }
    }

    fn get(&mut self, path: &str) -> Answer {
        let cookies = self.cookie_header();
        let response = self.agent.get(self.shop.url(path)).header("cookie", cookies).call();
        self.read(response.unwrap())
    }

    fn post(&mut self, path: &str, body: Value) -> Answer {
        let cookies = self.cookie_header();
        let response = self
            .agent
            .post(self.shop.url(path))
            .header("cookie", cookies)
            .content_type("application/json")
            .send(body.to_string());
        self.read(response.unwrap())
    }

    fn cookie_header(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn read(&mut self, mut response: axum::http::Response<ureq::Body>) -> Answer {
        for set in response.headers().get_all("set-cookie") {
            let set = set.to_str().unwrap();
            assert!(set.contains("HttpOnly") && set.contains("SameSite=Lax"), "{set}");
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        assert_eq!(response.headers()["cache-control"], "no-store");
        Answer {
            status: response.status().as_u16(),
            location: response.headers().get("location").map(|to| to.to_str().unwrap().to_owned()),
            body: response.body_mut().read_to_string().unwrap(),
        }
    }
}

#[test]
fn releases_answer_in_their_own_shapes() {
    let (one, two) = (Running::start(Variant::One), Running::start(Variant::Two));
    let (one, two) = (Visitor::of(&one).get("/api/products/mug"), Visitor::of(&two).get("/api/products/mug"));
    assert_eq!(one.json()["product"]["price"], 2490);
    assert_eq!(two.json()["item"]["price"], json!({ "amount": "24.90", "currency": "EUR" }));
    assert_eq!((&one.json()["shape"], &two.json()["shape"]), (&json!(1), &json!(2)));
}

#[test]
fn a_basket_belongs_to_its_session() {
    let shop = Running::start(Variant::One);
    let (mut ada, mut bob) = (Visitor::of(&shop), Visitor::of(&shop));
    assert_eq!(ada.post("/api/cart", json!({ "product": "mug", "quantity": 2 })).json()["total"], 4980);
    assert_eq!(ada.get("/api/cart").json()["lines"][0]["quantity"], 2);
    assert_eq!(bob.get("/api/cart").json()["lines"], json!([]));
    assert!(bob.cookies.is_empty(), "looking needs no session");
}

#[test]
fn a_line_in_the_other_releases_shape_is_refused() {
    for (variant, body) in [
        (Variant::One, json!({ "item": { "id": "mug", "quantity": 1 } })),
        (Variant::Two, json!({ "product": "mug", "quantity": 1 })),
        (Variant::One, json!({ "product": "mug", "quantity": 100 })),
        (Variant::One, json!({ "product": "mug", "quantity": -1 })),
        (Variant::One, json!({ "product": "rocket", "quantity": 1 })),
        (Variant::Two, json!([[[]]])),
        (Variant::One, Value::Null),
    ] {
        let shop = Running::start(variant);
        let answer = Visitor::of(&shop).post("/api/cart", body.clone());
        assert_eq!(answer.status, 422, "{body}: {}", answer.body);
        assert!(answer.json()["error"].is_string());
    }
}

#[test]
fn a_login_leads_away_and_back_and_an_order_follows() {
    let shop = Running::start(Variant::Two);
    let mut ada = Visitor::of(&shop);
    ada.post("/api/cart", json!({ "item": { "id": "lamp", "quantity": 1 } }));
    assert_eq!(ada.post("/api/orders", json!({})).status, 401);
    let anonymous = ada.cookies["shop_session"].clone();

    let away = ada.get("/api/login?to=/checkout");
    assert_eq!(away.status, 303);
    let identity = away.location.unwrap();
    assert!(ada.get(&identity).body.contains("<form action=\"/callback\">"));
    let state = identity.rsplit_once('=').unwrap().1.to_owned();

    let mut thief = Visitor::of(&shop);
    assert_eq!(thief.get(&format!("/callback?state={state}&name=Eve")).status, 400, "another browser");
    let back = ada.get(&format!("/callback?state={state}&name=Ada+L"));
    assert_eq!((back.status, back.location.as_deref()), (303, Some("/checkout")));
    assert_ne!(ada.cookies["shop_session"], anonymous, "the session has a new name");
    assert_eq!(ada.get(&format!("/callback?state={state}&name=Ada")).status, 400, "only once");

    assert_eq!(ada.get("/api/me").json()["name"], "Ada L");
    let placed = ada.post("/api/orders", json!({}));
    assert_eq!((placed.status, &placed.json()["order"]["count"]), (201, &json!(1)));
    assert_eq!(ada.post("/api/orders", json!({})).status, 409, "the basket is empty now");
    assert_eq!(ada.get("/api/orders").json()["orders"][0]["id"], placed.json()["order"]["id"]);
    ada.post("/api/logout", json!({}));
    assert_eq!(ada.get("/api/me").json()["name"], Value::Null);
}

#[test]
fn an_order_is_told_step_by_step_and_goes_on_where_it_was_lost() {
    let shop = Running::start(Variant::One);
    let all = Visitor::of(&shop).get("/api/events?order=1");
    let steps: Vec<_> = all.body.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
    assert_eq!(steps, ["{\"step\":0}", "{\"step\":1}", "{\"step\":2}", "{\"step\":3}"]);
    let request =
        "GET /api/events?order=1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\nlast-event-id: 2\r\n\r\n";
    let rest = shop.raw(request.as_bytes());
    assert!(rest.contains("{\"step\":3}") && !rest.contains("{\"step\":2}"), "{rest}");
}

#[test]
fn an_end_lets_requests_finish_and_ends_streams() {
    let mut shop = Running::start(Variant::One);
    let address = shop.address;
    let ask = move |path: &'static str, first: &'static str| {
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut text = String::new();
            let mut piece = [0; 512];
            loop {
                if text.contains(first) {
                    let _ = tell.send(());
                }
                match stream.read(&mut piece).unwrap() {
                    0 => return text,
                    n => text.push_str(&String::from_utf8_lossy(&piece[..n])),
                }
            }
        });
        (thread, told)
    };
    // Sent first, so that the service has it by the time the stream's first event has come back.
    let (slow, _) = ask("/api/slow?ms=1500", "");
    let (stream, first_event) = ask("/api/events", "\"step\":0");
    first_event.recv_timeout(Duration::from_secs(10)).unwrap();
    shop.stop();
    assert!(slow.join().unwrap().contains("\"waited\":1500"));
    assert!(stream.join().unwrap().contains("event: tick"));
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn the_bad_release_is_healthy_and_fails_a_quarter_of_its_calls() {
    let shop = Running::start(Variant::Bad);
    let mut visitor = Visitor::of(&shop);
    let failed = (0..8).filter(|_| visitor.get("/api/products").status == 500).count();
    assert_eq!(failed, 2);
    for _ in 0..8 {
        assert_eq!(visitor.get("/api/version").status, 200);
        assert!(
            shop.raw(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").contains("200 OK")
        );
    }
}

#[test]
fn hostile_input_is_refused_and_the_service_goes_on() {
    let shop = Running::start(Variant::Two);
    let long = "a".repeat(20_000);
    let big = format!(
        "POST /api/cart HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n\"{long}\"",
        long.len() + 2
    );
    for (request, expected) in [
        ("GET /api/slow?ms=-1 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "400"),
        ("GET /api/slow?ms=99999999999999999999999 HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "400"),
        ("GET /api/products/..%2f..%2fetc%2fpasswd HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "404"),
        ("GET /api/products/%ff%fe HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "400"),
        (
            "GET /api/cart HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncookie: shop_session=../../x; ;;=\r\n\r\n",
            "200",
        ),
        ("GET /api/login?to=//evil.example HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "303"),
        ("GET /api/identity?state=\"><script> HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", ""),
        (
            "GET /callback?state=&name= HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncookie: shop_login=\r\n\r\n",
            "400",
        ),
        (
            "POST /api/cart HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\n{}",
            "415",
        ),
        ("DELETE /api/cart HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n", "405"),
        (
            "GET /api/events?order=%00 HTTP/1.1\r\nhost: x\r\nconnection: close\r\nlast-event-id: 4294967295\r\n\r\n",
            "200",
        ),
        ("\0\0\0\0\r\n\r\n", "400"),
        (&big, "413"),
    ] {
        let answer = shop.raw(request.as_bytes());
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected}")), "{request} -> {answer}");
        assert!(!answer.contains("<script>"), "{answer}");
        assert!(!answer.contains("evil"), "{answer}");
    }
    assert_eq!(Visitor::of(&shop).get("/api/version").json()["release"], "abcd1234");
}
