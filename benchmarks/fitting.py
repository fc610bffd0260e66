"""The fit of a law by steps of second order: beside SciPy's, start by start, and as the number of chains grows."""

import resource
from dataclasses import dataclass

import growth
import numpy as np
from scipy.optimize import least_squares
from timing import Comparison, seconds

from rediscover import _fitting, dataset, evidence
from rediscover._problem import Given, Problem
from rediscover.law import Law

CHAINS, SITES, STARTS = 150, 40, 20
BUDGET, SHARE = 2.0, 0.8  # seconds a start, and the share of starts that are to find the law
FORMS = {
    "two squared latents": {"latent_dim": 2, "readout": "quadratic", "order": 2},
    "three linear latents, order 3": {"latent_dim": 3, "readout": "linear", "order": 3},
}
#: Varied one at a time, as in `growth`.
AXES = {"chains": (300, 150, 600, 1200, 2400, 4800)}


@dataclass(frozen=True)
class Starts(Comparison):
    """A start beside its budget; besides, a `share` of all starts has to find the law."""

    share: float

    @property
    def met(self) -> bool:
        """Whether starts are quick enough, and enough of them good."""
        return super().met and self.share >= SHARE


def problem(data) -> tuple[_fitting.Shape, _fitting.Chains]:
    """What `Law.fit` makes of measured pairs: the shape of its unknowns, and numbers of size one."""
    given = Given.of(data.potential, data.density)
    found = Problem.of(given)
    return found.shape, found.chains(given)


def of_scipy(shape, chains, **method) -> float:
    """Loss that SciPy comes to from the same start, by numerical derivatives of the same residuals.

    It is led along the chain in the same stages: from the start at once it finds no law, but for luck.
    """

    def off(x, part):
        off = (_fitting.predictions(shape, x, part) - part.density) * part.weight
        return np.nan_to_num(off.ravel(), nan=1e6, posinf=1e6, neginf=-1e6)

    x = shape.first(np.random.default_rng(0), turn=0.5)
    stages = [(sites, 1e-5) for sites in _fitting.horizons(shape, SITES)]
    with np.errstate(all="ignore"):  # a trial step may run away
        for sites, gain in [*stages, (SITES, 1e-9)]:
            fit = least_squares(off, x, args=(chains.take(slice(None), sites),), ftol=gain, **method)
            x = fit.x
    return 2 * fit.cost / chains.total


def iteration(what: str, sizes: dict) -> tuple[float, float]:
    """Milliseconds of one step of a fit, and the most megabytes that its process held."""
    shape, chains = problem(dataset.simulate(sizes["chains"], sites=SITES, seed=0))
    x = shape.first(np.random.default_rng(0))

    def step():
        _fitting.normal_equations(shape, x, chains)
        _fitting.cost(shape, x, chains)

    return 1e3 * seconds(step, repeat=20)[0], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


# All ------------------------------------------------------------------------------------------------------------------


def compare():
    """Give the comparisons."""
    data = dataset.simulate(CHAINS, sites=SITES, seed=0)
    V, rho = data.potential, data.density
    shape, chains = problem(data)
    losses = {}

    def ours():
        losses["ours"] = Law.fit(V, rho, starts=1, seed=0)[0].loss(V, rho)

    def theirs(method):
        losses[method] = of_scipy(shape, chains, method=method, x_scale="jac")

    times = [1e3 * s for s in seconds(ours, lambda: theirs("trf"), lambda: theirs("lm"))]
    name = f"a law, one start (loss {losses['ours']:.2e})"
    for method, took in zip(("trf", "lm"), times[1:], strict=True):
        if losses["ours"] > 1.01 * losses[method]:
            raise RuntimeError(f"ours is the worse law, so that times say nothing: losses {losses}")
        yield Comparison(name, times[0], f"least_squares, {method} (loss {losses[method]:.2e})", took, 5)

    for form, shape_of in FORMS.items():
        found = {}

        def all_starts(form=shape_of, found=found):
            found["losses"] = Law.fit(V, rho, starts=STARTS, seed=0, **form)[1]

        took = 1e3 * seconds(all_starts, repeat=1)[0] / STARTS
        share, _, _ = evidence.success_share(np.nan_to_num(found["losses"], nan=np.inf))
        name = f"{form}, a start ({share:.0%} find the law)"
        yield Starts(name, took, f"two seconds, and {SHARE:.0%} of {STARTS}", 1e3 * BUDGET, 1, share)


def grow():
    """Yield rows as `growth.grow` does."""
    yield from growth.vary(iteration, "law", AXES)
