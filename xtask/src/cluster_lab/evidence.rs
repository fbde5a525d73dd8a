//! What the probe saw in a run, and what follows from it.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Deserialize;
use serde_json::{Value, json};

use super::PATIENCE;
use super::hosts::{COUNT, FLOATING, Hosts, PORT};

/// The time that all processes of the lab measure by, in microseconds.
#[expect(clippy::disallowed_methods, reason = "processes have no other clock in common")]
pub(super) fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// One delivery that was acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Ack {
    /// 0 is the floating address, 1 the first host's own.
    pub(super) via: usize,
    /// The epoch of the store that acknowledged it.
    pub(super) epoch: u64,
    pub(super) start_us: u64,
    pub(super) end_us: u64,
}

/// The first delivery that failed after others had not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Failed {
    via: usize,
    failed_us: u64,
}

/// A probe at work.
pub(super) struct Evidence {
    probe: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: Seen,
}

/// What a probe said.
#[derive(Debug, Default)]
pub(super) struct Seen {
    acks: Vec<Ack>,
    failures: Vec<Failed>,
    lost: Option<u64>,
    doubled: u64,
    /// Where and when what is lost was acknowledged.
    lost_of: Value,
}

impl Seen {
    fn take(&mut self, line: &str) {
        let Ok(value) = serde_json::from_str::<Value>(line) else { return };
        if let Ok(ack) = Ack::deserialize(&value) {
            self.acks.push(ack);
        } else if let Ok(failed) = Failed::deserialize(&value) {
            self.failures.push(failed);
        } else if let Some(lost) = value["lost"].as_u64() {
            self.lost = Some(lost);
            self.doubled = value["doubled"].as_u64().unwrap_or(0);
            self.lost_of = value["lost_of"].clone();
        }
    }
}

impl Evidence {
    /// Starts a probe and waits until it is at work.
    pub(super) fn begin(hosts: &Hosts) -> Result<Self, String> {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let network = hosts.network();
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = network.command(&network.client());
        command.arg(own).args(["lab-probe", "--run", &format!("r{run}")]);
        command.args(["--to", &format!("{FLOATING}:{PORT}")]);
        for host in 1..=COUNT {
            command.args(["--to", &format!("10.78.0.{host}:{PORT}")]);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut probe = command.spawn().map_err(|error| format!("the probe: {error}"))?;
        let (input, output) = (probe.stdin.take(), probe.stdout.take());
        let output = output.ok_or("the probe has no output")?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut evidence = Self { probe, input, lines, seen: Seen::default() };
        let served = |seen: &Seen| {
            let via = |wanted: bool| seen.acks.iter().any(|ack| (ack.via == 0) == wanted);
            via(true) && via(false)
        };
        evidence.wait_until("deliveries to be acknowledged", served)?;
        Ok(evidence)
    }

    fn wait_until(&mut self, what: &str, met: impl Fn(&Seen) -> bool) -> Result<(), String> {
        let started = Instant::now();
        while !met(&self.seen) {
            if started.elapsed() > PATIENCE {
                return Err(format!("waited in vain for {what}"));
            }
            if let Ok(line) = self.lines.recv_timeout(Duration::from_millis(50)) {
                self.seen.take(&line);
            }
        }
        Ok(())
    }

    /// The host that acknowledges now.
    pub(super) fn owner(&self) -> Result<usize, String> {
        let last = self.seen.acks.iter().rev().find(|ack| ack.via > 0);
        last.map(|ack| ack.via - 1).ok_or_else(|| "no host acknowledges".to_owned())
    }

    /// Waits until clients are served again after `at_us`.
    pub(super) fn wait_for_service(&mut self, at_us: u64, same_epoch: bool) -> Result<(), String> {
        let met = |seen: &Seen| restored(&seen.acks, at_us, same_epoch).is_some();
        self.wait_until("clients to be served again", met)
    }

    /// Ends the probe and takes what it found.
    pub(super) fn end(mut self) -> Result<Seen, String> {
        drop(self.input.take());
        self.wait_until("the probe to look for its deliveries", |seen| seen.lost.is_some())?;
        Ok(std::mem::take(&mut self.seen))
    }
}

impl Drop for Evidence {
    fn drop(&mut self) {
        // One that has ended needs no end.
        let _gone = self.probe.kill();
        let _gone = self.probe.wait();
    }
}

/// The first delivery to the floating address that was acknowledged by who came after the fault.
fn restored(acks: &[Ack], at_us: u64, same_epoch: bool) -> Option<Ack> {
    let before = acks.iter().filter(|ack| ack.end_us <= at_us).map(|ack| ack.epoch).max()?;
    let floating = acks.iter().filter(|ack| ack.via == 0 && ack.end_us > at_us);
    let mut after = floating.filter(|ack| match same_epoch {
        true => ack.start_us >= at_us,
        false => ack.epoch > before,
    });
    after.next().copied()
}

/// Deliveries that an older owner took and acknowledged after a newer one had acknowledged some.
fn two_owners(acks: &[Ack]) -> u64 {
    let mut first_us: BTreeMap<u64, u64> = BTreeMap::new();
    for ack in acks {
        let first = first_us.entry(ack.epoch).or_insert(ack.end_us);
        *first = ack.end_us.min(*first);
    }
    let late = |ack: &&Ack| {
        let newer = first_us.range(ack.epoch + 1..);
        newer.into_iter().any(|(_, first_us)| ack.start_us > *first_us)
    };
    u64::try_from(acks.iter().filter(late).count()).unwrap_or(u64::MAX)
}

/// The longest time around `at_us` in which no delivery to the floating address was acknowledged.
fn outage_us(acks: &[Ack], at_us: u64) -> u64 {
    let mut ends: Vec<u64> = acks.iter().filter(|ack| ack.via == 0).map(|ack| ack.end_us).collect();
    ends.sort_unstable();
    let gaps = ends.windows(2).filter(|pair| pair[1] >= at_us).map(|pair| pair[1] - pair[0]);
    gaps.max().unwrap_or(0)
}

/// What was seen of the hosts themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct After {
    /// When another node claimed the group.
    pub(super) claimed_us: Option<u64>,
    /// Hosts that had the floating address when clients were served again.
    pub(super) holders: usize,
    /// Whether the owner's member led etcd.
    pub(super) led_etcd: bool,
}

/// What one run showed.
#[derive(Debug, Clone)]
pub(super) struct Verdict {
    pub(super) seconds_to_service: f64,
    pub(super) outage_seconds: f64,
    /// From the moment in which the old owner acknowledged nothing any more, asked by itself, to
    /// the claim of the next one.
    pub(super) margin_seconds: Option<f64>,
    pub(super) acknowledged: u64,
    pub(super) lost: u64,
    pub(super) doubled: u64,
    pub(super) two_owners: u64,
    lost_of: Value,
    holders: usize,
    led_etcd: bool,
}

impl Seen {
    pub(super) fn verdict(
        &self,
        at_us: u64,
        same_epoch: bool,
        owner: usize,
        after: &After,
    ) -> Result<Verdict, String> {
        let restored = restored(&self.acks, at_us, same_epoch).ok_or("clients were not served")?;
        let seconds = |us: u64| Duration::from_micros(us).as_secs_f64();
        let own = self.acks.iter().filter(|ack| ack.via == owner + 1 && ack.epoch < restored.epoch);
        let last_us = own.map(|ack| ack.end_us).max();
        let stopped_us = last_us.map(|last_us| {
            let failed = self.failures.iter().filter(|one| one.via == owner + 1);
            failed.map(|one| one.failed_us).find(|us| *us >= last_us).unwrap_or(last_us)
        });
        let margin = stopped_us.zip(after.claimed_us).filter(|_| !same_epoch);
        let margin_seconds = margin.map(|(stopped_us, claimed_us)| {
            seconds(claimed_us.saturating_sub(stopped_us))
                - seconds(stopped_us.saturating_sub(claimed_us))
        });
        Ok(Verdict {
            seconds_to_service: seconds(restored.end_us.saturating_sub(at_us)),
            outage_seconds: seconds(outage_us(&self.acks, at_us)),
            margin_seconds,
            acknowledged: u64::try_from(self.acks.len()).unwrap_or(u64::MAX),
            lost: self.lost.ok_or("the probe did not look for its deliveries")?,
            doubled: self.doubled,
            two_owners: two_owners(&self.acks),
            lost_of: self.lost_of.clone(),
            holders: after.holders,
            led_etcd: after.led_etcd,
        })
    }
}

impl Verdict {
    /// What must not be, and was.
    pub(super) fn wrong(&self) -> Option<String> {
        let Self { lost, doubled, two_owners, .. } = self;
        let right = (*lost, *doubled, *two_owners) == (0, 0, 0);
        (!right).then(|| format!("lost {lost}, doubled {doubled}, with two owners {two_owners}"))
    }

    pub(super) fn document(&self) -> Value {
        json!({
            "seconds_to_service": self.seconds_to_service,
            "outage_seconds": self.outage_seconds,
            "margin_seconds": self.margin_seconds,
            "acknowledged": self.acknowledged,
            "lost": self.lost,
            "doubled": self.doubled,
            "two_owners": self.two_owners,
            "lost_of": self.lost_of,
            "address_holders": self.holders,
            "led_etcd": self.led_etcd,
        })
    }
}

/// Half, 99 in a hundred, and all are within so much.
pub(super) fn spread(mut seconds: Vec<f64>) -> String {
    seconds.sort_by(f64::total_cmp);
    let Some(last) = seconds.last() else { return "not measured".to_owned() };
    let rank = |percent: usize| seconds[(seconds.len() * percent).div_ceil(100).max(1) - 1];
    format!("p50 {:.3} p99 {:.3} max {last:.3} min {:.3} s", rank(50), rank(99), seconds[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ack(via: usize, epoch: u64, start_us: u64, end_us: u64) -> Ack {
        Ack { via, epoch, start_us, end_us }
    }

    #[test]
    fn an_old_owner_that_takes_a_delivery_after_the_new_one_did_is_seen() {
        let new = ack(0, 2, 40, 50);
        assert_eq!(two_owners(&[ack(1, 1, 10, 20), new]), 0);
        assert_eq!(two_owners(&[ack(1, 1, 45, 60), new]), 0, "it was taken before");
        assert_eq!(two_owners(&[ack(1, 1, 51, 60), new]), 1);
        assert_eq!(two_owners(&[ack(1, 3, 51, 60), new]), 0, "it is a newer one");
    }

    #[test]
    fn service_is_back_when_who_came_after_acknowledges() {
        let acks = [ack(0, 1, 10, 20), ack(0, 1, 25, 40), ack(1, 2, 45, 50), ack(0, 2, 60, 70)];
        assert_eq!(restored(&acks, 30, false), Some(acks[3]));
        assert_eq!(restored(&acks, 25, true), Some(acks[1]));
        assert_eq!(outage_us(&acks, 30), 30);
    }

    #[test]
    fn a_spread_has_its_extremes() {
        assert_eq!(spread(vec![]), "not measured");
        let text = spread((1..=20).map(f64::from).collect());
        assert_eq!(text, "p50 10.000 p99 20.000 max 20.000 min 1.000 s");
    }
}
