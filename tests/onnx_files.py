"""What ONNX Runtime makes of an exported model, without our own check."""

import numpy as np
import onnxruntime


def runtime_probabilities(folder, views):
    """Probabilities (n_samples, n_classes) of float32 views, by the file in a folder."""
    session = onnxruntime.InferenceSession(folder / "model.onnx")
    inputs = {each.name: views[each.name].astype(np.float32) for each in session.get_inputs()}
    return session.run(["probabilities"], inputs)[0]
