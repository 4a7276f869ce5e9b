//! Figures, not checks: run with `--ignored --nocapture`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::fixtures::*;
use crate::clock::Window;
use crate::journal::{Assumption, CommitOutcome};
use crate::store::{Accepted, Store};

const TASKS: usize = 256;
const SENDERS: usize = 1000;

#[test]
#[ignore = "a measurement"]
fn accept_and_commit() {
    let rows: usize = std::env::var("ROWS").map_or(20_000, |text| text.parse().unwrap());
    let test = TestStore::new();
    let store = Arc::new(test.store);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut done = 0;
    while done < rows {
        let part = rows.min(50_000);
        let (began, cpu) = (Instant::now(), cpu_time());
        runtime.block_on(run(&store, done, part));
        let (wall, cpu) = (began.elapsed(), cpu_time() - cpu);
        done += part;
        let per = |time: Duration| time.as_secs_f64() * 1e6 / part as f64;
        println!(
            "{done} rows: {:.0} pairs/s, {:.1} us wall, {:.1} us CPU each",
            part as f64 / wall.as_secs_f64(),
            per(wall),
            per(cpu)
        );
    }
    let size = std::fs::metadata(test.dir.path().join("state/thrall.db")).unwrap().len();
    println!("{:.0} bytes a row in the file", size as f64 / rows as f64);
}

async fn run(store: &Arc<Store>, first: usize, count: usize) {
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let store = Arc::clone(store);
            tokio::spawn(async move {
                for n in (first + task..first + count).step_by(TASKS) {
                    pair(&store, n).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
}

async fn pair(store: &Store, n: usize) {
    let from = format!("{:016x}", n.wrapping_mul(0x9e37_79b9) % SENDERS).repeat(4);
    // Ids as mailboxes make them: in no order.
    let id = crate::ids::Digest::of(&n.to_be_bytes()).to_string();
    let body = format!("message number {n}. ").repeat(10);
    let accepted = store.accept(vec![mail(&id[..32], &from, &body)]).await.unwrap();
    let [Accepted::New { seq, .. }] = accepted[..] else { panic!("{accepted:?}") };
    let mut run = run_on(seq, &from, "drop", vec![]);
    run.row.at = NOW.plus(Duration::from_secs(n as u64));
    run.assumptions = vec![Assumption::RateBelow {
        recipe: RECIPE.into(),
        sender_key: run.row.sender_key.clone(),
        window: Window::before(run.row.at, Duration::from_secs(60)),
        below: 1000,
    }];
    run.row.session_id = format!("session-{}", n % SENDERS);
    assert!(matches!(store.commit(run).await.unwrap(), CommitOutcome::Committed { .. }));
}

/// CPU time of this process so far.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}
