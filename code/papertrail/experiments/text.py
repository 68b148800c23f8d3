"""Text files as bytes, for models that read bytes."""

import gzip
from pathlib import Path

import torch
from torch import Tensor


def read_text(path: Path) -> bytes:
    """A text file's bytes, unpacked if its name ends in .gz."""
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()


def windows(text: bytes, starts: Tensor, length: int) -> Tensor:
    """Windows of `length` + 1 bytes: (B,) starts -> (B, length + 1) token ids."""
    data = torch.frombuffer(bytearray(text), dtype=torch.uint8)
    return data[starts[:, None] + torch.arange(length + 1)].long()
