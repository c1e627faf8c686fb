"""Networks from an embedded cube to colour, by name: the published one, its baselines and ours."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import equinox as eqx
import jax
from jaxtyping import PRNGKeyArray

from velatura.base.errors import InputError, did_you_mean
from velatura.nn.image_layers import ImageConvolution, LayerNorm, Linear
from velatura.nn.pixel_net import PixelNet
from velatura.nn.plain_vit import PlainViT
from velatura.nn.unet import UNet
from velatura.nn.uvit import SmallUViT
from velatura.nn.velatura_net import VelaturaNet

IMAGE_NETS: Mapping[str, Callable[..., eqx.Module]] = MappingProxyType(
    {"small-uvit": SmallUViT, "vit": PlainViT, "unet": UNet, "pixels": PixelNet, "velatura": VelaturaNet}
)


def build_image_net(
    design: str, *, inputs: int, outputs: int = 3, side: int = 128, key: PRNGKeyArray, **options: float
) -> eqx.Module:
    """Make a network with random weights, float32, called net(image [y, x, inputs], key=...) -> [y, x, outputs].

    inputs: features of a pixel; outputs: 3 colours (about 0 to 1, not clipped), a 4th is the logarithm of the expected
    error; side: of the square images, a multiple of 16 and 32 or more; options: of the design.
    Raises InputError for an unknown design or a wrong size.
    """
    if design not in IMAGE_NETS:
        raise InputError(f"no design {design!r}; known are {', '.join(IMAGE_NETS)}{did_you_mean(design, IMAGE_NETS)}")
    if side < 32 or side % 16:
        raise InputError(f"side must be a multiple of 16, at least 32; found {side}. 128 is usual")
    if min(inputs, outputs) < 1:
        raise InputError(f"a network needs inputs and outputs; found {inputs} and {outputs}")
    return IMAGE_NETS[design](inputs=inputs, outputs=outputs, side=side, key=key, **options)


def counted_parameters(net: eqx.Module) -> int:
    """Return the number of weights and biases of matrices, norms and convolutions.

    As torchsummary counts: temperatures, position embeddings and other bare parameters are not in it.
    """
    kinds = (Linear, LayerNorm, ImageConvolution)
    layers = jax.tree.leaves(net, is_leaf=lambda leaf: isinstance(leaf, kinds))
    found = [part for layer in layers if isinstance(layer, kinds) for part in (layer.weight, layer.bias)]
    return sum(part.size for part in found if part is not None)
