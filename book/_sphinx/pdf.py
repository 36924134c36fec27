"""Print the built book: a PDF for each page in _build/pdf, by Chromium, as the print button of a page does it.

Run as `make pdf`. Every fold is open on paper, and the pages keep their order as the numbers of their files.
"""

import functools
import http.server
import os
import shutil
import sys
import threading
from pathlib import Path

import yaml
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
HTML, PDF = ROOT / "_build" / "html", ROOT / "_build" / "pdf"
FOOT = (
    '<div style="font-size:8px;width:100%;text-align:center"><span class="title"></span> · '
    '<span class="pageNumber"></span> / <span class="totalPages"></span></div>'
)


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        """Keep the requests out of the output."""


def names() -> list[str]:
    """The pages in the order of the table of contents."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text())
    return [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]


def main(wanted: list[str]) -> int:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
    if not Path(chromium).exists():
        print(f"no Chromium at {chromium}: install Debian's package chromium, or set CHROMIUM", file=sys.stderr)
        return 1
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=HTML))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    PDF.mkdir(parents=True, exist_ok=True)
    flags = ["--headless", "--no-sandbox", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        page = browser.new_page(color_scheme="light")
        for number, name in enumerate(names()):
            if wanted and name not in wanted:
                continue
            page.goto(f"http://127.0.0.1:{server.server_port}/{name}.html")
            page.evaluate("() => window.MathJax?.startup?.promise.then(() => true)")
            file = PDF / f"{number:02d}-{name.replace('/', '-')}.pdf"
            margin = dict.fromkeys(("left", "right"), "16mm") | dict.fromkeys(("top", "bottom"), "18mm")
            head = {"display_header_footer": True, "header_template": " ", "footer_template": FOOT}
            page.pdf(path=file, format="A4", margin=margin, **head)
            print(f"  {file.relative_to(ROOT)}")
        browser.close()
    server.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
