"""Blocks of the nets: the courses' Inception-V1 module and residual block (003_f995c3228e7eacd7, exercise 10), and a
residual block with batch normalisation, dropout and weight decay for the improved nets (004_1e87cdad635ebe4c).
"""

from keras import KerasTensor, Regularizer, layers


def inception_module(
    x: KerasTensor, one: int, three_in: int, three: int, five_in: int, five: int, pool: int
) -> KerasTensor:
    """Four ways side by side, [n, h, w, c] → [n, h, w, one + three + five + pool]; zero padding and ReLU throughout.

    A 1×1 convolution; a 1×1 before a 3×3; a 1×1 before a 5×5; a 3×3 maximum before a 1×1 (Szegedy et al. 2014).
    """

    def convolution(filters: int, size: int, inputs: KerasTensor) -> KerasTensor:
        return layers.Conv2D(filters, size, padding="same", activation="relu")(inputs)

    ways = (
        convolution(one, 1, x),
        convolution(three, 3, convolution(three_in, 1, x)),
        convolution(five, 5, convolution(five_in, 1, x)),
        convolution(pool, 1, layers.MaxPooling2D(3, strides=1, padding="same")(x)),
    )
    return layers.Concatenate()(ways)


def residual_block(x: KerasTensor, filters: int) -> KerasTensor:
    """Two 3×3 convolutions added to their own input, [n, h, w, c] → [n, h, w, filters] (He et al. 2015).

    Where the input has another number of channels, a 1×1 convolution (ReLU) brings it to ``filters`` first.
    """
    shortcut = x if x.shape[-1] == filters else layers.Conv2D(filters, 1, padding="same", activation="relu")(x)
    inner = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    inner = layers.Conv2D(filters, 3, padding="same")(inner)
    return layers.Activation("relu")(layers.Add()([inner, shortcut]))


def normalised_convolution(x: KerasTensor, filters: int, decay: Regularizer | None = None) -> KerasTensor:
    """A 3×3 convolution, batch normalisation, ReLU: [n, h, w, c] → [n, h, w, filters].

    Momentum .9, because a short run leaves Keras' running statistics behind.
    """
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_regularizer=decay)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def normalised_residual_block(x: KerasTensor, decay: Regularizer | None = None, dropout: float = 0.0) -> KerasTensor:
    """Two normalised convolutions, added to their own input; the shape stays (He et al. 2016).

    ``dropout`` is the share of whole feature maps left out between the two: neighbouring pixels of a map are so alike
    that leaving out single ones would hide nothing (Tompson et al. 2015).
    """
    inner = normalised_convolution(x, x.shape[-1], decay)
    if dropout:
        inner = layers.SpatialDropout2D(dropout)(inner)
    return layers.Add()([x, normalised_convolution(inner, x.shape[-1], decay)])
