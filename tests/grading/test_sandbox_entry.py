"""How a kernel comes behind the walls from outside: in all their namespaces, and without a right of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lazy_course.grading import forkserver, kernel, nbval_plugin, notebooks, runner, template
from lazy_course.grading.sandbox import Bubblewrap
from tests.grading import tiny

# Builds walls around a shell that waits, enters them as a kernel does, and prints what the process inside finds.
VISITOR = """
import ctypes, json, os, pathlib, resource, subprocess, sys, tempfile
import psutil
from lazy_course.grading import entry, sandbox
sandbox.readable = lambda: tuple(map(pathlib.Path, sandbox._SYSTEM))  # what lies in root's folders, nobody cannot read
if sys.argv[1] == "nobody":
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
    ctypes.CDLL(None).prctl(4, 1)  # its own files in /proc are its own again
    os.environ["HOME"] = tempfile.tempdir = "/tmp"
walls = sandbox.Bubblewrap()

def links(process):
    return {name: os.readlink(f"/proc/{process}/ns/{name}") for name in os.listdir(f"/proc/{process}/ns")}

def refused(act, *arguments):
    try:
        act(*arguments)
    except (OSError, ValueError) as error:
        return type(error).__name__
    return ""

with tempfile.TemporaryDirectory() as top:
    folder = pathlib.Path(top) / "s"
    (folder / "home").mkdir(parents=True)
    holder = subprocess.Popen(walls.wrap(["sh", "-c", "echo; exec sleep 60"], folder, first=True), stdout=-1)
    holder.stdout.readline()
    first = sandbox.family(holder.pid)[-1].pid
    inside, outside = links(first), links("self")
    came, goes = os.pipe()
    between = os.fork()
    if not between:
        rights = walls.rights()
        entry.enter(first)
        if child := os.fork():
            os.waitpid(child, 0)
            os._exit(0)
        entry.confine(**rights)
        found = {
            "links": links("self"), "pid": os.getpid(), "ids": os.getresuid() + os.getresgid(),
            "groups": os.getgroups(), "status": pathlib.Path("/proc/self/status").read_text(),
            "limits": {key: resource.getrlimit(getattr(resource, "RLIMIT_" + key.upper())) for key in rights["limits"]},
            "processes": sorted(name for name in os.listdir("/proc") if name.isdigit()),
            "root": sorted(os.listdir("/")), "devices": sorted(os.listdir("/sys") if os.path.exists("/sys") else []),
            "interfaces": pathlib.Path("/proc/net/dev").read_text().count(":"),
            "refused": {
                "raise a limit": refused(resource.setrlimit, resource.RLIMIT_NPROC, (10**6, 10**6)),
                "become root": refused(os.setuid, 0), "give away": refused(os.chown, folder / "home", 1, 1),
                "write": refused(pathlib.Path("/usr/x").write_text, ""),
                "host name": refused(__import__("socket").sethostname, "x"),
                "outside": refused(os.listdir, "/root"),
            },
        }
        entry.os.access = lambda path, mode: True
        found["refused"]["run a Python that it can write to"] = refused(entry._look, rights["user"])
        os.write(goes, json.dumps(found).encode())
        os._exit(0)
    os.close(goes)
    os.waitpid(between, 0)
    with open(came, "rb") as told:
        found = json.loads(told.read() or b"{}")
    holder.kill()
    print(json.dumps({"found": found, "inside": inside, "outside": outside}))
"""


@pytest.fixture(scope="module", params=["the one who tests", "nobody"])
def visit(request, walls):
    if request.param == "nobody" and os.geteuid() != 0:
        pytest.skip("the tests run as an ordinary user: the other case tries it")
    done = subprocess.run([sys.executable, "-c", VISITOR, request.param], capture_output=True, text=True, cwd="/")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1]) | {"who": request.param}


def test_all_namespaces_are_those_of_the_walls(visit):
    found, inside, outside = visit["found"], visit["inside"], visit["outside"]
    assert found["links"] == inside
    apart = {name for name in inside if inside[name] != outside[name]}
    assert apart >= {"mnt", "pid", "net", "ipc", "uts", "pid_for_children"}
    assert ("user" in apart) == (visit["who"] == "nobody" or os.geteuid() != 0)


def test_no_right_is_left(visit):
    found = visit["found"]
    status = dict(line.split(":\t", 1) for line in found["status"].splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0, name
    assert status["NoNewPrivs"].strip() == "1"
    assert set(found["refused"].values()) <= {"PermissionError", "OSError", "ValueError", "FileNotFoundError"}, found
    assert len(set(found["ids"])) == 1
    assert 0 not in found["ids"]
    if os.geteuid() == 0 and visit["who"] != "nobody":
        assert found["ids"][0] >= 700_000
        assert found["groups"] == []


def test_limits_and_what_is_in_sight(visit):
    found = visit["found"]
    assert found["limits"] == {name: [value, value] for name, value in Bubblewrap().limits.kept().items()}
    assert found["processes"] == sorted(["1", str(found["pid"])])
    assert "root" not in found["root"]
    assert "home" not in found["root"]
    assert found["devices"] == []
    assert found["interfaces"] == 1  # its own loopback


LOOK = "import json, os, sys; raise ValueError(json.dumps({}))"


def _ask(own, expression):
    error = own.run(LOOK.format(expression), 20.0).error
    assert error.startswith("ValueError: "), error
    return json.loads(error.removeprefix("ValueError: "))


@pytest.fixture(scope="module")
def split(walls, tmp_path_factory):
    """A kernel that was split off, and one that was started behind the walls."""
    folder = tmp_path_factory.mktemp("split")
    for each in (folder, *list(folder.parents)[:2]):
        each.chmod(0o755)
    forkserver.start(kernel.environment(Path("/")))
    pair = []
    for name in (True, False):
        (folder / str(name) / "home").mkdir(parents=True)
        pair.append(kernel.IsolatedKernel(walls, folder / str(name), split=name))
    yield pair
    for own in pair:
        own.kill()
    forkserver.stop()


def test_a_kernel_that_was_split_off_is_like_one_that_was_started(split):
    """Environment, path of modules, working directory, identity and open files are what a kernel of its own has."""
    seen = [
        _ask(own, f"__import__('hashlib').sha256(str([{each}]).replace(os.getcwd(), 'F').encode()).hexdigest()")
        for own in split
        for each in (
            "sorted(os.environ.items())",
            "sys.path, sys.executable, sys.flags",
            "os.getresuid(), os.getresgid(), os.getgroups(), os.getcwd(), os.umask(0o22), os.nice(0)",
            "[__import__('signal').getsignal(number) for number in range(1, 32)]",
            "[__import__('resource').getrlimit(number) for number in range(16)]",
        )
    ]
    assert seen[:5] == seen[5:]
    numbers = "[f'/proc/self/fd/{f}' for f in range(300) if os.path.islink(f'/proc/self/fd/{f}')]"
    for own in split:
        opened = _ask(own, f"sorted({{os.readlink(number).split(':[')[0] for number in {numbers}}})")
        assert {name for name in opened if "/home/" not in name} <= {"/dev/null", "socket", "pipe", "anon_inode"}, (
            opened
        )


def test_only_the_kernel_that_was_split_off_has_loaded_jax_and_none_has_loaded_the_course(split):
    loaded = [_ask(own, "['jax' in sys.modules, 'lazy_course' in sys.modules]") for own in split]
    assert loaded == [[True, False], [False, False]]


def test_numbers_drawn_without_a_seed_differ_from_kernel_to_kernel(split, walls, tmp_path_factory):
    folder = tmp_path_factory.mktemp("another")
    (folder / "home").mkdir()
    for each in (folder, *list(folder.parents)[:2]):
        each.chmod(0o755)
    another = kernel.IsolatedKernel(walls, folder, split=True)
    drawn = "[__import__('random').random(), __import__('numpy').random.rand()]"
    first, second = _ask(split[0], drawn), _ask(another, drawn)
    another.kill()
    assert first[0] != second[0]
    assert first[1] != second[1]


def test_the_end_of_the_kernel_is_the_end_of_all_that_it_left(split, walls, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ends")
    (folder / "home").mkdir()
    for each in (folder, *list(folder.parents)[:2]):
        each.chmod(0o755)
    own = kernel.IsolatedKernel(walls, folder, split=True)
    own.run("import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)", 20.0)
    left = own._family()
    assert "sleep" in [process.name() for process in left]
    with pytest.raises(kernel.KernelLost, match="ended the Python process"):
        own.run("import os; os._exit(0)", 20.0)
    assert psutil.wait_procs(left[1:], timeout=10)[1] == []
    own.kill()


def test_who_cannot_enter_is_refused_and_nothing_runs(split, walls, tmp_path, monkeypatch):
    """A holder that is gone, and a confinement that fails: an OSError that says what, and no process is left."""
    order = {"home": "/", "environment": {}, "arguments": [], "user": None, "limits": {}}
    with pytest.raises(OSError, match="could not enter its walls: FileNotFoundError"):
        forkserver.split(2**22 + 1, order, 10.0)
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(walls, "rights", lambda: {"user": walls.user(), "limits": {"nonsense": 1}})
    with pytest.raises(OSError, match="could not enter its walls: AttributeError"):
        kernel.IsolatedKernel(walls, tmp_path, split=True)


@pytest.mark.parametrize(
    ("source", "may"),
    [
        ("import os\nos.environ['JAX_ENABLE_X64'] = '1'", True),
        ("os.putenv('A', '1')", True),
        ("%env A=1", True),
        ("%set_env A=1", True),
        ("envelope = 2 * environment_free", True),  # a false alarm costs time only
        ("envelope = 2", False),
    ],
)
def test_who_may_set_the_environment_gets_a_kernel_that_has_loaded_nothing(source, may):
    assert bool(nbval_plugin._SETS_ENVIRONMENT.search(source)) == may


def test_both_ways_to_start_a_kernel_give_the_same_verdicts(walls):
    """The same answers, once with a word in a comment that asks for a kernel of its own."""
    told = []
    for word, kind in (("", "=="), ("environ", "!=")):
        how = f"import sys\nassert sys.argv[0] {kind} 'ipykernel_launcher', '{word}'\n"  # the name of one split off
        answers = tiny.solved() | {"double": how + tiny.solved()["double"]}
        notebook = notebooks.to_bytes(template.graded(tiny.problems(), answers, seed=1, attempt=0))
        lines, trouble, _ = runner.run(notebook, walls.name, timeout=30.0)
        assert trouble == ""
        told.append(lines)
    assert told[0] == told[1]
    assert {line["question"] for line in told[0] if "payload" in line} == {"double", "gradient", "is-lazy"}
