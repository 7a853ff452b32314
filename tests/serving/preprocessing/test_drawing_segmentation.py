"""Drawings and their backgrounds. Whole pictures are in test_image.py."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from serving.preprocessing import drawing_segmentation
from serving.preprocessing.connected_components import label_components


def paper(background: float, height: int = 60, width: int = 50) -> NDArray[np.float32]:
    return np.full((height, width, 3), background, np.float32)


class TestSeparate:
    @pytest.mark.parametrize(("background", "pen"), [(250, 20), (10, 240), (130, 30), (130, 230), (240, 200)])
    def test_the_drawing_is_255_and_the_background_0(self, background: float, pen: float) -> None:
        picture = paper(background)
        picture[20:40, 24:28] = pen
        drawing = drawing_segmentation.separate(picture)
        assert drawing.shape == (60, 50) and drawing.dtype == np.float32
        assert (drawing[20:40, 24:28] == 255).all()
        assert drawing.sum() == 255 * 80

    def test_blank_paper_gives_zeros(self) -> None:
        assert drawing_segmentation.separate(paper(200)).max() == 0

    def test_bars_along_sides_are_cut_off(self) -> None:
        picture = paper(0)
        picture[52:] = picture[:, :6] = 255
        picture[20:24, 20:40] = 255
        drawing = drawing_segmentation.separate(picture)
        assert drawing.shape == (52, 44)
        assert (drawing > 0).sum() == 80

    def test_a_shadow_along_a_side_is_neither_bar_nor_drawing(self) -> None:
        picture = paper(240)
        picture *= np.linspace(1.0, 0.35, 60, dtype=np.float32)[:, None, None]
        picture[50:54, 20:30] = 5
        drawing = drawing_segmentation.separate(picture)
        assert drawing.shape == (60, 50)
        assert (drawing > 90).sum() == 40

    def test_the_caller_can_state_the_background(self) -> None:
        picture = paper(255)
        picture[5:-5, 5:-5] = 0
        assert drawing_segmentation.separate(picture, light_background=True)[30, 25] == 255
        assert drawing_segmentation.separate(picture, light_background=False)[30, 25] == 0


class TestCrop:
    def test_specks_faint_lines_and_marks_along_the_border_are_removed(self) -> None:
        drawing = np.zeros((80, 80), np.float32)
        drawing[20:60, 30:34] = drawing[38:42, 20:50] = 255
        expected = drawing[20:60, 20:50].copy()
        drawing[5, 5] = 255
        drawing[70, 10:60] = 100
        drawing[:, 78:] = 255
        assert (drawing_segmentation.crop(drawing) == expected).all()

    def test_marks_along_the_border_are_kept_if_nothing_else_is_there(self) -> None:
        drawing = np.zeros((80, 80), np.float32)
        drawing[:6] = 255
        assert drawing_segmentation.crop(drawing).shape == (6, 80)

    def test_an_empty_drawing_stays_unchanged(self) -> None:
        assert drawing_segmentation.crop(np.zeros((30, 20), np.float32)).shape == (30, 20)


def flooded(mask: NDArray[np.bool_]) -> list[set[tuple[int, int]]]:
    """The connected components by a slow flood fill."""
    left = {(int(y), int(x)) for y, x in np.argwhere(mask)}
    parts = []
    while left:
        part, edge = set(), {left.pop()}
        while edge:
            y, x = edge.pop()
            part.add((y, x))
            near = {(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)} & left
            left -= near
            edge |= near
        parts.append(part)
    return parts


@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_components_equal_those_of_a_flood_fill(height: int, width: int, data: st.DataObject) -> None:
    cells = data.draw(st.lists(st.booleans(), min_size=height * width, max_size=height * width))
    mask = np.array(cells).reshape(height, width)
    numbers = label_components(mask)
    assert (numbers > 0).tolist() == mask.tolist()
    found = [{(int(y), int(x)) for y, x in np.argwhere(numbers == n)} for n in range(1, int(numbers.max()) + 1)]
    assert sorted(map(sorted, found)) == sorted(map(sorted, flooded(mask)))


@pytest.mark.parametrize("background", [0, 90, 128, 255])
@pytest.mark.parametrize("noise", [0, 1])
def test_blank_paper_gives_zeros(background: int, noise: int) -> None:
    rng = np.random.default_rng(0)
    picture = np.clip(background + noise * rng.integers(-3, 4, (120, 100, 1)), 0, 255).astype(np.float32)
    assert not drawing_segmentation.separate(np.repeat(picture, 3, axis=2)).any()


def test_a_faint_line_is_a_drawing() -> None:
    picture = np.full((120, 100, 3), 250, np.float32)
    picture[30:90, 48:52] -= 25
    assert drawing_segmentation.separate(picture).max() > 200
