"""Torii beside what else one could use, on the same numbers.

Runs Torii and each peer in turn (A B A B ...), several times, on the inputs that the peer's script wrote with --dump, checks that the
losses agree, and prints the ratio of the median times. The peers are scripts of their own (step_torch_ddp.py, step_torchrec.py,
loss_torch.py, eval_peers.py, embedding_peers.py) which print one JSON line per measurement; they get the settings in which they are
fastest: compiled, freed memory kept, and on AMD processors an MKL that takes its AVX-512 kernels.

  compare_peers.py --peers FOLDER --python PEERS/bin/python --build build/release --dumps /tmp/dumps --case 'step-4096-*'

Nothing else should run meanwhile. A peer that cannot run (not installed, say) is reported as such and left out.
"""
import argparse
import fnmatch
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import tempfile

import peer_cases


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", required=True, help="folder of the peers' scripts")
    parser.add_argument("--python", default=sys.executable, help="the python that has the peers' packages")
    parser.add_argument("--build", default="build/release", help="Torii's build folder")
    parser.add_argument("--dumps", default=os.path.join(tempfile.gettempdir(), "torii-peer-dumps"), help="where the inputs are kept")
    parser.add_argument("--case", action="append", help="pattern of case names; may be repeated (default: all)")
    parser.add_argument("--peer", action="append", help="pattern of peer names; may be repeated (default: all)")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and end")
    parser.add_argument("--rounds", type=int, default=3, help="times that each program runs")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="in all: a process gets its share of them")
    parser.add_argument("--prefix", default="", help="put before every command, e.g. 'taskset -c 0,1'")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for one run of a program")
    parser.add_argument("--json", help="append the results to this file, one line a case")
    return parser.parse_args()


def fast_mkl(peers):
    """Environment in which torch's MKL takes the same kernels on AMD as on Intel processors; empty elsewhere."""
    with open("/proc/cpuinfo") as f:
        amd = "AuthenticAMD" in f.read()
    source = os.path.join(peers, "mkl_intel.c")
    if not amd or not os.path.exists(source):
        return {}
    library = os.path.join(tempfile.mkdtemp(prefix="torii-mkl-"), "libmklintel.so")
    subprocess.run(["cc", "-shared", "-fPIC", source, "-o", library], check=True)
    return {"LD_PRELOAD": library}


def read_lines(output):
    """A dict for each measurement: of the JSON lines, and of lines "NAME best T ms  median T ms ... FRACTION of the limit"."""
    times = re.compile(r"best +([\d.]+)(?: ms)?(?: +\(([\d.]+)\))? +median +([\d.]+) +ms")
    result, section = [], ""
    for line in output.splitlines():
        found = times.search(line)
        if line.startswith("{"):
            result.append(json.loads(line))
        elif found:
            best, fraction, median = (float(x) if x else None for x in found.groups())
            result.append({"text": line.strip(), "section": section, "seconds_median": 1e-3 * median})
            after = re.search(r"([\d.]+) of (?:it|the limit)", line)
            if fraction or after:
                result[-1]["fraction_of_limit"] = (fraction or float(after[1])) * best / median
        elif " best " not in line:  # a heading; times in microseconds are not compared
            section = line.strip()
    return result


def run(side, a, number, outputs):
    """The lines that count of run `number` of a program, or what went wrong. A command that several cases share runs once for all."""
    # Set after the prefix, which need not bear LD_PRELOAD.
    command = (*shlex.split(a.prefix), "env", *(f"{k}={v}" for k, v in side.env.items()), *side.command)
    if (command, number) not in outputs:
        env = {k: v for k, v in os.environ.items() if k != "OPENBLAS_CORETYPE"}
        try:
            outputs[command, number] = subprocess.run(command, env=env, capture_output=True, text=True, timeout=a.timeout)
        except (OSError, subprocess.TimeoutExpired) as e:
            outputs[command, number] = subprocess.CompletedProcess(command, 1, "", str(e))
    done = outputs[command, number]
    lines = read_lines(done.stdout)
    good = [x for x in lines if "seconds_median" in x and side.lines(x)]
    if good and done.returncode == 0:
        return good, ""
    failed = [str(x["failed"]) for x in lines if "failed" in x]
    return [], " ".join(failed) or (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]


def disagreement(own, peer):
    """Largest relative difference of the losses that both printed; None if one printed none."""
    pairs = zip(own.get("losses", []), peer.get("losses", []))
    return max((abs(x - y) / abs(y) for x, y in pairs), default=None)


def measure(case, peers, a, outputs):
    """Alternates the programs; a program's line is the fastest of those that count, for each run."""
    if case.dump and not os.path.isdir(case.dump[0]):
        os.makedirs(a.dumps, exist_ok=True)
        subprocess.run([*shlex.split(a.prefix), *case.dump[1]], check=True, stdout=subprocess.DEVNULL)
    sides = [case.torii, *peers]
    runs, failed = {s.name: [] for s in sides}, {}
    for number in range(a.rounds):
        for side in sides:
            if side.name in failed:
                continue
            lines, error = run(side, a, number, outputs)
            if error:
                failed[side.name] = error
            else:
                runs[side.name].append(min(lines, key=lambda x: x["seconds_median"]))
    return runs, failed


def compare(case, peers, a, outputs):
    runs, failed = measure(case, peers, a, outputs)
    if "torii" in failed:
        return {"case": case.name, "failed": failed}
    own = runs["torii"]
    median = statistics.median(x["seconds_median"] for x in own)
    result = {"case": case.name, "rounds": a.rounds, "torii_seconds": median, "peers": {}}
    fractions = [x["fraction_of_limit"] for x in own if "fraction_of_limit" in x]
    if fractions:
        result["fraction_of_limit"] = statistics.median(fractions)
    if "losses" in own[0]:
        result["losses"] = own[0]["losses"]
    for side in peers:
        if side.name in failed:
            result["peers"][side.name] = {"failed": failed[side.name]}
            continue
        seconds = statistics.median(x["seconds_median"] for x in runs[side.name]) * side.factor
        entry = {"seconds": seconds, "setting": runs[side.name][0].get("setting", ""), "ratio": seconds / median}
        difference = disagreement(own[0], runs[side.name][0])
        if case.losses_within is not None and difference is not None:
            entry["losses_differ_by"] = difference
            entry["losses_agree"] = difference <= case.losses_within
        result["peers"][side.name] = entry
    return result


def print_row(result):
    if "failed" in result:
        print(f"| {result['case']} | failed: {result['failed']} | | | | | |", flush=True)
        return
    fraction = f"{result['fraction_of_limit']:.2f}" if "fraction_of_limit" in result else ""
    for name, peer in result["peers"].items():
        head = f"| {result['case']} | {1e3 * result['torii_seconds']:.2f} | {fraction} | {name} {peer.get('setting', '')} | "
        if "failed" in peer:
            print(head + f"failed: {peer['failed']} | | |", flush=True)
            continue
        agree = f"{peer['losses_differ_by']:.1e}" + ("" if peer["losses_agree"] else " TOO MUCH") if "losses_differ_by" in peer else ""
        print(head + f"{1e3 * peer['seconds']:.2f} | {peer['ratio']:.2f} | {agree} |", flush=True)


def main():
    a = arguments()
    places = peer_cases.Places(a.build, a.peers, a.python, a.dumps, {} if a.list else fast_mkl(a.peers), a.threads)
    cases = [c for c in peer_cases.all_cases(places) if any(fnmatch.fnmatch(c.name, pattern) for pattern in a.case or ["*"])]
    if a.list:
        print("\n".join(c.name for c in cases))
        return 0
    print("| case | Torii, ms | of the limit | peer | peer, ms | ratio | losses differ by |\n|---|---|---|---|---|---|---|", flush=True)
    wrong, outputs = False, {}
    for case in cases:
        peers = [s for s in case.peers if any(fnmatch.fnmatch(s.name, pattern) for pattern in a.peer or ["*"])]
        result = compare(case, peers, a, outputs)
        print_row(result)
        wrong |= "failed" in result or any(not p.get("losses_agree", True) for p in result["peers"].values())
        if a.json:
            with open(a.json, "a") as f:
                f.write(json.dumps(result) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
