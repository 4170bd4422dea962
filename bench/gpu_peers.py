"""Torii beside PyTorch on one GPU, on the same numbers: the loss, the whole training step, evaluation, tables.

  python3 gpu_peers.py [--bench FOLDER] [--cases loss,step,eval,tables] [--seconds 200] [--quick]

FOLDER holds Torii's programs (loss_gpu_bench, step_bench ...); default: the folder of this script. PyTorch runs eagerly and
compiled, in bfloat16 by autocast. Losses must agree to 1e-3. Prints one JSON line for each comparison: milliseconds of both
and their ratio. After --seconds no new case begins.
"""
import argparse
import json
import os
import subprocess
import tempfile
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

TAU = 0.07


def milliseconds(run, at_least_ms=150):
    """The median of a call's time on the GPU, after warm-up."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    times, total = [], 0.0
    while len(times) < 5 or total < at_least_ms:
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        run()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
        total += times[-1]
    return sorted(times)[len(times) // 2]


def torii(program, *arguments):
    """The JSON lines that one of Torii's programs prints."""
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise RuntimeError(f"{program}: exit code {done.returncode}: {done.stderr.strip()[-300:]}")
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def report(case, peer, peer_ms, torii_ms, **more):
    print(json.dumps({"case": case, "peer": peer, "peer_ms": round(peer_ms, 4), "torii_ms": round(torii_ms, 4),
                      "ratio": round(peer_ms / torii_ms, 2), **more}), flush=True)


def check(case, peer, got, want):
    if not abs(got - want) <= 1e-3 * abs(want):
        raise RuntimeError(f"{case}: Torii's loss is {got}, that of {peer} {want}")


# --- The loss.
def softmax_loss(q, v, offset, positive):
    return F.cross_entropy((q @ v.T).float() / TAU + offset, positive)


def loss_case(bench, quick):
    rng = np.random.default_rng(1)
    for rows, columns, dim in [(16384, 16384, 64), (16384, 16384, 128), (65536, 16384, 64)][:1 if quick else 3]:
        case = f"loss {rows} x {columns} x {dim}"
        q, v = (rng.standard_normal((n, dim), dtype=np.float32) for n in (rows, columns))
        q, v = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (q, v))
        offset = rng.random(columns, dtype=np.float32)
        positive = rng.integers(0, columns, rows)
        with tempfile.TemporaryDirectory() as folder:
            for name, x in dict(q=q, v=v, column_offset=offset, positive=positive).items():
                np.save(f"{folder}/{name}.npy", x)
            ours = {p: torii(f"{bench}/loss_gpu_bench", "--data", folder, "--precision", p)[-1] for p in ("bf16", "fp32")}
        tq, tv = (torch.from_numpy(x).cuda().requires_grad_() for x in (q, v))
        offset, positive = torch.from_numpy(offset).cuda(), torch.from_numpy(positive).cuda()
        for precision in ("bf16", "fp32"):
            for name, function in (("eager", softmax_loss), ("compiled", torch.compile(softmax_loss, dynamic=False))):
                def step():
                    tq.grad = tv.grad = None
                    with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
                        loss = function(tq, tv, offset, positive)
                    loss.backward()
                    return loss
                peer = f"torch {name} {precision}"
                check(case, peer, ours[precision]["loss"], float(step()))
                report(case, peer, milliseconds(step), ours[precision]["ms"], of_limit=round(ours[precision]["of_limit"], 3))
        del tq, tv
        torch.cuda.empty_cache()


# --- The training step. Embeddings: row-wise Adagrad; towers: Adam.
USERS, ITEMS, DIM, HIDDEN, STEP_TAU = 1_000_000, 100_000, 64, 128, 0.1


class Tower(nn.Module):
    def __init__(self, w, name):
        super().__init__()
        self.w1, self.b1, self.w2, self.b2 = (nn.Parameter(torch.from_numpy(w[f"{name}_{k}"]).cuda())
                                              for k in ("w1", "b1", "w2", "b2"))

    def forward(self, x):
        h = torch.relu(F.linear(x, self.w1, self.b1))
        return F.normalize(F.linear(h, self.w2, self.b2).float(), dim=1)


def in_batch_loss(u, v, log_q, ids):
    """Negatives are the items of the batch; other copies of a row's own item are masked."""
    hit = ids[None, :] == ids[:, None]
    hit.fill_diagonal_(False)
    s = (u @ v.T).float() / STEP_TAU - log_q
    return F.cross_entropy(s.masked_fill(hit, -1e30), torch.arange(len(ids), device=ids.device))


class RowWiseAdagrad:
    def __init__(self, weight, lr=0.05, eps=1e-8):
        self.weight, self.lr, self.eps = weight, lr, eps
        self.sum = torch.zeros(weight.shape[0], device=weight.device)

    @torch.no_grad()
    def step(self):
        g = self.weight.grad.coalesce()
        row, value = g.indices()[0], g.values()
        new = self.sum[row] + value.square().mean(1)
        self.sum[row] = new
        self.weight.index_add_(0, row, value / (new.sqrt() + self.eps)[:, None], alpha=-self.lr)
        self.weight.grad = None


def step_inputs(batch, batches=24):
    rng = np.random.default_rng(3)
    p = np.arange(1, ITEMS + 1, dtype=np.float64) ** -1.05
    p /= p.sum()
    place = rng.permutation(ITEMS)
    rank = np.minimum(np.searchsorted(np.cumsum(p), rng.random(batches * batch), side="right"), ITEMS - 1)
    probability = np.empty(ITEMS)
    probability[place] = p
    w = {"user": rng.standard_normal((USERS, DIM), dtype=np.float32) * np.float32(0.1),
         "item": rng.standard_normal((ITEMS, DIM), dtype=np.float32) * np.float32(0.1)}
    for t in ("user", "item"):
        w[t + "_w1"] = rng.standard_normal((HIDDEN, DIM), dtype=np.float32) * np.float32((2 / DIM) ** 0.5)
        w[t + "_b1"] = np.zeros(HIDDEN, np.float32)
        w[t + "_w2"] = rng.standard_normal((DIM, HIDDEN), dtype=np.float32) * np.float32((1 / HIDDEN) ** 0.5)
        w[t + "_b2"] = np.zeros(DIM, np.float32)
    return {"user_ids": rng.integers(0, USERS, (batches, batch)), "item_ids": place[rank].reshape(batches, batch).astype(np.int64),
            "logq": np.log(np.maximum(probability, 1e-6)).astype(np.float32), **{"w_" + k: x for k, x in w.items()}}


def torch_step(x, compiled, bf16):
    """A function that takes one training step and returns its loss."""
    w = {k[2:]: a.copy() for k, a in x.items() if k.startswith("w_")}
    user, item = (nn.Embedding.from_pretrained(torch.from_numpy(w[k]).cuda(), freeze=False, sparse=True) for k in ("user", "item"))
    towers = [Tower(w, "user"), Tower(w, "item")]
    dense = [p for t in towers for p in t.parameters()]

    def forward(eu, ei, log_q, ids):
        return in_batch_loss(towers[0](eu), towers[1](ei), log_q, ids)

    run = torch.compile(forward, dynamic=False) if compiled else forward
    rows = [RowWiseAdagrad(user.weight), RowWiseAdagrad(item.weight)]
    adam = torch.optim.Adam(dense, 1e-3, fused=True)
    log_q = torch.from_numpy(x["logq"]).cuda()
    data = [(torch.from_numpy(u).cuda(), torch.from_numpy(i).cuda()) for u, i in zip(x["user_ids"], x["item_ids"])]
    count = 0

    def step():
        nonlocal count
        u, i = data[count % len(data)]
        count += 1
        adam.zero_grad()
        with torch.autocast("cuda", torch.bfloat16, enabled=bf16):
            loss = run(user(u), item(i), log_q[i], i)
        loss.backward()
        adam.step()
        for r in rows:
            r.step()
        return loss.detach()

    return step


def step_case(bench, quick):
    for batch in (16384, 4096, 65536)[:1 if quick else 3]:
        case = f"step {batch}"
        x = step_inputs(batch, 24 if batch < 65536 else 8)
        with tempfile.TemporaryDirectory() as folder:
            for name, array in x.items():
                np.save(f"{folder}/{name}.npy", array)
            ours = {p: torii(f"{bench}/step_bench", folder, "--device", "cuda", "--precision", p, "--steps", 60, "--repeats", 5,
                             "--threads", 1)[-1] for p in ("bf16", "fp32")}
        for precision, names in (("bf16", ("compiled", "eager")), ("fp32", ("compiled",))):
            for name in names:
                if batch == 65536 and (name == "eager" or precision == "fp32"):
                    continue  # the matrix of logits and its copies
                step = torch_step(x, name == "compiled", precision == "bf16")
                losses = [float(step()) for _ in range(5)]
                mine = ours[precision]
                for a, b in zip(mine["losses"], losses):
                    check(case, name, a, b)
                several = milliseconds(lambda: [step() for _ in range(10)]) / 10
                report(case, f"torch {name} {precision}", several, 1e3 * mine["seconds_median"],
                       examples_per_s=round(mine["examples_per_s"]), host={k: round(mine[k], 3) for k in ("plan", "towers", "loss", "update", "exchange")})
                torch.cuda.empty_cache()


# --- Exact evaluation, on arrays of the same shape.
def eval_case(bench, quick):
    queries, items, dim = 16384, 62423, 64
    ours = {line["case"]: line for line in torii(f"{bench}/eval_gpu_bench", "--hidden", 0)}
    q = F.normalize(torch.randn(queries, dim, device="cuda"), dim=1)
    x = F.normalize(torch.randn(items, dim, device="cuda"), dim=1)
    target = torch.randint(items, (queries,), device="cuda")
    score = (q * x[target]).sum(1)
    number = torch.arange(items, device="cuda")

    def count(q, score, target):
        s = q @ x.T
        return ((s > score[:, None]) | ((s == score[:, None]) & (number < target[:, None]))).sum(1)

    compiled = torch.compile(count, dynamic=False)
    blocks = range(0, queries, 4096)
    report("counting", "torch compiled compare",
           milliseconds(lambda: [compiled(q[b:b + 4096], score[b:b + 4096], target[b:b + 4096]) for b in blocks]), ours["counting"]["ms"])
    best = milliseconds(lambda: [(q[b:b + 4096] @ x.T).topk(100) for b in blocks])
    report("counting", "torch mm + topk(100)", best, ours["counting"]["ms"])
    report("best 100", "torch mm + topk(100)", best, ours["best 100"]["ms"])


# --- Tables. FBGEMM's published times on an H100 for this case: SGD 0.959 ms, Adam 1.350 ms.
def tables_case(bench, quick):
    ours = {(line["case"], line.get("rule")): line for line in torii(f"{bench}/table_gpu_bench")}
    for rule, published in (("SGD", 0.959), ("ADAM", 1.350)):
        line = ours["table lookup + update", rule]
        report("tables " + rule, "FBGEMM, published", published, line["ms"], of_limit=round(line["of_limit"], 3))
    rows, keys, dim = 16_800_000, 1_048_570, 128
    w = torch.randn(rows, dim, device="cuda")
    g = torch.randn(keys, dim, device="cuda")
    p = torch.cumsum(torch.arange(1, 1_680_001, device="cuda", dtype=torch.float64) ** -1.05, 0)
    one = torch.searchsorted(p, torch.rand(keys, device="cuda", dtype=torch.float64) * p[-1]).clamp_(max=1_679_999)
    index = one * 7_368_787 % 1_680_000 + torch.arange(keys, device="cuda") // 104_857 * 1_680_000
    report("tables SGD", "torch index_select + index_add_ (atomics)",
           milliseconds(lambda: (w.index_select(0, index), w.index_add_(0, index, g, alpha=-1e-3))),
           ours["table lookup + update", "SGD"]["ms"])


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--bench", default=os.path.dirname(os.path.abspath(__file__)))
    ap.add_argument("--cases", default="loss,step,eval,tables")
    ap.add_argument("--seconds", type=float, default=200)
    ap.add_argument("--quick", action="store_true", help="one size of each case")
    a = ap.parse_args()
    torch.backends.cuda.matmul.allow_tf32 = False
    begin, failed = time.monotonic(), 0
    for name in a.cases.split(","):
        if time.monotonic() - begin > a.seconds:
            print(json.dumps({"case": name, "skipped": "no time was left"}))
            continue
        try:
            globals()[name + "_case"](a.bench, a.quick)
        except Exception as error:  # the other cases still count
            failed += 1
            print(json.dumps({"case": name, "failed": f"{type(error).__name__}: {error}"[:500]}), flush=True)
    raise SystemExit(failed > 0)


if __name__ == "__main__":
    main()
