"""Numba kernels for the CPU.

Arrays arrive as the address of their first element, with strides counted in elements and a *tag*: a scalar whose type
names the stored dtype (float32, float64, int16 for the bits of a float16, uint16 for the bits of a bfloat16). One
compiled function then serves every layout, and read-only or unaligned input costs no second compilation.
"""
