//! A population of visitors through a rising share, on a real edge over real sockets: exact split, nobody bounces.

use std::{collections::BTreeMap, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use cutover_edge::{
    Edge, EdgeOptions, Publication, ReleaseServing, ServingSet,
    manifest::{Blob, SiteFile, SiteManifest},
};
use cutover_routing::{Edit, ReleaseId, Settings, Slot, Table, edit};
use cutover_testkit::client::{Client, Protocol};
use sha2::{Digest, Sha256};

const NAVIGATION: [(&str, &str); 3] =
    [("accept", "text/html"), ("sec-fetch-dest", "document"), ("sec-fetch-mode", "navigate")];

/// Connections that carry everybody's requests.
const CONNECTIONS: usize = 16;

/// Shares of the ramp, of 10 000.
const RAMP: [u16; 7] = [0, 100, 500, 1000, 2500, 5000, 10_000];

/// Runs the ramp and answers a line of facts and what is wrong.
pub(crate) fn ramp(visitors: u32, sabotage: bool) -> Result<(String, Vec<String>), String> {
    let dir = tempfile::tempdir().map_err(|e| format!("making a directory: {e}"))?;
    let mut world = Publisher::start(dir.path())?;
    let runtime = super::runtime()?;
    let mut pins: Vec<Option<String>> = vec![None; visitors as usize];
    let mut on: Vec<Option<ReleaseId>> = vec![None; visitors as usize];
    let mut wrong = Vec::new();
    let mut facts = Vec::new();
    let (blue, green) = (world.blue, world.green);
    let to = world.address();
    // Kept open through all changes: a share is changed without a restart and without a dropped connection.
    let mut clients: Vec<Client> = (0..CONNECTIONS)
        .map(|_| Client::new(to, &to.to_string(), Protocol::Http1, Duration::from_secs(20)))
        .collect();

    // Everybody comes to blue first, so that the ramp moves pinned visitors and not fresh draws.
    for share in RAMP {
        if share > 0 {
            world.apply(&Edit::SetShare { release: green, width: share })?;
        }
        let landed = runtime.block_on(everybody(&mut clients, &mut pins, sabotage))?;
        let green_now = landed.iter().filter(|r| **r == green).count();
        for (index, release) in landed.iter().enumerate() {
            if on[index] == Some(green) && *release == blue {
                wrong.push(format!("visitor {index} went back to blue when the share rose to {share}"));
            }
            on[index] = Some(*release);
        }
        let n = f64::from(visitors);
        let p = f64::from(share) / 10_000.0;
        let expected = n * p;
        // Four standard deviations of a binomial draw: one false alarm in 16 000.
        let tolerance = 4.0 * (n * p * (1.0 - p)).sqrt();
        #[allow(clippy::cast_precision_loss, reason = "counts of visitors are far below 2^52")]
        let off = (green_now as f64 - expected).abs();
        if off > tolerance {
            wrong.push(format!(
                "share {share}: {green_now} of {visitors} on green, expected {expected:.0} ± {tolerance:.0}"
            ));
        }
        facts.push(format!("{:.2}%", 100.0 * green_now as f64 / n));
    }
    world.apply(&Edit::SetShare { release: green, width: 2500 })?;
    let landed = runtime.block_on(everybody(&mut clients, &mut pins, sabotage))?;
    let forward =
        landed.iter().zip(&on).filter(|(now, before)| **now == green && **before == Some(blue)).count();
    if forward > 0 {
        wrong.push(format!("{forward} visitors went forward when the share was lowered"));
    }
    world.apply(&Edit::SetShare { release: green, width: 0 })?;
    let landed = runtime.block_on(everybody(&mut clients, &mut pins, sabotage))?;
    let left = landed.iter().filter(|r| **r == green).count();
    if left > 0 {
        wrong.push(format!("{left} visitors stayed on green at share 0"));
    }
    let dropped = clients.iter().filter(|client| client.opened() > 1).count();
    if dropped > 0 {
        wrong.push(format!("{dropped} connections were dropped while the share changed"));
    }
    wrong.truncate(8);
    world.stop();
    Ok((format!("{visitors} visitors at shares {}", facts.join(" ")), wrong))
}

async fn everybody(
    clients: &mut [Client],
    pins: &mut [Option<String>],
    forget: bool,
) -> Result<Vec<ReleaseId>, String> {
    let mut landed = Vec::with_capacity(pins.len());
    let chunks = pins.chunks_mut(pins.len().div_ceil(clients.len()).max(1));
    let results = futures_util::future::join_all(chunks.zip(clients).map(|(chunk, client)| async move {
        let mut landed = Vec::with_capacity(chunk.len());
        for pin in chunk {
            let mut headers = NAVIGATION.to_vec();
            if let Some(pin) = pin.as_deref() {
                headers.push(("cookie", pin));
            }
            let answer = client.get("/", &headers).await?;
            let release = answer.header("x-cutover-release").parse::<ReleaseId>();
            landed.push(release.map_err(|e| format!("{} without a release: {e}", answer.status))?);
            let cookie = answer.header("set-cookie").split(';').next().unwrap_or("").to_owned();
            if !cookie.is_empty() && !forget {
                *pin = Some(cookie);
            }
        }
        Ok::<_, String>(landed)
    }))
    .await;
    for result in results {
        landed.extend(result?);
    }
    Ok(landed)
}

/// An edge with two releases of one page, driven by table edits.
struct Publisher {
    edge: Edge,
    publication: Publication,
    blue: ReleaseId,
    green: ReleaseId,
}

impl Publisher {
    fn start(dir: &Path) -> Result<Self, String> {
        let id = |s: &str| s.parse::<ReleaseId>().map_err(|e| e.to_string());
        let (blue, green) = (id("blue0001")?, id("green002")?);
        let mut table = Table::empty();
        let steps = [
            Edit::Stage { release: blue, slot: Some(Slot::Blue) },
            Edit::MakeCandidate { release: blue },
            Edit::Promote { release: blue },
            Edit::Stage { release: green, slot: Some(Slot::Green) },
            Edit::MakeCandidate { release: green },
        ];
        for step in &steps {
            table = edit(&table, step, table.generation + 1).map_err(|e| e.to_string())?;
        }
        let mut releases = BTreeMap::new();
        for release in [blue, green] {
            let site = Arc::new(page(dir, &format!("<!doctype html><title>{release}</title>"))?);
            releases.insert(release, ReleaseServing { site: Some(site), services: Vec::new() });
        }
        let options = EdgeOptions {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            workers: 2,
            ..EdgeOptions::default()
        };
        let edge = Edge::start(options).map_err(|e| e.to_string())?;
        let publication = Publication {
            table,
            settings: Settings::new("127.0.0.1"),
            serving: ServingSet { blobs: dir.to_owned(), releases },
        };
        edge.publish(publication.clone()).map_err(|e| e.to_string())?;
        Ok(Self { edge, publication, blue, green })
    }

    fn address(&self) -> SocketAddr {
        self.edge.local_addr()
    }

    fn apply(&mut self, change: &Edit) -> Result<(), String> {
        let table = &self.publication.table;
        self.publication.table = edit(table, change, table.generation + 1).map_err(|e| e.to_string())?;
        self.edge.publish(self.publication.clone()).map_err(|e| e.to_string()).map(drop)
    }

    fn stop(self) {
        self.edge.shutdown(Duration::from_secs(1));
    }
}

fn page(blobs: &Path, html: &str) -> Result<SiteManifest, String> {
    let sha256: String = Sha256::digest(html.as_bytes()).iter().map(|b| format!("{b:02x}")).collect();
    let identity = Blob { sha256, size: html.len() as u64 };
    let path = identity.path(blobs);
    let folder = path.parent().ok_or("a blob without a folder")?;
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&path, html))
        .map_err(|e| format!("writing a page: {e}"))?;
    let file = SiteFile {
        content_type: "text/html; charset=utf-8".to_owned(),
        fingerprinted: false,
        html: true,
        identity,
        br: None,
        zstd: None,
        gzip: None,
    };
    Ok(SiteManifest { files: BTreeMap::from([("/index.html".to_owned(), file)]), fallback: None })
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_rising_share_splits_the_population_and_the_negative_control_is_caught() {
        let (_, wrong) = super::ramp(1000, false).unwrap();
        assert_eq!(wrong, Vec::<String>::new());
        let (_, wrong) = super::ramp(1000, true).unwrap();
        assert!(!wrong.is_empty(), "visitors who forget their pin bounce, and nobody noticed");
    }
}
