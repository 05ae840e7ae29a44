"""What the figures are to reach, and what they reached."""

import statistics

SEAWALL, STORE = "seawall", "seawall store"
MEMORY, P, P_MEMORY = "seawall in memory", "durable-streams", "durable-streams in memory"
BARE_LOG, BARE_WRITES, NCHAN, REDIS = "bare log", "bare writes", "nginx + Nchan", "redis"
AT_LEAST, AT_MOST = "≥", "≤"
FULL = "64 producers, full"
ERRORS = ("order_errors", "duplicates", "silent_gaps")


class Measured:
    """The samples of all workloads, by what they are of."""

    def __init__(self, workloads):
        self.workloads = workloads

    def values(self, workload, case, subject, figure):
        """By round."""
        samples = self.workloads.get(workload, {"samples": []})["samples"]
        return {sample["round"]: sample["figures"][figure] for sample in samples
                if sample["case"].startswith(case) and sample["subject"] == subject and figure in sample["figures"]}

    def middle(self, workload, case, subject, figure):
        values = self.values(workload, case, subject, figure)
        return statistics.median_low(values.values()) if values else None

    def ratio(self, workload, case, figure, subject, to, to_case=None, to_figure=None):
        above = self.values(workload, case, subject, figure)
        below = self.values(workload, to_case or case, to, to_figure or figure)
        ratios = [above[turn] / below[turn] for turn in above if below.get(turn)]
        return statistics.median_low(ratios) if ratios else None

    def over_memory(self):
        """How many fdatasyncs a line takes beyond what it takes in memory."""
        disk, memory, sync = (self.values("line", "idle", subject, "p50_us")
                              for subject in (SEAWALL, MEMORY, "fdatasync"))
        rounds = [turn for turn in disk if turn in memory and sync.get(turn)]
        return statistics.median_low((disk[t] - memory[t]) / sync[t] for t in rounds) if rounds else None

    def more_when_stalled(self):
        """MiB that the server grew by beyond what it grew by without stalled readers."""
        beside, alone = (self.values("stalled", case, SEAWALL, "memory_growth_mib") for case in ("100", "none"))
        differences = [beside[turn] - alone[turn] for turn in beside if turn in alone]
        return statistics.median_low(differences) if differences else None

    def best_join(self):
        """Of the peer's two modes the better one."""
        ratios = [self.ratio("join", "500", "deliveries_per_second", SEAWALL, peer) for peer in (P, P_MEMORY)]
        ratios = [ratio for ratio in ratios if ratio is not None]
        return min(ratios) if ratios else None

    def worst_of(self, workload, case, subject, figure):
        values = self.values(workload, case, subject, figure)
        return max(values.values()) if values else None

    def errors(self):
        samples = [sample["figures"] for workload in self.workloads.values() for sample in workload["samples"]
                   if sample["subject"].startswith(SEAWALL)]
        return sum(figures.get(name, 0) for figures in samples for name in ERRORS) if samples else None


def table(measured):
    """Rows: workload, what, bound, limit, value."""
    m = measured
    rate, cpu, p50, p99 = "deliveries_per_second", "server_cpu_us", "p50_us", "p99_us"
    fan = lambda case, figure, to: m.ratio("fanout", case, figure, SEAWALL, to)
    one, burst, acknowledged = "one by one", "bursts", "acknowledged_per_second"
    return [
        ("append", "64 producers: events/s, x a bare fdatasync log at the same batch", AT_LEAST, 0.8,
         m.ratio("append", FULL, "appends_per_second", STORE, BARE_LOG)),
        ("append", "64 producers: p99, x fdatasync's p99", AT_MOST, 3, m.ratio("append", FULL, p99, STORE, BARE_LOG)),
        ("stalls", "worst of ten minutes at half load, x fdatasync's p99", AT_MOST, 20,
         m.ratio("stalls", "half load", "worst_us", STORE, BARE_LOG, to_figure=p99)),
        ("post", "64 connections: messages/s, x durable-streams", AT_LEAST, 1.3, m.ratio("post", "64", acknowledged, SEAWALL, P)),
        ("post", "64 connections: p99, x durable-streams", AT_MOST, 1, m.ratio("post", "64", p99, SEAWALL, P)),
        ("post", "one connection: messages/s, x fdatasync's rate", AT_LEAST, 0.85,
         m.ratio("post", "1 ", acknowledged, SEAWALL, BARE_LOG)),
        ("fanout", "one by one: server CPU, x bare writes", AT_MOST, 1.15, fan(one, cpu, BARE_WRITES)),
        ("fanout", "one by one: deliveries/s, x durable-streams in memory", AT_LEAST, 1.25, fan(one, rate, P_MEMORY)),
        ("fanout", "one by one: deliveries/s, x Nchan", AT_LEAST, 1.05, fan(one, rate, NCHAN)),
        ("fanout", "one by one: p99, x durable-streams in memory", AT_MOST, 0.8, fan(one, p99, P_MEMORY)),
        ("fanout", "bursts: deliveries/s, x durable-streams in memory", AT_LEAST, 2.5, fan(burst, rate, P_MEMORY)),
        ("fanout", "bursts: deliveries/s, x Nchan", AT_LEAST, 8, fan(burst, rate, NCHAN)),
        ("fanout", "bursts: deliveries/s, x redis", AT_LEAST, 1.25, fan(burst, rate, REDIS)),
        ("fanout", "bursts: deliveries/s, x durable-streams", AT_LEAST, 1.5, fan(burst, rate, P)),
        ("sessions", "lines/s, x durable-streams", AT_LEAST, 1.5, m.ratio("sessions", "64", rate, SEAWALL, P)),
        ("sessions", "p99, x durable-streams", AT_MOST, 1, m.ratio("sessions", "64", p99, SEAWALL, P)),
        ("line", "p50 beyond the one in memory, in fdatasyncs", AT_MOST, 1.3, m.over_memory()),
        ("line", "p50, x durable-streams", AT_MOST, 0.8, m.ratio("line", "idle", p50, SEAWALL, P)),
        ("idle", "KiB a stream", AT_MOST, 20, m.middle("idle", "", SEAWALL, "stream_kib")),
        ("idle", "KiB a session", AT_MOST, 2, m.middle("idle", "", SEAWALL, "session_kib")),
        ("idle", "cores at rest", AT_MOST, 0.01, m.middle("idle", "", SEAWALL, "cores_at_rest")),
        ("idle", "MiB of the server at start", AT_MOST, 12, m.middle("idle", "", SEAWALL, "memory_at_start_mib")),
        ("join", "events/s, x durable-streams' better mode", AT_LEAST, 1.5, m.best_join()),
        ("join", "slowest round in ms (a lost SYN takes 1,000)", AT_MOST, 999, m.worst_of("join", "500", SEAWALL, "whole_ms")),
        ("reconnect", "within the cap: reads of the log", AT_MOST, 0, m.worst_of("reconnect", "within", SEAWALL, "pages_read")),
        ("reconnect", "within the cap: others' live p99, x quiet", AT_MOST, 3,
         m.middle("reconnect", "within", SEAWALL, "live_p99_ratio")),
        ("reconnect", "beyond the cap: others' live p99, x quiet", AT_MOST, 3,
         m.middle("reconnect", "beyond", SEAWALL, "live_p99_ratio")),
        ("reconnect", "a stream of 50 sessions, whole in ms", AT_MOST, 5,
         m.middle("reconnect", "50 sessions, one", SEAWALL, "whole_ms")),
        ("stalled", "MiB that 100 stalled readers cost", AT_MOST, 16, m.more_when_stalled()),
        ("stalled", "p99 of the healthy, x the run without stalled ones", AT_MOST, 1.2,
         m.ratio("stalled", "100", p99, SEAWALL, SEAWALL, to_case="none")),
        ("history", "cold replay: M events/s a core", AT_LEAST, 10,
         scaled(m.middle("history", "cold replay", STORE, "events_per_core_second"), 1e-6)),
        ("history", "a page of 200, x a static answer of its size", AT_MOST, 1.5,
         m.ratio("history", "pages, a connection", "p50_us_per_60_kib", SEAWALL, "static answer")),
        ("spawn", "starts/s, x posix_spawn", AT_LEAST, 0.7,
         m.ratio("spawn", "small", "starts_per_second", "seawall guard", "posix_spawn")),
        ("spawn", "starts/s with 4 GiB in use, x without", AT_LEAST, 0.9,
         m.ratio("spawn", "4 GiB", "starts_per_second", "seawall guard", "seawall guard", to_case="small")),
        ("start", "listening, in ms", AT_MOST, 2000, m.middle("start", "", SEAWALL, "listening_ms")),
        ("everyday", "cores of the server", AT_MOST, 0.35, m.middle("everyday", "", SEAWALL, "server_cores")),
        ("all", "lines out of order, double or silently left out", AT_MOST, 0, m.errors()),
    ]


def scaled(value, factor):
    return None if value is None else value * factor


def is_met(bound, limit, value):
    return value >= limit if bound == AT_LEAST else value <= limit


def rows(workloads):
    rows = [["workload", "what", "target", "measured", ""]]
    for workload, what, bound, limit, value in table(Measured(workloads)):
        if value is None:
            shown, verdict = "not measured", ""
        else:
            shown, verdict = f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}", "missed"
            if is_met(bound, limit, value):
                verdict = "met"
            if workloads.get(workload, {}).get("quick"):
                verdict += " (quick)"
        rows.append([workload, what, f"{bound} {limit:,}", shown, verdict])
    return rows
