"""``python -m spikewright.compat.snntoolbox [-t] CONFIG``: run an INI file of SNN Toolbox."""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence

from spikewright.compat.snntoolbox.experiment import OptionsError
from spikewright.compat.snntoolbox.pipeline import run_pipeline
from spikewright.errors import SpikewrightError, SpikewrightWarning


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one INI file.

    Args:
        arguments: of the command line; None for those of the process.

    Returns:
        the exit status: 0; 2 for what is refused, with a line for each option.
    """
    parser = argparse.ArgumentParser(
        prog="python -m spikewright.compat.snntoolbox",
        description="Run an experiment of SNN Toolbox, as its INI file describes it.",
    )
    parser.add_argument("config_filepath", help="the INI file")
    parser.add_argument("-t", "--terminal", action="store_true", help="nothing: it always runs in the terminal")
    asked = parser.parse_args(arguments)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always", SpikewrightWarning)
        try:
            run_pipeline(asked.config_filepath)
        except OptionsError as error:
            print(*(f"error: {line}" for line in error.problems), sep="\n", file=sys.stderr)
            return 2
        except SpikewrightError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        finally:
            print(*(f"warning: {one.message}\n" for one in seen), sep="", end="", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
