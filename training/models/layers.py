"""Building blocks of the networks.

The Inception-V1 module and the residual block are the courses' (003_f995c3228e7eacd7, exercise 10). The residual block
with batch normalisation, dropout and weight decay serves the improved networks (004_1e87cdad635ebe4c).
"""

from keras import KerasTensor, Regularizer, layers, ops


def inception_module(
    x: KerasTensor, one: int, three_in: int, three: int, five_in: int, five: int, pool: int
) -> KerasTensor:
    """Apply four parallel branches and concatenate them.

    The shape changes from [n, h, w, c] to [n, h, w, one + three + five + pool]. The branches are a 1×1 convolution,
    1×1 then 3×3, 1×1 then 5×5, and 3×3 max pooling then 1×1, with zero padding and ReLU throughout (Szegedy et al.
    2014).
    """

    def convolution(filters: int, size: int, inputs: KerasTensor) -> KerasTensor:
        return layers.Conv2D(filters, size, padding="same", activation="relu")(inputs)

    branches = (
        convolution(one, 1, x),
        convolution(three, 3, convolution(three_in, 1, x)),
        convolution(five, 5, convolution(five_in, 1, x)),
        convolution(pool, 1, layers.MaxPooling2D(3, strides=1, padding="same")(x)),
    )
    return layers.Concatenate()(branches)


def details(x: KerasTensor) -> KerasTensor:
    """Return mean and standard deviation of each map of features over the picture: [n, h, w, c] → [n, 2c].

    Of the first convolution, they tell textures and edges apart that the net later ignores.
    """
    mean, square = (layers.GlobalAveragePooling2D()(maps) for maps in (x, ops.square(x)))
    variance = ops.relu(square - ops.square(mean))  # rounding may give less than 0
    return ops.concatenate([mean, ops.sqrt(variance + 1e-6)], axis=1)


def residual_block(x: KerasTensor, filters: int) -> KerasTensor:
    """Add two 3×3 convolutions to their input (He et al. 2015).

    The shape changes from [n, h, w, c] to [n, h, w, filters]. If c is not ``filters``, a 1×1 convolution with ReLU
    projects the input first.
    """
    shortcut = x if x.shape[-1] == filters else layers.Conv2D(filters, 1, padding="same", activation="relu")(x)
    inner = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    inner = layers.Conv2D(filters, 3, padding="same")(inner)
    return layers.Activation("relu")(layers.Add()([inner, shortcut]))


def normalised_convolution(x: KerasTensor, filters: int, decay: Regularizer | None = None) -> KerasTensor:
    """Apply a 3×3 convolution, batch normalisation and ReLU.

    The shape changes from [n, h, w, c] to [n, h, w, filters]. The momentum is .9: with Keras' default the running
    statistics lag behind in short runs.
    """
    x = layers.Conv2D(filters, 3, padding="same", use_bias=False, kernel_regularizer=decay)(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def normalised_residual_block(x: KerasTensor, decay: Regularizer | None = None, dropout: float = 0.0) -> KerasTensor:
    """Add two normalised convolutions to their input (He et al. 2016).

    The shape does not change. ``dropout`` is the share of whole feature maps dropped between the two. Neighbouring
    pixels are so similar that dropping single ones has no effect (Tompson et al. 2015).
    """
    inner = normalised_convolution(x, x.shape[-1], decay)
    if dropout:
        inner = layers.SpatialDropout2D(dropout)(inner)
    return layers.Add()([x, normalised_convolution(inner, x.shape[-1], decay)])
