"""Build the book: execute its pages side by side, then let Jupyter Book read their outputs from the cache.

The execution cache knows the cells of a page, not the library that they call. So the build keeps
a fingerprint of everything the outputs depend on beside the cache, and starts afresh when it changes.

Run as `make book`.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path

import yaml
from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 300


def fingerprint(root: Path) -> str:
    """Hash the files that a page's outputs depend on: the library, its data, and the versions locked."""
    return _fingerprint(root, "lazy_course")


def tree_fingerprint(root: Path) -> str:
    """Hash the files that the outcome of a test depends on: those of the library, and the tests and problem sets."""
    return _fingerprint(root, "lazy_course", "tests", "solutions", "exercises", "book")


def _fingerprint(root: Path, *folders: str) -> str:
    digest = hashlib.sha256()
    inside = [p for folder in folders for p in (root / folder).rglob("*")]
    files = [p for p in inside if p.is_file() and p.suffix != ".pyc" and ".ipynb_checkpoints" not in p.parts]
    for path in [*sorted(files), root / "requirements.lock"]:
        digest.update(f"{path.relative_to(root)}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def start_afresh_if_changed(root: Path, build: Path) -> bool:
    """Remove everything built when the library is not the one that it was built with."""
    stamp, now = build / "library.sha256", fingerprint(root)
    if stamp.exists() and stamp.read_text() == now:
        return False
    shutil.rmtree(build, ignore_errors=True)
    build.mkdir(parents=True)
    stamp.write_text(now)
    return True


def pages(root: Path) -> list[Path]:
    """List the executable pages in the table of contents."""
    toc = yaml.safe_load((root / "_toc.yml").read_text())
    files = [c["file"] for part in toc["parts"] for c in part["chapters"]] + [toc["root"]]
    found = [root / f"{name}.md" for name in files]
    return [p for p in found if p.exists() and "{code-cell}" in p.read_text()]


def execute(sources: Iterable[Path], cache_dir: Path) -> list[str]:
    """Execute the pages that the cache does not hold, several at once; return what failed."""
    cache = get_cache(cache_dir)
    for path in sources:
        cache.add_nb_to_project(str(path), read_data={"name": "myst_nb_md", "type": "plugin"})
    result = load_executor("local-parallel", cache).run_and_cache(timeout=TIMEOUT)
    problems = []
    for uri in [*result.errored, *result.excepted]:
        record = cache.get_project_record(uri)
        problems.append(f"{uri}\n{record.traceback or 'no traceback'}")
    for uri in result.succeeded:
        took = cache.get_cached_project_nb(uri)
        seconds = took.data.get("execution_seconds") if took else None
        print(f"  executed {Path(uri).relative_to(ROOT)}" + (f" in {seconds:.1f} s" if seconds else ""))
    return problems


def use_own_ipython_profile(folder: Path) -> None:
    """Keep a reader's own IPython start-up files, and the kernels' routine warnings, out of the pages."""
    profile = folder / "profile_default"
    profile.mkdir(parents=True, exist_ok=True)
    (profile / "ipython_kernel_config.py").write_text("c.IPKernelApp.log_level = 40\n")
    os.environ["IPYTHONDIR"] = str(folder)


def main() -> int:
    start, build = time.monotonic(), ROOT / "_build"
    if start_afresh_if_changed(ROOT, build):
        print("The library is new to this book: every page runs.")
    use_own_ipython_profile(build / "ipython")
    problems = execute(pages(ROOT), build / ".jupyter_cache")
    if problems:
        print("\n".join(["A page failed:", *problems]), file=sys.stderr)
        return 1
    book = Path(sys.executable).with_name("jupyter-book")
    command = [book, "build", "-n", "-W", "--keep-going", "-q", str(ROOT)]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    if status:
        return status
    print(f"The book is built ({time.monotonic() - start:.0f} s). Open {build / 'html' / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
