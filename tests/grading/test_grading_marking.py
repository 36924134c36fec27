"""The desk for marking by hand: its store, its server over HTTP, and what is refused. The browser is in tests/site."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading

import pytest

from lazy_course.grading import hand, markdown
from lazy_course.grading.errors import GradingError
from lazy_course.grading.marking import Desk
from lazy_course.grading.marking_server import MarkingServer
from tests.grading import desk as made

KEY = ("ada", "tiny", "proof")
NOTHING = {"points": "", "comment": ""}


@pytest.fixture
def marks(tmp_path):
    return made.folder(tmp_path)


class Client:
    """Speaks to a served desk as a browser does, or as a test wants it."""

    def __init__(self, server):
        self.server, self.base = server, f"/{server.token}/"
        self.headers = {"Host": f"127.0.0.1:{server.server_port}", "Origin": f"http://127.0.0.1:{server.server_port}"}

    def ask(self, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.server.server_port, timeout=10)
        method = "GET" if body is None else "POST"
        sent = (
            {"Content-Type": "application/json"} | self.headers | {k.replace("_", "-"): v for k, v in headers.items()}
        )
        sent = {name: value for name, value in sent.items() if value is not None}
        connection.request(method, path if path.startswith("/") else self.base + path, body, sent)
        reply = connection.getresponse()
        content = reply.read().decode()
        connection.close()
        return reply, content

    def give(self, entry, points, comment="", seen=NOTHING, **headers):
        body = json.dumps({"given": {"points": points, "comment": comment}, "seen": seen})
        reply, content = self.ask(entry.id, body, **headers)
        return reply.status, json.loads(content) if content.startswith("{") else content


@pytest.fixture
def client(marks):
    server = MarkingServer(Desk(*marks))
    threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
    yield Client(server)
    server.shutdown()
    server.server_close()


def test_an_answer_is_shown_beside_rubric_and_solution(client):
    first = client.server.desk.entries[0]
    reply, _ = client.ask("")
    assert (reply.status, reply.headers["Location"]) == (303, first.id)
    reply, page = client.ask(first.id)
    assert reply.status == 200
    for part in (
        "tiny / proof: =bob",
        "<strong>clear</strong>",
        "<li>3: the argument</li>",
        "secret_distributivity_tiny",
    ):
        assert part in page
    assert r'<span class="math inline">\(2 (x + y) = 2 x + 2 y\)</span>' in page
    assert "keep this line" not in page
    assert "0 of 3 marked (this question)" in page


def test_marks_are_kept_in_the_table_and_the_next_session_goes_on(client, marks):
    bob, ada, mallory = client.server.desk.entries
    status, said = client.give(ada, "2,5", "=> short, but\nright")
    assert (status, said["saved"]) == (200, {"points": "2.5", "comment": "=> short, but\nright"})
    assert "1 of 3 marked (all)" in said["progress"]
    path = marks[0] / "hand_marks.csv"
    assert 'ada,tiny,proof,4,2.5,"\'=> short, but\nright"\n' in path.read_text()
    assert hand.read(path)[KEY]["comment"] == "=> short, but\nright"
    again = Desk(*marks)
    assert again.next_open(again.rows()) == bob
    assert again.next_open(again.rows(), after=bob) == mallory
    assert again.next_open(again.rows(), after=mallory) == bob
    assert again.summary().startswith("1 of 3 written answers are marked")
    assert "=&gt; short" in client.ask(ada.id)[1]
    assert client.give(ada, "", seen=said["saved"])[0] == 200
    assert hand.read(path)[KEY]["points"] == ""


@pytest.mark.parametrize("points", ["5", "-1", "two", "nan", "1_0", "1e0", "²", "2 3", "+1"])
def test_a_bad_mark_is_refused_with_a_message_and_nothing_is_written(client, marks, points):
    before = (marks[0] / "hand_marks.csv").read_bytes()
    status, said = client.give(client.server.desk.entries[0], points)
    assert (status, said["error"]) == (422, f"points are {points!r}; give a number from 0 to 4")
    assert (marks[0] / "hand_marks.csv").read_bytes() == before


def test_a_spreadsheet_beside_is_noticed_and_loses_nothing(client, marks):
    bob, ada, mallory = client.server.desk.entries
    path = marks[0] / "hand_marks.csv"
    old = path.read_text()
    path.write_text(
        old.replace("ada,tiny,proof,4,,", "ada,tiny,proof,4,3,seen").replace("comment", "comment,second reader")
    )
    assert client.give(ada, "2") == (409, {"row": {"points": "3", "comment": "seen"}})
    assert client.give(bob, "1")[0] == 200
    text = path.read_text()
    assert text.splitlines()[0].endswith("comment,second reader")
    assert "ada,tiny,proof,4,3,seen" in text
    assert client.give(ada, "2", seen={"points": "3", "comment": "seen"})[0] == 200
    path.write_text(old)  # a spreadsheet that was opened before writes its old table over it
    page = client.ask(bob.id)[1]
    assert "You gave 1 points here; the file says something else now" in page
    assert client.ask("list")[1].count("changed in the file since you gave it") == 2
    assert client.give(bob, "1")[0] == 200
    assert "You gave" not in client.ask(bob.id)[1]
    path.write_text("a,b\n")
    assert "has no column" in client.ask(mallory.id)[1]
    status, said = client.give(mallory, "1")
    assert status == 500
    assert "has no column" in said["error"]
    assert path.read_text() == "a,b\n"


def test_two_hands_at_once_lose_no_mark(client, marks):
    path = marks[0] / "hand_marks.csv"
    desk = client.server.desk
    more = {(f"s{i}", "tiny", "proof"): hand.read(path)[KEY] for i in range(40)}

    def write(keys):
        for key in keys:
            hand.save(path, key, {"points": "1", "comment": ""}, NOTHING, 4.0)

    threads = [threading.Thread(target=write, args=([*more][part::4],)) for part in range(4)]
    for thread in threads:
        thread.start()
    for entry in desk.entries:
        assert client.give(entry, "2")[0] == 200
    for thread in threads:
        thread.join()
    rows = hand.read(path)
    assert [rows[key]["points"] for key in more] == ["1"] * 40
    assert [rows[entry.key]["points"] for entry in desk.entries] == ["2"] * 3


def test_only_a_page_of_this_server_gets_in(client):
    entry = client.server.desk.entries[0]
    port = client.server.server_port
    for path in ("/", "/list", f"/{entry.id}", "/wrong-token/list", f"/{client.server.token}"):
        assert client.ask(path)[0].status == 404
    for host in ("evil.example", f"evil.example:{port}", "127.0.0.1", f"127.0.0.1:{port + 1}"):
        assert client.ask("list", Host=host)[0].status == 421
    for origin in ("http://evil.example", "null", None):
        assert client.give(entry, "1", Origin=origin)[0] == 403
    assert client.give(entry, "1", Content_Type="text/plain")[0] == 415
    assert client.give(entry, "1", "x" * 200_000)[0] == 413
    assert client.ask(entry.id, "[]")[0].status == 400
    assert client.ask("nothing", "{}")[0].status == 404
    assert not any(row["points"] for row in client.server.desk.rows().values())
    assert client.ask("list", Host=f"localhost:{port}")[0].status == 200
    assert client.server.server_address[0] == "127.0.0.1"


def test_files_come_from_two_folders_and_from_nowhere_else(client):
    for name in ("static/marking.js", "static/marking.css", "mathjax/tex-chtml-full.js"):
        reply, content = client.ask(name)
        assert reply.status == 200
        assert len(content) > 500
    for name in (
        "static/../marking.py",
        "static/",
        "mathjax/../../__init__.py",
        "mathjax/no.js",
        "static/%2e%2e/hand.py",
    ):
        assert client.ask(name)[0].status == 404


def test_every_page_forbids_what_it_does_not_need(client):
    for name in ("list", client.server.desk.entries[0].id, "static/marking.js", "nothing"):
        headers = client.ask(name)[0].headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "http" not in policy
        assert headers["Referrer-Policy"] == "same-origin"
        assert headers["X-Content-Type-Options"] == "nosniff"


def test_a_hostile_answer_is_text():
    shown = markdown.to_html(made.HOSTILE)
    assert not re.search(r"<(?!/?(p|br|span|em|strong|pre|code|div)\b)", shown)
    assert not re.search(r"<[^>]*(href|src|style|onerror)=", shown)
    assert "evil.example" in shown
    assert "more characters are not shown" in markdown.to_html("a" * (markdown.MOST_CHARACTERS + 1))


def test_without_names_no_page_says_who_it_is(marks):
    desk = Desk(*marks, anonymous=True)
    server = MarkingServer(desk)
    threading.Thread(target=server.serve_forever, daemon=True, kwargs={"poll_interval": 0.05}).start()
    client = Client(server)
    pages = [client.ask(name)[1] for name in ("list", *(entry.id for entry in desk.entries))]
    server.shutdown()
    server.server_close()
    assert not any(name in page for page in pages for name in ("ada", "bob", "mallory"))
    assert "student 3" in pages[0]


def test_the_order_is_by_question_or_by_student(tmp_path, marks):
    assert [entry.student for entry in Desk(*marks, by="student").entries] == ["=bob", "ada", "mallory"]
    with pytest.raises(GradingError, match="--by is 'name'; it is question or student"):
        Desk(*marks, by="name")
    with pytest.raises(GradingError, match="holds no written answer"):
        Desk(*marks, stems=("other",))
    with pytest.raises(GradingError, match=r"grades.json is not there; `lazy-course grade SUBMISSIONS"):
        Desk(tmp_path, marks[1])
    source = marks[1] / "tiny.md"
    source.write_text(
        source.read_text().replace('"question": "proof", "points": 4', '"question": "proof", "points": 5')
    )
    with pytest.raises(GradingError, match="was changed since it was graded"):
        Desk(*marks)
    with pytest.raises(GradingError, match=r"tiny.md is not there; name the folder of the problem sets with --sets"):
        Desk(marks[0], tmp_path)


def test_the_command_ends_with_ctrl_c_and_says_how_far_it_is(marks):
    command = [sys.executable, "-m", "lazy_course.cli", "mark", str(marks[0]), "--sets", str(marks[1])]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(2)]
    assert re.fullmatch(r"The page is http://127\.0\.0\.1:\d+/[\w-]{32}/ \(Ctrl-C ends it\)\n", lines[1])
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, err) == (0, "")
    assert out.startswith("0 of 3 written answers are marked")
