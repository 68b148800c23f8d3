"""The learning rate of Vaswani et al. 2017 (section 5.3, eq. 3), and what tensor2tensor made of it later."""

from dataclasses import dataclass
from numbers import Integral


def noam_lr(step: int, d_model: int, warmup: int = 4000) -> float:
    """Learning rate at a step: linear warm-up, then the inverse square root of the step.

    d_model^-0.5 * min(step^-0.5, step * warmup^-1.5), Vaswani et al. 2017, section 5.3, eq. 3. The two
    branches meet at step = warmup, which is the peak. Steps are counted from 1.

    Raises:
        TypeError: an argument is not an integer (True and 4000.0 are not).
        ValueError: an argument is not positive.
    """
    for argument, value in {"step": step, "d_model": d_model, "warmup": warmup}.items():
        if isinstance(value, bool) or not isinstance(value, Integral):
            raise TypeError(f"{argument}: got {value!r}; allowed are integers from 1 up")
        if value < 1:
            raise ValueError(f"{argument}: got {value}; allowed are integers from 1 up")
    return float(d_model) ** -0.5 * min(float(step) ** -0.5, step * float(warmup) ** -1.5)


@dataclass(frozen=True)
class Schedule:
    """A multiple of the paper's schedule: factor * noam_lr(step, d_model, warmup)."""

    name: str
    factor: float
    warmup: int

    def rate(self, step: int, d_model: int = 512) -> float:
        """Learning rate at a step, counted from 1; 512 is the base model's width."""
        return self.factor * noam_lr(step, d_model, self.warmup)


# tensor2tensor's own constants are not rates: v1 says 0.1, v2 0.2 and v3 2.0 for a factor of 1, 2 and 2 here.
# v3's comment calls its 2.0 equivalent to v2's 0.2; that v1's 0.1 is then the paper's formula is a deduction.
SCHEDULES = (
    Schedule("transformer_base_v1", factor=1.0, warmup=4000),  # June 2017, and the paper
    Schedule("transformer_base_v2", factor=2.0, warmup=8000),  # commit d5bdfcc8, October 2017
    Schedule("transformer_base_v3", factor=2.0, warmup=8000),  # commit 71634aa4, September 2018: respelled
)
