use cutover_server::{ServerOptions, serve, serve_unix};
use tokio::net::{TcpListener, UnixListener, UnixStream};

use crate::{
    client::{Ask, TOKEN},
    fake::{Fake, Server},
};

#[tokio::test]
async fn it_stops_when_asked_and_gives_its_port_back() {
    let server = Server::start().await;
    let addr = server.addr;
    assert_eq!(Ask::get("/v1/status").send(addr).await.status, 200);
    server.stop().await;
    TcpListener::bind(addr).await.expect("the port is free");
}

#[tokio::test]
async fn a_unix_socket_carries_the_same_api() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(serve_unix(listener, Fake::new(), ServerOptions::new(TOKEN), async {
        let _ = stopped.await;
    }));
    let ask = Ask::get("/v1/status").without("host").with("host", "localhost");
    let answer = ask.send_over(UnixStream::connect(&path).await.unwrap()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = ask.without("authorization").send_over(UnixStream::connect(&path).await.unwrap()).await;
    assert_eq!(answer.status, 401, "{answer:?}");
    drop(stop);
    running.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_empty_token_lets_nobody_in() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let running = tokio::spawn(serve(listener, Fake::new(), ServerOptions::new(""), std::future::pending()));
    let ask = Ask::get("/v1/status").without("authorization");
    assert_eq!(ask.send(addr).await.status, 401);
    assert_eq!(ask.with("authorization", "Bearer ").send(addr).await.status, 401);
    running.abort();
}

#[test]
fn options_never_show_the_token() {
    assert!(!format!("{:?}", ServerOptions::new("hush")).contains("hush"));
}
