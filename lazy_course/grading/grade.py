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
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from lazy_course.grading import generate, hand, late, report, runner, source, submissions, template
from lazy_course.grading.compare import NO_ANSWER
from lazy_course.grading.errors import GradingError
from lazy_course.grading.files import file_name, write_atomically
from lazy_course.grading.isolation import Isolation
from lazy_course.grading.sandbox import Bubblewrap, sees
from lazy_course.grading.source import ProblemSet, Question
from lazy_course.grading.submissions import Submission, printable

NOT_WRITTEN = "nothing was written"
_FORMAT = 3  # of a record; those of another format are graded again
_CHUNK = 50  # students whose references come out of one kernel


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


def grade(settings: Settings, tell: Callable[[str], None] = print) -> list[dict[str, Any]]:
    """Grade all submissions, write gradebook.csv, grades.json and feedback/, and return the records."""
    if settings.workers < 1 or settings.timeout <= 0 or settings.attempt < 0:
        raise GradingError("--workers must be at least 1, --timeout above 0 and --attempt at least 0")
    _demand_hidden(settings)
    table = late.read(settings.late)
    paths = generate.sources(settings.course, list(settings.stems) or None)
    sets = {path.stem: source.read(path) for path in paths}
    found = submissions.discover(settings.submissions, list(sets))
    if not settings.stems:  # a set that nobody handed in is not due yet, or was the work of another week
        found = _of_sets_that_came(settings.submissions, found)
        sets = {stem: problems for stem, problems in sets.items() if stem in {item.stem for item in found}}
        paths = [path for path in paths if path.stem in sets]
    if settings.only and settings.only not in {item.student for item in found}:
        raise GradingError(f"no submission of {settings.only} in {settings.submissions}")
    secret = _secret(settings)
    for path in paths:
        batch = _Batch(settings, sets[path.stem], digest=submissions.digest(path.read_bytes()), secret=secret)
        batch.run([item for item in found if item.stem == path.stem], tell)
    pairs = [(item, record) for item in found if (record := _read(_record_path(settings.out, item)))]
    marked = hand.update(settings.out / "hand_marks.csv", [record for _, record in pairs])
    records = [table.applied(record, item.modified()) for (item, _), record in zip(pairs, marked, strict=True)]
    report.write(settings.out, sets, records, _about(settings))
    return records


def _demand_hidden(settings: Settings) -> None:
    """GradingError if a folder that a student must not read lies where the sandbox shows the system."""
    secret = [settings.submissions, settings.out, settings.course / "solutions", settings.seed_file]
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


def _record_path(out: Path, item: Submission) -> Path:
    return out / "records" / item.stem / f"{file_name(item.student)}.json"


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


class _Batch:
    """One problem set of one run."""

    def __init__(self, settings: Settings, problems: ProblemSet, *, digest: str, secret: str) -> None:
        self.settings, self.problems, self.digest, self.secret = settings, problems, digest, secret

    def run(self, found: list[Submission], tell: Callable[[str], None]) -> None:
        """Grade those of `found` that have no valid record yet."""
        wanted = [item for item in found if self.settings.only in (None, item.student)]
        todo = [item for item in wanted if not self._is_done(item)]
        stem, done = self.problems.stem, len(wanted) - len(todo)
        tell(f"{stem}: {len(todo)} to grade, {done} done before; isolation: {self.settings.isolation.name}")
        with tempfile.TemporaryDirectory(prefix="lc") as temporary, ThreadPoolExecutor(self.settings.workers) as pool:
            fonts = Path(temporary)
            for start in range(0, len(todo), _CHUNK):
                chunk = todo[start : start + _CHUNK]
                references = self._references(chunk, fonts)
                for record in pool.map(
                    lambda pair: self._one(pair[0], pair[1], fonts), zip(chunk, references, strict=True)
                ):
                    done += 1
                    tell(f"{stem}: {done} of {len(wanted)}: {record['student']}: {report.summary(record)}")

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
        record = _read(_record_path(self.settings.out, item))
        if record is None or not record.get("complete"):
            return False
        with contextlib.suppress(OSError):
            key = self._key(item, item.content())
            return all(record.get(name) == value for name, value in key.items())
        return False

    def _references(self, chunk: list[Submission], fonts: Path) -> list[dict[str, Any]]:
        """What the solution gives at each student's inputs; GradingError, the instructor's, if it fails."""
        settings, stem = self.settings, self.problems.stem
        if not self.problems.automatic:
            return [{} for _ in chunk]
        if not any(item.came for item in chunk):
            return [{} for _ in chunk]
        seeds = [student_seed(self.secret, stem, item.student, settings.attempt) for item in chunk]
        notebook = template.references(self.problems, seeds, attempt=settings.attempt)
        lines, trouble = runner.run(notebook, settings.isolation, timeout=settings.timeout, fonts=fonts)
        failed = [line for line in lines if "cause" in line]
        if failed:
            raise GradingError(f"the solution of {stem} fails: {failed[0]['question']}: {failed[0]['cause']}")
        references: list[dict[str, Any]] = [{} for _ in chunk]
        tolerances = {item.id: {"rtol": item.rtol, "atol": item.atol} for item in self.problems.automatic}
        for line in lines:
            if "payload" in line:
                question, payload = line["question"], line["payload"]
                if any(case["kind"] == "error" for case in payload["cases"]):
                    raise GradingError(f"the solution of {stem} fails: {question}: {payload['cases']}")
                references[line["index"]][question] = {"payload": payload, **tolerances[question]}
        if trouble or any(set(each) != set(tolerances) for each in references):
            raise GradingError(f"the solution of {stem} did not run to its end: {trouble or 'a probe is missing'}")
        return references

    def _one(self, item: Submission, references: dict[str, Any], fonts: Path) -> dict[str, Any]:
        """Grade one submission and write its record; nothing that a submission does gets out of here."""
        try:
            record = self._graded(item, references, fonts)
        except Exception as error:
            cause = f"the grader could not read or run this submission ({type(error).__name__}); tell your instructor"
            record = self._key(item, b"") | self._marks(cause, {}, {}) | {"complete": False}
        content = json.dumps(record, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
        write_atomically(_record_path(self.settings.out, item), content.encode())
        return record

    def _graded(self, item: Submission, references: dict[str, Any], fonts: Path) -> dict[str, Any]:
        content = item.content()
        key = self._key(item, content)
        cells = item.trouble or submissions.cells_of(content)
        if isinstance(cells, str):
            return key | self._marks(cells, {}, {}, came=item.came) | {"complete": True}
        answers = submissions.answers(cells, self.problems)
        automatic = [question.id for question in self.problems.automatic]
        sources = {name: text for name in automatic if (text := answers[name].source) is not None}
        verdicts: dict[str, tuple[bool, str]] = {}
        trouble = ""
        if sources:
            notebook = template.graded(self.problems, sources, seed=key["seed"], attempt=self.settings.attempt)
            lines, trouble = runner.run(
                notebook,
                self.settings.isolation,
                timeout=self.settings.timeout,
                references=references,
                fonts=fonts,
            )
            for line in lines:
                if "right" in line:  # the first verdict on a question stands
                    verdicts.setdefault(line["question"], (line["right"] is True, printable(line["cause"])))
        return key | self._marks("", answers, verdicts, trouble) | {"complete": not trouble}

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
            marks[question.id] = _mark(question, right, cause, answer)
            if everywhere and (question.marking == "hand" or not came):  # nobody can read it, or it is not there
                marks[question.id] |= {"points": None, "cause": everywhere}
        total = sum(mark["points"] or 0 for mark in marks.values())
        waiting = sum(mark["out_of"] for mark in marks.values() if mark["points"] is None and answers)
        return {"trouble": everywhere or trouble, "marks": marks, "total": total, "waiting": waiting}


def _mark(question: Question, right: bool, cause: str, answer: submissions.Answer) -> dict[str, Any]:
    base = {"out_of": question.points, "marking": question.marking, "note": answer.note, "written": answer.written}
    base["answer"] = answer.source or ""
    if question.marking == "hand":
        return base | _by_hand(question, answer)
    if right:
        return base | {"points": question.points, "cause": "", "written": True}
    if cause == NO_ANSWER:
        base["written"] = False
    return base | {"points": 0, "cause": "; ".join(filter(None, (cause, answer.note)))}


def _by_hand(question: Question, answer: submissions.Answer) -> dict[str, Any]:
    """No points yet, or 0 where nothing was written: such an answer need not be opened."""
    if answer.source is not None and not answer.written:
        return {"points": 0, "cause": NOT_WRITTEN}
    waits = f"to be marked by hand ({question.points:g} points)"
    return {"points": None, "cause": f"{answer.cause}; {waits}" if answer.cause else waits}
