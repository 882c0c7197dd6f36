"""The page about a network on a chip."""

from spikewright.reports.chips.page import chip_report

__all__ = ["chip_report"]
