"""The demo panel's visible picture: a lake between trees in the evening. Passages, light and brush; no physics."""

import numpy as np
from scipy.ndimage import gaussian_filter

from velatura.scene.brush import Brush, Brushwork, Plan, grid, noise, paint, put, rise

VISIBLE = ("sky", "hills", "foliage", "meadow", "earth", "water", "sun", "retouch", "flowers")
SKY, HILLS, FOLIAGE, MEADOW, EARTH, WATER, SUN, RETOUCH, FLOWERS = range(len(VISIBLE))
BRUSHES = {
    SKY: Brush(0.070, 0.016, vary=0.035),
    SUN: Brush(0.018, 0.009, vary=0.05),
    HILLS: Brush(0.045, 0.012, vary=0.05),
    WATER: Brush(0.055, 0.008, wander=0.06, vary=0.05),
    MEADOW: Brush(0.038, 0.010, wander=0.35, vary=0.07),
    EARTH: Brush(0.040, 0.011, vary=0.07),
    FOLIAGE: Brush(0.021, 0.010, cover=4.0, wander=0.8, vary=0.10),
    FLOWERS: Brush(0.008, 0.006, wander=1.0, vary=0.1),
    RETOUCH: Brush(0.020, 0.009, cover=4.0, vary=0.03),
}


def landscape(shape: tuple[int, int], *, rng: np.random.Generator) -> Brushwork:
    """Paint the landscape; labels into VISIBLE. Hills, clouds, trees, path and shore differ from seed to seed."""
    v, u = grid(shape)
    aspect = shape[1] / shape[0]
    x = u * aspect
    sun = rng.uniform(0.27, 0.31), rng.uniform(0.60, 0.70)
    plan = Plan(np.zeros(shape, np.int8), np.zeros(shape), np.zeros(shape))
    _sky(plan, v, x, sun=(sun[0], sun[1] * aspect), rng=rng)
    _hills(plan, v, u, rng=rng)
    _lake(plan, v, u, sun=sun, rng=rng)
    _meadow(plan, v, u, rng=rng)
    _trees(plan, v, u * 0.8, rng=rng)
    _details(plan, v, u * 0.8, rng=rng)
    return paint(plan, BRUSHES, rng=rng)


def smooth_field(shape: tuple[int, int], *, scale: float, rng: np.random.Generator) -> np.ndarray:
    """Return a smooth random field float64 [y, x] of mean 0 and standard deviation 1; `scale`: correlation [pixels]."""
    field = gaussian_filter(rng.normal(size=shape), scale, mode="reflect")
    return (field - field.mean()) / field.std()


def _sky(plan: Plan, v: np.ndarray, x: np.ndarray, *, sun: tuple[float, float], rng: np.random.Generator) -> None:
    away = np.hypot(v - sun[0], x - sun[1])
    light = 0.08 + 0.60 * rise(0.0, 0.42, v) + 0.45 * np.exp(-((away / 0.15) ** 2))
    bend = 0.5 * noise(v * 4, x * 4, rng=rng)
    cloud = noise(v * 11 + bend, x * 4 + bend, rng=rng, octaves=3)
    body = rise(0.1, 1.3, cloud - 0.6 * rise(0.10, 0.0, v))
    lit = rise(-0.3, 0.5, np.gradient(gaussian_filter(cloud, len(v) / 60), axis=0) * len(v) / 12 + 0.25)
    light = light * (1 - body) + body * (0.45 + 0.5 * lit)
    put(plan, np.ones(v.shape, bool), SKY, light=light, angle=0.15 * bend - 0.12)
    put(plan, away < 0.030, SUN, light=1 - (away / 0.030) ** 2, angle=np.arctan2(v - sun[0], x - sun[1]) + np.pi / 2)


def _hills(plan: Plan, v: np.ndarray, u: np.ndarray, *, rng: np.random.Generator) -> None:
    shift = rng.uniform(0, 2 * np.pi, 4)
    far = 0.405 + 0.045 * np.sin(5 * u + shift[0]) + 0.012 * noise(0 * u, u * 16, rng=rng, octaves=2)
    near = 0.475 + 0.040 * np.sin(3.6 * u + shift[1]) + 0.010 * noise(0 * u, u * 22, rng=rng, octaves=2)
    slope = np.gradient(far, axis=1) * u.shape[1]
    haze = rise(0.0, 0.14, v - far)
    put(plan, v > far, HILLS, light=0.42 + 0.38 * haze - 0.25 * slope, angle=0.5 * np.arctan(2 * slope))
    facing = noise(v * 14 + u * 5, u * 12, rng=rng)
    put(plan, v > near, HILLS, light=0.10 + 0.28 * rise(0.0, 0.1, v - near) + 0.10 * facing, angle=0.5 + 0.3 * facing)


def _lake(plan: Plan, v: np.ndarray, u: np.ndarray, *, sun: tuple[float, float], rng: np.random.Generator) -> None:
    depth = rise(0.55, 0.76, v)
    mirror = 0.62 + 0.1 * depth - 0.45 * rise(0.60, 0.555, v) - 0.45 * rise(0.30, 0.12, u) * (1 - 0.3 * depth)
    ripple = noise(v * 60, u * 7, rng=rng, octaves=2)
    glitter = np.exp(-(((u - sun[1]) / (0.03 + 0.10 * depth)) ** 2)) * rise(-0.6, 0.8, ripple + 0.5)
    light = np.clip(mirror + 0.10 * ripple, 0, 0.9) + 0.5 * glitter
    put(plan, v > 0.55, WATER, light=light, angle=0.0)
    bank = 0.552 - 0.016 * np.abs(noise(0 * u, u * 20, rng=rng, octaves=3)) - 0.006
    put(plan, (v > bank) & (v < 0.560), FOLIAGE, light=0.20, angle=np.pi / 2)


def _meadow(plan: Plan, v: np.ndarray, u: np.ndarray, *, rng: np.random.Generator) -> None:
    shore = 0.72 + 0.035 * np.sin(6 * u + rng.uniform(0, 6)) - 0.16 * rise(0.62, 0.98, u) + 0.03 * rise(0.2, 0.0, u)
    shore = shore + 0.006 * noise(0 * u, u * 24, rng=rng, octaves=2)
    depth = np.clip((v - shore) / (1 - shore), 0, 1)
    patches = noise(v * 14, u * 5, rng=rng, octaves=2)
    light = 0.78 - 0.62 * rise(0.15, 0.95, depth) + 0.14 * patches - 0.5 * rise(0.03, 0.0, depth)
    light = light - 0.25 * rise(0.35, 0.05, u) * rise(0.9, 0.2, depth)
    put(plan, v > shore, MEADOW, light=light, angle=-np.pi / 2 * rise(0.1, 0.7, depth) + 0.25)
    centre = 0.86 - 0.42 * depth**1.25 + 0.085 * np.sin(7 * depth + rng.uniform(0.2, 0.9))
    half = 0.012 + 0.115 * depth**1.3
    side = (u - centre) / half
    rut = 0.25 * np.exp(-(((np.abs(side) - 0.45) / 0.16) ** 2)) * rise(0.2, 0.6, depth)
    light = 0.92 - 0.50 * depth - rut - 0.25 * rise(0.3, 1.0, side) + 0.08 * patches
    put(plan, (depth > 0.015) & (np.abs(side + 0.12 * patches) < 1), EARTH, light=light, angle=-0.9)


def _trees(plan: Plan, v: np.ndarray, x: np.ndarray, *, rng: np.random.Generator) -> None:
    """A tall tree on the left, in clumps lit from the right; a lower group on the right: x in picture heights."""
    left = rng.uniform(0.16, 0.20)
    stem = left + 0.03 * np.sin(4 * v + 1) + 0.012
    trunk = (np.abs(x - stem) < 0.010 + 0.016 * rise(0.55, 0.86, v)) & (v > 0.16) & (v < 0.83)
    put(plan, trunk, EARTH, light=0.35 * rise(-0.01, 0.02, x - stem), angle=np.pi / 2)
    tall = [(rng.uniform(0.10, 0.50), left + 0.06 * (k % 3 - 1) + rng.normal(0, 0.045)) for k in range(26)]
    low = [(rng.uniform(0.50, 0.66), rng.uniform(0.70, 0.82)) for _ in range(10)]
    shrubs = [(rng.uniform(0.78, 0.88), rng.uniform(-0.02, 0.12)) for _ in range(7)]
    for y, at in sorted(tall + low + shrubs, key=lambda place: place[0]):
        radius = rng.uniform(0.030, 0.062)
        dy, dx = (v - y) / (0.8 * radius), (x - at) / radius
        ragged = np.hypot(dy, dx) + 0.16 * noise(v * 50, x * 50, rng=rng)
        light = 0.30 + 0.34 * dx * np.sign(0.45 - at) - 0.38 * dy
        put(plan, ragged < 1, FOLIAGE, light=light, angle=np.arctan2(dy, dx) + np.pi / 2)


def _details(plan: Plan, v: np.ndarray, x: np.ndarray, *, rng: np.random.Generator) -> None:
    """Flowers beside the path, and the retouch over a small loss; x in picture heights."""
    middle = rng.uniform(0.86, 0.90), rng.uniform(0.60, 0.66)
    for _ in range(34):
        y, at = middle[0] + rng.normal(0, 0.030), middle[1] + rng.normal(0, 0.055)
        put(plan, np.hypot(v - y, x - at) < rng.uniform(0.004, 0.008), FLOWERS, light=rng.uniform(0.1, 0.9), angle=0.0)
    y, at = rng.uniform(0.13, 0.19), rng.uniform(0.70, 0.75)
    loss = np.hypot((v - y) / 0.032, (x - at) / 0.045) + 0.10 * noise(v * 30, x * 30, rng=rng)
    light = min(float(np.median(plan.light[loss < 1])), 0.55)
    put(plan, loss < 1, RETOUCH, light=light, angle=0.6)
