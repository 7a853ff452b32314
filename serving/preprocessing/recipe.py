"""The image recipe: how a picture becomes a model's input. It is part of the model card."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Polarity = Literal["auto", "light_on_dark", "dark_on_light"]


class ImageRecipe(BaseModel):
    """How a picture becomes a model's input, uint8 [height, width, channels].

    :mod:`serving.preprocessing.image` describes the steps.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    height: int = Field(gt=0)
    width: int = Field(gt=0)
    channels: Literal[1, 3]
    colour: Literal["rgb", "grey", "ink"]
    crop: bool = False
    margin: float = Field(default=0.0, ge=0.0, lt=1.0, description="share of the cropped part's longer side")
    cut_out: bool = Field(
        default=False, description="cut the object of a photograph out of its background; older cards lack it"
    )
