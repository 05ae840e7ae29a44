//! The storm of panics: every actor, every kind of panic, request handlers and streams, while clients send and follow. The
//! supervisor and the log's writer are spared: their panics end the process by design.

use super::*;
use tokio::sync::watch;

/// Each point with its chance in percent, and how many of a thousand panics it may make; more than a thousand in all, so
/// that the storm does not wait for the rarest.
const POINTS: [(&str, &str, usize); 23] = [
    ("session::ask", "3", 120),
    ("session::report", "2", 120),
    ("session::started", "5", 60),
    ("session::future", "1", 120),
    ("session::tick", "20", 20),
    ("session::stopping", "20", 20),
    // After a panic of the same actor this is the second one.
    ("session::drop", "20", 100),
    ("transport::started", "5", 60),
    ("transport::heard", "1", 120),
    ("transport::guard", "10", 60),
    ("transport::order", "3", 100),
    ("transport::stream", "1", 100),
    ("transport::future", "3", 80),
    ("transport::stopping", "20", 40),
    ("transport::drop", "20", 100),
    ("registry::ask", "0.5", 20),
    ("registry::open", "3", 10),
    ("registry::ended", "1", 20),
    ("registry::future", "3", 20),
    ("registry::tick", "30", 10),
    ("http::target", "2", 60),
    ("http::answer", "2", 60),
    ("stream::gather", "0.5", 60),
];

const CONFIG: &str = "
[sessions]
max_live = 10000
[streams]
sync_interval = \"1s\"
[supervision]
max_restarts = 1000
backoff_min = \"1ms\"
backoff_max = \"20ms\"
";

const PROMPTS: [&str; 6] = ["flood 20", "slow 3 1", "think", "tool", "plan", "hello"];

fn points(panics: usize) -> String {
    let mut points: Vec<_> = POINTS
        .iter()
        .map(|(name, percent, share)| {
            format!("{name}={percent}%{}*panic", (panics * share).div_ceil(1000))
        })
        .collect();
    points.push("log::commit=0.5%40*return->0.5%40*sleep(30)".into());
    points.join(";")
}

/// How many panics each point has made, as the server's own stderr tells.
fn injected(server: &Process) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for line in server.log().lines() {
        let name = line.strip_prefix("failpoint ").and_then(|line| line.strip_suffix(" panic"));
        if let Some(name) = name {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    counts
}

/// Sends, interrupts and stops until it is told to end.
async fn send(
    mut client: Client,
    api: Api,
    mut random: Random,
    running: watch::Receiver<bool>,
) -> Client {
    while *running.borrow() {
        let index = random.below(client.sessions.len() as u64);
        let id = client.sessions[usize::try_from(index).unwrap()].0.clone();
        let what = match random.below(20) {
            0 => "stop",
            1 => "interrupt",
            _ => {
                let message = client.write(&id, random.of(&PROMPTS));
                while !client.post(&api, &message).await {}
                continue;
            }
        };
        let path = format!("/v1/sessions/{id}/{what}");
        let body = json!({});
        let answer = attempt(api.request("POST", &path).json(&body)).await;
        let status = answer.map_or(0, |(status, _)| status);
        assert!([0, 202, 500, 503].contains(&status), "{what}: {status}");
    }
    client
}

/// Scenario 62; contract 9, promises 1 to 3 and 6.
#[tokio::test]
async fn a_storm_of_panics_loses_nothing_and_the_process_lives() {
    let (sessions, panics, clients) = size((40, 400, 8), (500, 5000, 50));
    let seed = seed();
    let folder = configured(CONFIG);
    let mut command = Process::command(folder.path());
    command.env("FAILPOINTS", points(panics)).env("RUST_BACKTRACE", "0");
    let mut server = Process::start_as(command, folder).await;
    let health = Health::watch(&server.admin_url);
    let ids = create(&server, &["demo", "cat", "cat", "cat"], sessions).await;
    let (run, running) = watch::channel(true);
    let (mut sending, mut following) = (Vec::new(), Vec::new());
    for number in 0..clients {
        let own = ids.iter().enumerate().filter(|(index, _)| index % clients == number);
        let own: Vec<_> = own.map(|(index, id)| (id.clone(), index % 4 != 0)).collect();
        let follower = Follower::new(own.iter().map(|(id, _)| id.clone()));
        following.push(tokio::spawn(follower.follow(server.api.clone(), running.clone())));
        let random = Random::new(seed.wrapping_add(number as u64));
        let client = Client::new(own);
        sending.push(tokio::spawn(send(client, server.api.clone(), random, running.clone())));
    }
    let start = Instant::now();
    let mut look = tokio::time::interval(Duration::from_millis(200));
    let is_done = |counts: BTreeMap<String, usize>| {
        counts.values().sum::<usize>() >= panics && counts.len() == POINTS.len()
    };
    while !is_done(injected(&server)) {
        look.tick().await;
        let is_over = sending.iter().any(|task| task.is_finished());
        assert!(!is_over && start.elapsed() < STORM_PATIENCE, "{:?}", injected(&server));
    }
    run.send_replace(false);
    let (mut clients, mut followers) = (Vec::new(), Vec::new());
    for (sending, following) in sending.into_iter().zip(following) {
        clients.push(sending.await.unwrap());
        followers.push(following.await.unwrap());
    }
    for client in &mut clients {
        for (id, _) in client.sessions.clone() {
            settle(&server, &id, client, false).await;
        }
    }
    let summary = judge(&server, &clients, followers).await;
    let (answers, longest) = health.end();
    let counts = injected(&server);
    let total: usize = counts.values().sum();
    eprintln!("{total} panics in {:?}: {summary:?}", start.elapsed());
    eprintln!("{answers} answers of /healthz, the slowest in {longest:?}; {counts:?}");
    server.signal(rustix::process::Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0));
}

/// Promise 2 of a single panic: whoever asks before the rebuild wakes the session, and it stays at one actor.
#[tokio::test]
async fn a_session_that_is_asked_before_it_is_rebuilt_is_not_given_a_second_actor() {
    let folder = configured("[supervision]\nbackoff_min = \"100ms\"\nbackoff_max = \"100ms\"\n");
    let mut command = Process::command(folder.path());
    command.env("FAILPOINTS", "session::ask=1*panic");
    let server = Process::start_as(command, folder).await;
    let id = server.create("demo").await;
    server.try_send(&id, "m1", "hello").await.refused(503, "interrupted");
    // The turn is longer than the wait before the rebuild: a second actor would break it off.
    let send = async { while server.try_send(&id, "m1", "slow 30 20").await.status != 202 {} };
    within("it is woken", send).await;
    let events = server.until(&id, turn_of("m1")).await;
    assert_eq!(only(&events, "turn.ended")["stop_reason"], "end_turn", "{events:#?}");
    assert_eq!(message_ids(&events, "message.dispatched"), ["m1"]);
    let is_rebuilt = server.log().contains("a session panicked and is rebuilt");
    assert!(is_rebuilt, "{}", server.log());
}
