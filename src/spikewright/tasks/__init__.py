"""Tasks, one a file: what labels mean, and the scores of answers."""

from spikewright.tasks.answer import Answer, Labels
from spikewright.tasks.finding import Head, Said, find, heads, said
from spikewright.tasks.named import SCORES, parse, tasks
from spikewright.tasks.score import Score
from spikewright.tasks.task import Curve, Tally, Task

__all__ = [
    "SCORES",
    "Answer",
    "Curve",
    "Head",
    "Labels",
    "Said",
    "Score",
    "Tally",
    "Task",
    "find",
    "heads",
    "parse",
    "said",
    "tasks",
]
