//! `seawall token`: makes a credential. The token is shown once; what the server is configured with is its digest,
//! from which nobody gets it back. Talks to no server.

use super::{failure::Usage, output::Output};
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Make a token, and the lines that let it in.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Token {
    /// What it may do: viewer reads, operator also creates, sends, answers and stops, admin everything.
    #[arg(long, value_enum, default_value_t = Role::Operator)]
    role: Role,
    /// The agent profile that it is limited to; repeat it for several. Without it: all.
    #[arg(long = "agent", value_name = "AGENT")]
    agents: Vec<String>,
    /// The name that events show as the author [else made from the role].
    #[arg(long)]
    name: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  seawall token --name phone
  seawall token --role viewer --agent claude --agent codex --name wall-display";

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    Viewer,
    Operator,
    Admin,
}

/// A token with what the configuration has to hold of it.
#[derive(Serialize)]
struct Made {
    token: String,
    #[serde(flatten)]
    entry: Entry,
}

/// An entry of `[[auth.tokens]]`.
#[derive(Serialize)]
struct Entry {
    name: String,
    role: Role,
    /// Of the token's characters, as they stand behind `Bearer`.
    sha256: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    agents: Vec<String>,
}

/// So that a token that got into a text is recognised as one, by people and by scanners.
const PREFIX: &str = "swt_";

pub(super) fn run(output: &Output, options: &Token) -> anyhow::Result<()> {
    let mut secret = [0; 32];
    getrandom::fill(&mut secret)?;
    let made = make(options, &secret)?;
    if output.json {
        return Ok(output.object(&made)?);
    }
    Ok(output.write(&format!(
        "# The token. It is shown this once; hand it to the client, such as in $SEAWALL_TOKEN:\n# {}\n\n{}",
        made.token,
        lines(&made.entry)?
    ))?)
}

fn make(options: &Token, secret: &[u8; 32]) -> Result<Made, Usage> {
    if options.role == Role::Admin && !options.agents.is_empty() {
        return Err(Usage(
            "an admin sees every agent; leave --agent out, or choose another --role".into(),
        ));
    }
    let token = format!("{PREFIX}{}", BASE64URL_NOPAD.encode(secret));
    let sha256 = HEXLOWER.encode(&Sha256::digest(&token));
    let name = match &options.name {
        Some(name) if name.is_empty() || name.len() > 64 || name.contains(char::is_control) => {
            return Err(Usage("--name takes 1 to 64 bytes without control characters".into()));
        }
        Some(name) => name.clone(),
        // Names are unique in a configuration; so is this one, as good as always.
        None => format!("{}-{}", super::words::word(&options.role), &sha256[..6]),
    };
    let agents = options.agents.clone();
    Ok(Made { token, entry: Entry { name, role: options.role, sha256, agents } })
}

fn lines(entry: &Entry) -> anyhow::Result<String> {
    Ok(format!("# For the server's configuration:\n[[auth.tokens]]\n{}", toml::to_string(entry)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(role: Role, agents: &[&str], name: Option<&str>) -> Token {
        let agents = agents.iter().map(|&agent| agent.into()).collect();
        Token { role, agents, name: name.map(Into::into) }
    }

    #[test]
    fn the_digest_is_of_the_token_as_it_is_shown() {
        let made = make(&options(Role::Viewer, &[], None), &[7; 32]).unwrap();
        assert_eq!(made.token.len(), PREFIX.len() + 43);
        assert_eq!(made.entry.sha256, HEXLOWER.encode(&Sha256::digest(made.token.as_bytes())));
        assert_eq!(made.entry.name, format!("viewer-{}", &made.entry.sha256[..6]));
    }

    #[test]
    fn the_lines_are_toml_whatever_the_names_are() {
        let options = options(Role::Operator, &["a\"b", "c"], Some("my \"phone\""));
        let made = make(&options, &[0; 32]).unwrap();
        let text = lines(&made.entry).unwrap();
        assert!(!text.contains(&made.token));
        let table: toml::Table = text.parse().unwrap();
        let entry = &table["auth"]["tokens"][0];
        assert_eq!(entry["name"].as_str(), Some("my \"phone\""));
        assert_eq!(entry["role"].as_str(), Some("operator"));
        assert_eq!(entry["agents"][0].as_str(), Some("a\"b"));
    }

    #[test]
    fn an_admin_cannot_be_limited_and_a_name_cannot_break_a_line() {
        assert!(make(&options(Role::Admin, &["a"], None), &[0; 32]).is_err());
        assert!(make(&options(Role::Viewer, &[], Some("a\nb")), &[0; 32]).is_err());
    }
}
