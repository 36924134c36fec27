"""How lazy is my model? Reports before, during and after training; the public names stand in `__all__`."""

from lazy_course.report.laziness import laziness_report
from lazy_course.report.monitor import LazinessMonitor, Row
from lazy_course.report.networks import apply_network, equinox_network, linen_network, nnx_network
from lazy_course.report.record import Certified, LazinessReport, Measured, Predicted
from lazy_course.report.setting import spread

__all__ = [
    "Certified",
    "LazinessMonitor",
    "LazinessReport",
    "Measured",
    "Predicted",
    "Row",
    "apply_network",
    "equinox_network",
    "laziness_report",
    "linen_network",
    "nnx_network",
    "spread",
]
