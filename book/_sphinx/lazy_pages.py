"""What the built pages need beyond their extensions: no script from another host, no page error, valid roles."""

from typing import Any

from sphinx.application import Sphinx


def mend(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Leave out thebe's loader, which names another host and declares THEBE_JS_URL twice; mend the bibliography."""
    scripts = context.get("script_files", [])
    context["script_files"] = [script for script in scripts if not _unwanted(script)]
    if "body" in context:
        # docutils calls the bibliography a list, but its entries are no list items.
        context["body"] = context["body"].replace('role="list" class="citation-list"', 'class="citation-list"')


def _unwanted(script: Any) -> bool:
    name = str(getattr(script, "filename", script) or "")
    body = str(getattr(script, "attributes", {}).get("body", ""))
    return "thebe" in name or "THEBE" in body or name.startswith(("http://", "https://", "//"))


def setup(app: Sphinx) -> dict[str, bool]:
    # After the theme and the extensions have added theirs, hence the high priority.
    app.connect("html-page-context", mend, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
