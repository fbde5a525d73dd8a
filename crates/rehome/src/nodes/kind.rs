//! Resource kinds as they are written on a command line: a word, and what is set of it.

use std::collections::BTreeMap;
use std::num::{NonZeroU16, NonZeroU64};
use std::path::PathBuf;

use rehome_cluster::{FloatingAddress, ResourceKind};

use crate::error::Error;

/// What each kind takes.
const KINDS: &str = "folder (path), address (address, port), ip (address, \
                     device), name (name, dir), process \
                     (program, arg.1, arg.2, \u{2026}, env.NAME), script (program, arg.1, \
                     \u{2026}, timeout_ms), ocf:PROVIDER:AGENT (the agent's parameters)";

/// Reads a kind and takes what it needs out of `set`; what is left over is refused.
pub(super) fn parse(kind: &str, mut set: BTreeMap<String, String>) -> Result<ResourceKind, Error> {
    if let Some(agent) = kind.strip_prefix("ocf:") {
        let Some((provider, agent)) = agent.split_once(':') else {
            return Err(bad(format!("kind {kind:?} names no agent; write ocf:heartbeat:IPaddr2")));
        };
        return Ok(ResourceKind::ocf(provider, agent, set));
    }
    let found = match kind {
        "folder" => ResourceKind::Folder { path: take(&mut set, kind, "path")?.into() },
        "address" => ResourceKind::IpAddress {
            address: take(&mut set, kind, "address")?,
            port: {
                let port = take(&mut set, kind, "port")?;
                let parsed = port.parse::<NonZeroU16>();
                parsed.map_err(|_| bad(format!("port {port:?} is no port: 1 to 65535")))?.get()
            },
        },
        "ip" => {
            let address = take(&mut set, kind, "address")?;
            address.parse::<FloatingAddress>().map_err(|error| bad(error.to_string()))?;
            ResourceKind::FloatingAddress { address, device: take(&mut set, kind, "device")? }
        }
        "name" => ResourceKind::NetworkName {
            name: take(&mut set, kind, "name")?,
            registry_dir: take(&mut set, kind, "dir")?.into(),
        },
        "process" => ResourceKind::Process {
            program: set.remove("program").map(PathBuf::from),
            args: args(&mut set),
            env: env(&mut set),
        },
        "script" => {
            let program = take(&mut set, kind, "program")?;
            let args = args(&mut set);
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            with_timeout(ResourceKind::script(program, &args), set.remove("timeout_ms"))?
        }
        _ => return Err(bad(format!("kind {kind:?} is not known; there are {KINDS}"))),
    };
    match set.keys().next() {
        None => Ok(found),
        Some(key) => Err(bad(format!(
            "kind {kind} has no {key:?}, so it would be without effect; there are {KINDS}"
        ))),
    }
}

/// The same, with another time that an action may take than the usual one.
fn with_timeout(mut kind: ResourceKind, given: Option<String>) -> Result<ResourceKind, Error> {
    if let (ResourceKind::Script { timeout_ms, .. }, Some(given)) = (&mut kind, given) {
        let parsed = given.parse::<NonZeroU64>();
        *timeout_ms =
            parsed.map_err(|_| bad(format!("timeout_ms {given:?} is no number above 0")))?.get();
    }
    Ok(kind)
}

fn bad(message: String) -> Error {
    Error::BadInput { message: format!("{message}; nothing was configured") }
}

fn take(set: &mut BTreeMap<String, String>, kind: &str, key: &str) -> Result<String, Error> {
    set.remove(key).ok_or_else(|| bad(format!("kind {kind} needs {key}: give --set {key}=VALUE")))
}

/// `arg.1`, `arg.2` and so on, up to the first that is not given.
fn args(set: &mut BTreeMap<String, String>) -> Vec<String> {
    (1..).map_while(|number| set.remove(&format!("arg.{number}"))).collect()
}

fn env(set: &mut BTreeMap<String, String>) -> BTreeMap<String, String> {
    let names: Vec<String> = set.keys().filter(|key| key.starts_with("env.")).cloned().collect();
    let pair = |key: String| Some((key.strip_prefix("env.")?.to_owned(), set.remove(&key)?));
    names.into_iter().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &str, set: &[(&str, &str)], expected: Result<ResourceKind, &str>) {
        let set = set.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
        match (parse(kind, set), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{found:?}, not {expected:?}"),
        }
    }

    #[test]
    fn a_kind_takes_what_it_needs_and_nothing_else() {
        check("folder", &[("path", "/x")], Ok(ResourceKind::Folder { path: "/x".into() }));
        check("folder", &[], Err("needs path"));
        check("folder", &[("path", "/x"), ("pth", "/y")], Err("has no \"pth\""));
        check("address", &[("address", "::1"), ("port", "x")], Err("is no port"));
        check("address", &[("address", "::1"), ("port", "0")], Err("is no port"));
        check("ip", &[("address", "::1"), ("device", "eth0")], Err("write it as 192.0.2.7/24"));
        let script = ResourceKind::script("/s", &["a", "b"]);
        check("script", &[("program", "/s"), ("arg.2", "b"), ("arg.1", "a")], Ok(script));
        let mut patient = ResourceKind::script("/s", &[]);
        if let ResourceKind::Script { timeout_ms, .. } = &mut patient {
            *timeout_ms = 90_000;
        }
        check("script", &[("program", "/s"), ("timeout_ms", "90000")], Ok(patient));
        check("script", &[("program", "/s"), ("timeout_ms", "0")], Err("no number above 0"));
        check("ocf:heartbeat", &[], Err("names no agent"));
        check("ocf:a:b", &[], Ok(ResourceKind::ocf("a", "b", BTreeMap::new())));
        check("disk", &[], Err("there are folder"));
    }
}
