"""The tracker beside the one of the Python package supervision, on the same detections."""
