"""What the site consists of: the pages of the repository at their own places, so that one link holds here and there."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.utils import get_relative_url

ROOT = Path(__file__).parents[2]
SHOWN = (
    *("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "NOTICE", "native/README.md"),
    *(
        "docs/**/*.md",
        "docs/site/*.css",
        "docs/site/*.js",
        "docs/images/**/*",
        "native/*.svg",
        "benchmarks/results/**/*",
    ),
    *("benchmarks/*.py", "examples/**/*.py", "examples/**/*.md", "examples/**/*.toml", "examples/**/*.ipynb"),
)
"""Files of the repository that pages are, show, or link to."""
ELSEWHERE = "https://unpkg.com/iframe-worker/shim"
"""What the theme would fetch for the search of pages that are opened from a folder."""
SHIM = "docs/site/iframe-worker.js"


def on_startup(**_: Any) -> None:
    """Names that a folder finds in itself are read by no tool that does not run it; none of them has a page."""
    logging.getLogger("mkdocs.plugins.griffe").addFilter(
        lambda record: "Unsupported item in" not in record.getMessage()
    )


def on_files(files: Files, config: Any) -> Files:
    """Everything that is shown, by its path in the repository, in place of what is in ``docs``."""
    # The theme may lie in an environment within the repository.
    theme = [file for file in files if not Path(str(file.abs_src_path)).is_relative_to(config.docs_dir)]
    found = sorted({path for pattern in SHOWN for path in ROOT.glob(pattern) if path.is_file()})
    own = [
        File(path.relative_to(ROOT).as_posix(), str(ROOT), config.site_dir, config.use_directory_urls) for path in found
    ]
    return Files([*theme, *own])


PICTURE = re.compile(
    r'<picture>\s*<source media="\(prefers-color-scheme: dark\)" srcset="([^"]+)">\s*'
    r'<img src="([^"]+)"([^>]*)>\s*</picture>'
)
"""A picture in light and in dark, as the code host chooses between them."""


def on_page_content(html: str, **_: Any) -> str:
    """The page with both pictures where there are two, of which the theme shows the one that its reader has chosen."""
    return PICTURE.sub(r'<img src="\2#only-light"\3><img src="\1#only-dark"\3>', html)


def on_post_page(output: str, page: Any, config: Any) -> str:  # noqa: ARG001
    """The page without a request to another machine."""
    return output.replace(ELSEWHERE, get_relative_url(SHIM, page.url))


def on_post_template(output_content: str, template_name: str, config: Any) -> str:  # noqa: ARG001
    """The same of the page that is no page: not found."""
    return output_content.replace(ELSEWHERE, get_relative_url(SHIM, template_name))
