"""Lazy training: a course whose every statement can be run.

Importing the package switches JAX to double precision: the theory chapters compare
quantities that differ by factors of 10^7 and more. An experiment that wants single
precision names float32 itself. Who uses the laziness report in a project of single
precision sets the environment variable LAZY_COURSE_X64=0 before the import: then JAX
stays as it is.
"""

import os

import jax

if os.environ.get("LAZY_COURSE_X64", "1") != "0":
    jax.config.update("jax_enable_x64", True)

__version__ = "0.1.0"
