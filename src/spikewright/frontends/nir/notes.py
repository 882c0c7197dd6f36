"""What NIR has no field for, kept in the metadata of its nodes: one JSON text each, written and read here.

Other readers of NIR pass over it. It adds to what the fields say and never contradicts them: where another tool has
changed a field since, the field is right.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from spikewright.errors import ModelFileError
from spikewright.text import first_line

KEY = "spikewright"


def notes(**facts: Any) -> dict[str, Any]:
    """Facts as metadata of a NIR node."""
    return {KEY: json.dumps(facts)}


def read_notes(metadata: Any, where: str) -> dict[str, Any]:
    """The facts that ``notes`` wrote; none where there are none.

    Raises:
        ModelFileError: where the text is damaged.
    """
    if not isinstance(metadata, Mapping) or KEY not in metadata:
        return {}
    text = metadata[KEY]
    try:
        facts = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise ModelFileError(
            f"{where}: its Spikewright metadata is damaged ({first_line(error)}); export it again"
        ) from error
    if not isinstance(facts, dict):
        raise ModelFileError(f"{where}: its Spikewright metadata is damaged; export it again")
    return facts
