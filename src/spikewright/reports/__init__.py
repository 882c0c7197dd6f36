"""The report: one HTML page that works from disk."""

from spikewright.reports.network import write_picture
from spikewright.reports.page import report
from spikewright.reports.synapses import write_synapse_report

__all__ = ["report", "write_picture", "write_synapse_report"]
