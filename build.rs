//! Puts the console's files into the form in which they are served: modules joined into one file each for the page and for
//! the client library, all of it compressed. What is in the files is not looked at.

use flate2::{Compression, write::GzEncoder};
use std::{
    env, fs,
    io::Write,
    path::{Path, PathBuf},
};

const CONSOLE: &str = "src/http/console";

fn main() {
    println!("cargo::rerun-if-changed={CONSOLE}");
    let page = Bundle::of("app/main.js");
    let client = Bundle::of("seawall.js");
    let style = read("console.css");
    let icon = read("icon.svg");
    let (script, library, index) = (page.text, client.with_exports(), read("index.html"));
    // Under other content the assets have another name, so that a browser may keep them for ever.
    let all = [&script, &library, &index, &style, &icon];
    let hash = format!("{:016x}", all.iter().fold(FNV_BASIS, |hash, text| fnv(hash, text)));
    let index = index.replace("{hash}", &hash);
    write("console.js", &script);
    write("client.js", &library);
    write("console.css", &style);
    write("icon.svg", &icon);
    write("index.html", &index);
    println!("cargo::rustc-env=SEAWALL_ASSETS={hash}");
}

/// Modules as one text: each a function that is called once, behind those that it imports.
#[derive(Default)]
struct Bundle {
    /// The modules that are in it, by path; a module is named by its place here.
    modules: Vec<PathBuf>,
    /// Those whose imports are being read.
    open: Vec<PathBuf>,
    /// What the last one exports.
    exports: Vec<String>,
    text: String,
}

impl Bundle {
    fn of(entry: &str) -> Self {
        let mut bundle = Self::default();
        bundle.add(Path::new(entry));
        bundle
    }

    fn with_exports(&self) -> String {
        let names = self.exports.join(", ");
        format!("{}export const {{ {names} }} = m{};\n", self.text, self.modules.len() - 1)
    }

    /// The module's number.
    fn add(&mut self, path: &Path) -> usize {
        if let Some(known) = self.modules.iter().position(|module| module == path) {
            return known;
        }
        assert!(!self.open.iter().any(|open| open == path), "{} imports itself", path.display());
        self.open.push(path.to_owned());
        let (mut body, mut exports) = (String::new(), Vec::new());
        for line in read(path.to_str().expect("our own names")).lines() {
            match imported(line) {
                Some((names, from, is_export)) => {
                    let from = resolve(path, from);
                    let module = self.add(&from);
                    body.push_str(&format!("const {{ {names} }} = m{module};\n"));
                    if is_export {
                        exports.extend(names.split(',').map(|name| name.trim().to_owned()));
                    }
                }
                None => {
                    let line = match line.strip_prefix("export ") {
                        Some(declared) => {
                            exports.push(declared_name(declared));
                            declared
                        }
                        None => line,
                    };
                    body.push_str(line);
                    body.push('\n');
                }
            }
        }
        self.open.pop();
        let number = self.modules.len();
        let names = exports.join(", ");
        self.text.push_str(&format!(
            "const m{number} = (() => {{\n{body}return {{ {names} }};\n}})();\n"
        ));
        self.modules.push(path.to_owned());
        self.exports = exports;
        number
    }
}

/// `import { NAMES } from "PATH";`, or the same as an export: names, path, and whether it is one.
fn imported(line: &str) -> Option<(&str, &str, bool)> {
    let is_export = line.starts_with("export { ");
    let rest = line.strip_prefix("import { ").or_else(|| line.strip_prefix("export { "))?;
    let (names, rest) = rest.split_once(" } from \"")?;
    let path = rest.strip_suffix("\";").expect("an import ends its line");
    Some((names, path, is_export))
}

/// The name behind `function`, `class`, `const` or `async function`.
fn declared_name(declared: &str) -> String {
    let rest = declared.strip_prefix("async ").unwrap_or(declared);
    let (_, rest) = rest.split_once(' ').expect("a declaration");
    let end = rest.find(|sign: char| !sign.is_alphanumeric() && sign != '_').unwrap_or(rest.len());
    rest[..end].to_owned()
}

fn resolve(from: &Path, path: &str) -> PathBuf {
    let mut found = from.parent().map(Path::to_owned).unwrap_or_default();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(found.pop()),
            name => found.push(name),
        }
    }
    found
}

fn read(name: &str) -> String {
    let path = Path::new(CONSOLE).join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// As it is, and compressed.
fn write(name: &str, text: &str) {
    let folder = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).expect("memory takes all");
    let packed = encoder.finish().expect("memory takes all");
    fs::write(folder.join(name), text).expect("cargo's own folder");
    fs::write(folder.join(format!("{name}.gz")), packed).expect("cargo's own folder");
}

const FNV_BASIS: u64 = 0xcbf2_9ce4_8422_2325;

/// It names content; nobody is to be kept from making the same.
fn fnv(hash: u64, text: &str) -> u64 {
    text.bytes().fold(hash, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
