"""Tests of what makes the page: `python3 -m unittest discover tests/bench`."""

import json
import unittest

import plots
import report
import targets


def sample(case, subject, turn, **figures):
    return {"workload": "fanout", "case": case, "subject": subject, "round": turn, "figures": figures}


MACHINE = {"cores": 2, "processor": "p", "memory_gib": 4, "kernel": "6", "file_system": "ext4", "version": "0"}


def run(*samples):
    return {"machine": MACHINE, "quick": False, "samples": list(samples)}


class Report(unittest.TestCase):
    def test_a_workload_takes_the_place_of_the_one_before_and_leaves_the_others(self):
        first = report.merge({}, run(sample("one by one", "seawall", 0, deliveries_per_second=5)), "a", "d")
        first["workloads"]["line"] = {"commit": "a", "day": "d", "quick": False, "samples": []}
        second = report.merge(first, run(sample("one by one", "seawall", 0, deliveries_per_second=7)), "b", "d")
        self.assertEqual(list(second["workloads"]), ["fanout", "line"])
        self.assertEqual(second["workloads"]["fanout"]["samples"][0]["figures"], {"deliveries_per_second": 7})
        self.assertEqual(json.loads(report.dumped(second)), second)

    def test_ratios_are_taken_within_a_round(self):
        samples = [sample("one by one", subject, turn, server_cpu_us=cost)
                   for turn, costs in enumerate([(2, 1), (9, 3), (8, 8)])
                   for subject, cost in zip(("seawall", "bare writes"), costs)]
        measured = targets.Measured({"fanout": {"samples": samples}})
        ratio = measured.ratio("fanout", "one by one", "server_cpu_us", "seawall", "bare writes")
        self.assertEqual(ratio, 2)
        self.assertIsNone(measured.ratio("fanout", "one by one", "server_cpu_us", "seawall", "nobody"))

    def test_a_target_is_met_missed_or_not_measured(self):
        samples = [sample("one by one", "seawall", 0, server_cpu_us=1, silent_gaps=0, duplicates=1),
                   sample("one by one", "bare writes", 0, server_cpu_us=1)]
        rows = {row[1]: row[3:] for row in targets.rows({"fanout": {"samples": samples}})[1:]}
        self.assertEqual(rows["one by one: server CPU, x bare writes"], ["1", "met"])
        self.assertEqual(rows["lines out of order, double or silently left out"], ["1", "missed"])
        self.assertEqual(rows["listening, in ms"], ["not measured", ""])
        self.assertTrue(targets.is_met("≥", 2, 2) and targets.is_met("≤", 2, 2))
        self.assertFalse(targets.is_met("≥", 2, 1.9) or targets.is_met("≤", 2, 2.1))

    def test_the_page_says_that_others_were_busy(self):
        quiet = report.merge({}, run(sample("one by one", "seawall", 0, others_cores=0.1)), "a", "d")
        busy = report.merge({}, run(sample("one by one", "seawall", 0, others_cores=0.7)), "a", "d")
        self.assertNotIn("meanwhile", report.page(quiet, ""))
        self.assertIn("cores meanwhile, at most so many:** fanout (0.7).", report.page(busy, ""))

    def test_the_page_says_that_the_disk_was_throttled(self):
        samples = [sample("one by one", "seawall", turn, fdatasync_us=time) for turn, time in enumerate([200, 500, 4000])]
        page = report.page(report.merge({}, run(*samples), "a", "d"), "")
        self.assertIn("best of 200 µs for an fdatasync before some measurements:** fanout (1 of 3).", page)

    def test_a_quick_run_is_called_one(self):
        quick = report.merge({}, {**run(sample("one by one", "seawall", 0)), "quick": True}, "a", "d")
        self.assertIn("a tenth of the real ones:** fanout.", report.page(quick, ""))

    def test_a_cost_that_does_not_grow_is_a_level_line(self):
        samples = [{"case": f"sessions {count}", "subject": "s", "round": 0, "figures": {"append_cpu_us": 5}}
                   for count in (1, 10, 100)]
        svg = plots.curve("sessions", samples, report.medians)
        points = svg.split('points="')[1].split('"')[0].split()
        self.assertEqual(len(points), 3)
        self.assertEqual(len({point.split(",")[1] for point in points}), 1)
        self.assertIsNone(plots.curve("streams", samples, report.medians))


if __name__ == "__main__":
    unittest.main()
