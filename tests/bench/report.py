#!/usr/bin/env python3
"""Makes docs/performance.md and its plots out of what scripts/bench measured.

    report.py merge     takes a run's JSON from stdin into tests/bench/results.json, workload by workload
    report.py write     writes the page and the plots
    report.py check     fails where they are not what would be written
"""

import datetime
import json
import pathlib
import statistics
import sys

import plots
import targets

HERE = pathlib.Path(__file__).parent
DOCS = HERE.parent.parent / "docs"
RESULTS = HERE / "results.json"
NOTES = HERE / "what-did-not-help.md"
MISSED = HERE / "what-is-missed.md"
# Above this the others may have decided what was measured.
OTHERS = 0.2
# So much longer than the best of all: the disk was throttled.
THROTTLED = 3

ABOUT = {
    "append": "Events into the store in process. Each producer waits for its last event; the bare log syncs as many "
              "records at a time as the store did.",
    "post": "Messages over HTTP, acknowledged when they are in the log; each connection waits for its last answer. "
            "Bare actix-web is a handler that does nothing.",
    "fanout": "One session to 1,000 streams: each line when all have the last one, and 32 lines on their way.",
    "sessions": "1,000 sessions with a stream each; 64 producers with up to 4 lines on their way.",
    "line": "A line of an agent to a stream, 200 lines a second, nothing else; fdatasync as often.",
    "idle": "Sessions with a child that waits, and streams, in which nothing happens.",
    "join": "500 streams begin at once, each 200 events behind.",
    "reconnect": "2,000 streams of 20 sessions come back at once, while another session is in use; streams of 50 sessions.",
    "stalled": "100 streams take 12 MB, alone and beside 100 that read nothing until the end.",
    "history": "Pages of 200 events over HTTP, on one connection; a replay of a million events out of the store.",
    "spawn": "A child through its guard against `true` by posix_spawn.",
    "start": "Killed with 200 live sessions, and started again.",
    "everyday": "200 sessions at 50 lines a second, three viewers each.",
    "stalls": "64 producers at half of what the store takes: the longest that an event waited.",
    "scaling": "The cost of one event as sessions, streams and stored events grow.",
}
# What is shown of each workload, in this order; the rest is in results.json.
FIGURES = [
    ("appends_per_second", "appends/s"), ("deliveries_per_second", "deliveries/s"),
    ("acknowledged_per_second", "acknowledged/s"), ("requests_per_second", "requests/s"), ("events_per_second", "events/s"),
    ("events_per_core_second", "events/s a core"), ("starts_per_second", "starts/s"),
    ("started_and_ended_per_second", "started and ended/s"),
    ("batch", "batch"), ("p50_us", "p50 µs"), ("p99_us", "p99 µs"), ("p999_us", "p99.9 µs"), ("worst_us", "worst µs"),
    ("p50_us_per_60_kib", "p50 µs per 60 KiB"), ("cpu_us", "CPU µs"), ("server_cpu_us", "server CPU µs"),
    ("server_cores", "server cores"), ("whole_ms", "whole ms"), ("listening_ms", "listening ms"),
    ("pages_read", "pages read"), ("live_p99_ratio", "others' p99, x quiet"),
    ("memory_peak_mib", "peak MiB"), ("memory_growth_mib", "growth MiB"), ("memory_at_start_mib", "MiB at start"),
    ("session_kib", "KiB a session"), ("stream_kib", "KiB a stream"), ("cores_at_rest", "cores at rest"),
]
# One row for each of these in a scaling table.
GROWN = ["sessions", "streams", "events"]


def merge(results, run, commit, day):
    """A workload of the run takes the place of the one before."""
    results = {"machine": run["machine"], "workloads": dict(results.get("workloads", {}))}
    for name in distinct(sample["workload"] for sample in run["samples"]):
        samples = [dict(sample) for sample in run["samples"] if sample["workload"] == name]
        for sample in samples:
            del sample["workload"]
        results["workloads"][name] = {"commit": commit, "day": day, "quick": run["quick"], "samples": samples}
    return results


def dumped(results):
    """One line for each sample, so that a change is seen where it is."""
    lines = ['{"machine": ' + json.dumps(results["machine"]) + ',', '"workloads": {']
    names = list(results["workloads"])
    for name in names:
        workload = dict(results["workloads"][name])
        samples = workload.pop("samples")
        lines.append(f'{json.dumps(name)}: {json.dumps(workload)[:-1]}, "samples": [')
        lines += [json.dumps(sample) + ("," if sample is not samples[-1] else "") for sample in samples]
        lines.append("]}" + ("," if name != names[-1] else ""))
    return "\n".join(lines + ["}}"]) + "\n"


def distinct(names):
    return list(dict.fromkeys(names))


def medians(samples):
    """Of each figure of one subject in one case."""
    names = distinct(name for sample in samples for name in sample["figures"])
    values = lambda name: [sample["figures"][name] for sample in samples if name in sample["figures"]]
    return {name: statistics.median_low(values(name)) for name in names}


def number(value):
    if value is None:
        return ""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def table(rows):
    lines = ["| " + " | ".join(rows[0]) + " |", "|" + "---|" * len(rows[0])]
    return lines + ["| " + " | ".join(row) + " |" for row in rows[1:]]


def workload_tables(name, samples):
    lines = []
    for case in distinct(sample["case"] for sample in samples):
        here = [sample for sample in samples if sample["case"] == case]
        subjects = {subject: medians([s for s in here if s["subject"] == subject])
                    for subject in distinct(sample["subject"] for sample in here)}
        shown = [(key, title) for key, title in FIGURES if any(key in figures for figures in subjects.values())]
        rows = [[case] + [title for _, title in shown]]
        rows += [[subject] + [number(figures.get(key)) for key, _ in shown] for subject, figures in subjects.items()]
        lines += table(rows) + [""]
    return lines


def scaling_tables(samples):
    lines = []
    for grown in GROWN:
        here = [sample for sample in samples if sample["case"].startswith(grown + " ")]
        cases = distinct(sample["case"] for sample in here)
        if not cases:
            continue
        values = {case: medians([s for s in here if s["case"] == case]) for case in cases}
        known = plots.CURVES[grown]
        rows = [[grown] + [title for _, title in known]]
        for case in cases:
            count = f"{int(case.split()[1]):,}"
            rows.append([count] + [number(values[case].get(key)) for key, _ in known])
        lines += table(rows) + ["", f"![cost against {grown}](performance-{grown}.svg)", ""]
    return lines


def caveats(workloads):
    """What others did meanwhile, and what was not measured in full."""
    used = {name: max((sample["figures"].get("others_cores", 0) for sample in workload["samples"]), default=0)
            for name, workload in workloads.items()}
    noisy = [f"{name} ({cores:.1f})" for name, cores in used.items() if cores > OTHERS]
    syncs = {name: [sample["figures"]["fdatasync_us"] for sample in workload["samples"]
                    if "fdatasync_us" in sample["figures"]] for name, workload in workloads.items()}
    best = min((sync for times in syncs.values() for sync in times), default=0)
    slow = [f"{name} ({sum(sync > THROTTLED * best for sync in times)} of {len(times)})"
            for name, times in syncs.items() if any(sync > THROTTLED * best for sync in times)]
    quick = [name for name, workload in workloads.items() if workload["quick"]]
    lines = []
    if noisy:
        lines += [f"**Other processes used over {OTHERS} cores meanwhile, at most so many:** {', '.join(noisy)}.", ""]
    if slow:
        lines += [f"**The disk took over {THROTTLED} times its best of {best:,.0f} µs for an fdatasync before some "
                  f"measurements:** {', '.join(slow)}.", ""]
    if quick:
        lines += [f"**Quick runs, a tenth of the real ones:** {', '.join(quick)}.", ""]
    return lines


def page(results, notes, missed=""):
    machine, workloads = results["machine"], results["workloads"]
    lines = [
        "# Performance", "",
        "Made by `scripts/bench` from `tests/bench/results.json`; not to be edited by hand. Absolute figures belong to the "
        "machine. Ratios are medians of ratios within one round, where what is compared takes turns; a limit (a bare log, "
        "bare writes, fdatasync) is measured in the same run.", "",
        f"Machine: {machine['cores']} cores, {machine['processor']}, {machine['memory_gib']:.0f} GiB, "
        f"Linux {machine['kernel']}, {machine['file_system']}. Clients, load and server share the cores.", "",
        "    scripts/bench                 # everything, with the peers; then this page is written",
        "    scripts/bench fanout line     # only these, the rest stays as it was",
        "    scripts/bench scaling         # the curves",
        "    scripts/bench stalls          # ten minutes of appending at half load",
        "    seawall bench                 # the same without peers, for your own machine", "",
    ]
    lines += caveats(workloads)
    lines += ["## Targets", ""] + table(targets.rows(workloads)) + [""]
    if missed:
        lines += ["## What is missed, and why", "", missed.strip(), ""]
    if "fanout" in workloads:
        lines += ["![deliveries a second](performance-fanout.svg)", ""]
    for name in [name for name in ABOUT if name in workloads]:
        workload = workloads[name]
        lines += [f"## {name}", "", f"{ABOUT[name]} Measured on {workload['day']} at {workload['commit']}.", ""]
        tables = scaling_tables if name == "scaling" else lambda samples: workload_tables(name, samples)
        lines += tables(workload["samples"])
    lines += ["## What did not help", "", notes.strip(), ""]
    return "\n".join(lines)


def made(results, notes, missed=""):
    """The files of docs by name."""
    files = {"performance.md": page(results, notes, missed)}
    workloads = results["workloads"]
    if "fanout" in workloads:
        files["performance-fanout.svg"] = plots.fanout(workloads["fanout"]["samples"], medians)
    for grown in GROWN:
        if "scaling" in workloads:
            picture = plots.curve(grown, workloads["scaling"]["samples"], medians)
            if picture:
                files[f"performance-{grown}.svg"] = picture
    return files


def main(command, *rest):
    results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if command == "merge":
        commit = rest[0] if rest else "an unknown commit"
        day = datetime.date.today().isoformat()
        RESULTS.write_text(dumped(merge(results, json.load(sys.stdin), commit, day)))
        return 0
    files = made(results, NOTES.read_text(), MISSED.read_text())
    if command == "write":
        for name, text in files.items():
            (DOCS / name).write_text(text)
        return 0
    stale = [name for name, text in files.items()
             if not (DOCS / name).exists() or (DOCS / name).read_text() != text]
    for name in stale:
        print(f"docs/{name} is not made from tests/bench/results.json: python3 tests/bench/report.py write")
    return 1 if stale else 0


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in ("merge", "write", "check"):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
