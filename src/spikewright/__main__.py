"""``python -m spikewright`` is the command ``spikewright``."""

from spikewright.cli import main

if __name__ == "__main__":
    main()
