"""Lazy training: a course whose every statement can be run.

Importing the package switches JAX to double precision: the theory chapters compare
quantities that differ by factors of 10^7 and more. An experiment that wants single
precision names float32 itself.
"""

import jax

jax.config.update("jax_enable_x64", True)

__version__ = "0.1.0"
