//! What the configuration's file names: included profiles, and secrets in files of their own.

use super::*;
use std::{fs, path::PathBuf};
use tempfile::TempDir;

/// A folder with these files, `seawall.toml` among them.
struct Files(TempDir);

impl Files {
    fn with(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, variables: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        Config::load(Some(&self.path("seawall.toml")), env(variables))
    }

    /// The faults, the folder left out of them.
    fn faults(&self) -> String {
        let folder = format!("{}/", self.0.path().display());
        self.read(&[]).expect_err("it should be refused").to_string().replace(&folder, "")
    }
}

const CAT: &str = "[agents.cat]\nprotocol = \"lines\"\ncommand = \"cat\"\n";

#[test]
fn profiles_are_included_from_files_and_say_where_they_are() {
    let dog = CAT.replace("cat", "dog");
    let files = Files::with(&[
        ("seawall.toml", "include = [\"agents.d/*.toml\", \"one.toml\"]\n"),
        ("agents.d/b.toml", CAT),
        ("agents.d/.hidden.toml", "nonsense"),
        ("agents.d/b.toml~", "nonsense"),
        ("one.toml", &format!("# Ours.\n{dog}[agents.\"*\"]\nrestart = \"never\"\n")),
    ]);
    let config = files.read(&[("SEAWALL__AGENTS__CAT__COMMAND", "tac")]).unwrap();
    assert_eq!(config.agents.keys().collect::<Vec<_>>(), ["cat", "demo", "dog"]);
    assert_eq!(config.agents["cat"].command, "tac", "variables go before included files");
    assert_eq!(config.agents["dog"].restart, Restart::Never);
    let line = format!("command = \"dog\"  # {}:4", files.path("one.toml").display());
    assert!(config.print().contains(&line), "{}", config.print());
    // A folder that is not there has no files.
    Files::with(&[("seawall.toml", "include = [\"agents.d/*.toml\"]\n")]).read(&[]).unwrap();
}

#[test]
fn a_fault_of_an_included_file_names_it_with_its_line() {
    for (include, text, expected) in [
        (
            "a.toml",
            "\n[agents.cat]\ncomand = \"x\"\n",
            "a.toml:3: agents.cat.comand: unknown key; did you mean `command`?",
        ),
        ("a.toml", "x = = 1", "a.toml:1: not TOML"),
        (
            "a.toml",
            "[streams]\nheartbeat = \"1s\"\n",
            "a.toml:1: streams: an included file holds [agents.NAME] and nothing else",
        ),
        ("a.toml", "include = [\"b.toml\"]\n", "a.toml:1: include: an included file holds"),
        ("a.toml", "agents = 5\n", "a.toml:1: agents: an included file holds"),
        (
            "a.toml",
            "\n[agents.own]\nprotocol = \"lines\"\n",
            "a.toml:2: agents.own: is in seawall.toml:2 already; a profile stands once",
        ),
        ("b.toml", "", "seawall.toml:1: include: cannot read b.toml: "),
        (
            "x*/a.toml",
            "",
            "seawall.toml:1: include: \"x*/a.toml\": only a file's name may have a `*`",
        ),
        ("..", "", "seawall.toml:1: include: \"..\" names no file"),
    ] {
        let own = "[agents.own]\nprotocol = \"lines\"\ncommand = \"x\"\n";
        let main = format!("include = [\"{include}\"]\n{own}");
        let faults = Files::with(&[("seawall.toml", &main), ("a.toml", text)]).faults();
        assert!(faults.contains(expected), "{faults}");
    }
    let files = Files::with(&[
        ("seawall.toml", "include = [\"*.conf\"]\n"),
        ("1.conf", CAT),
        ("2.conf", &format!("\n\n{CAT}")),
    ]);
    assert_eq!(
        files.faults(),
        "2.conf:3: agents.cat: is in 1.conf:1 already; a profile stands once"
    );
}

#[test]
fn secrets_are_read_from_files_and_shown_nowhere() {
    let token = "[[auth.tokens]]\nname = \"ann\"\nrole = \"admin\"\nsha256_file = \"digest\"\n";
    let base = "[agents.\"*\"]\nenv = { A = \"base-secret\", B = \"base-secret\" }\n";
    let profile = format!("{CAT}env_file = {{ A = \"key\" }}\n");
    let files = Files::with(&[
        ("seawall.toml", &format!("{token}{base}{profile}")),
        ("digest", &format!("{DIGEST}\n")),
        ("key", "key-secret\n"),
        ("credentials/key", "credential-secret"),
        ("credentials/digest", DIGEST),
    ]);
    let config = files.read(&[]).unwrap();
    assert_eq!(config.auth.tokens[0].sha256[..2], [0x9f, 0x86]);
    let env_of_cat = |config: &Config| {
        let env = config.agents["cat"].env.iter();
        env.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    // The profile's file goes before the text that all profiles have.
    assert_eq!(env_of_cat(&config), "A=key-secret B=base-secret");
    let credentials = files.path("credentials").display().to_string();
    let from_systemd = files.read(&[("CREDENTIALS_DIRECTORY", &credentials)]).unwrap();
    assert_eq!(env_of_cat(&from_systemd), "A=credential-secret B=base-secret");

    let settings: Vec<_> = config.settings().collect();
    let shown = config.print();
    for line in
        ["sha256_file = \"digest\"", "env_file = { A = \"key\" }", "env = { B = \"<hidden>\" }"]
    {
        assert!(shown.contains(line), "{line} is not in:\n{shown}");
    }
    for text in [shown, format!("{config:?}"), format!("{settings:?}")] {
        assert!(!text.contains("-secret") && !text.contains(DIGEST), "{text}");
    }
}

#[test]
fn a_secret_that_cannot_be_read_or_stands_twice_is_named_by_key_and_file() {
    let token = "[[auth.tokens]]\nname = \"ann\"\nrole = \"admin\"\n";
    for (text, expected) in [
        (
            format!("{token}sha256_file = \"none\"\n"),
            "seawall.toml:4: auth.tokens[0].sha256_file: cannot read none: No such file",
        ),
        (
            format!("{token}sha256_file = \"key\"\n"),
            "seawall.toml:4: auth.tokens[0].sha256_file: key: expected the token's SHA-256",
        ),
        (
            format!("{token}sha256_file = \"key\"\nsha256 = \"{DIGEST}\"\n"),
            "auth.tokens[0].sha256_file: stands beside `sha256`; remove one",
        ),
        (token.to_owned(), "seawall.toml:2: auth.tokens[0].sha256: is missing"),
        (
            "agents.demo.env_file.A = \"none\"".into(),
            "seawall.toml:1: agents.demo.env_file: `A`: cannot read none: No such file",
        ),
        (
            "agents.demo.env_file.A = 5".into(),
            "seawall.toml:1: agents.demo.env_file: `A` must be a string",
        ),
        (
            "agents.demo.env_file.SEAWALL_A = \"key\"".into(),
            "seawall.toml:1: agents.demo.env_file: SEAWALL_A is reserved",
        ),
        (
            "agents.demo.env_file.A = \"key\"\nagents.demo.env.A = \"\"".into(),
            "agents.demo.env_file: `A` stands in `env` too; remove one",
        ),
        ("store.path_file = \"key\"".into(), "seawall.toml:1: store.path_file: unknown key"),
    ] {
        let faults = Files::with(&[("seawall.toml", &text), ("key", "k3y")]).faults();
        assert!(faults.contains(expected), "{faults}");
        assert!(!faults.contains("k3y"), "{faults}");
    }
}

#[test]
fn the_logs_filter_is_checked_and_the_usual_variable_goes_before_it() {
    let filter = |variables: &[(&str, &str)]| {
        let config =
            Config::from_texts(Some((Path::new("f"), "log.filter = \"warn\"")), env(variables));
        config.map(|config| config.log.filter).map_err(|error| error.to_string())
    };
    let ours = ("SEAWALL__LOG__FILTER", "debug");
    assert_eq!(filter(&[]), Ok("warn".into()));
    assert_eq!(filter(&[ours]), Ok("debug".into()));
    assert_eq!(filter(&[ours, ("RUST_LOG", "trace")]), Ok("trace".into()));
    assert_eq!(filter(&[("RUST_LOG", "")]), Ok("warn".into()));
    let error = filter(&[("RUST_LOG", "info,seawall=loud")]).unwrap_err();
    assert!(error.starts_with("RUST_LOG: log.filter: expected levels like"), "{error}");
}
