"""Exposure of each view: ``y = gain x + bias`` per channel, fitted along with the map."""

import torch


class Exposures:
    """One gain and bias per view and channel, kept one and zero on average over the views.

    Without that anchor the map could become darker and every gain larger.
    """

    def __init__(self, device: torch.device, rate: float) -> None:
        self._device, self._rate = device, rate
        self.values = torch.zeros(0, 2, 3, device=device)
        self._first = torch.zeros_like(self.values)
        self._second = torch.zeros_like(self.values)
        self._steps = torch.zeros(0, device=device)

    def add(self, count: int) -> None:
        """Add ``count`` views of gain one and bias zero."""
        fresh = torch.zeros(count, 2, 3, device=self._device)
        neutral = fresh.clone()
        neutral[:, 0] = 1
        self.values = torch.cat([self.values, neutral])
        self._first = torch.cat([self._first, fresh])
        self._second = torch.cat([self._second, fresh])
        self._steps = torch.cat([self._steps, fresh[:, 0, 0]])

    def to_cpu(self) -> None:
        """Bring all of it to the CPU."""
        self._device = torch.device("cpu")
        self.values, self._first, self._second, self._steps = (
            tensor.cpu() for tensor in (self.values, self._first, self._second, self._steps)
        )

    def keep(self, views: list[int]) -> None:
        """Drop all views but these, in this order."""
        self.values, self._first, self._second, self._steps = (
            tensor[views] for tensor in (self.values, self._first, self._second, self._steps)
        )

    def leaf(self, view: int) -> torch.Tensor:
        """Return gain and bias [2, 3] of ``view`` as a tensor that gathers a gradient."""
        return self.values[view].clone().requires_grad_()

    def step(self, view: int, gradient: torch.Tensor, share: float) -> None:
        """Move ``view`` by one Adam step at ``share`` of the rate; a gradient not finite is dropped."""
        if not bool(torch.isfinite(gradient).all()):
            return
        self._steps[view] += 1
        first, second, steps = self._first[view], self._second[view], float(self._steps[view])
        first.lerp_(gradient, 0.1)
        second.lerp_(gradient * gradient, 0.01)
        scale = (second / (1 - 0.99**steps)).sqrt() + 1e-15
        self.values[view] -= self._rate * share * first / (1 - 0.9**steps) / scale
        self.values[:, 0] += 1 - self.values[:, 0].mean(dim=0)
        self.values[:, 1] -= self.values[:, 1].mean(dim=0)
