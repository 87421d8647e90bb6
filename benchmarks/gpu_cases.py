"""What the race on the GPU is run over: logits of twelve shapes, two linear heads, and the bytes that no method goes below."""

from dataclasses import dataclass

import torch

SHAPES = (  # rows, classes: few classes, image models, then vocabularies; 50257 is odd, so its rows begin anywhere
    (65536, 10),
    (65536, 100),
    (32768, 1000),
    (32768, 4096),
    (16384, 8192),
    (16384, 16384),
    (8192, 32000),
    (8192, 50257),
    (4096, 65536),
    (8192, 128256),
    (16384, 151936),  # 2.5e9 logits: offsets beyond 2**31
    (1024, 262144),
)
DTYPES = ("bfloat16", "float32")
HEAD_SHAPES = ((8192, 2304, 256000), (2048, 768, 50304))  # rows, features, classes
FORWARD, BOTH = "forward", "forward and backward"
SEED = 20261129
# A third of the rows is confident: its target stands so many nats above the likeliest other class.
SMALLEST_LEAD_NATS, LARGEST_LEAD_NATS = 1.0, 70.0


@dataclass(frozen=True)
class LossCase:
    """Logits (rows, classes) and class ids."""

    rows: int
    classes: int
    dtype: str

    @property
    def name(self) -> str:
        return f"loss {self.rows} x {self.classes} {self.dtype}"

    @property
    def read_bytes(self) -> int:
        """One read of the logits: the floor of a forward."""
        return self.rows * self.classes * getattr(torch, self.dtype).itemsize

    @property
    def copy_bytes(self) -> int:
        """One read of the logits and one write of their gradient: the floor of forward and backward."""
        return 2 * self.read_bytes


@dataclass(frozen=True)
class HeadCase:
    """Hidden states (rows, features), a head's weight (classes, features), and class ids."""

    rows: int
    features: int
    classes: int
    dtype: str

    @property
    def name(self) -> str:
        return f"head {self.rows} x {self.features} x {self.classes} {self.dtype}"


LOSS_CASES = tuple(LossCase(rows, classes, dtype) for rows, classes in SHAPES for dtype in DTYPES)
HEAD_CASES = tuple(HeadCase(*shape, "bfloat16") for shape in HEAD_SHAPES)
# They show that the harness runs.
SHORT_LOSS_CASES = (LossCase(64, 10, "float32"), LossCase(16, 1000, "bfloat16"))
SHORT_HEAD_CASES = (HeadCase(64, 32, 512, "bfloat16"),)
PROOF_LOSS = LossCase(512, 32000, "bfloat16")
PROOF_HEAD = HeadCase(512, 256, 8192, "bfloat16")


def loss_data(case: LossCase, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits of scale 3, every third row confident, and class ids; the same for every call."""
    generator = torch.Generator(device).manual_seed(SEED)
    dtype = getattr(torch, case.dtype)
    logits = torch.randn(case.rows, case.classes, device=device, dtype=dtype, generator=generator).mul_(3)
    ids = torch.randint(case.classes, (case.rows,), device=device, generator=generator)
    confident = logits[::3]
    lead = torch.empty(len(confident), device=device).uniform_(
        SMALLEST_LEAD_NATS, LARGEST_LEAD_NATS, generator=generator
    )
    confident.scatter_(1, ids[::3, None], (confident.amax(1) + lead).to(dtype)[:, None])
    return logits, ids


def head_data(case: HeadCase, device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return hidden states, a weight and class ids; the logits are of scale 3."""
    generator = torch.Generator(device).manual_seed(SEED)
    dtype = getattr(torch, case.dtype)
    hidden = torch.randn(case.rows, case.features, device=device, dtype=dtype, generator=generator)
    weight = torch.randn(case.classes, case.features, device=device, dtype=dtype, generator=generator)
    ids = torch.randint(case.classes, (case.rows,), device=device, generator=generator)
    return hidden, weight.mul_(3 / case.features**0.5), ids
