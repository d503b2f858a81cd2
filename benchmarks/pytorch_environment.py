"""PyTorch and the inference engines live in a virtual environment of their own, .bench-venv.

It is made when it is missing or lacks something.
"""

import pathlib
import subprocess
import sys
import venv

FOLDER = pathlib.Path(__file__).resolve().parent.parent / ".bench-venv"
PYTHON = FOLDER / "bin" / "python"
ENGINES = ["onnx==1.23.2", "onnxruntime==1.32.0", "openvino==2026.4.1"]
PACKAGES = ["torch==2.13.0", *ENGINES, "numpy", "ale-py", "gymnasium", "opencv-python-headless"]


def make() -> None:
    stamp = FOLDER / ".ready"
    if stamp.exists() and stamp.read_text().split() == PACKAGES:
        return
    print(f"making {FOLDER.name} with {', '.join(PACKAGES)} …", file=sys.stderr)
    venv.create(FOLDER, with_pip=True)
    subprocess.run([PYTHON, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    stamp.write_text("\n".join(PACKAGES))
