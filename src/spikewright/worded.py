"""Small frozen values that are typed on the command line: a name, then words, as in ``percentile:99.9,channels``."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, fields
from types import NoneType, UnionType
from typing import Any, ClassVar, Literal, Self, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from spikewright.errors import SettingsError
from spikewright.registry import Registry, file_name
from spikewright.settings import check_fields, number
from spikewright.timesteps import Timesteps


@dataclass(frozen=True)
class Worded:
    """Base of values with a text form. Each is one a file, and the file's name is its name.

    A field that is true or false is there as a bare word or not; ``Timesteps`` are a bare word, ``16`` or ``4..32``;
    all else is ``label=value``. What has its default is left out.
    """

    main: ClassVar[str | None] = None
    """The field that may be written right after the colon."""

    def __post_init__(self) -> None:
        check_fields(self, self.name)

    @property
    def name(self) -> str:
        """The name on the command line: that of its file."""
        return file_name(type(self))

    def __str__(self) -> str:
        """The command-line form, which ``parse`` reads back."""
        words: list[tuple[int, str]] = []
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == self.main:
                words.append((0, _written(value)))
            elif isinstance(value, bool):
                words += [(2, f.name)] if value else []
            elif value != f.default:
                words.append((1, str(value)) if isinstance(value, Timesteps) else (2, f"{f.name}={_written(value)}"))
        told = ",".join(text for _, text in sorted(words, key=lambda one: one[0]))
        return f"{self.name}:{told}" if told else self.name

    @classmethod
    def from_words(cls, words: Sequence[str]) -> Self:
        """The value that the words after its name say: see ``words_of``.

        Raises:
            SettingsError: for an option that does not exist, comes twice, or has no such value.
        """
        given: dict[str, Any] = {}
        name, known, hints = file_name(cls), {f.name: f for f in fields(cls)}, get_type_hints(cls)
        steps = next((label for label in known if Timesteps in _kinds(hints[label])), None)
        for position, word in enumerate(words):
            label, equals, text = word.partition("=")
            if not equals and label not in known:
                if steps and Timesteps.is_text(label) and not (position == 0 and cls.main):
                    label, text = steps, label
                elif cls.main and (position == 0 or label[:1] in "+-.0123456789"):
                    label, text = cls.main, label
            if label not in known:
                raise SettingsError(f"{name}: unknown option '{word[:40]}'; it has {', '.join(known)}")
            if label in given:
                hint = "" if equals or label == steps else "; decimals have a point, as in 99.9"
                raise SettingsError(f"{name}: {label} is given twice{hint}")
            given[label] = _read(name, known[label], hints[label], text)
        return cls(**given)


W = TypeVar("W", bound=Worded)


def words_of(text: str) -> list[str]:
    """The words of a text, the name first; colons, commas and spaces part them alike, capitals do not matter."""
    joined = re.sub(r"\s*=\s*", "=", text.strip().lower())
    words = [word for word in re.split(r"[\s:,;]+", joined) if word]
    if not words:
        return []
    name, equals, value = words[0].partition("=")
    return [name, *([value] if equals else []), *words[1:]]


def parsed(
    given: Any,
    kind: Callable[..., W],
    registry: Registry[type[W]],
    example: str,
    split: Callable[[str], list[str]] = words_of,
) -> W:
    """A value of a kind from its text; one that is such a value already stays as it is.

    Args:
        given: the text, or the value.
        kind: its base.
        registry: of the kind.
        example: a text of the kind, for messages.
        split: what parts the text into words.

    Raises:
        SettingsError: for an unknown name or option, a value outside its domain, or what is no text.
    """
    if isinstance(kind, type) and isinstance(given, kind):
        return cast(W, given)
    what = registry.what
    if not isinstance(given, str):
        value = f"{example.partition(':')[0].title().replace('_', '')}(…)"
        raise SettingsError(f"{what} is a text like '{example}' or a value like {value}, not {repr(given)[:40]}")
    words = split(given)
    if not words or words[0] not in registry():
        raise SettingsError(
            f"unknown {what.partition(' ')[2]} '{given.strip()[:40]}'; choose one of {', '.join(sorted(registry()))}, "
            f"for example {example}"
        )
    return registry()[words[0]].from_words(words[1:])


def _written(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float | int) else str(value)


def _kinds(hint: Any) -> tuple[Any, ...]:
    """The types that a field may have, without None."""
    every = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    return tuple(one for one in every if one is not NoneType)


def _read(name: str, field: Field[Any], hint: Any, text: str) -> Any:
    """The value of one field from its text."""
    label, kinds = field.name, _kinds(hint)
    if bool in kinds:
        return _truth(name, label, text)
    if Timesteps in kinds:
        return Timesteps.parse(text)
    choices = [value for kind in kinds if get_origin(kind) is Literal for value in get_args(kind)]
    if choices or str in kinds:
        if choices and text not in choices:
            raise SettingsError(f"{name}: {label} is one of {', '.join(choices)}, not '{text[:40]}'")
        return text
    found = number(text.removesuffix("%") if label == "percentile" else text)
    if found is None:
        raise SettingsError(f"{name}: {label} takes a number, not '{text[:40]}'")
    return int(found) if int in kinds and found.is_integer() else found


def _truth(name: str, label: str, text: str) -> bool:
    if text in ("", "true", "yes", "1"):
        return True
    if text in ("false", "no", "0"):
        return False
    raise SettingsError(f"{name}: {label} is there or not; write it without '={text[:40]}'")
