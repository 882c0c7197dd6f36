"""Tasks, one a file: what labels mean, and the scores of answers."""

from spikewright.tasks.answer import Answer, Labels
from spikewright.tasks.finding import Head, TaskChoice, chosen_tasks, find_task, heads, heads_of, stated_tasks
from spikewright.tasks.named import SCORES, parse, tasks
from spikewright.tasks.score import Score
from spikewright.tasks.task import Curve, RunningScores, Task

__all__ = [
    "SCORES",
    "Answer",
    "Curve",
    "Head",
    "Labels",
    "RunningScores",
    "Score",
    "Task",
    "TaskChoice",
    "chosen_tasks",
    "find_task",
    "heads",
    "heads_of",
    "parse",
    "stated_tasks",
    "tasks",
]
