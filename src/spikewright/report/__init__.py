"""The report: one HTML page that works from disk."""

from spikewright.report.candidate import Candidate
from spikewright.report.page import write_report
from spikewright.report.synapses import write_synapse_report

__all__ = ["Candidate", "write_report", "write_synapse_report"]
