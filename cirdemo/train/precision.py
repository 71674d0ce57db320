"""The number format that matrix products are fastest in here: bf16 only where it pays."""

from __future__ import annotations

import functools
import time

import torch
from torch import Tensor

GAIN = 1.2  # bf16 has to be this much faster: it costs precision
ROUNDS = 3


@functools.lru_cache(maxsize=1)
def fast_dtype() -> torch.dtype:
    """bfloat16 if its matrix products are faster than float32's on this processor, measured once.

    With AMX they were measured 6 times faster; on a processor without bf16 instructions 4 times
    slower, as each product is converted back and forth.
    """
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        a, b = torch.ones(1024, 256, dtype=dtype), torch.ones(256, 768, dtype=dtype)
        a @ b  # the first product sets the kernel up
        times = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            a @ b
            times.append(time.perf_counter() - start)
        seconds[dtype] = min(times)
    fast = seconds[torch.bfloat16] * GAIN < seconds[torch.float32]
    return torch.bfloat16 if fast else torch.float32


def autocast() -> torch.autocast:
    """Autocast to the fast format; does nothing where that is float32."""
    dtype = fast_dtype()
    return torch.autocast("cpu", torch.bfloat16, enabled=dtype is torch.bfloat16)


class Muon(torch.optim.Muon):
    """torch's Muon with its five matrix iterations in the fast format, not always in bf16."""

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(p)
                momentum = state["momentum_buffer"].lerp_(p.grad, 1 - group["momentum"])
                update = p.grad.lerp(momentum, group["momentum"])  # Nesterov
                update = orthogonal(update.to(fast_dtype()), group["ns_coefficients"])
                scale = 0.2 * max(p.shape) ** 0.5  # the size of an AdamW update
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.to(p.dtype), alpha=-group["lr"] * scale)


def orthogonal(matrix: Tensor, coefficients: tuple[float, float, float], steps: int = 5) -> Tensor:
    """About the nearest matrix with singular values of 1 (Jordan et al., 2024)."""
    a, b, c = coefficients
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.T if tall else matrix
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x
