"""The speed of the kernels, measured by `make bench`; it writes lazy_course/benchmarks.json, which the book shows.

`ours.py` and `peer.py` are two programs that are given the same numbers by `problems.py` and answer through
`worker.py`; `run.py` starts both and lets them work in turns. `peer.py` runs in an environment of its own, with
neural-tangents 0.6.5, and knows nothing of this package.
"""
