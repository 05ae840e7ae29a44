//! `seawall attach` on a terminal, as a person sees it: what is written is played on a screen, and that is looked at.

use super::Lives;
use crate::support::{Process, SEAWALL, configured, eventually, is, of_type, turn_of};
use std::{
    io::{Read, Write},
    process::{Child, Command, Stdio},
    sync::mpsc,
};

/// What `script` gives a program whose own stdin is a pipe.
const COLUMNS: usize = 80;

/// A person before a terminal.
struct Person {
    child: Child,
    bytes: mpsc::Receiver<Vec<u8>>,
    screen: Screen,
}

#[derive(Default)]
struct Screen {
    text: String,
    rows: Vec<Vec<char>>,
    row: usize,
    column: usize,
}

impl Person {
    fn attach(server: &Process, id: &str, more: &str) -> Self {
        // Its own terminal; -e gives back the exit code, -f shows what is printed at once.
        let mut command = Command::new("script");
        command.args(["-qefc", &format!("{SEAWALL} attach {id} {more}"), "/dev/null"]);
        command.env("SEAWALL_URL", &server.url);
        command.env("SEAWALL_TOKEN", server.token.as_deref().unwrap());
        command.env("XDG_STATE_HOME", server.folder.path().join("state"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        let (sender, bytes) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stdout.read(&mut buffer) {
                let _ = sender.send(buffer[..read].to_vec());
            }
        });
        Self { child, bytes, screen: Screen::default() }
    }

    fn types(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// Looks until the screen is so; its lines.
    fn sees(&mut self, what: &str, fits: impl Fn(&[String]) -> bool) -> Vec<String> {
        let mut lines = Vec::new();
        let (bytes, screen) = (&self.bytes, &mut self.screen);
        let mut holds = || {
            while let Ok(bytes) = bytes.try_recv() {
                screen.play(&bytes);
            }
            lines = screen.lines();
            fits(&lines)
        };
        let seen =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| eventually(what, &mut holds)));
        assert!(seen.is_ok(), "{what}: {lines:#?}");
        lines
    }

    fn sees_line(&mut self, begin: &str) -> Vec<String> {
        self.sees(begin, |lines| lines.iter().any(|line| line.starts_with(begin)))
    }

    fn sees_prompt(&mut self, prompt: &str) -> Vec<String> {
        self.sees(prompt, |lines| lines.last().is_some_and(|line| line.starts_with(prompt)))
    }

    fn leaves(mut self) -> Option<i32> {
        self.types("\x04");
        drop(self.child.stdin.take());
        self.child.wait().unwrap().code()
    }
}

impl Screen {
    fn play(&mut self, bytes: &[u8]) {
        self.text.push_str(&String::from_utf8_lossy(bytes));
        let text = std::mem::take(&mut self.text);
        let mut rest = text.as_str();
        while let Some(char) = rest.chars().next() {
            let after = &rest[char.len_utf8()..];
            match char {
                '\r' => self.column = 0,
                '\n' => self.row += 1,
                '\x1b' => match sequence(after) {
                    Some((used, last, number)) => {
                        self.command(last, number);
                        rest = &after[used..];
                        continue;
                    }
                    // The rest of it comes with the next read.
                    None => break,
                },
                char => self.put(char),
            }
            rest = after;
        }
        self.text = rest.to_owned();
    }

    fn command(&mut self, last: char, number: usize) {
        match last {
            'A' => self.row = self.row.saturating_sub(number),
            'C' => self.column = (self.column + number).min(COLUMNS - 1),
            'J' => {
                self.rows.truncate(self.row + 1);
                if let Some(row) = self.rows.get_mut(self.row) {
                    row.truncate(self.column);
                }
            }
            _ => {}
        }
    }

    fn put(&mut self, char: char) {
        if self.column == COLUMNS {
            (self.row, self.column) = (self.row + 1, 0);
        }
        self.rows.resize(self.rows.len().max(self.row + 1), Vec::new());
        let row = &mut self.rows[self.row];
        row.resize(row.len().max(self.column + 1), ' ');
        row[self.column] = char;
        self.column += 1;
    }

    fn lines(&self) -> Vec<String> {
        let lines = self.rows.iter().map(|row| row.iter().collect::<String>());
        lines.filter(|line| !line.is_empty()).collect()
    }
}

/// A whole sequence behind its escape: bytes, last character, first number.
fn sequence(text: &str) -> Option<(usize, char, usize)> {
    let end = text.char_indices().skip(1).find(|(_, char)| char.is_ascii_alphabetic())?;
    let number = text[1..end.0].parse().unwrap_or(1);
    Some((end.0 + 1, end.1, number))
}

fn count(lines: &[String], line: &str) -> usize {
    lines.iter().filter(|seen| seen.trim_end() == line).count()
}

// Scenarios 48, 51 and 55.
#[tokio::test]
async fn a_person_types_through_a_killed_server_and_sees_everything_once() {
    let lives = Lives::new();
    let server = lives.start(configured("")).await;
    let id = server.create("demo").await;
    let mut person = Person::attach(&server, &id, "");
    person.sees_prompt("[live] > ");
    person.types("flood 3\r");
    person.sees_line("1 2 3");
    // A turn that is cut may have run, and would be told as failed.
    server.until(&id, is("turn.ended")).await;
    person.sees_prompt("[live] > ");
    let folder = server.kill();
    person.sees_prompt("[reconnecting");
    person.types("say one\rsay two\rhalf a li");
    person.sees("two wait", |lines| {
        lines
            .last()
            .is_some_and(|line| line.contains("2 unacknowledged") && line.ends_with("> half a li"))
    });
    // The half line is not lost by what comes and goes; it is taken back here, and what waits is asked for.
    person.types("\x15/pending\r");
    let lines = person.sees_line("  2  ");
    assert!(lines.iter().any(|line| line == "  2  waits: say two"), "{lines:#?}");
    let server = lives.start(folder).await;
    person.sees_line("- connected again");
    server.until(&id, |event| event["data"]["content"][0]["text"] == "say two").await;
    let lines = person.sees("the answer to the last", |lines| {
        lines.iter().any(|line| line.starts_with("You said: say two"))
            && lines.last().is_some_and(|line| line.starts_with("[live] > "))
    });
    for line in
        ["> flood 3", "1 2 3", "> say one", "> say two", "You said: say one", "You said: say two"]
    {
        assert_eq!(count(&lines, line), 1, "{line}: {lines:#?}");
    }
    for text in ["flood 3", "say one", "say two"] {
        // The event of what was typed here says nothing new.
        let echoes = lines.iter().filter(|line| line.trim_end().ends_with(&format!("> {text}")));
        assert_eq!(echoes.count(), 1, "{text}: {lines:#?}");
    }
    let events = server.events(&id).await;
    let sent = of_type(&events, "user.message").len();
    assert_eq!(sent, 3, "{events:#?}");
    assert_eq!(person.leaves(), Some(0));
}

// Scenario 55.
#[tokio::test]
async fn older_history_is_loaded_on_demand_and_nothing_of_it_twice() {
    let server = Process::start("").await;
    let id = server.create("cat").await;
    let mut stream = server.follow(&id).await;
    let mut events = 0;
    for number in 1..=40 {
        // One after the other, so that the first are far back.
        let text = format!("line {number}.");
        server.send(&id, &format!("m{number}"), &text).await;
        events += stream.events_until(|event| event["data"]["text"] == text).await.len();
    }
    assert!(events > 100);
    drop(stream);
    let mut person = Person::attach(&server, &id, "");
    person.sees_prompt("[live] > ");
    let lines = person.sees_line("line 40.");
    assert_eq!(count(&lines, "line 1."), 0, "{lines:#?}");
    person.types("/older 30\r");
    person.sees_line("- until event");
    person.types("/older 1000\r");
    person.sees("all of it", |lines| lines.iter().any(|line| line.ends_with("that is all")));
    person.types("/older\r");
    let lines = person.sees_line("- there is nothing before");
    for number in 1..=40 {
        assert_eq!(count(&lines, &format!("line {number}.")), 1, "{number}: {lines:#?}");
    }
    assert_eq!(person.leaves(), Some(0));
}

#[tokio::test]
async fn a_permission_is_asked_in_the_prompt_and_commands_steer_the_session() {
    let server = Process::start("").await;
    let id = server.create("demo").await;
    let mut person = Person::attach(&server, &id, "");
    person.sees_prompt("[live] > ");
    person.types("ask\r");
    person.sees_prompt("[live · answer 0-");
    person.types("1\r");
    person.sees_line("You allowed it: once.");
    person.types("hang\r");
    person.sees_prompt("[live · running] > ");
    server.until(&id, |event| event["data"]["content"][0]["text"] == "hang").await;
    person.types("/interrupt\r");
    server.until(&id, is("interrupt.requested")).await;
    person.sees_line("- the turn ended: cancelled");
    // Arrow-up finds the last message.
    person.types("flood 2\r");
    person.sees_line("1 2");
    person.types("\x1b[A\r");
    person.sees("the same again", |lines| count(lines, "1 2") == 2);
    person.types("/stop\r");
    person.sees_prompt("[live · ended] > ");
    person.types("/quit\r");
    drop(person.child.stdin.take());
    assert_eq!(person.child.wait().unwrap().code(), Some(0));
    server.send(&id, "m9", "flood 1").await;
    server.until(&id, turn_of("m9")).await;
}
