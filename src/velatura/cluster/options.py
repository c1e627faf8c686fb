"""What a clustering is asked to do: the method and its parameters, checked at birth."""

from dataclasses import dataclass
from typing import Literal, get_args

from velatura.base.errors import InputError, did_you_mean

Method = Literal["gustafson-kessel", "fuzzy-means", "k-means", "gaussian-mixture"]
METHODS: tuple[str, ...] = get_args(Method)


@dataclass(frozen=True)
class ClusterOptions:
    """Parameters of one clustering; the defaults are those that won on simulated and real paintings."""

    method: Method = "gustafson-kessel"
    clusters: int = 10
    """Number of clusters, 1 or more."""
    fuzzifier: float = 1.5
    """Exponent m of the memberships, above 1 (fuzzy methods). Below about 1,000 counts a pixel try 1.3."""
    shrinkage: float = 0.3
    """Babuska's gamma, 0 to 1: pull of each covariance towards a sphere. 0 is the textbook method, 1 fuzzy means."""
    condition_limit: float = 1e4
    """Babuska's beta: largest ratio between the eigenvalues of one covariance, above 1."""
    volumes: tuple[float, ...] | None = None
    """Volume rho of each cluster as in Gustafson and Kessel (1979), inside the d-th root; None: all 1."""
    noise: bool = False
    """Add Dave's noise cluster at the 0.99 quantile of the distances to the nearest cluster, and run again."""
    tolerance: float = 1e-3
    """Stop when no membership of the watched pixels changes by more than this."""
    iterations: int = 100
    """Largest number of iterations of each run."""
    precision: Literal["float32", "float64"] = "float32"
    """Arithmetic of the work on pixels; the small matrices are always float64."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            hint = did_you_mean(str(self.method), METHODS)
            raise InputError(f"method must be one of {', '.join(METHODS)}; found {self.method!r}{hint}")
        if self.precision not in ("float32", "float64"):
            raise InputError(f"precision must be float32 or float64; found {self.precision!r}")
        if self.clusters < 1 or self.iterations < 1:
            raise InputError(f"clusters and iterations must be 1 or more; found {self.clusters} and {self.iterations}")
        ranges = {
            "fuzzifier": (self.fuzzifier > 1, "above 1, e.g. 1.5"),
            "shrinkage": (0 <= self.shrinkage <= 1, "between 0 and 1, e.g. 0.3"),
            "condition_limit": (self.condition_limit > 1, "above 1, e.g. 1e4"),
            "tolerance": (self.tolerance > 0, "above 0, e.g. 1e-3"),
        }
        for name, (fits, remedy) in ranges.items():
            if not fits:
                raise InputError(f"{name} must be {remedy}; found {getattr(self, name)}")
        if self.volumes is not None and (len(self.volumes) != self.clusters or min(self.volumes) <= 0):
            raise InputError(f"volumes must be {self.clusters} positive numbers, one a cluster; found {self.volumes}")
        if self.noise and self.method not in ("gustafson-kessel", "fuzzy-means"):
            raise InputError(f"a noise cluster needs a fuzzy method; found {self.method}. Choose gustafson-kessel")
