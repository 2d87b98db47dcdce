"""`python -m tests.simulation --seed 1234 --trace`: run seeds again, exactly as before, and say what happened."""

import argparse
import logging
import sys
import time
from collections import Counter

from tests.simulation import auctions
from tests.simulation.answering import Answering
from tests.simulation.auctions import Auctions
from tests.simulation.checks import judge
from tests.simulation.scenario import Scenario
from tests.simulation.simulation import Simulation


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=1, help="how many seeds")
    parser.add_argument("--trace", action="store_true", help="print every request")
    parser.add_argument("--auctions", action="store_true", help="the real three stages")
    parser.add_argument("--calm", action="store_true", help="without faults")
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    began, failed, happened, steps = time.perf_counter(), 0, Counter[str](), 0
    for seed in range(options.seed, options.seed + options.count):
        workload, check = (Auctions, auctions.judge) if options.auctions else (Answering, judge)
        outcome = Simulation(Scenario.draw(seed, not options.calm), workload, traced=options.trace).run()
        findings = list(check(outcome))
        happened, steps = happened + outcome.faults.happened, steps + outcome.steps
        if options.trace:
            print(*outcome.trace, sep="\n")
        if findings:
            failed += 1
            print(f"seed {seed}:", *findings, sep="\n  ")
    spent_s = time.perf_counter() - began
    print(
        f"{options.count} seeds, {failed} failed, "
        f"{options.count / spent_s:.1f} seeds/s, {steps / options.count:.0f} steps each"
    )
    for what, count in sorted(happened.items()):
        print(f"  {count:8} {what}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
