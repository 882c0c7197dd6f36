"""One small thing of every kind that Spikewright finds by itself, each in a file of its own."""
