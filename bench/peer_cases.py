"""What compare_peers.py compares: for each case the command of Torii, the commands of the peers, and which of the JSON lines that
they print belong to it."""
import dataclasses
import os
from typing import Callable

# glibc hands big freed blocks back to the kernel and faults them in again: keeping them makes the peers up to 2.5 times faster.
KEEP_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "8589934592", "MALLOC_TRIM_THRESHOLD_": "17179869184", "MALLOC_TOP_PAD_": "67108864"}
# faiss brings OpenBLAS, whose choice of kernels for some processors is half as fast.
FAST_OPENBLAS = {"OPENBLAS_CORETYPE": "SkylakeX"}

LOSS_SIZES = [(2048, 8192, 64), (2048, 8192, 128), (4096, 4096, 64), (8192, 8192, 64)]
STEPS = {256: (100, 5), 4096: (6, 5), 16384: (2, 3)}  # batch: steps of a repeat, repeats


@dataclasses.dataclass
class Side:
    """One program: its command, what to add to its environment, which of its lines count."""

    name: str
    command: list[str]
    env: dict[str, str] = dataclasses.field(default_factory=dict)
    lines: Callable[[dict], bool] = lambda line: True
    factor: float = 1.0  # on its seconds


@dataclasses.dataclass
class Case:
    name: str
    torii: Side
    peers: list[Side]
    losses_within: float | None = None  # relative, step by step or value by value
    dump: tuple[str, list[str]] | None = None  # folder, command that writes it


@dataclasses.dataclass
class Places:
    """Where things are: Torii's build folder, the peers' scripts, their python, folder for dumps, environment for fast MKL."""

    build: str
    peers: str
    python: str
    dumps: str
    fast_mkl: dict[str, str]
    threads: int

    def bench(self, name, *arguments):
        return [os.path.join(self.build, "bench", name), *map(str, arguments)]

    def peer(self, name, *arguments):
        return [self.python, os.path.join(self.peers, name), *map(str, arguments)]


def step_cases(p):
    for batch, (steps, repeats) in STEPS.items():
        folder = os.path.join(p.dumps, f"step-{batch}")
        dump = folder, p.peer("step_torch_ddp.py", "--batch", batch, "--setting", "eager", "--steps", 1, "--repeats", 1, "--dump", folder)
        often = ["--steps", steps, "--repeats", repeats]
        for world in (1, 2):
            for precision, suffix in (("fp32", ""), ("bf16", "-bf16")):
                own = p.bench("step_bench", folder, *often, "--threads", max(1, p.threads // world), "--precision", precision)
                if world > 1:
                    own = ["mpirun", *(["--allow-run-as-root"] if os.geteuid() == 0 else []), "-np", str(world), *own]
                shared = ["--batch", batch, "--world", world, "--threads", p.threads, "--setting", "compile" + suffix, *often]
                env = {**KEEP_MEMORY, **({} if suffix else p.fast_mkl)}
                yield Case(f"step-{batch}-{world}x{max(1, p.threads // world)}-{precision}", Side("torii", own),
                           [Side("torch" + (" DDP" if world > 1 else ""), p.peer("step_torch_ddp.py", *shared), env),
                            Side("TorchRec", p.peer("step_torchrec.py", *shared), env)],
                           losses_within=1e-2 if suffix else 1e-5, dump=dump)


def loss_cases(p):
    for rows, columns, dim in LOSS_SIZES:
        sizes = ["--B", rows, "--N", columns, "--D", dim]
        for threads in sorted({1, p.threads}):
            for precision, suffix in (("fp32", ""), ("bf16", "-bf16")):
                own = p.bench("loss_bench", threads, {"fp32": "float32", "bf16": "bfloat16"}[precision], rows, columns, dim)
                shared = [*sizes, "--threads", threads]
                env = {**KEEP_MEMORY, **({} if suffix else p.fast_mkl)}
                yield Case(f"loss-{rows}-{columns}-{dim}-{threads}t-{precision}", Side("torii", own),
                           [Side("plain", p.peer("loss_torch.py", *shared, "--setting", "compile" + suffix), env),
                            Side("expert", p.peer("loss_torch.py", *shared, "--setting", "blocks-compile" + suffix, "--rows", 128, 256), env)])


def eval_cases(p):
    folder = os.path.join(p.dumps, "eval")
    dump = folder, p.peer("eval_peers.py", "--peers", "faiss-nomask", "--chunks", 2048, "--repeats", 1, "--dump", folder)
    faiss = Side("faiss", p.peer("eval_peers.py", "--peers", "faiss", "--chunks", 2048, "--threads", p.threads), FAST_OPENBLAS)

    def torch(peer):
        return Side(peer, p.peer("eval_peers.py", "--peers", peer, "--chunks", 64, 256, "--threads", p.threads), KEEP_MEMORY)

    for kind, peers in (("count", [torch("torch-count-onednn"), faiss, torch("torch-onednn")]), ("top100", [faiss, torch("torch-onednn")])):
        text = {"count": "ranks by counting", "top100": "top-100"}[kind]
        own = Side("torii", p.bench("eval_bench", "--data", folder, "--threads", p.threads, "--k", 100),
                   lines=lambda line, text=text: line["text"].startswith(text))
        yield Case(f"eval-{kind}", own, peers, dump=dump)


def table_cases(p):
    names = {"rowwise": "ROWWISE_ADAGRAD", "adagrad": "ADAGRAD", "adam": "ADAM"}
    keys = {"zipf": "Zipf", "uniform": "uniform"}

    def own_lines(ids, optimizer):
        return lambda line: line["section"].startswith(keys[ids]) and line["text"].startswith(names[optimizer] + " lookup + update")

    def peer_lines(ids, optimizer):
        return lambda line: line["setting"].startswith(optimizer + " ") and "update" in line["setting"] and line["sizes"]["ids"] == ids

    for rows in (1_000_000, 16_000_000):
        own = p.bench("table_bench", p.threads, rows // 1_000_000)
        shared = p.peer("embedding_peers.py", "--rows", rows, "--threads", p.threads, "--cases")
        for ids in keys:
            for optimizer in names:
                wanted = peer_lines(ids, optimizer)
                peers = [Side("torch sparse", [*shared, "nn:rowwise,nn:adagrad,nn:adam"], KEEP_MEMORY, wanted)]
                if optimizer != "adam":  # FBGEMM has no Adam for CPUs, and its wheel uses one core: its times count half
                    peers.append(Side("FBGEMM / 2", [*shared, "tbe:rowwise,tbe:adagrad"], KEEP_MEMORY, wanted, factor=0.5))
                yield Case(f"table-{rows // 1_000_000}m-{ids}-{optimizer}", Side("torii", own, lines=own_lines(ids, optimizer)), peers)


def all_cases(places):
    return [*step_cases(places), *loss_cases(places), *eval_cases(places), *table_cases(places)]
