//! Load: connections that ask for one path again and again, each with its own pin, and count what fails.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use crate::client::{Client, Protocol};

/// What to ask for.
#[derive(Debug, Clone)]
pub struct LoadPlan {
    /// Where the edge is.
    pub to: SocketAddr,
    /// The host to ask for.
    pub host: String,
    /// Protocol.
    pub protocol: Protocol,
    /// Connections that send at the same time.
    pub connections: u32,
    /// Paths, asked for in turn.
    pub paths: Vec<String>,
}

/// What came back so far.
#[derive(Debug, Default)]
pub struct LoadCount {
    /// Whole answers below 400.
    pub answers: AtomicU64,
    /// No answer, or 400 and above.
    pub failures: AtomicU64,
    /// First and last time each release answered, since the load began.
    pub seen: Mutex<BTreeMap<String, (Duration, Duration)>>,
    /// The first thing that went wrong.
    pub first_failure: Mutex<Option<String>>,
}

/// A running load; ends when told.
pub struct Load {
    count: Arc<LoadCount>,
    stop: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    began: Instant,
}

impl Load {
    /// Starts sending.
    pub fn start(plan: &LoadPlan) -> Self {
        let count = Arc::new(LoadCount::default());
        let stop = Arc::new(AtomicBool::new(false));
        let began = Instant::now();
        let tasks = (0..plan.connections)
            .map(|_| tokio::spawn(send(plan.clone(), Arc::clone(&count), Arc::clone(&stop), began)))
            .collect();
        Self { count, stop, tasks, began }
    }

    /// The counts, live.
    pub fn count(&self) -> &LoadCount {
        &self.count
    }

    /// Time since the load began.
    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    /// Forgets when releases were seen, before a switch is measured.
    pub fn forget_seen(&self) {
        if let Ok(mut seen) = self.count.seen.lock() {
            seen.clear();
        }
    }

    /// Stops after the requests under way.
    pub async fn stop(self) -> Arc<LoadCount> {
        self.stop.store(true, Relaxed);
        for task in self.tasks {
            let _ = task.await;
        }
        self.count
    }
}

async fn send(plan: LoadPlan, count: Arc<LoadCount>, stop: Arc<AtomicBool>, began: Instant) {
    let mut client = Client::new(plan.to, &plan.host, plan.protocol, Duration::from_secs(30));
    let headers = [("accept", "text/html"), ("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate")];
    let mut turn = 0;
    while !stop.load(Relaxed) {
        let path = &plan.paths[turn % plan.paths.len()];
        turn += 1;
        let problem = match client.get(path, &headers).await {
            Ok(answer) if answer.status.as_u16() < 400 => {
                count.answers.fetch_add(1, Relaxed);
                let now = began.elapsed();
                if let Ok(mut seen) = count.seen.lock() {
                    seen.entry(answer.header("x-cutover-release").to_owned()).or_insert((now, now)).1 = now;
                }
                continue;
            }
            Ok(answer) => format!("GET {path}: {}", answer.status),
            Err(error) => error,
        };
        count.failures.fetch_add(1, Relaxed);
        if let Ok(mut first) = count.first_failure.lock() {
            first.get_or_insert(problem);
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
