"""Measured spectra brought among simulated ones without labels, by mean and covariance of their embeddings (CORAL)."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from velatura.nn.spectrum_net import SpectrumNet


def aligned(net: SpectrumNet, measured: np.ndarray, simulated: np.ndarray, *, shrink: float = 0.1) -> SpectrumNet:
    """Return the network with embeddings of measured spectra brought to mean and covariance of simulated ones.

    measured, simulated: embeddings by this network, float [n, 256]; shrink: share of each covariance that is replaced
    by a multiple of one, 0 to 1. The map C_s^(1/2) C_m^(-1/2) (Sun, Feng and Saenko, AAAI 2016) is linear and becomes a
    part of the trunk's last matrix. Both sets must hold the same materials in the same shares: other pigments would be
    turned into those of the simulation.
    """
    (near, colour), (far, own) = (_moments(values, shrink) for values in (simulated, measured))
    turn = _power(colour, 0.5) @ _power(own, -0.5)
    last = net.trunk.last
    weight = jnp.asarray(turn @ np.asarray(last.weight, np.float64), jnp.float32)
    bias = jnp.asarray(turn @ (np.asarray(last.bias, np.float64) - far) + near, jnp.float32)
    return eqx.tree_at(lambda whole: (whole.trunk.last.weight, whole.trunk.last.bias), net, (weight, bias))


def _moments(values: np.ndarray, shrink: float) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values, np.float64)
    covariance = np.cov(values, rowvar=False)
    even = np.trace(covariance) / len(covariance) * np.eye(len(covariance))
    return values.mean(axis=0), (1 - shrink) * covariance + shrink * even


def _power(matrix: np.ndarray, exponent: float) -> np.ndarray:
    """A power of a symmetric matrix; directions without extent stay out."""
    sizes, axes = np.linalg.eigh(matrix)
    kept = sizes > 1e-9 * sizes[-1]
    return (axes * np.where(kept, np.where(kept, sizes, 1.0) ** exponent, 0.0)) @ axes.T
