"""What all tests share: Keras runs on the one framework that is here."""

import os

os.environ.setdefault("KERAS_BACKEND", "torch")
