"""What the benchmarks' tests share."""

import pytest
import torch


@pytest.fixture
def one_thread():
    """A benchmark gives torch one thread; afterwards there are as many as before."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
