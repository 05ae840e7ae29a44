//! The storm of interrupts: at random moments, against children that crash, hang, are stopped, close their stdin or flood.
//! No fault is injected into the server here.

use super::*;
use rustix::process::{Pid, Signal, kill_process};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::watch;

const CONFIG: &str = "
[sessions]
max_live = 10000
interrupt_step = \"100ms\"
start_timeout = \"5s\"
[supervision]
max_restarts = 1000
backoff_min = \"1ms\"
backoff_max = \"20ms\"
";

const PROMPTS: [&str; 8] =
    ["crash", "crash signal", "hang", "deaf", "flood 3000", "ignore-interrupt", "fork", "slow 9 5"];

const LINES: [&str; 6] = [
    "echo hello",
    "exec <&-; exec sleep 1000",
    "kill -9 $$",
    "kill -STOP $$",
    "seq 1 3000",
    "trap '' INT; sleep 1000",
];

/// Stops the child, as a terminal or a debugger may.
async fn stop_child(api: &Api, id: &str) {
    let row = attempt(api.request("GET", &format!("/v1/sessions/{id}"))).await;
    let pid = row.and_then(|(_, row)| row["pid"].as_i64());
    if let Some(pid) = pid.and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)) {
        // It may have ended meanwhile.
        let _ = kill_process(pid, Signal::STOP);
    }
}

/// One client with one session: misbehaviour, and interrupts into it.
async fn annoy(
    mut client: Client,
    api: Api,
    mut random: Random,
    left: Arc<AtomicUsize>,
) -> (Client, usize) {
    let (id, is_plain) = client.sessions[0].clone();
    let prompts: &[&str] = if is_plain { &LINES } else { &PROMPTS };
    let interrupt = format!("/v1/sessions/{id}/interrupt");
    let mut requested = 0;
    let take = |left: usize| left.checked_sub(1);
    while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok() {
        if random.below(3) > 0 {
            let message = client.write(&id, random.of(prompts));
            client.post(&api, &message).await;
        }
        if random.below(8) == 0 {
            stop_child(&api, &id).await;
        }
        for _ in 0..random.below(40) {
            tokio::task::yield_now().await;
        }
        let answer = api.call(api.request("POST", &interrupt).json(&json!({}))).await;
        requested += usize::from(answer.expect(202)["requested"] == true);
    }
    (client, requested)
}

/// Contract 9, promises 1 to 3, 6 and 8.
#[tokio::test]
async fn a_storm_of_interrupts_against_children_that_misbehave_loses_nothing() {
    let (sessions, interrupts) = size((12, 100), (40, 1000));
    let seed = seed();
    let mut server = Process::start(CONFIG).await;
    let health = Health::watch(&server.admin_url);
    let start = Instant::now();
    let ids = create(&server, &["demo", "demo", "sh"], sessions).await;
    let (run, running) = watch::channel(true);
    let left = Arc::new(AtomicUsize::new(interrupts));
    let (mut annoying, mut following) = (Vec::new(), Vec::new());
    for (number, id) in ids.iter().enumerate() {
        let follower = Follower::new(std::iter::once(id.clone()));
        following.push(tokio::spawn(follower.follow(server.api.clone(), running.clone())));
        let random = Random::new(seed.wrapping_add(number as u64));
        let client = Client::new(vec![(id.clone(), number % 3 == 2)]);
        annoying.push(tokio::spawn(annoy(client, server.api.clone(), random, left.clone())));
    }
    let (mut clients, mut requested) = (Vec::new(), 0);
    for annoying in annoying {
        let (client, count) = annoying.await.unwrap();
        clients.push(client);
        requested += count;
    }
    for client in &mut clients {
        let id = client.sessions[0].0.clone();
        settle(&server, &id, client, true).await;
    }
    run.send_replace(false);
    let mut followers = Vec::new();
    for following in following {
        followers.push(following.await.unwrap());
    }
    let summary = judge(&server, &clients, followers).await;
    let (answers, longest) = health.end();
    eprintln!("{interrupts} interrupts, {requested} of them of something: {summary:?}");
    eprintln!("in {:?}; {answers} of /healthz, the slowest in {longest:?}", start.elapsed());
    assert!(requested > 0);
    server.signal(Signal::TERM);
    server.ended().await;
}
