"""Triton kernels for the GPU.

They read tensors where they lie (layout.py), count offsets in int64, never wait for the device, and give the same bits from
run to run. What is asked of them and what they fill in is `problem.py`'s; `softmax_cross_entropy.solve` chooses the kernel.
With TRITON_INTERPRET=1, set before this is imported, the same kernels run on tensors of the CPU, slowly: that is how they are
tested where there is no GPU.
"""
