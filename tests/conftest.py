"""Strict numerics for every test: double precision, and no silent broadcast between ranks."""

import os

# Most of a test's time is compilation of a program that runs once: ask XLA for quick code, not for fast code.
# It has to be said before JAX starts.
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_backend_optimization_level=0"

import jax
import pytest

import lazy_course  # noqa: F401  (switches on double precision)
from tests import status

# Tests under names that do not say so.
pytest.register_assert_rewrite("tests.grading.shared_tests", "tests.derivations")
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_configure(config):
    """Keep the outcomes for the pages of claims and errata; a worker of xdist reports to the main one."""
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(status.Status(), "lazy-status")


@pytest.fixture
def key():
    """A key for tests that draw; every test gets the same one."""
    return jax.random.key(20190607)


@pytest.fixture(scope="session")
def walls():
    """The sandbox of this machine; where there is none CI fails and others skip."""
    from lazy_course.grading import sandbox

    reason = sandbox.trouble()
    if reason and os.environ.get("CI"):
        pytest.fail(reason)
    if reason:
        pytest.skip(reason)
    return sandbox.Bubblewrap()
