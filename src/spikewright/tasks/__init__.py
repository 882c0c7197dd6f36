"""Tasks, one a file: what labels mean, and the scores of answers."""

from spikewright.tasks.answer import Answer, Labels
from spikewright.tasks.finding import Head, Said, find, heads, said, tasks_said
from spikewright.tasks.named import parse, tasks
from spikewright.tasks.score import SCORES, Score
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
    "tasks_said",
]
