"""Long solves say how far they are: after `PATIENCE` seconds a line, and another one every `PATIENCE` seconds."""

import math
import time

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

PATIENCE = 10.0
EVERY = 1024


class Clock:
    """The seconds since the first report after a `restart`: those that a compilation takes are not counted."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew: the next report starts the clock, and a line comes `PATIENCE` seconds after it."""
        self.start = self.printed = float("nan")

    def report(self, message: str) -> None:
        """Print the message with the seconds gone, unless the start or the last line is younger than `PATIENCE`."""
        now = time.monotonic()
        if math.isnan(self.start):
            self.start = self.printed = now
        if now - self.printed >= PATIENCE:
            self.printed = now
            print(f"{message} after {now - self.start:.0f} s", flush=True)


CLOCK = Clock()


class LateProgressMeter(diffrax.AbstractProgressMeter):
    """Reports to `CLOCK`, at the solver's steps 1, 2, 4, ... and at every 1024th: a fast solve hardly notices it.

    For one solve that runs at a time, not for solves under `jax.vmap`.
    """

    def init(self) -> Int[Array, ""]:
        return jnp.zeros((), dtype=int)

    def step(self, state: Int[Array, ""], progress: float | Array | np.ndarray) -> Int[Array, ""]:
        now = state + 1
        due = (now & state == 0) | (now % EVERY == 0)
        jax.lax.cond(due, lambda: jax.debug.callback(_said, now, progress), lambda: None)
        return now

    def close(self, state: Int[Array, ""]) -> None:
        del state


def _said(steps: Array, progress: float | Array | np.ndarray) -> None:
    CLOCK.report(f"still integrating: {100 * float(progress):.2f} % of the flow time, {int(steps)} steps")
