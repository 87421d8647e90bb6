"""What has to be said before anything is imported."""

import os

import torch

# The GPU kernels run on tensors of the CPU where there is no GPU; Triton reads this when it is imported.
if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
