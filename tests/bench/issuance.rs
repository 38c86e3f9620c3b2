//! Figures 1 to 4: what a certificate costs the server, how many there are a second, how long one
//! takes, and whether a long log makes it dearer.

use std::time::Duration;

use serde_json::json;

use crate::ca::Ca;
use crate::load::{Load, Until, load};
use crate::measure::{Units, quantile};
use crate::report::{Figure, Target, round};
use crate::{Extent, say};

const CLIENTS: u32 = 64;

/// `short` and `long` run, with their logs filled.
pub(crate) fn figures(
    (short, long): (&Ca, &Ca),
    extent: &Extent,
    units: &mut Units,
) -> Vec<Figure> {
    say("warming up");
    for ca in [short, long] {
        load(ca, CLIENTS, Until::Count(2000), "warm");
    }
    let (mut on_short, mut on_long) = (Load::default(), Load::default());
    let mut rounds = Vec::new();
    for round in 0..extent.rounds {
        say(&format!("load, round {} of {}", round + 1, extent.rounds));
        units.measure_signature();
        units.measure_keygen(Duration::from_secs(1));
        // In turn, so that whatever else the machine does hits both.
        let (first, second) = (
            load(
                short,
                CLIENTS,
                Until::Elapsed(extent.round),
                &round.to_string(),
            ),
            load(
                long,
                CLIENTS,
                Until::Elapsed(extent.round),
                &round.to_string(),
            ),
        );
        rounds.push(second.cpu_each() / first.cpu_each());
        on_short.add(first);
        on_long.add(second);
    }
    units.measure_signature();
    units.measure_keygen(Duration::from_secs(1));
    let mut figures = vec![
        cost(&on_short, units),
        throughput(&on_short, units),
        growth(&on_short, &on_long, (extent, &rounds)),
    ];
    say("one client");
    figures.push(latency(short, extent, units));
    figures
}

fn cost(load: &Load, units: &Units) -> Figure {
    Figure {
        number: 1,
        name: "server CPU per durable issuance",
        unit: "Ed25519 signatures",
        value: Some(load.cpu_each() / units.signature()),
        target: Target::AtMost(8.0),
        how: "ca-server serve, utime+stime of its process over the load; HTTPS, 64 connections \
              kept alive, the example policies, tracing as in service",
        raw: json!({
            "load": load.json(),
            "with_the_unit_measured_on_all_cpus_at_once":
                round(load.cpu_each() / units.signature_busy()),
        }),
    }
}

fn throughput(load: &Load, units: &Units) -> Figure {
    Figure {
        number: 2,
        name: "durable issuances per second over ssh-keygen -s",
        unit: "times",
        value: Some(load.per_second() / units.keygen()),
        target: Target::AtLeast(20.0),
        how: "the same load, its generator on the same cores; ssh-keygen one after the other, \
              alternating with the load",
        raw: json!({
            "issued_per_second": round(load.per_second()),
            "ssh_keygen_per_second": round(units.keygen()),
        }),
    }
}

fn growth(short: &Load, long: &Load, (extent, rounds): (&Extent, &[f64])) -> Figure {
    Figure {
        number: 4,
        name: "CPU per issuance, long log over short log",
        unit: "times",
        value: Some(long.cpu_each() / short.cpu_each()),
        target: Target::AtMost(1.15),
        how: "the load of figure 1 on two servers in turn, equal time each",
        raw: json!({
            "records": { "short": extent.short, "long": extent.long },
            "short": short.json(),
            "long": long.json(),
            "by_round": rounds.iter().copied().map(round).collect::<Vec<_>>(),
        }),
    }
}

/// One client, in slices between which the disk is measured.
fn latency(ca: &Ca, extent: &Extent, units: &mut Units) -> Figure {
    let mut alone = Load::default();
    load(ca, 1, Until::Count(50), "alone-warm");
    for slice in 0..6 {
        units.measure_fdatasync();
        let tag = format!("alone-{slice}");
        alone.add(load(ca, 1, Until::Count(extent.alone / 6), &tag));
    }
    Figure {
        number: 3,
        name: "issuance latency with one client, p50",
        unit: "fdatasyncs of 4 KiB",
        value: Some(quantile(&alone.latencies, 0.5) / units.fdatasync_growing()),
        target: Target::AtMost(4.0),
        how: "one connection kept alive; the unit is 4 KiB appended to a file and \
              fdatasync, same disk, alternating",
        raw: json!({
            "p50_microseconds": round(quantile(&alone.latencies, 0.5) * 1e6),
            "p99_microseconds": round(quantile(&alone.latencies, 0.99) * 1e6),
            "p99_in_units": round(quantile(&alone.latencies, 0.99) / units.fdatasync_growing()),
            "p50_in_fdatasyncs_of_4_kib_written_over_others":
                round(quantile(&alone.latencies, 0.5) / units.fdatasync()),
            "requests": alone.issued,
            "server_cpu_microseconds_each": round(alone.cpu_each() * 1e6),
        }),
    }
}
