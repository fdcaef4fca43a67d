"""A device that is not there: operators run their CUDA functions, with the emulation, on CPU tensors."""

from collections import Counter

from torch.utils._python_dispatch import TorchDispatchMode

from botan_fast.ops import cuda, packing

# Operators of torch that queue no kernel on a GPU, besides views.
NO_KERNEL = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "_unsafe_view", "detach"}
NO_KERNEL |= {"_record_function_enter_new", "_record_function_exit"}  # of the profiler


class EmulatedDevice(TorchDispatchMode):
    """Inside the block, below autograd, botan_fast::NAME is `ops.cuda.NAME` with these kernels.

    `launches()` counts what a GPU would launch in the block: our kernels by their names, and of torch each operator
    that computes or copies something, which is one launch or more, by "torch " and its name.
    """

    def __init__(self, kernels, monkeypatch):
        super().__init__()
        self.kernels = kernels
        self.torch: Counter[str] = Counter()
        self.depth = 0
        monkeypatch.setattr(packing, "kernels_for", lambda device: kernels)

    def __enter__(self):
        if self.depth == 0:
            self.kernels.clear_launches()
            self.torch.clear()
        self.depth += 1
        return super().__enter__()

    def __exit__(self, *error):
        self.depth -= 1
        return super().__exit__(*error)

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        space, _, name = function._schema.name.partition("::")
        if space == "botan_fast":
            with self:  # what the function asks of torch is counted as well
                return getattr(cuda, name)(self.kernels, *args, **(kwargs or {}))
        views = any(r.alias_info is not None and not r.alias_info.is_write for r in function._schema.returns)
        if not views and name not in NO_KERNEL:
            self.torch[f"torch {name}"] += 1
        return function(*args, **(kwargs or {}))

    def launches(self):
        return dict(sorted({**self.kernels.launches(), **self.torch}.items()))
