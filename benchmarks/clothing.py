"""Measure Fashion-MNIST models on photographs of clothes, whose classes are mapped to theirs.

    python -m benchmarks.clothing exports/fashion_cnn/3 [DIRECTORY …] [--part validation] [--cut-out]

Each argument is a version directory. Its card's preprocessing applies; ``--cut-out`` and ``--no-cut-out`` replace that
setting, to compare. Pictures of hats, shorts and skirts are left out, since Fashion-MNIST has no such classes. The test
part has 318 pictures. It takes 10 seconds for each version.
"""

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from serving.scoring.model import ScoringModel
from training.data import clothing_photos
from training.data.pictures.class_folders import PARTS, Part, arrange
from training.data.pictures.picture_source import open_source

#: Right answers for each kind of clothes.
CLASSES = {
    "t-shirt": ("T-shirt/top",),
    "longsleeve": ("Pullover",),
    "outwear": ("Coat",),
    "pants": ("Trouser",),
    "dress": ("Dress",),
    "shirt": ("Shirt",),
    "shoes": ("Sandal", "Sneaker", "Ankle boot"),
}


def measure(version: Path, part: Part, photographs: Path, cut_out: bool | None = None) -> dict[str, tuple[int, int]]:
    """Return the right answers and the pictures of each kind. A refused picture counts as wrong.

    ``cut_out`` replaces the setting of the card's recipe.
    """
    model = ScoringModel.of(version)
    if cut_out is not None and model.card.image:
        recipe = model.card.image.model_copy(update={"cut_out": cut_out})
        model = ScoringModel(version, model.card.model_copy(update={"image": recipe}))
    source = open_source(photographs)
    folders = arrange(source, photographs)
    files = [(file, folders.labels[number]) for file, number in folders.parts[part]]
    mapped = [(file, kind) for file, kind in files if kind in CLASSES]
    answers = model.score(range(len(mapped)), [source.read(file) for file, _ in mapped])["label"].to_pylist()
    total = Counter(kind for _, kind in mapped)
    right = Counter(kind for (_, kind), answer in zip(mapped, answers, strict=True) if answer in CLASSES[kind])
    return {kind: (right[kind], total[kind]) for kind in CLASSES}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="+", type=Path, metavar="DIRECTORY")
    parser.add_argument("--part", choices=PARTS, default="test")
    parser.add_argument("--cut-out", action=argparse.BooleanOptionalAction)
    options = parser.parse_args(arguments)
    for version in options.versions:
        found = measure(version, options.part, clothing_photos.archive(), options.cut_out)
        right, total = (sum(column) for column in zip(*found.values(), strict=True))
        kinds = ", ".join(f"{kind} {good}/{all_}" for kind, (good, all_) in found.items())
        print(f"{version}: {right / total:.3f} of {total} photographs ({kinds})")


if __name__ == "__main__":
    main()
