"""The grader: problem sets from one source, probes, self-checks, release and grading.

A notebook needs two names, `probe` and `selfcheck`. The rest (generate, release, grade, lint) is imported by the
command line, and never by a student's kernel.
"""

from lazy_course.grading import probe
from lazy_course.grading.checks import selfcheck

__all__ = ["probe", "selfcheck"]
