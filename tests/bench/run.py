#!/usr/bin/env python3
"""Run the benchmarks: out/bench.csv and a table for people.

usage: tests/bench/run.py [NAME ...]

NAME is a script or a program of this folder without its suffix: fingerprint,
memory, evaluate, layer, kernels, generate, bandwidth, peak, llama_cpp. Without
one, all run; generate then leaves out the 10,000 stages, whose first run of
stand-ins takes minutes, and llama_cpp runs only if LLAMA names a folder of its
programs.
Timings are observations of one machine at one moment: compare within a run.
"""
import datetime
import os
import platform
import subprocess
import sys

NAMES = {
    "fingerprint": ["tests/bench/fingerprint.py"],
    "layer": ["tests/bench/layer.py"],
    "evaluate": ["tests/bench/evaluate.py"],
    "memory": ["tests/bench/memory.py"],
    "generate": ["tests/bench/generate.py", "100", "1000"],
    "kernels": ["out/bench/kernels"],
    "bandwidth": ["out/bench/bandwidth"],
    "peak": ["out/bench/peak"],
}
if os.environ.get("LLAMA"):
    NAMES["llama_cpp"] = ["tests/bench/llama_cpp.py"]


def first_line(command):
    try:
        out = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                             stderr=subprocess.DEVNULL).stdout
    except OSError:
        out = ""
    return out.split("\n")[0].strip() or "unknown"


def processor():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def circumstances():
    return {
        "commit": first_line(["git", "rev-parse", "--short", "HEAD"]),
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%F %R"),
        "processor": processor(),
        "cores": str(len(os.sched_getaffinity(0))),
        "load": f"{os.getloadavg()[0]:.1f}",
        "compiler": first_line(["cc", "--version"]),
    }


def table(rows):
    """Columns as wide as they need to be; numbers to the right."""
    wide = [max(len(r[i]) for r in rows if i < len(r))
            for i in range(max(len(r) for r in rows))]
    for r in rows:
        print("  " + "  ".join(
            c.rjust(w) if c[:1].isdigit() or i else c.ljust(w)
            for i, (c, w) in enumerate(zip(r, wide))).rstrip())


def measure(name, csv):
    command = NAMES[name]
    if command[0].endswith(".py"):
        command = [sys.executable] + command
    print(f"\n{name}", flush=True)
    try:
        p = subprocess.run(command, stdout=subprocess.PIPE, text=True,
                           stderr=subprocess.STDOUT, errors="replace")
        text, status = p.stdout, p.returncode
    except OSError as e:
        text, status = f"{e.strerror}\n", 127
    lines = text.splitlines()
    if status != 0:
        print("\n".join("  " + line for line in lines[-20:]))
        return False
    rows = [line.split(",") for line in lines
            if "," in line and not line.startswith("#")]
    csv.write(f"# {name}\n" + "\n".join(",".join(r) for r in rows) + "\n")
    csv.flush()
    table(rows)
    return True


def main():
    os.chdir(os.path.dirname(os.path.dirname(os.path.dirname(
        os.path.abspath(__file__)))))
    names = sys.argv[1:] or list(NAMES)
    for name in names:
        if name not in NAMES:
            print(f"tests/bench/run.py: no benchmark '{name}'; write "
                  f"{', '.join(NAMES)}", file=sys.stderr)
            return 2
    os.makedirs("out", exist_ok=True)
    failed = []
    with open("out/bench.csv", "w") as csv:
        for what, value in circumstances().items():
            csv.write(f"# {what}: {value}\n")
            print(f"{what}: {value}")
        for name in names:
            if not measure(name, csv):
                failed.append(name)
    print("\nout/bench.csv" + (f"; failed: {' '.join(failed)}" if failed
                               else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
