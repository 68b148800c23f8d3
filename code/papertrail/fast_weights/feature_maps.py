import torch
from torch.nn import functional as F


def resolve(f):
    if f == "elu+1":
        return lambda x: F.elu(x) + 1
    return (lambda x: x) if f is None else f
