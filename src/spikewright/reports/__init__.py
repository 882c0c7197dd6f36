"""The report: one HTML page that works from disk."""

from spikewright.reports.candidate import Candidate
from spikewright.reports.page import write_report
from spikewright.reports.synapses import write_synapse_report

__all__ = ["Candidate", "write_report", "write_synapse_report"]
