"""The demo panel's hidden picture: head and shoulders by a window. Passages, light and brush; no physics."""

import numpy as np

from velatura.scene.brush import Brush, Brushwork, Plan, grid, noise, paint, put, rise

HIDDEN = ("none", "flesh", "robe", "hair", "collar")
NONE, FLESH, ROBE, HAIR, COLLAR = range(len(HIDDEN))
BRUSHES = {
    ROBE: Brush(0.060, 0.014, wander=0.12, vary=0.05),
    FLESH: Brush(0.018, 0.0065, cover=5.0, wander=0.3, vary=0.015),
    COLLAR: Brush(0.016, 0.008, wander=0.3, vary=0.08),
    HAIR: Brush(0.045, 0.0065, wander=0.10, vary=0.10),
}
SIZE = 1.28  # of the figure: lengths below are fractions of the height for 1
LIGHT = np.array([-0.52, -0.46, 0.72])  # from the left, above and before the sitter: x, y (down), z


def bust(shape: tuple[int, int], *, rng: np.random.Generator) -> Brushwork:
    """Paint the figure, head and shoulders; labels into HIDDEN. Its place differs from seed to seed."""
    v, u = grid(shape)
    x = (u - 0.5 - rng.uniform(-0.05, 0.05)) * shape[1] / shape[0] / SIZE
    y = (v - 0.39 - rng.uniform(-0.02, 0.02)) / SIZE
    plan = Plan(np.zeros(shape, np.int8), np.zeros(shape), np.zeros(shape))
    _robe(plan, x, y, rng=rng)
    _hair(plan, x, y, rng=rng)
    _neck(plan, x, y)
    _face(plan, x, y)
    _fringe(plan, x, y, rng=rng)
    return _features(paint(plan, BRUSHES, rng=rng), x, y)


def _spot(x: np.ndarray, y: np.ndarray, *, at: tuple[float, float], size: tuple[float, float]) -> np.ndarray:
    """Soft oval spot: 1 at `at`, exp(-1) one `size` away."""
    return np.exp(-(((x - at[0]) / size[0]) ** 2) - ((y - at[1]) / size[1]) ** 2)


def _robe(plan: Plan, x: np.ndarray, y: np.ndarray, *, rng: np.random.Generator) -> None:
    """Shoulders, and folds that fall from them; the collar lies on the breast."""
    wide = np.abs(x)
    shoulder = 0.198 + 0.50 * np.clip(wide - 0.07, 0, None) ** 1.5 + 5.0 * np.clip(wide - 0.25, 0, None) ** 2
    drop = y - shoulder
    fan = x / (0.45 + 0.55 * np.clip(y, 0.1, None))
    bend = 0.5 * noise(4 * y, 9 * x, rng=rng)
    fold = np.sin(19 * fan + 2.5 * bend) + 0.4 * np.sin(43 * fan - 2.0 * bend + 1)
    light = 0.44 - 0.75 * x + 0.26 * fold * rise(0.02, 0.16, drop) + 0.18 * np.exp(-((drop / 0.03) ** 2))
    light = light - 0.25 * rise(0.2, 0.5, drop) - 0.22 * _spot(x, y, at=(0.06, 0.24), size=(0.10, 0.07))
    contour = np.arctan(np.gradient(shoulder, x[0], axis=1))
    along = rise(0.02, 0.10, drop)
    put(plan, drop > 0, ROBE, light=light, angle=along * (np.pi / 2 - 0.9 * fan) + (1 - along) * contour)
    hem = 0.245 - 1.1 * x**2 + 0.004 * np.sin(90 * x)
    weave = 0.25 * np.sin(150 * x) * np.sin(120 * (y + 1.1 * x**2))
    put(plan, (wide < 0.125) & (np.abs(y - hem) < 0.021), COLLAR, light=0.60 - 2.2 * x + weave, angle=-2.2 * x)


def _hair(plan: Plan, x: np.ndarray, y: np.ndarray, *, rng: np.random.Generator) -> None:
    """A cap of hair and locks that fall to the collar, with a sheen towards the window."""
    cap = (x / 0.158) ** 2 + ((y + 0.035) / 0.195) ** 2 < 1
    locks = np.abs(np.abs(x - 0.005) - 0.122) < 0.036 + 0.009 * np.sin(38 * y + 2 * np.sign(x))
    locks &= (y > -0.02) & (y < 0.195 - 0.5 * np.abs(np.abs(x) - 0.12))
    strand = noise(6 * y, 60 * np.hypot(x, 0.6 * np.clip(y + 0.03, None, 0)), rng=rng)
    wave = np.sin(38 * y + 60 * np.abs(x))
    light = (
        0.30
        + 0.20 * strand
        + 0.14 * wave * (y > 0)
        - 1.3 * x
        + 0.35 * _spot(x, y, at=(-0.08, -0.17), size=(0.06, 0.04))
    )
    fall = np.arctan2(y + 0.03, x) + np.pi / 2
    angle = np.where(y > -0.01, np.pi / 2 + 0.35 * np.cos(38 * y), fall)
    put(plan, cap & (y < 0.10) | locks, HAIR, light=light, angle=angle)


def _neck(plan: Plan, x: np.ndarray, y: np.ndarray) -> None:
    neck = (np.abs(x) < 0.056 + 0.35 * np.clip(y - 0.165, 0, None)) & (y > 0.06) & (y < 0.235 - 1.1 * x**2)
    light = 0.66 - 6.0 * x - 0.42 * rise(0.205, 0.150, y + 0.25 * x)
    put(plan, neck, FLESH, light=light, angle=np.pi / 2)


def _face(plan: Plan, x: np.ndarray, y: np.ndarray) -> None:
    """An egg turned to the window: light from its slope, with brow, nose, cheeks, lips and chin as bumps."""
    a, b = x / 0.108, (y + 0.005) / 0.158
    a = a / (1 - 0.20 * np.clip(b, 0, None) ** 1.5)
    face = a**2 + b**2 < 1
    c = -0.13
    height = 0.95 * np.sqrt(np.clip(1.10 - a**2 - 0.85 * b**2, 0, None))
    nose = rise(-0.16, 0.26, b) * rise(0.44, 0.34, b)
    height += 0.26 * nose * np.exp(-(((a - c) / (0.085 + 0.05 * rise(0.1, 0.4, b))) ** 2))
    height += 0.06 * _spot(a, b, at=(c, 0.58), size=(0.26, 0.14)) + 0.09 * _spot(
        a, b, at=(c + 0.02, 0.84), size=(0.22, 0.13)
    )
    for side in (-0.38, 0.44):
        height += 0.07 * _spot(a, b, at=(c + side, 0.24), size=(0.26, 0.20))
        height -= 0.11 * _spot(a, b, at=(c + side, -0.12), size=(0.22, 0.11))
    slope_y, slope_x = np.gradient(height, b[:, 0], axis=0), np.gradient(height, x[0] / 0.108, axis=1)
    light = (LIGHT[2] - LIGHT[0] * slope_x - LIGHT[1] * slope_y) / np.sqrt(1 + slope_x**2 + slope_y**2)
    light = 0.24 + 0.84 * light - 0.22 * _spot(a, b, at=(c + 0.13, 0.42), size=(0.13, 0.06))
    light = light - 0.30 * rise(0.35, 1.0, a) - 0.20 * rise(-0.50, -0.75, b)
    put(plan, face, FLESH, light=light, angle=np.arctan2(b, a) + np.pi / 2)


def _fringe(plan: Plan, x: np.ndarray, y: np.ndarray, *, rng: np.random.Generator) -> None:
    parting = -0.112 - 1.6 * (x + 0.03) ** 2 + 0.02 * rise(0.0, 0.08, x) + 0.006 * noise(0 * x, 60 * x, rng=rng)
    parting = np.where(np.abs(x) > 0.07, parting + 1.9 * (np.abs(x) - 0.07), parting)
    where = (y < parting) & (plan.labels == FLESH)
    strand = noise(30 * y, 50 * x, rng=rng)
    put(plan, where, HAIR, light=0.34 + 0.18 * strand - 1.6 * x, angle=0.9 * np.sign(x + 0.03))


def _features(work: Brushwork, x: np.ndarray, y: np.ndarray) -> Brushwork:
    """Eyes, brows, nostrils and mouth: thin touches over the finished flesh, in its own dark paint and the hair's."""
    a, b = x / 0.108, (y + 0.005) / 0.158
    c, labels, light, relief = -0.13, *(part.copy() for part in work)
    pixel = 0.5 / 0.158 / SIZE / len(y)  # half a pixel, in the face's units: no touch is thinner

    def touch(where: np.ndarray, label: int, value: float) -> None:
        labels[where], light[where], relief[where] = label, value, 0.85

    for side, half in ((-0.37, 0.19), (0.42, 0.22)):
        t = (a - c - side) / half
        lid, low, brow = -0.135 + 0.065 * t**2, -0.055 - 0.04 * t**2, -0.285 + 0.06 * (t + 0.25 * np.sign(-side)) ** 2
        inside = np.abs(t) < 1
        touch(inside & (b > lid) & (b < low), FLESH, 0.95)
        touch(
            (np.hypot((a - c - side + 0.02) * 0.68, b + 0.095) < 0.045 + pixel) & (b > lid) & (b < low + 0.01),
            HAIR,
            0.0,
        )
        touch((np.abs(t) < 1.08) & (np.abs(b - lid) < 0.010 + pixel), HAIR, 0.02)
        touch(inside & (np.abs(b - low) < 0.5 * pixel), FLESH, 0.25)
        touch((np.abs(t) < 1.25) & (np.abs(b - brow) < 0.016 + 0.6 * pixel), HAIR, 0.22)
    for side in (-0.07, 0.10):
        touch(np.hypot(a - c - side, (b - 0.345) * 1.6) < 0.035 + 0.5 * pixel, FLESH, 0.0)
    t = (a - c) / 0.27
    line = 0.575 - 0.02 * np.cos(2 * np.pi * t) * (1 - t**2) + 0.015 * t**2
    upper, lower = line - 0.052 * (1 - t**2), line + 0.075 * (1 - t**2)
    touch((np.abs(t) < 1) & (b > upper) & (b < line), FLESH, 0.14)
    touch((np.abs(t) < 0.9) & (b > line) & (b < lower), FLESH, 0.30)
    touch((np.abs(t) < 1.05) & (np.abs(b - line) < 0.004 + 0.7 * pixel), FLESH, 0.0)
    return Brushwork(labels, light, relief)
