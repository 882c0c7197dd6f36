"""ONNX: files and loaded models."""

from spikewright.frontends.onnx.frontend import from_onnx

__all__ = ["from_onnx"]
