"""Grade a cohort: `lazy-course grade SUBMISSIONS --out DIR`.

For each problem set the solution runs first, alone, once with the seed of every student to be graded; its values
stay in this process and reach nbval through a pipe. Then each submission is rebuilt and run. A student's record is
written when it is whole, so a run that was ended takes up where it stopped. Records are found again by the bytes of
the submission, the seed and the source of the problem set.
"""

import contextlib
import dataclasses
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from distributed import Client

from lazy_course.files import write_atomically
from lazy_course.grading import expected, hand, late, references, report, source, submissions, template
from lazy_course.grading.crew import Verdicts, crew, run_all
from lazy_course.grading.errors import GradingError
from lazy_course.grading.files import file_name, sets_folder, sources
from lazy_course.grading.isolation import Isolation
from lazy_course.grading.marks import mark
from lazy_course.grading.notebooks import to_bytes
from lazy_course.grading.sandbox import Bubblewrap, sees
from lazy_course.grading.source import ProblemSet
from lazy_course.grading.submissions import Submission, printable

_FORMAT = 3  # of a record; those of another format are graded again
_CHUNK = 50  # students whose references come out of one kernel


Tell = Callable[[str], None]
Advance = Callable[[str, int, int], None]


def _ignore(stem: str, done: int, of: int) -> None:
    pass


@dataclasses.dataclass(frozen=True)
class Settings:
    """What the command line says."""

    course: Path
    submissions: Path
    out: Path
    isolation: Isolation
    stems: tuple[str, ...] = ()
    seed_file: Path | None = None
    attempt: int = 0
    only: str | None = None
    workers: int = 1
    timeout: float = 60.0
    late: Path | None = None
    scheduler: str | None = None
    show_expected: bool = False
    sets: Path | None = None


def grade(settings: Settings, tell: Tell = print, advance: Advance = _ignore) -> list[dict[str, Any]]:
    """Grade all submissions, write gradebook.csv, grades.json, class.html and feedback/, and return the records.

    `tell` gets a line for each submission, `advance` the problem set, how many are done, and of how many.
    """
    if settings.workers < 1 or settings.timeout <= 0 or settings.attempt < 0:
        raise GradingError("--workers must be at least 1, --timeout above 0 and --attempt at least 0")
    _demand_hidden(settings)
    table = late.read(settings.late)
    paths = sources(sets_folder(settings.course, settings.sets), list(settings.stems) or None)
    sets = {path.stem: source.read(path) for path in paths}
    found = submissions.discover(settings.submissions, list(sets))
    if not settings.stems:  # a set that nobody handed in is not due yet, or was the work of another week
        found = _of_sets_that_came(settings.submissions, found)
        sets = {stem: problems for stem, problems in sets.items() if stem in {item.stem for item in found}}
        paths = [path for path in paths if path.stem in sets]
    if settings.only and settings.only not in {item.student for item in found}:
        raise GradingError(f"no submission of {settings.only} in {settings.submissions}")
    secret = _secret(settings)
    batches = {
        path.stem: _Batch(settings, sets[path.stem], digest=submissions.digest(path.read_bytes()), secret=secret)
        for path in paths
    }
    with crew(settings.workers, settings.scheduler, settings.isolation.name) as client:
        for stem, batch in batches.items():
            batch.run([item for item in found if item.stem == stem], client, tell, advance)
    pairs = [(item, record) for item in found if (record := _read(_record_path(settings.out, item.student, item.stem)))]
    marked = hand.update(settings.out / "hand_marks.csv", [record for _, record in pairs])
    records = [table.applied(record, item.modified()) for (item, _), record in zip(pairs, marked, strict=True)]
    shown: expected.Texts | None = {} if settings.show_expected else None
    if shown is not None:
        for stem, batch in batches.items():
            key = {"stem": stem, "attempt": settings.attempt, "problem_set_sha256": batch.digest}
            shown |= expected.texts(records, key, batch.references)
    report.write(settings.out, sets, records, _about(settings) | {"show_expected": settings.show_expected}, shown)
    return records


def _demand_hidden(settings: Settings) -> None:
    """GradingError if a folder that a student must not read lies where the sandbox shows the system."""
    secret = [settings.submissions, settings.out, settings.course / "solutions", settings.seed_file]
    secret.append(settings.sets)
    shown = [path for path in secret if path and settings.isolation.name == Bubblewrap.name and sees(path)]
    if shown:
        raise GradingError(f"{shown[0]} lies in a folder that the sandbox shows to students' code; move it elsewhere")


def _of_sets_that_came(folder: Path, found: list[Submission]) -> list[Submission]:
    """The submissions of those sets of which somebody handed in a file; GradingError if there is no file at all."""
    came = {item.stem for item in found if item.came}
    if not came:
        names = ", ".join(sorted({f"{item.stem}.ipynb" for item in found}))
        raise GradingError(f"{folder} holds no file of a problem set; expected <student>/ with some of {names}")
    return [item for item in found if item.stem in came]


def _about(settings: Settings) -> dict[str, Any]:
    return {"isolation": settings.isolation.name, "attempt": settings.attempt, "cell_timeout": settings.timeout}


def _secret(settings: Settings) -> str:
    """The instructor's secret, from which every student's seed is made; drawn once and kept if none is given."""
    if settings.seed_file is not None:
        text = settings.seed_file.read_text(encoding="utf-8").strip()
        if not text:
            raise GradingError(f"{settings.seed_file} is empty; write any secret text into it")
        return text
    kept = settings.out / "seed.txt"
    if not kept.exists():
        write_atomically(kept, (secrets.token_hex(16) + "\n").encode(), mode=0o600)
    return kept.read_text(encoding="utf-8").strip()


def student_seed(secret: str, stem: str, student: str, attempt: int) -> int:
    """The seed of one student's inputs, below 2^53 so that every reader of JSON keeps it exact."""
    text = json.dumps([secret, stem, student, attempt])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 11


def _record_path(out: Path, student: str, stem: str) -> Path:
    return out / "records" / stem / f"{file_name(student)}.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


@dataclasses.dataclass(frozen=True)
class _Opened:
    """A submission that was read: its key, what is wrong with all of it, its answers, and the notebook to run."""

    key: dict[str, Any]
    trouble: str = ""
    answers: dict[str, submissions.Answer] = dataclasses.field(default_factory=dict)
    notebook: bytes = b""
    complete: bool = True


class _Batch:
    """One problem set of one run."""

    def __init__(self, settings: Settings, problems: ProblemSet, *, digest: str, secret: str) -> None:
        self.settings, self.problems, self.digest, self.secret = settings, problems, digest, secret

    def run(self, found: list[Submission], client: Client, tell: Tell, advance: Advance) -> None:
        """Grade those of `found` that have no valid record yet."""
        wanted = [item for item in found if self.settings.only in (None, item.student)]
        todo = [item for item in wanted if not self._is_done(item)]
        stem, done = self.problems.stem, len(wanted) - len(todo)
        tell(f"{stem}: {len(todo)} to grade, {done} done before; isolation: {self.settings.isolation.name}")
        advance(stem, done, len(wanted))
        fonts: dict[str, bytes] = {}
        for start in range(0, len(todo), _CHUNK):
            chunk = todo[start : start + _CHUNK]
            known, fonts = self._references(chunk, fonts)
            for record in self._records(client, chunk, known, fonts):
                self._keep(record)
                done += 1
                advance(stem, done, len(wanted))
                tell(f"{stem}: {done} of {len(wanted)}: {record['student']}: {report.summary(record)}")

    def _records(
        self, client: Client, chunk: list[Submission], known: list[dict[str, Any]], fonts: dict[str, bytes]
    ) -> Iterator[dict[str, Any]]:
        """A record for each submission, first of those with nothing to run; nothing that one does gets out of here."""
        opened = [self._opened(item) for item in chunk]
        jobs = {number: one.notebook for number, one in enumerate(opened) if one.notebook}
        yield from (self._closed(one, ([], "")) for one in opened if not one.notebook)
        common = {"isolation": self.settings.isolation.name, "timeout": self.settings.timeout, "fonts": fonts}
        work = ((i, {"notebook": text, "references": known[i], **common}) for i, text in jobs.items())
        for number, verdicts in run_all(client, work):
            yield self._closed(opened[number], verdicts)

    def _keep(self, record: dict[str, Any]) -> None:
        content = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        write_atomically(_record_path(self.settings.out, record["student"], record["stem"]), content.encode())

    def _key(self, item: Submission, content: bytes) -> dict[str, Any]:
        """What a record must agree with to be taken over."""
        settings = self.settings
        return {
            "format": _FORMAT,
            "student": item.student,
            "stem": item.stem,
            "came": item.came,
            "submission_sha256": submissions.digest(content),
            "problem_set_sha256": self.digest,
            "seed": student_seed(self.secret, item.stem, item.student, settings.attempt),
            **_about(settings),
        }

    def _is_done(self, item: Submission) -> bool:
        record = _read(_record_path(self.settings.out, item.student, item.stem))
        if record is None or not record.get("complete"):
            return False
        with contextlib.suppress(OSError):
            key = self._key(item, item.content())
            return all(record.get(name) == value for name, value in key.items())
        return False

    def _references(
        self, chunk: list[Submission], fonts: dict[str, bytes]
    ) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
        """What the solution gives at each student's inputs, and lists of fonts; GradingError if it fails.

        It runs here, alone, before any student's code.
        """
        settings, stem = self.settings, self.problems.stem
        if not self.problems.automatic or not any(item.came for item in chunk):
            return [{} for _ in chunk], fonts
        seeds = [student_seed(self.secret, stem, item.student, settings.attempt) for item in chunk]
        return self._run_solution(seeds, fonts)

    def references(self, seeds: list[int]) -> list[dict[str, Any]]:
        """What the solution gives at the inputs of each seed."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(seeds), _CHUNK):
            found += self._run_solution(seeds[start : start + _CHUNK], {})[0]
        return found

    def _run_solution(self, seeds: list[int], fonts: dict[str, bytes]) -> tuple[list[dict[str, Any]], dict[str, bytes]]:
        name, attempt, seconds = self.settings.isolation.name, self.settings.attempt, self.settings.timeout
        return references.run(self.problems, seeds, attempt=attempt, isolation=name, timeout=seconds, fonts=fonts)

    def _opened(self, item: Submission) -> "_Opened":
        """Read a submission and rebuild its notebook; whatever is wrong with it becomes its trouble."""
        try:
            content = item.content()
            key = self._key(item, content)
            cells = item.trouble or submissions.cells_of(content)
            if isinstance(cells, str):
                return _Opened(key, cells)
            answers = submissions.answers(cells, self.problems)
            automatic = [question.id for question in self.problems.automatic]
            sources = {name: text for name in automatic if (text := answers[name].source) is not None}
            if not sources:
                return _Opened(key, "", answers)
            notebook = template.graded(self.problems, sources, seed=key["seed"], attempt=self.settings.attempt)
            return _Opened(key, "", answers, to_bytes(notebook))
        except Exception as error:
            cause = f"the grader could not read or run this submission ({type(error).__name__}); tell your instructor"
            return _Opened(self._key(item, b""), cause, complete=False)

    def _closed(self, one: "_Opened", run: Verdicts) -> dict[str, Any]:
        """The record of a submission from what its run told."""
        lines, trouble = run
        verdicts: dict[str, tuple[bool, str]] = {}
        for line in lines:
            if "right" in line:  # the first verdict on a question stands
                verdicts.setdefault(line["question"], (line["right"] is True, printable(line["cause"])))
        marks = self._marks(one.trouble, one.answers, verdicts, trouble, came=one.key["came"])
        return one.key | marks | {"complete": one.complete and not trouble}

    def _marks(
        self,
        everywhere: str,
        answers: dict[str, submissions.Answer],
        verdicts: dict[str, tuple[bool, str]],
        trouble: str = "",
        came: bool = True,
    ) -> dict[str, Any]:
        """The marks of all questions: full points for an explicit pass, else 0 and the cause; None without a file."""
        marks = {}
        for question in self.problems.questions:
            answer = answers.get(question.id, submissions.Answer(None, everywhere))
            right, cause = verdicts.get(
                question.id, (False, answer.cause or trouble or "the probe of this question was not reached")
            )
            marks[question.id] = mark(question, right, cause, answer)
            if everywhere and (question.marking == "hand" or not came):  # nobody can read it, or it is not there
                marks[question.id] |= {"points": None, "cause": everywhere}
        total = sum(mark["points"] or 0 for mark in marks.values())
        waiting = sum(mark["out_of"] for mark in marks.values() if mark["points"] is None and answers)
        return {"trouble": everywhere or trouble, "marks": marks, "total": total, "waiting": waiting}
