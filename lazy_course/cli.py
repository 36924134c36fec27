"""The command line: `release`, `grade`, `mark`, `export`, `lint`, `variant`, and, for researchers, `reproduce`.

A mistake on the command line, or in a file that it names, is one line on stderr and exit status 2. What a command
needs is imported when it runs, so that help and mistakes come at once.
"""

import enum
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Lazy training: a course whose every statement can be run.",
)

Course = Annotated[Path | None, typer.Option(help="Folder of the course (default: here, or where it is installed).")]
Sets = Annotated[Path | None, typer.Option(help="Folder of problem sets of your own, <stem>.md, in place of ours.")]
_PROBLEMS = 1  # exit status of a command that ran and found something wrong


@app.callback()
def _course() -> None:
    """Keep each command a subcommand, also where there is only one."""


@app.command()
def release(
    destination: Annotated[Path, typer.Argument(metavar="DEST", help="A .zip file to write, or a folder for it.")],
    force: Annotated[bool, typer.Option("--force", help="Write over an archive that is there.")] = False,
    sets: Sets = None,
    course: Course = None,
) -> None:
    """Make the archive that students get: exercises, environment and how to start."""
    from lazy_course.grading.files import course_root
    from lazy_course.grading.release import release as make

    typer.echo(make(course_root(course), destination, force=force, sets=sets))


@app.command()
def grade(
    submissions: Annotated[Path, typer.Argument(help="Folder with <student>/<stem>.ipynb.")],
    out: Annotated[Path, typer.Option(help="Folder for gradebook.csv, grades.json and feedback/.")],
    stem: Annotated[list[str] | None, typer.Option(help="Grade this problem set only (may be repeated).")] = None,
    seed_file: Annotated[Path | None, typer.Option(help="File with a secret text that all seeds come from.")] = None,
    attempt: Annotated[int, typer.Option(help="Number of the attempt; each draws new inputs.")] = 0,
    only: Annotated[str | None, typer.Option(help="Grade this student only.")] = None,
    workers: Annotated[int, typer.Option(help="Submissions that run at the same time.")] = 1,
    scheduler: Annotated[str | None, typer.Option(help="Address of a Dask scheduler whose workers run them.")] = None,
    timeout: Annotated[float, typer.Option(help="Seconds that one cell may take.")] = 60.0,
    late: Annotated[Path | None, typer.Option(help="TOML table of due times and of what late days cost.")] = None,
    show_expected: Annotated[
        bool, typer.Option("--show-expected", help="Let feedback show expected values of lost questions.")
    ] = False,
    no_sandbox: Annotated[bool, typer.Option("--no-sandbox", help="Run students' code unprotected.")] = False,
    sets: Sets = None,
    course: Course = None,
) -> None:
    """Grade a folder of submissions with nbval."""
    from lazy_course.grading.errors import GradingError
    from lazy_course.grading.files import course_root
    from lazy_course.grading.grade import Settings
    from lazy_course.grading.grade import grade as run
    from lazy_course.grading.isolation import Unprotected
    from lazy_course.grading.sandbox import Bubblewrap, trouble

    if not no_sandbox and (reason := trouble()):
        raise GradingError(reason)
    settings = Settings(
        course=course_root(course),
        submissions=submissions,
        out=out,
        isolation=Unprotected() if no_sandbox else Bubblewrap(),
        stems=tuple(stem or ()),
        seed_file=seed_file,
        attempt=attempt,
        only=only,
        workers=workers,
        timeout=timeout,
        late=late,
        scheduler=scheduler,
        show_expected=show_expected,
        sets=sets,
    )
    if sys.stderr.isatty():
        from lazy_course.grading.progress import with_bar

        with_bar(run, settings)
    else:
        run(settings, lambda line: typer.echo(line, err=True))
    typer.echo(out / "gradebook.csv")


@app.command()
def mark(
    marks: Annotated[Path, typer.Argument(metavar="MARKS", help="Folder that `grade` wrote, its --out.")],
    stem: Annotated[list[str] | None, typer.Option(help="Mark this problem set only (may be repeated).")] = None,
    by: Annotated[str, typer.Option(help="Order: all answers to a question, or all of a student.")] = "question",
    anonymous: Annotated[bool, typer.Option("--anonymous", help="Show no names, and another order.")] = False,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1 (0: any that is free).")] = 0,
    sets: Sets = None,
    course: Course = None,
) -> None:
    """Mark written answers by hand, on a page of this machine; Ctrl-C ends it."""
    from lazy_course.grading.files import course_root, sets_folder
    from lazy_course.grading.marking import Desk
    from lazy_course.grading.marking_server import MarkingServer, serve

    folder = sets_folder(course_root(course), sets)
    desk = Desk(marks, folder, stems=tuple(stem or ()), by=by, anonymous=anonymous)
    serve(MarkingServer(desk, port), typer.echo)


class Lms(enum.StrEnum):
    """Whose import of grades the exported file is for."""

    canvas = "canvas"
    moodle = "moodle"


@app.command()
def export(
    lms: Annotated[Lms, typer.Argument(help="The learning management system.")],
    marks: Annotated[Path, typer.Argument(metavar="MARKS", help="Folder that `grade` wrote, its --out.")],
    roster: Annotated[Path, typer.Option(help="CSV: the gradebook exported from Canvas, or Moodle's participants.")],
    student_column: Annotated[
        str | None, typer.Option(help='Its column with the folder names ("SIS Login ID" or "Email address").')
    ] = None,
    stem: Annotated[list[str] | None, typer.Option(help="This problem set only (may be repeated).")] = None,
    title: Annotated[
        list[str] | None, typer.Option(metavar="STEM=TITLE", help="The set's assignment in Canvas (may be repeated).")
    ] = None,
    unfinished: Annotated[bool, typer.Option("--unfinished", help="Also with answers that wait for a mark.")] = False,
) -> None:
    """Write the file that Canvas or Moodle imports as grades."""
    from lazy_course.grading.errors import GradingError
    from lazy_course.grading.export import export as make

    pairs = [text.partition("=") for text in title or ()]
    if not all(middle and name and words for name, middle, words in pairs):
        raise GradingError("--title is STEM=TITLE, such as --title 'criterion=Problem set 1'")
    paths, without = make(
        lms.value,
        marks,
        roster,
        stems=tuple(stem or ()),
        column=student_column,
        titles={name: words for name, _, words in pairs},
        unfinished=unfinished,
    )
    for path in paths:
        typer.echo(path)
    if without:
        typer.echo(f"no marks, no line: {', '.join(without)}", err=True)


@app.command()
def lint(
    stems: Annotated[list[str] | None, typer.Argument(metavar="STEM...", help="Problem sets (default: all).")] = None,
    variants: Annotated[
        bool, typer.Option("--variants", help="Check the ready variants, every value of each.")
    ] = False,
    sets: Sets = None,
    course: Course = None,
) -> None:
    """Check problem sets before students see them."""
    from lazy_course.grading.files import course_root, sets_folder, sources
    from lazy_course.grading.lint import lint_set as check
    from lazy_course.grading.source import parse
    from lazy_course.grading.variants import every

    status = 0
    for path in sources(sets_folder(course_root(course), sets), stems):
        for text in every(path) if variants else [path.read_text(encoding="utf-8")]:
            problems = parse(text, stem=path.stem)
            faults = check(problems)
            total = sum(question.points for question in problems.questions)
            typer.echo(f"{path.stem}: {len(problems.questions)} questions, {total:g} points, {len(faults)} faults")
            for fault in faults:
                typer.echo(f"  {fault}")
            status = _PROBLEMS if faults else status
    raise typer.Exit(status)


@app.command()
def variant(
    secret: Annotated[Path, typer.Argument(help="File with a secret of 16 bytes or more.")],
    folder: Annotated[Path, typer.Argument(help="Folder for the sets <stem>.md, outside the course.")],
    stem: Annotated[list[str] | None, typer.Option(help="This problem set only (may be repeated).")] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over sets that are there and differ.")] = False,
    course: Course = None,
) -> None:
    """Make problem sets whose answers differ from the public ones, for release, grade and lint with --sets."""
    from lazy_course.grading.files import course_root
    from lazy_course.grading.variants import write

    for path in write(course_root(course), secret, folder, stem, force=force):
        typer.echo(path)


@app.command()
def reproduce(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Of the computation (default: list them).")] = None,
    names_only: Annotated[bool, typer.Option("--list", help="List the names and run nothing.")] = False,
) -> None:
    """Run a long computation again whose record the book reads; it is written where the record is."""
    from lazy_course.grading.errors import GradingError

    found = _experiments()
    if name is not None and name not in found:
        raise GradingError(f"no computation {name!r}; there are {', '.join(found)}")
    if name is None or names_only:
        typer.echo("\n".join(found))
    else:
        found[name]()


def _experiments() -> dict[str, Callable[[], object]]:
    """The recorded computations by name: what each experiment.py has in its REGISTRY."""
    from lazy_course import registers

    found: dict[str, Callable[[], object]] = {}
    for stem in (*registers.chapters(), "report"):
        module = f"lazy_course.{stem}.experiment"
        if importlib.util.find_spec(module) is not None:
            found |= importlib.import_module(module).REGISTRY
    return dict(sorted(found.items()))


def main(arguments: list[str] | None = None) -> None:
    """Run a command and leave with its status; every mistake of the user is one line and status 2."""
    from lazy_course.grading.errors import GradingError

    try:
        status = app(arguments, standalone_mode=False, prog_name="lazy-course")
    except (GradingError, OSError, UnicodeError) as error:
        _complain(str(error))
    except typer.Abort:
        sys.exit(130)
    except Exception as error:
        if not hasattr(error, "format_message"):  # what click raises for a wrong option or a missing argument
            raise
        _complain(error.format_message())
    else:
        sys.exit(status if isinstance(status, int) else 0)


def _complain(message: str) -> None:
    line = " ".join(message.split())
    print(f"lazy-course: {line}", file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
