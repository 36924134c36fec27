"""Hostile submissions for the sandbox: what each runs, the marks that it may get, and a part of the cause named.

`{name}` in a code stands for a path that the test fills in. An attack that the walls stop without harm to the answer
keeps its marks: its `double` is right only if nothing was found.
"""

from dataclasses import dataclass, field

GRADIENT = 3.0
LAZY = 1.0
OTHERS = {"gradient": GRADIENT, "is-lazy": LAZY}
ALL = {"double": 2.0, **OTHERS}


@dataclass(frozen=True)
class Attack:
    """The source of the answer to `double`; the other answers are right."""

    code: str
    marks: dict[str, float] = field(default_factory=lambda: dict(OTHERS))
    cause: str = ""
    or_stopped: bool = False  # whether it may also be stopped for the time or the memory that it takes


def harmless(search: str) -> Attack:
    """Full marks exactly if the expression `search`, which may raise, finds nothing."""
    code = f"""def double(x):
    import os, pathlib, socket, subprocess, glob, ctypes, signal
    try:
        found = {search}
    except Exception:
        found = False
    return 0.0 if found else 2 * x"""
    return Attack(code, dict(ALL))


ATTACKS = {
    # What must not be seen
    "solutions": harmless("open('{solutions}').read()"),
    "other": harmless("open('{other}').read()"),
    "seed": harmless("open('{seed}').read()"),
    "records": harmless("os.listdir('{out}')"),
    "tree": harmless(
        "[p for p in ('/root', '/home', '/work', '/srv', '/mnt', '/var', '/opt', '/run') "
        "for q in glob.glob(p + '/**/solutions', recursive=True)]"
    ),
    "secrets": harmless("os.path.exists('/etc/shadow') or os.path.exists('/etc/passwd') or os.listdir('/var')"),
    "parent": harmless(
        "len([p for p in os.listdir('/proc') if p.isdigit() and 'nbval' in open('/proc/' + p + '/cmdline').read()])"
    ),
    "environment": harmless(
        "'LAZY_COURSE_TEST_SECRET' in open('/proc/1/environ').read() or 'LAZY_COURSE_TEST_SECRET' in os.environ"
    ),
    "grader-folder": harmless("os.path.exists(os.path.join(os.getcwd(), '..', '..', 'grader', 'graded.ipynb'))"),
    "dots": harmless("open('../../../../../../../..' + '{solutions}').read()"),
    "way-through-proc": harmless("os.path.exists('/proc/1/root/planted') or open('/proc/1/root{solutions}').read()"),
    "hard-link": harmless("os.link('{other}', 'mine') is None"),
    "network": harmless("socket.create_connection(('127.0.0.1', {port}), timeout=2)"),
    "abstract-socket": harmless("socket.socket(socket.AF_UNIX).connect(chr(0) + '{abstract}') is None"),
    "write-package": harmless("open(__import__('lazy_course').__file__, 'a') and True"),
    "write-system": harmless("open('/usr/planted', 'w') and True"),
    "write-root": harmless("open('/planted', 'w') and True"),
    "write-shared-memory": harmless("open('/dev/shm/planted', 'w') and True"),
    "new-namespace": harmless(
        "os.geteuid() == 0 or subprocess.run(['unshare', '-U', '-r', 'chroot', '/', 'mount', "
        "'-t', 'tmpfs', 'none', '/usr']).returncode == 0"
    ),
    "keep-rights": harmless("ctypes.CDLL(None).setuid(0) == 0 and os.geteuid() == 0 and os.path.exists('/etc/shadow')"),
    "signal": harmless("os.kill(os.getppid(), 0) is None and os.getppid() > 60"),
    "signal-all": harmless("os.kill(-1, signal.SIGKILL) is not None"),
    "signal-first": harmless("os.kill(1, signal.SIGKILL) is not None"),
    "symlink": Attack(
        "import os\nos.symlink('/etc', 'etc')\nos.makedirs('.cache/matplotlib', exist_ok=True)\n"
        "os.symlink('{solutions}', '.cache/matplotlib/fontlist-v1.json')\n"
        "def double(x):\n    return 2 * x",
        dict(ALL),
    ),
    "closed-folder": Attack(
        "import os\nos.makedirs('a/b')\nos.chmod('a', 0)\ndef double(x):\n    return 2 * x", dict(ALL)
    ),
    # What must not run away
    "loop": Attack("def double(x):\n    while True:\n        pass", cause="not done after"),
    "zip-bomb": Attack(
        "import io, zipfile\nheld = io.BytesIO()\nwith zipfile.ZipFile(held, 'w', zipfile.ZIP_DEFLATED) as bomb:\n"
        "    bomb.writestr('zeros', bytes(80 * 2**20))\nzipfile.ZipFile(held).extractall()",
        cause="OSError",
    ),
    "memory": Attack("hoard = bytearray(64 * 2**30)", cause="MemoryError"),
    "memory-of-many": Attack(
        "import os, time\nfor i in range(8):\n    if os.fork() == 0:\n        hoard = bytearray(700 * 2**20)\n"
        "        hoard[::4096] = b'x' * (700 * 2**8)\n        time.sleep(60)\ntime.sleep(60)",
        cause="memory",
        or_stopped=True,
    ),
    "fork-bomb": Attack("import os\nwhile True:\n    os.fork()"),
    "threads": Attack(
        "import threading, time\n"
        "for i in range(10**6):\n    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()",
        cause="thread",
    ),
    "disk": Attack("i = 0\nwhile True:\n    open(f'f{i}', 'wb').write(bytes(32 * 2**20))\n    i += 1", cause="wrote"),
    "one-file": Attack("f = open('f', 'wb')\nwhile True:\n    f.write(bytes(2**20))", cause="OSError"),
    "many-files": Attack("i = 0\nwhile True:\n    open(f'f{i}', 'wb').close()\n    i += 1", cause="files"),
    "output": Attack("print('x' * 10**9)\ndef double(x):\n    return 2 * x", dict(ALL), or_stopped=True),
    "endless-output": Attack("while True:\n    print('x' * 10**5)", cause="was stopped"),
    "recursion": Attack("def double(x):\n    return double(x)", cause="RecursionError"),
    "crash": Attack("import ctypes\nctypes.string_at(0)", cause="ended the Python process"),
    "thread-that-stays": Attack(
        "import threading\ndef spin():\n    while True: pass\n"
        "threading.Thread(target=spin).start()\ndef double(x):\n    return 2 * x",
        dict(ALL),
    ),
    "child-that-stays": Attack(
        "import subprocess\nsubprocess.Popen(['sleep', '{nap}'])\ndef double(x):\n    return 2 * x", dict(ALL)
    ),
    # What must not fool the grader
    "json": Attack(
        "import json\njson.dumps = lambda *a, **k: '0'\ndef double(x):\n    return 3 * x", cause="was stopped"
    ),
    "time": Attack(
        "import time\ntime.time = time.monotonic = lambda: 0.0\ndef double(x):\n    return 2 * x", dict(ALL)
    ),
    "display": Attack(
        "import IPython.display\nIPython.display.display = lambda *a, **k: None\ndef double(x):\n    return 3 * x",
        {},
        cause="0 messages",
    ),
    "rng": Attack(
        "import numpy as np\nnp.random.default_rng = lambda *a: None\ndef double(x):\n    return 3 * x",
        {},
        cause="stopped with",
    ),
    "question": Attack("input('What is the answer? ')", cause="StdinNotImplementedError"),
    "junk": Attack(
        "kernel = get_ipython().kernel\nfor _ in range(100):\n"
        "    kernel.iopub_socket.send_multipart([b'junk', b'<IDS|MSG>', b'x', b'{', b'{', b'{', b'{'])\n"
        "def double(x):\n    return 2 * x",
        dict(ALL),
    ),
    "early-idle": Attack(
        "kernel = get_ipython().kernel\n"
        "kernel.session.send(kernel.iopub_socket, 'status', {'execution_state': 'idle'}, kernel.get_parent('shell'))\n"
        "while True:\n    pass",
        cause="not done after",
    ),
    "late-thread": Attack(
        "import threading\nfrom IPython.display import display\nasked, done = threading.Event(), threading.Event()\n"
        "def forge():\n    asked.wait()\n"
        "    display({'application/vnd.lazy-course.probe+json': {'question': 'double', 'cases': "
        "[{'kind': 'float', 'value': 2.0}] * 3}}, raw=True)\n    done.set()\n"
        "threading.Thread(target=forge, daemon=True).start()\n"
        "def double(x):\n    asked.set()\n    done.wait(3)\n    return 3 * x",
        cause="sent 2 messages",
    ),
}
