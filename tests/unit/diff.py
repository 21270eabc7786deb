# SPDX-License-Identifier: Apache-2.0
"""What the differential tests share: where the models are, batches in several processes, a report.

A test is a program diff_NAME.py DRIVER [--count N] [--seed N] [--jobs N]. Its batches are functions
of (driver, seed, count) that return the texts of all differences and a count of what was met by kind.
The same count and seed draw the same states, with any number of processes.
"""
import argparse
import importlib
import multiprocessing
import os
import subprocess
import sys

SKIPPED = 77
SHOWN = 10  # differences that are printed


def model(name):
    """The module of that name in the folder that HVCORE_MODELS names; without it the test is skipped."""
    folder = os.environ.get("HVCORE_MODELS", "")
    if not folder or not os.path.exists(os.path.join(folder, name + ".py")):
        print(f"skipped: HVCORE_MODELS does not name the folder of {name}.py")
        sys.exit(SKIPPED)
    sys.path.insert(0, folder)
    sys.dont_write_bytecode = True
    return importlib.import_module(name)


def ask(driver, lines, answers):
    """What a driver answers to lines, in lines; it is an error if there are not so many."""
    run = subprocess.run([driver], input="\n".join(lines) + "\n", capture_output=True, text=True,
                         check=False)
    got = run.stdout.splitlines()
    if run.returncode or len(got) != answers:
        raise RuntimeError(f"{driver}: status {run.returncode}, {len(got)} answers of {answers}\n{run.stderr}")
    return got


def attempt(job):
    batch, driver, seed, count = job
    try:
        return batch(driver, seed, count)
    except RuntimeError as e:
        return [str(e)], {}


def arguments(count):
    ap = argparse.ArgumentParser()
    ap.add_argument("driver")
    ap.add_argument("--count", type=int, default=count)
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--jobs", type=int, default=os.cpu_count())
    return ap.parse_args()


def main(what, batch, size, count):
    """Runs `count` of `what` in batches of `size`; 1 if anything differs."""
    a, bad, total = arguments(count), 0, {}
    jobs = [(batch, a.driver, f"{a.seed}.{i}", min(size, a.count - i)) for i in range(0, a.count, size)]
    with multiprocessing.Pool(a.jobs) as pool:
        for found, kinds in pool.imap_unordered(attempt, jobs):
            print("\n".join(found[:max(0, SHOWN - bad)]), end="\n" if found and bad < SHOWN else "")
            bad += len(found)
            for k, n in kinds.items():
                total[k] = total.get(k, 0) + n
    for k, n in sorted(total.items()):
        print(f"{n:10d} {k}")
    print(f"{a.count} {what}, {bad} differ")
    return 1 if bad else 0
