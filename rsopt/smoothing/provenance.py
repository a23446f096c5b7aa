"""What a run's samples depend on: two runs with equal records draw equal samples."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import nn

from rsopt.arguments import checked_instance
from rsopt.noise import Noise
from rsopt.noise.gaussian import plain_sigma

__all__ = ["Provenance", "fingerprint", "record", "tensor_bytes"]

SCHEME = 1
"""Number of the rule that turns (seed, stream, index, chunk) into samples; raised whenever it changes."""


@dataclass(frozen=True)
class Provenance:
    """The conditions under which samples were drawn. Equal records mean bit-identical counts.

    The number of chunks in flight is not among them, nor the order of the inputs: neither changes a sample.

    Attributes:
        scheme: number of the keying rule.
        seed: seed of the run.
        sigma: standard deviation of Gaussian noise, in the units of the input; None for other noise.
        chunk: rows of one forward batch.
        num_classes: columns of the model's output.
        noise: generator that drew the noise.
        device: device type with the model of the card, or the vector units of the processor.
        input_dtype: dtype the noisy input was cast to, after the noise was added in float32.
        autocast: dtype of autocast, or None.
        compile_backend: backend of torch.compile, or None.
        matmul: precision of float32 products ("highest", "high", "medium"; "+tf32" when cuDNN may use TF32).
        threads: threads torch computes with on the host; a reduction may be split by it.
        torch: version of torch.
        numpy: version of NumPy, which draws host noise.
        law: other noise than Gaussian of one sigma, as JSON; None for that.
    """

    scheme: int
    seed: int
    sigma: float | None
    chunk: int
    num_classes: int
    noise: str
    device: str
    input_dtype: str
    autocast: str | None
    compile_backend: str | None
    matmul: str
    threads: int
    torch: str
    numpy: str
    law: str | None = None

    def as_dict(self) -> dict[str, int | float | str | None]:
        """The record as plain JSON values; `law` only where it says something."""
        return {name: value for name, value in asdict(self).items() if name != "law" or value is not None}

    def differences(self, other: Provenance) -> list[str]:
        """One sentence for each field in which the records differ; empty when samples may be mixed."""
        mine, theirs = self.as_dict(), other.as_dict()
        return [f"{name} is {mine.get(name)!r} here and {theirs.get(name)!r} there" for name in {**mine, **theirs}
                if mine.get(name) != theirs.get(name)]


def device_name(device: torch.device) -> str:
    """Type of a device with what last digits depend on: the model of the card, the vector units of the processor."""
    if device.type == "cuda":
        return f"cuda ({torch.cuda.get_device_name(device)})"
    if device.type == "cpu":
        return f"cpu ({torch.backends.cpu.get_cpu_capability()})"
    return device.type


def record(*, seed: int, law: Noise, chunk: int, num_classes: int, noise: str, device: torch.device,
           input_dtype: torch.dtype, autocast: torch.dtype | None, compile_backend: str | None) -> Provenance:
    """The record of a run with these options under the present settings of torch."""
    tf32 = device.type == "cuda" and torch.backends.cudnn.allow_tf32
    sigma = plain_sigma(law)
    return Provenance(
        scheme=SCHEME, seed=seed, sigma=sigma, chunk=chunk, num_classes=num_classes, noise=noise,
        device=device_name(device), input_dtype=_plain(input_dtype),
        autocast=None if autocast is None else _plain(autocast), compile_backend=compile_backend,
        matmul=torch.get_float32_matmul_precision() + ("+tf32" if tf32 else ""),
        threads=torch.get_num_threads(), torch=torch.__version__, numpy=np.__version__,
        law=None if sigma is not None else json.dumps(law.to_dict(), sort_keys=True))


def _plain(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def fingerprint(model: nn.Module) -> str:
    """SHA-256 over the submodules' class names and every parameter and buffer (name, dtype, shape, bytes).

    Raises:
        InvalidInputError: it is no `nn.Module`.
    """
    checked_instance(model, nn.Module, "model")
    digest = hashlib.sha256()
    for name, module in model.named_modules():
        digest.update(f"{name}:{type(module).__qualname__}\n".encode())
    for name, tensor in (*model.named_parameters(), *model.named_buffers()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}\n".encode())
        digest.update(tensor_bytes(tensor))
    return digest.hexdigest()


def tensor_bytes(tensor: torch.Tensor) -> bytes:
    """The numbers of a tensor as they lie in memory, row by row; NumPy alone could not name all dtypes."""
    plain = tensor.detach().cpu()
    plain = plain.dequantize() if plain.is_quantized else plain.to_dense()
    return plain.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
