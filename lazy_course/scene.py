"""What a moving picture of a training run is made from; needs no page (`moving` draws it on one)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Scene(NamedTuple):
    """A training run in frames: the function and its linearized twin on a grid, all neurons in a plane, both losses."""

    steps: Int[np.ndarray, " frames"]
    data: Float[np.ndarray, "n 2"]
    grid: Float[np.ndarray, " g"]
    trained: Float[np.ndarray, "frames g"]
    twin: Float[np.ndarray, "frames g"]
    neurons: Float[np.ndarray, "frames m 2"]
    loss: Float[np.ndarray, " frames"]
    twin_loss: Float[np.ndarray, " frames"]
